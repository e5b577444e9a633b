// Prints the records on standard input as pino does: syslog.mjs
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import pino from "pino";

const require = createRequire(import.meta.url);
const logger = pino({ name: "shop", base: { name: "shop", pid: 42, hostname: "web1" } }, pino.destination({ fd: 1, sync: true }));
for (const { level, message, ...rest } of JSON.parse(readFileSync(0, "utf8"))) logger[level](rest, message);
