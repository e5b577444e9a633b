// Logs with `weir.mjs` as it is told on standard input; `tests/e2e/small_clients/driver.rs` describes how.
//
//     driver.mjs URL CAPACITY TIMEOUT_S DEADLINE_S
import { createInterface } from "node:readline";
import { Client } from "./weir.mjs";

const [url, capacity, timeout, deadline] = process.argv.slice(2);
const client = new Client({
  url,
  source: "driver",
  capacity: Number(capacity),
  timeoutMs: timeout * 1000,
  deadlineMs: deadline * 1000,
});
for await (const line of createInterface({ input: process.stdin })) {
  const [, prefix, count] = line.split(" ");
  for (let number = 0; number < count; number++) client.info("record", { id: `${prefix}-${number}` });
  console.log(`lost ${client.lost}`);
}
await client.close();
console.log(`lost ${client.lost}`);
