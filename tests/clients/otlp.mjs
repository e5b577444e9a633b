// Sends log records with OpenTelemetry's SDK for JavaScript, or with pino.
//
//   otlp.mjs http|proto|grpc|pino-http|pino-proto|pino-grpc URL [TOKEN]
//
// Prints the version of the client and what it says of each request: null, or an error.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const [kind, url, token] = process.argv.slice(2);
const headers = token ? { authorization: `Bearer ${token}` } : {};

function exporter() {
  if (kind === "grpc") {
    const { OTLPLogExporter } = require("@opentelemetry/exporter-logs-otlp-grpc");
    const { Metadata, credentials } = require("@grpc/grpc-js");
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return new OTLPLogExporter({ url, metadata, credentials: credentials.createInsecure(), timeoutMillis: 20000 });
  }
  const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${kind}`);
  return new OTLPLogExporter({ url: `${url}/v1/logs`, headers, compression: "gzip", timeoutMillis: 20000 });
}

/** Tells the result of each export, and changes nothing else. */
function watched(exporter, results) {
  const send = exporter.export.bind(exporter);
  exporter.export = (records, done) =>
    send(records, (result) => {
      results.push(result.error ? String(result.error) : null);
      done(result);
    });
  return exporter;
}

async function sdk() {
  const { LoggerProvider, BatchLogRecordProcessor } = require("@opentelemetry/sdk-logs");
  const { resourceFromAttributes } = require("@opentelemetry/resources");
  const results = [];
  const processor = new BatchLogRecordProcessor({ exporter: watched(exporter(), results) });
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ "service.name": "shop", "service.version": "1.2.3" }),
    processors: [processor],
  });
  const logger = provider.getLogger("shop.cart", "9.9");
  const timestamp = [1700000001, 123456789];
  logger.emit({
    timestamp,
    severityNumber: 13,
    severityText: "WARN",
    body: 'zażółć 😀 "quoted"\n',
    attributes: {
      items: 42,
      largest: Number.MAX_SAFE_INTEGER,
      least: Number.MIN_SAFE_INTEGER,
      ratio: 0.1,
      huge: Number.MAX_VALUE,
      paid: true,
      tags: ["a", "b"],
      deep: { one: { two: [1, { three: null }] } },
      raw: new Uint8Array([0, 255]),
    },
  });
  logger.emit({ timestamp, severityNumber: 9, severityText: "INFO", body: "" });
  logger.emit({ timestamp, severityNumber: 21, severityText: "FATAL", body: "x".repeat(100_000) });
  logger.emit({ timestamp, severityNumber: 5, body: { event: "paid", amounts: [1, 2.5] } });
  logger.emit({ timestamp, severityNumber: 10, severityText: "notice", eventName: "checkout" });
  await provider.forceFlush();
  await provider.shutdown();
  return results;
}

async function pino() {
  const protocol = { "pino-http": "http", "pino-proto": "http/protobuf", "pino-grpc": "grpc" }[kind];
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = url;
  process.env.OTEL_EXPORTER_OTLP_PROTOCOL = protocol;
  if (token) process.env.OTEL_EXPORTER_OTLP_HEADERS = `authorization=Bearer ${token}`;
  const pino = require("pino");
  const transport = pino.transport({
    target: require.resolve("pino-opentelemetry-transport"),
    options: { loggerName: "cart", serviceVersion: "1.2.3", resourceAttributes: { "service.name": "shop" } },
  });
  const logger = pino({ level: "trace" }, transport);
  logger.warn({ items: 42, deep: { one: { two: [1, null] } } }, 'zażółć 😀 "quoted"\n');
  logger.info("");
  logger.fatal("x".repeat(100_000));
  logger.trace({ trace_id: "5b".repeat(16), span_id: "ee".repeat(8), trace_flags: "01" }, "traced");
  // It sends the rest when the process ends.
  return [null];
}

const isPino = kind.startsWith("pino");
const said = await (isPino ? pino() : sdk());
const name = isPino ? "pino-opentelemetry-transport" : `@opentelemetry/exporter-logs-otlp-${kind}`;
const { version } = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8"));
console.log(JSON.stringify({ version, said }));
