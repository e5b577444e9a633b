// Sends with fluent-logger and @fluent-org/logger, which wait for acknowledgements.
//
//     forward.mjs facts CLIENT MODE PORT [KEY USER PASSWORD]   the records on standard input
//     forward.mjs load PORT PREFIX FILE                        until standard input is closed; adds acknowledged ids
//     forward.mjs fill PORT                                    until nothing is acknowledged, then waits for room

import { appendFileSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import fluentLogger from "fluent-logger";
import fluentOrg from "@fluent-org/logger";

const require = createRequire(import.meta.url);
const [act, ...rest] = process.argv.slice(2);
const seconds = 1700000001;
const version = (name) => JSON.parse(readFileSync(require.resolve(`${name}/package.json`))).version;

// One function for each client: sends a record, and is done when it is acknowledged.
function sender(client, mode, port, key, user, password) {
  const security = key ? { clientHostname: "client", sharedKey: key, username: user, password } : undefined;
  if (client === "fluent-logger") {
    const logger = fluentLogger.createFluentSender("shop", {
      host: "127.0.0.1",
      port,
      timeout: 5,
      eventMode: mode,
      requireAckResponse: true,
      ackResponseTimeout: 30_000,
      flushInterval: 10,
      reconnectInterval: 100,
      security,
    });
    const errors = [];
    logger.on("error", (error) => errors.push(error.message));
    const time = new fluentLogger.EventTime(seconds, 500_000_007);
    return {
      errors,
      send: (record) =>
        new Promise((done, failed) => logger.emit("web", record, time, (error) => (error ? failed(error) : done()))),
      end: () => new Promise((done) => logger.end(null, null, done)),
    };
  }
  const logger = new fluentOrg.FluentClient("shop", {
    eventMode: mode,
    socket: { host: "127.0.0.1", port, timeout: 5000 },
    ack: { ackTimeout: 30_000 },
    security,
  });
  const errors = [];
  logger.socketOn("error", (error) => errors.push(error.message));
  const time = new fluentOrg.EventTime(seconds, 500_000_007);
  return { errors, send: (record) => logger.emit("web", record, time), end: () => logger.disconnect() };
}

const acts = {
  async facts(client, mode, port, key, user, password) {
    const records = JSON.parse(readFileSync(0, "utf8"));
    const { send, end, errors } = sender(client, mode, Number(port), key, user, password);
    process.on("uncaughtException", (error) => errors.push(error.message));
    const outcomes = await Promise.race([
      Promise.allSettled(records.map(send)),
      // A client that is refused tries for ever.
      new Promise((done) => {
        const watch = setInterval(() => {
          if (errors.length > 0 && key === "wrong") done(clearInterval(watch) ?? []);
        }, 10);
      }),
    ]);
    const stored = outcomes.map((outcome) => outcome.status === "fulfilled");
    console.log(JSON.stringify({ version: version(client), stored, errors }));
    if (stored.every(Boolean) && stored.length > 0) await end();
    process.exit(0);
  },

  async load(port, prefix, file) {
    let stop = false;
    process.stdin.on("data", () => {}).on("end", () => (stop = true));
    const sending = ["fluent-logger", "@fluent-org/logger"].map(async (client) => {
      const { send } = sender(client, "Message", Number(port));
      for (let number = 0; !stop; number++) {
        const id = `${prefix}-${client}-${number}`;
        // The router may be gone: what is not acknowledged is no loss.
        const outcome = await Promise.race([
          send({ message: "record", id }).then(
            () => true,
            () => false,
          ),
          new Promise((done) => setInterval(() => stop && done(false), 50).unref()),
        ]);
        if (outcome) appendFileSync(file, `${id}\n`);
      }
    });
    await Promise.all(sending);
    process.exit(0);
  },

  async fill(port) {
    const { send } = sender("@fluent-org/logger", "Message", Number(port));
    for (;;) {
      const sent = send({ message: "x".repeat(20_000) });
      const isStored = await Promise.race([sent.then(() => true), new Promise((done) => setTimeout(done, 3000, false))]);
      if (isStored) continue;
      console.log("no acknowledgement");
      await sent;
      console.log("stored");
      process.exit(0);
    }
  },
};

await acts[act](...rest);
