// Uses `weir.js` without a browser, for what a browser does only now and then: it is here what this script says.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const stored = {};
Object.defineProperties(stored, {
  getItem: { value: (name) => stored[name] },
  setItem: { value: (name, text) => (stored[name] = text) },
  removeItem: { value: (name) => delete stored[name] },
});
const page = new EventTarget();
const window = {
  location: { origin: "http://app.example", host: "app.example", href: "http://app.example/" },
  document: Object.assign(new EventTarget(), { visibilityState: "visible" }),
  localStorage: stored,
  navigator: { onLine: true },
  Node: class {},
  addEventListener: (...listener) => page.addEventListener(...listener),
  removeEventListener: (...listener) => page.removeEventListener(...listener),
};
for (const [name, value] of Object.entries(window)) Object.defineProperty(globalThis, name, { value });
const { Client } = await import(`data:text/javascript,${encodeURIComponent(readFileSync("weir.js", "utf8"))}`);

/** What was sent: key and records. `answers` are those of the router, the last one again and again. */
function router(...answers) {
  const sent = [];
  globalThis.fetch = async (_, { headers, body }) => {
    sent.push({ key: headers["idempotency-key"], records: JSON.parse(body) });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === "failure") throw new TypeError("Failed to fetch");
    return new Response("", { status: answer });
  };
  return sent;
}

test("metadata and context are copied, and what is no object is put into one", async () => {
  const sent = router(200);
  const client = new Client();
  client.context = { user: 7 };
  client.info("own", { metadata: Object.freeze({ a: 1 }), level: "mine" });
  client.info("text", { metadata: "m", level: "mine", context: "c" });
  assert.ok(await client.flush());
  const [own, text] = sent[0].records;
  assert.deepEqual(own.metadata, { a: 1, level: "mine" });
  assert.deepEqual(text.metadata, { metadata: "m", level: "mine" });
  assert.deepEqual(text.context, { page: "http://app.example/", user: 7, context: "c" });
  await client.close();
});
