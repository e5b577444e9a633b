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

async function until(isSo) {
  for (const begin = Date.now(); !isSo(); ) {
    assert.ok(Date.now() - begin < 60_000, `${isSo} in a minute`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

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

test("what is sent with a token when the page is hidden is sent again and kept until it arrives", async () => {
  for (const failure of ["failure", 503]) {
    const sent = router(failure, failure, 200);
    const client = new Client({ token: "weir_x" });
    client.info("hidden");
    document.visibilityState = "hidden";
    document.dispatchEvent(new Event("visibilitychange"));
    assert.equal(sent.length, 1);
    await until(() => sent.length === 2);
    assert.equal(client.unsent, 1);
    assert.deepEqual(Object.keys(stored), [`weir:${sent[0].key}`]);
    assert.ok(await client.flush(60_000));
    assert.equal(new Set(sent.map(({ key }) => key)).size, 1, "it has its key");
    assert.deepEqual([client.lost, Object.keys(stored)], [0, []]);
    await client.close();
  }
});

test("what is refused when the page is hidden is counted", async () => {
  const sent = router(401);
  const client = new Client({ token: "weir_x" });
  client.info("hidden");
  document.dispatchEvent(new Event("visibilitychange"));
  await until(() => client.lost > 0);
  assert.deepEqual([client.lost, client.unsent, sent.length], [1, 0, 2]);
  await client.close();
});
