// Uses a part of `weir.mjs`, and ends in the way that belongs to it: node_test.mjs PART URL
import { fileURLToPath } from "node:url";
import pino from "pino";
import { Client, captureConsole, context, weirStream } from "./weir.mjs";

const [part, url] = process.argv.slice(2);
// The process that sends at the end takes its time on a machine that is busy.
const options = { url, deadlineMs: 60_000 };
const base = fileURLToPath(new URL("weir.mjs", import.meta.url));

function withPino(log) {
  log.info({ order: 7 }, "started");
  log.error(new Error("no card"), "it failed");
  log.debug("zażółć 😀");
}

const parts = {
  pino_transport() {
    withPino(pino({ name: "cart", level: "debug", transport: { target: base, options } }));
  },

  pino_exit() {
    this.pino_transport();
    process.exit(3);
  },

  pino_stream() {
    withPino(pino({ name: "cart", level: "debug" }, weirStream(options)));
  },

  lines() {
    const stream = weirStream({ ...options, source: "lines" });
    const text = Buffer.from('{"message":"json","level":"info"}\nno json: ż\n\n[1]\nthe end');
    // In the middle of a line, and of a character.
    const cut = text.indexOf("ż") + 1;
    stream.write(text.subarray(0, 10));
    stream.write(text.subarray(10, cut));
    stream.end(text.subarray(cut));
  },

  console() {
    const client = new Client(options);
    const end = captureConsole(client);
    console.log("%d of", 1, { two: 2 });
    console.warn("careful");
    console.error("it failed:", new Error("no card", { cause: new TypeError("the reason") }));
    console.debug("a secret\nbreak");
    end();
    console.log("not this");
    process.exit(3);
  },

  async unread() {
    const client = new Client({ url });
    client.info("nobody reads this");
    await client.close(0);
  },

  exit_refused() {
    const client = new Client({ ...options, batch: 1 });
    for (const message of ["the first", "refused", "the last"]) client.info(message);
    process.exit(3);
  },

  throws() {
    new Client(options).info("before the exception");
    throw new Error("on purpose");
  },

  async context() {
    const client = new Client(options);
    const wait = () => new Promise((resolve) => setTimeout(resolve, 1));
    await context({ request_id: 1, part: "a" }, async () => {
      await Promise.all([
        context({ part: "b" }, async () => {
          await wait();
          client.info("inner");
        }),
        wait().then(() => client.info("later")),
      ]);
    });
    context({ request_id: 1 }, () => client.info("given", { context: { user: 7 } }));
    client.info("outside");
    client.info("own metadata", { metadata: Object.freeze({ a: 1 }), level: "mine" });
    client.info("text", { metadata: "m", level: "mine", context: "c" });
    const strange = { big: 12345678901234567890n, level: "mine" };
    strange.self = { inner: strange, again: strange };
    Object.defineProperty(strange, "rude", { enumerable: true, get: () => JSON.parse("{") });
    try {
      client.info("strange", strange);
    } catch (error) {
      client.info(`it threw ${error}`);
    }
  },
};

await parts[part]();
