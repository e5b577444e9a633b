// Sends log records with winston-loki (protobuf or JSON) or pino-loki.
//
//   loki.mjs winston|winston-json|pino URL [TOKEN]
//
// Prints the version of the client and its errors.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const [kind, url, token] = process.argv.slice(2);
const errors = [];
const labels = { service: "shop" };
const headers = { "X-Scope-OrgID": "team-a" };

async function winston() {
  const { createLogger, format } = require("winston");
  const LokiTransport = require("winston-loki");
  const transport = new LokiTransport({
    host: url,
    json: kind === "winston-json",
    labels,
    headers,
    basicAuth: token ? `anyone:${token}` : undefined,
    format: format.printf(({ message }) => message),
    batching: true,
    interval: 1,
    gracefulShutdown: false,
    clearOnError: true,
    onConnectionError: (error) => errors.push(String(error)),
  });
  const logger = createLogger({ level: "debug", transports: [transport] });
  logger.warn('zażółć 😀 "quoted"\n', { labels: { user: "anna" } });
  logger.debug("line");
  logger.error("x".repeat(100_000));
  await transport.flush();
  transport.close?.();
}

async function pino() {
  const pino = require("pino");
  const { pinoLoki } = require("pino-loki");
  const stream = pinoLoki({
    host: url,
    labels,
    headers,
    basicAuth: token ? { username: "anyone", password: token } : undefined,
    propsToLabels: ["user"],
    silenceErrors: false,
    batching: { interval: 1 },
  });
  const error = console.error;
  console.error = (...said) => errors.push(said.map(String).join(" "));
  const logger = pino({ level: "debug" }, stream);
  logger.warn({ user: 'anna "a"', items: 42 }, 'zażółć 😀 "quoted"\n');
  logger.debug("");
  logger.error("x".repeat(100_000));
  await new Promise((resolve) => {
    stream.on("close", resolve);
    stream.end();
  });
  console.error = error;
}

await (kind === "pino" ? pino() : winston());
const name = kind === "pino" ? "pino-loki" : "winston-loki";
const { version } = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8"));
console.log(JSON.stringify({ version, said: errors }));
process.exit(0);
