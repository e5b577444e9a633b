// The stream of records over a WebSocket: opens it again when it breaks, from where it broke, and says what it knows.
// Each connection is opened with a ticket, so a session that is over is known before; without tokens there is none.

import { send } from "./api.js";

const BACKLOG = 500;
const LONGEST_WAIT = 15000;
const PING = 10000;
const SILENCE = 25000;

export class Stream {
  // `on` has: records, gap, skipped, reset, restarted, cleared, stats, state, queryError.
  constructor(on) {
    this.on = on;
    this.query = "";
    this.after = "";
    this.session = "";
    // Queries that the router has been told of and hasn't answered, in order.
    this.asked = [];
    this.tries = 0;
    this.base = { seen: 0, matched: 0, missed: 0, levels: {}, sources: {} };
    this.latest = null;
    this.state = "wait";
  }

  // Goes on after the last record if the query is the same as before.
  start(query) {
    this.stop();
    if (query !== this.query) this.forget();
    this.query = query;
    this.wanted = true;
    this.pinging = setInterval(() => this.ping(), PING);
    this.connect();
  }

  stop() {
    this.wanted = false;
    clearTimeout(this.timer);
    clearInterval(this.pinging);
    this.asked = [];
    this.close();
    this.keepCounts();
  }

  close() {
    this.turn = null;
    const socket = this.socket;
    this.socket = null;
    if (socket) socket.close();
  }

  // What the reader asked for last.
  get latestQuery() {
    return this.asked.at(-1) ?? this.query;
  }

  setQuery(query) {
    const socket = this.socket;
    if (socket?.readyState === WebSocket.OPEN) {
      this.asked.push(query);
      socket.send(JSON.stringify({ type: "query", query, backlog: BACKLOG }));
      return;
    }
    this.start(query);
    this.on.cleared();
  }

  forget() {
    this.after = "";
    this.base = { seen: 0, matched: 0, missed: 0, levels: {}, sources: {} };
    this.latest = null;
  }

  async connect() {
    clearTimeout(this.timer);
    this.setState("wait");
    const turn = this.turn = Symbol("turn");
    try {
      const { ticket } = await send("POST", "/api/ticket", {});
      if (this.turn === turn) this.open(ticket);
    } catch {
      if (this.turn === turn) this.broke();
    }
  }

  open(ticket) {
    const params = new URLSearchParams({ batch: "true", aliases: "false", query: this.query });
    if (this.after) params.set("after", this.after);
    else params.set("backlog", BACKLOG);
    if (ticket) params.set("ticket", ticket);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/tail?${params}`);
    this.socket = socket;
    this.heard = Date.now();
    this.pinged = 0;
    socket.onmessage = (event) => { if (this.socket === socket) this.take(JSON.parse(event.data), event.data.length); };
    socket.onclose = () => { if (this.socket === socket) this.broke(); };
  }

  // A connection that went away without a word, as after sleep, is noticed by the missing answers. Silence alone says
  // nothing: a browser lets a hidden page ping only once a minute.
  ping() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (this.pinged > this.heard && Date.now() - this.heard > SILENCE) {
      this.close();
      this.broke();
      return;
    }
    this.pinged = Date.now();
    this.socket.send(JSON.stringify({ type: "ping" }));
  }

  async broke() {
    const opened = this.state === "live";
    this.socket = null;
    this.keepCounts();
    if (!this.wanted) return;
    this.setState("lost");
    // What the connection didn't live to answer is asked for by the next one.
    if (this.asked.length > 0) this.queryChanged(this.latestQuery);
    this.asked = [];
    // The reader may leave the view, or begin anew, while the router is asked.
    const turn = this.turn = Symbol("turn");
    if (!opened && await this.queryIsWrong(turn)) return;
    if (this.turn !== turn) return;
    const wait = Math.min(LONGEST_WAIT, 500 * 2 ** this.tries) * (0.8 + 0.4 * Math.random());
    this.tries += 1;
    this.timer = setTimeout(() => this.connect(), wait);
  }

  // A WebSocket that isn't opened doesn't say why; a plain request with the same query does.
  async queryIsWrong(turn) {
    const stop = new AbortController();
    try {
      const answer = await fetch(`/api/tail?query=${encodeURIComponent(this.query)}`, { signal: stop.signal });
      if (answer.status !== 400) {
        stop.abort();
        return false;
      }
      const error = await answer.json();
      if (this.turn !== turn) return true;
      this.setState("error");
      this.on.queryError(error);
      return true;
    } catch {
      return false;
    }
  }

  take(message, characters) {
    this.heard = Date.now();
    if (message.type === "records") return this.takeRecords(message.records, characters);
    if (message.type === "hello") return this.hello(message);
    if (message.type === "stats") return this.stats(message);
    if (message.type === "gap") return this.on.gap(message.missed);
    if (message.type === "skipped") return this.on.skipped(message.records);
    if (message.type === "reset") return this.on.reset(this.after);
    if (message.type === "query" || message.type === "error") this.asked.shift();
    if (message.type === "query") return this.queryChanged(message.query);
    if (message.type === "error") return this.on.queryError(message);
  }

  takeRecords(records, characters) {
    if (records.length === 0) return;
    this.after = records[records.length - 1].entry_id;
    this.on.records(records, Math.ceil(characters / records.length));
  }

  hello(message) {
    const restarted = this.session && this.session !== message.session_id;
    this.session = message.session_id;
    this.tries = 0;
    this.setState("live");
    if (restarted) this.on.restarted();
    this.on.queryError(null);
  }

  queryChanged(query) {
    this.query = query;
    this.after = "";
    this.base = { ...this.base, matched: 0, missed: 0 };
    if (this.latest) this.latest = { ...this.latest, matched: 0, missed: 0 };
    this.on.cleared();
    this.on.queryError(null);
  }

  stats(message) {
    this.latest = message;
    this.on.stats(this.total(), message.seen);
  }

  // The counts of the router begin again with every connection; these are since the page opened the stream.
  total() {
    const now = this.latest;
    if (!now) return this.base;
    return {
      seen: this.base.seen + now.seen, matched: this.base.matched + now.matched, missed: this.base.missed + now.missed,
      levels: sum(this.base.levels, now.levels), sources: sum(this.base.sources, now.sources),
    };
  }

  keepCounts() {
    this.base = this.total();
    this.latest = null;
  }

  setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.on.state(state);
  }
}

function sum(some, others = {}) {
  const all = { ...some };
  for (const [name, n] of Object.entries(others)) all[name] = (all[name] ?? 0) + n;
  return all;
}
