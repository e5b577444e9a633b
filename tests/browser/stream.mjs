// The page's stream of records without a browser or a router: what becomes of it when connections break.
//
//     stream.mjs FOLDER
//
// FOLDER has the scripts of the page. The script plays the router over a WebSocket that is none, and the clock is one
// that it turns.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { pathToFileURL } from "node:url";

globalThis.location = { protocol: "http:", host: "router", origin: "http://router" };
mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
const { Stream } = await import(pathToFileURL(`${process.argv[2]}/stream.js`));

/** Lets everything run that waits for nothing but a promise. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

let sockets;
globalThis.WebSocket = class {
  static OPEN = 1;

  constructor(address) {
    this.query = new URL(address).searchParams.get("query");
    this.after = new URL(address).searchParams.get("after");
    this.readyState = 0;
    this.sent = [];
    sockets.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.isClosed = true;
  }

  /** The router accepts it. */
  greet() {
    this.readyState = WebSocket.OPEN;
    this.say({ type: "hello", session_id: "a" });
  }

  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
};

/** A stream that has been started, and what it says; `look` answers the plain request with the same query. */
async function started(query, look = () => ({ status: 200 })) {
  sockets = [];
  globalThis.fetch = async (address) =>
    address === "/api/ticket" ? { ok: true, status: 200, headers: new Headers(), json: async () => ({}) } : look(address);
  const said = [];
  const kinds = ["records", "gap", "skipped", "reset", "restarted", "cleared", "stats", "state", "queryError"];
  const stream = new Stream(Object.fromEntries(kinds.map((kind) => [kind, (what) => said.push([kind, what])])));
  stream.start(query);
  await settle();
  return { stream, said };
}

/** Opens what is waited for after a connection has broken. */
async function reconnected() {
  mock.timers.tick(20_000);
  await settle();
}

test("a reset names the last record that arrived", async () => {
  const { stream, said } = await started("");
  sockets[0].greet();
  sockets[0].say({ type: "records", records: [{ entry_id: "7-0" }] });
  sockets[0].onclose();
  await reconnected();
  assert.equal(sockets[1].after, "7-0");
  sockets[1].greet();
  sockets[1].say({ type: "reset" });
  assert.deepEqual(said.at(-1), ["reset", "7-0"]);
  stream.stop();
});

test("a query that a broken connection never answered is the query of the next one", async () => {
  const { stream, said } = await started("old");
  sockets[0].greet();
  sockets[0].say({ type: "records", records: [{ entry_id: "7-0" }] });
  stream.setQuery("new");
  assert.equal(stream.latestQuery, "new");
  sockets[0].onclose();
  await reconnected();
  assert.deepEqual([sockets[1].query, sockets[1].after], ["new", null]);
  assert.equal(said.filter(([kind]) => kind === "cleared").length, 1, "records of the old query are gone");
  stream.stop();
});

test("a query that the router has answered or refused is not asked for again", async () => {
  const { stream } = await started("old");
  sockets[0].greet();
  stream.setQuery("first");
  stream.setQuery("wrong");
  sockets[0].say({ type: "query", query: "first" });
  assert.equal(stream.query, "first");
  sockets[0].say({ type: "error", error: "it is wrong" });
  sockets[0].say({ type: "records", records: [{ entry_id: "8-0" }] });
  sockets[0].onclose();
  await reconnected();
  assert.deepEqual([sockets[1].query, sockets[1].after], ["first", "8-0"]);
  stream.stop();
});

test("a stream that is stopped or begun anew while the router is asked what was wrong has no second connection", async () => {
  for (const beginsAnew of [false, true]) {
    let answer;
    const { stream } = await started("", () => new Promise((resolve) => { answer = resolve; }));
    sockets[0].onclose();
    await settle();
    stream.stop();
    if (beginsAnew) stream.start("");
    answer({ status: 200 });
    await settle();
    await reconnected();
    assert.equal(sockets.length, beginsAnew ? 2 : 1);
    stream.stop();
  }
});

test("a connection is given up for pings without an answer, not for a silence in which none was sent", async () => {
  const { stream } = await started("");
  sockets[0].greet();
  clearInterval(stream.pinging);
  // As in a hidden page.
  for (let minute = 0; minute < 3; minute += 1) {
    mock.timers.tick(60_000);
    stream.ping();
    assert.equal(sockets[0].sent.length, minute + 1);
    mock.timers.tick(1);
    sockets[0].say({ type: "pong" });
  }
  mock.timers.tick(60_000);
  stream.ping();
  mock.timers.tick(60_000);
  stream.ping();
  assert.ok(sockets[0].isClosed);
  await reconnected();
  assert.equal(sockets.length, 2);
  stream.stop();
});
