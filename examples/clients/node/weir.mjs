/**
 * Logging to Weir from Node 18 or newer: copy this file into your project. It needs only what Node has.
 *
 *     import { Client, captureConsole, context } from "./weir.mjs";
 *
 *     const weir = new Client({ source: "shop" });        // also reads WEIR_URL and WEIR_TOKEN
 *     weir.info("order is paid", { order: 1234 });
 *     captureConsole(weir);                               // console.log and the others go there, too
 *
 * With pino, in a worker thread or in this one:
 *
 *     pino({ transport: { target: "./weir.mjs", options: { source: "shop" } } });
 *     pino(weirStream({ source: "shop" }));
 *
 * | part | what it is |
 * |---|---|
 * | `Client` | what all others send with: `debug`, `info`, `warn`, `error`, `log(level, …)` |
 * | the default export, `weirStream` | a stream for pino, or for anything else that writes lines |
 * | `captureConsole` | sends what is written to the console; returns a function that ends that |
 * | `context` | fields for everything that a client of this thread logs inside |
 *
 * Logging puts a record into a queue in memory, and what waits there is sent in batches, in the background:
 *
 * - Nothing that the router does makes a call that logs wait or throw.
 * - A batch is sent until the router acknowledges it. All attempts have the same key, so the router stores it once, if
 *   it is back within its `repeat_window` (10 minutes).
 * - While the router is away, records wait, and are printed on standard error. When `capacity` records wait, new ones
 *   are lost. So are records that the router refuses, and what is not acknowledged `deadlineMs` after the process's end
 *   has begun. What is lost is counted (`lost`), and a record tells how many when the router is back.
 * - At the process's end, also by `process.exit()` or an exception, what waits is sent. A process that is killed loses
 *   it: at most `capacity` records. So does a worker thread that ends without `close()`.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { spawnSync } from "node:child_process";
import { Console } from "node:console";
import { randomUUID } from "node:crypto";
import http from "node:http";
import https from "node:https";
import { basename } from "node:path";
import { Writable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { format } from "node:util";
import { isMainThread } from "node:worker_threads";

const DEFAULT_URL = "http://127.0.0.1:8080";
/** A batch has up to so many bytes, unless a single record has more. The router takes 16 MiB. */
const BATCH_BYTES = 1 << 20;
/** How long a batch waits for more records. */
const LINGER_MS = 100;
/** Pauses between attempts: doubled each time, up to the second. What the router asks for counts up to the third. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
const LONGEST_ASKED_MS = 300_000;
/** Lines that found no room while the router is away, and are kept to be printed. */
const OVERFLOW = 1000;
/** How deep a value may nest in a record that JSON can't take as it is. */
const DEEPEST = 32;

const fields = new AsyncLocalStorage();

/**
 * Calls a function. Everything that it logs, also later in promises and callbacks, has these fields in its `context`.
 * Inner fields replace outer ones of the same name.
 */
export function context(added, inside) {
  return fields.run({ ...fields.getStore(), ...added }, inside);
}

/** A queue of records, and what sends them. */
export class Client {
  #waiting = [];
  /** Lines of the batch on its way. */
  #sending = [];
  /** The request on its way: its lines are the first of `#sending`. */
  #request;
  #overflow = [];
  #running;
  #wake;
  #closed = false;
  #hurry = false;
  #away = false;
  #answered = true;
  /** How many of the lost records a record has told of. */
  #told = 0;
  /** How many lines of the batch and the queue have been printed. */
  #printed = 0;
  #said = new Set();
  #agent;
  #target;
  #headers;
  #exit = () => this.#sendAtExit();
  #beforeExit = () => this.#flushBeforeExit();

  /** How many records were lost. */
  lost = 0;

  /**
   * @param {object} [options]
   * @param {string} [options.url] where the router is; by default WEIR_URL
   * @param {string} [options.token] by default WEIR_TOKEN
   * @param {string} [options.source] the source of records that have none; by default the name of the program
   * @param {number} [options.capacity] how many records may wait, those on their way included
   * @param {number} [options.batch] how many records are sent at once
   * @param {number} [options.timeoutMs] how long to wait for an answer
   * @param {number} [options.deadlineMs] how long the end of the process may take
   * @param {boolean} [options.print] whether records are printed on standard error while the router is away
   */
  constructor(options = {}) {
    const { url, token = process.env.WEIR_TOKEN, source, capacity = 10_000, batch = 500 } = options;
    const { timeoutMs = 10_000, deadlineMs = 5_000, print = true } = options;
    this.url = url || process.env.WEIR_URL || DEFAULT_URL;
    this.source = source ?? basename(process.argv[1] ?? "node");
    Object.assign(this, { capacity, batch, timeoutMs, deadlineMs, print });
    this.#target = new URL(this.url);
    if (!/^https?:$/.test(this.#target.protocol)) throw new TypeError(`${this.url} is no address of a router`);
    const path = this.#target.pathname.replace(/\/+$/, "");
    this.#target.pathname = path.endsWith("/ingest") ? path : `${path}/ingest`;
    this.#headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const { Agent } = this.#target.protocol === "https:" ? https : http;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1 });
    if (isMainThread) process.on("exit", this.#exit).on("beforeExit", this.#beforeExit);
  }

  /** How many records wait or are on their way. */
  get unsent() {
    return this.#sending.length + this.#waiting.length;
  }

  debug(message, more) {
    this.log("DEBUG", message, more);
  }

  info(message, more) {
    this.log("INFO", message, more);
  }

  warn(message, more) {
    this.log("WARNING", message, more);
  }

  error(message, more) {
    this.log("ERROR", message, more);
  }

  /** Logs a message, which may be an error, with more fields, which may be an error, too. Never waits or throws. */
  log(level, message, more = {}) {
    const added = more instanceof Error ? [] : entriesOf(more);
    const named = added.filter(([name]) => name === "error" || name === "err").map(([, value]) => value);
    const error = [message, more, ...named].find((value) => value instanceof Error);
    const record = { timestamp: Date.now(), level, source: this.source, message: message?.message ?? message };
    const inherited = fields.getStore();
    if (inherited) record.context = inherited;
    if (error) record.exception = stackOf(error);
    for (const [name, value] of added) {
      if (value === error && error) continue;
      if (name === "context" || name === "metadata") record[name] = { ...record[name], ...asObject(name, value) };
      else if (name in record && name !== "source") (record.metadata ??= {})[name] = value;
      else record[name] = value;
    }
    this.sendLine(encode(record));
  }

  /** Puts a record that is JSON already into the queue. */
  sendLine(line) {
    if (this.#closed) {
      this.lost += 1;
      this.#print([line]);
    } else if (this.unsent >= this.capacity) {
      this.lost += 1;
      if (this.#away && this.#overflow.push(line) > OVERFLOW) this.#overflow.shift();
    } else {
      this.#waiting.push(line);
      if (!this.#running) this.#running = this.#run();
      else if (this.#waiting.length === this.batch) this.#wake?.();
    }
  }

  /** Waits until nothing is unsent, for so long at most. Resolves to whether that is so. */
  async flush(timeoutMs = this.deadlineMs) {
    this.#hurry = true;
    this.#wake?.();
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, timeoutMs, "late")));
    while (this.#running && (await Promise.race([this.#running, late])) !== "late");
    clearTimeout(timer);
    this.#hurry = false;
    return this.unsent === 0;
  }

  /** Sends what waits, for so long at most. What is left then is lost, and printed. */
  async close(timeoutMs = this.deadlineMs) {
    await this.flush(timeoutMs);
    this.#abandon();
  }

  #abandon() {
    if (this.#closed) return;
    this.#closed = true;
    const lines = [...this.#sending, ...this.#waiting];
    this.lost += lines.length;
    this.#sending = [];
    this.#waiting = [];
    this.#wake?.();
    this.#agent.destroy();
    process.off("exit", this.#exit).off("beforeExit", this.#beforeExit);
    if (lines.length) this.#say(`${lines.length} records were not acknowledged before the end`);
    this.#print([...lines.slice(this.#printed), ...this.#overflow]);
  }

  async #flushBeforeExit() {
    if (this.unsent && !(await this.flush())) this.#abandon();
  }

  /** Nothing asynchronous happens any more: another process sends what is left. */
  #sendAtExit() {
    if (this.#closed || !this.unsent) return this.#abandon();
    const requests = [];
    if (this.#request) requests.push(this.#request);
    const lines = [...this.#sending.slice(this.#request?.lines.length ?? 0), ...this.#waiting];
    while (lines.length) requests.push(asRequest(lines.splice(0, this.batch)));
    const options = { headers: this.#headers, url: this.#target.href, deadlineMs: this.deadlineMs, requests };
    const sent = spawnSync(process.execPath, ["-e", `(${sendAll})()`], {
      input: JSON.stringify(options),
      env: { ...process.env, NODE_OPTIONS: "" },
      timeout: this.deadlineMs + 1000,
    });
    const outcomes = String(sent.stdout ?? "");
    const isLeft = requests.flatMap(({ lines }, at) => lines.map(() => outcomes[at] !== "1"));
    this.#printed = isLeft.slice(0, this.#printed).filter(Boolean).length;
    this.#waiting = [...this.#sending, ...this.#waiting].filter((_, at) => isLeft[at]);
    this.#sending = [];
    this.#abandon();
  }

  async #run() {
    // Not in the call that logs.
    await null;
    try {
      while (!this.#closed && (this.#waiting.length || this.#hasNews())) {
        await this.#pause(LINGER_MS, () => this.#hurry || this.#waiting.length >= this.batch);
        await this.#deliver(this.#take());
      }
    } catch (error) {
      this.#say(error.stack);
    } finally {
      this.#running = undefined;
    }
  }

  /** Whether a record should tell of what was lost. Not while the router refuses everything. */
  #hasNews() {
    return this.lost !== this.#told && this.#answered;
  }

  #take() {
    let bytes = 0;
    let count = 0;
    for (; count < Math.min(this.#waiting.length, this.batch); count++) {
      bytes += Buffer.byteLength(this.#waiting[count]) + 1;
      if (bytes > BATCH_BYTES && count > 0) break;
    }
    this.#sending = this.#waiting.splice(0, count);
    return [...this.#sending];
  }

  async #deliver(lines) {
    const lost = this.lost;
    const report = lost === this.#told ? [] : [this.#reportOf(lost)];
    if (this.#closed || lines.length + report.length === 0) return;
    this.#answered = await this.#deliverParts(lines, report);
    if (this.#answered && report.length) this.#told = lost;
  }

  #reportOf(lost) {
    const message = `${lost - this.#told} records were lost before this one`;
    const metadata = { lost: lost - this.#told, lost_all_time: lost, process: process.pid };
    return encode({ timestamp: Date.now(), level: "WARNING", source: this.source, message, metadata });
  }

  /** Sends lines until they are acknowledged or refused. Resolves to whether all were acknowledged. */
  async #deliverParts(lines, report) {
    this.#request = asRequest([...lines, ...report]);
    this.#request.lines = lines;
    const { status, text } = await this.#postUntilAnswered(this.#request);
    this.#request = undefined;
    if (status === 413 && lines.length + report.length > 1) {
      // Those in front are settled first, as they are the first of `#sending`.
      const middle = Math.floor(lines.length / 2);
      const first = middle === 0 || (await this.#deliverParts(lines.slice(0, middle), []));
      const rest = lines.length === 0 || (await this.#deliverParts(lines.slice(middle), []));
      return first && rest && (report.length === 0 || (await this.#deliverParts([], report)));
    }
    if (this.#closed || !status) return false;
    if (status !== 200) {
      this.lost += lines.length;
      if (!this.#said.has(status)) this.#say(`${this.url} refuses records, which are lost: ${status} ${text}`);
      this.#said.add(status);
    }
    this.#sending.splice(0, lines.length);
    this.#printed = Math.max(0, this.#printed - lines.length);
    return status === 200;
  }

  /** The final answer; without a status if the client was closed meanwhile. */
  async #postUntilAnswered(request) {
    for (let attempt = 0; !this.#closed; attempt++) {
      let answer;
      try {
        answer = await this.#post(request);
      } catch (error) {
        answer = { status: 0, text: error.message || error.code, askedMs: 0 };
      }
      const { status, text, askedMs } = answer;
      if (status && status < 500 && ![408, 425, 429].includes(status)) {
        this.#isBack();
        return answer;
      }
      if (![429, 503].includes(status) || attempt >= 3) this.#isAway(status ? `${status} ${text}` : text);
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
      await this.#pause(Math.max(pause, Math.min(askedMs, LONGEST_ASKED_MS)), () => this.#closed);
    }
    return {};
  }

  /** Waits for a time or until something is so, and prints what is logged meanwhile. */
  async #pause(ms, isOver) {
    const until = performance.now() + ms;
    while (!isOver() && !this.#closed) {
      if (this.#away) this.#printWaiting();
      const left = until - performance.now();
      if (left <= 0) return;
      await new Promise((resolve) => {
        // It doesn't keep the process alive: `beforeExit` does what is left.
        const timer = setTimeout(resolve, Math.min(left, 200)).unref();
        this.#wake = () => resolve(clearTimeout(timer));
      });
    }
  }

  /** One attempt: status, text, and what `Retry-After` asks for. */
  #post({ key, body }, mayBeStale = true) {
    const { request } = this.#target.protocol === "https:" ? https : http;
    const headers = { ...this.#headers, "idempotency-key": key, "content-length": Buffer.byteLength(body) };
    const signal = AbortSignal.timeout(this.timeoutMs);
    return new Promise((resolve, reject) => {
      const sent = request(this.#target, { method: "POST", headers, agent: this.#agent, signal }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("error", reject);
        answer.on("data", (part) => (text = (text + part).slice(0, 4096)));
        answer.on("end", () => {
          const asked = Number(answer.headers["retry-after"]);
          const short = text.replace(/\s+/g, " ").slice(0, 200);
          resolve({ status: answer.statusCode, text: short, askedMs: asked > 0 ? asked * 1000 : 0 });
        });
      });
      sent.on("error", (error) => {
        if (signal.aborted) reject(new Error(`no answer in ${this.timeoutMs / 1000} s`));
        // The router may have closed a connection that was idle. Another is tried at once: the key is the same.
        else if (sent.reusedSocket && mayBeStale) resolve(this.#post({ key, body }, false));
        else reject(error);
      });
      sent.end(body);
    });
  }

  #isAway(reason) {
    if (this.#away || this.#closed) return;
    this.#away = true;
    const printed = this.print ? " and are printed here" : "";
    this.#say(`${this.url} is away (${reason}); up to ${this.capacity} records wait${printed}`);
  }

  #isBack() {
    if (!this.#away) return;
    this.#away = false;
    const lost = this.lost === this.#told ? "" : `; ${this.lost - this.#told} records were lost`;
    this.#say(`${this.url} is back${lost}`);
  }

  #printWaiting() {
    if (!this.print) return;
    const lines = [...this.#sending, ...this.#waiting].slice(this.#printed);
    this.#printed += lines.length;
    this.#print([...lines, ...this.#overflow.splice(0)]);
  }

  #print(lines) {
    if (this.print && lines.length) write(lines.map(asText).join("\n"));
  }

  #say(what) {
    write(`weir: ${what}`);
  }
}

function write(text) {
  try {
    // A console, not the stream itself, which ends the program later if nobody reads it. Not the global one, which may
    // be captured.
    new Console(process.stderr).error(text);
  } catch {
    // It is closed: there is nobody to tell.
  }
}

function asRequest(lines) {
  return { key: randomUUID(), body: `[${lines.join(",")}]`, count: lines.length, lines };
}

/** The whole program of the process that sends at the end; prints 1 for each request that was acknowledged, or 0. */
async function sendAll() {
  const text = require("node:fs").readFileSync(0, "utf8");
  const { url, headers, deadlineMs, requests } = JSON.parse(text);
  const signal = AbortSignal.timeout(deadlineMs);
  let outcomes = "";
  for (const { key, body } of requests) {
    let status = 0;
    for (let isFinal = false; !isFinal && !signal.aborted; ) {
      try {
        const all = { ...headers, "idempotency-key": key };
        const answer = await fetch(url, { method: "POST", headers: all, body, signal });
        status = answer.status;
      } catch {
        status = 0;
      }
      isFinal = status > 0 && status < 500 && ![408, 425, 429].includes(status);
      if (!isFinal) await new Promise((resolve) => setTimeout(resolve, 100));
    }
    outcomes += status === 200 ? "1" : "0";
  }
  process.stdout.write(outcomes);
}

/** A record as JSON. What JSON doesn't know becomes text. */
function encode(record) {
  try {
    return JSON.stringify(record, (_, value) => (typeof value === "bigint" ? String(value) : value));
  } catch {
    return JSON.stringify(plain(record, []));
  }
}

/** What JSON knows of a value. `above` are the values that it is in. */
function plain(value, above) {
  try {
    if (value === null || ["boolean", "number", "string", "undefined"].includes(typeof value)) return value;
    if (typeof value !== "object" || value instanceof Date || value instanceof Error) return String(value);
    if (above.includes(value) || above.length >= DEEPEST) return "not shown again, or too deep";
    const inside = [...above, value];
    if (Array.isArray(value)) return value.map((inner) => plain(inner, inside));
    return Object.fromEntries(entriesOf(value).map(([name, inner]) => [name, plain(inner, inside)]));
  } catch {
    return "a value that can't be shown";
  }
}

function entriesOf(value) {
  const names = typeof value === "object" && value !== null ? Object.keys(value) : [];
  return names.map((name) => [name, read(value, name)]);
}

/** A copy of an object, as it belongs to the caller; anything else becomes one. */
function asObject(name, value) {
  const isObject = typeof value === "object" && !Array.isArray(value);
  return isObject ? Object.fromEntries(entriesOf(value)) : { [name]: value };
}

function read(value, name) {
  try {
    return value[name];
  } catch (error) {
    return `can't be read: ${error}`;
  }
}

/** The stack of an error and of its causes. */
function stackOf(error, depth = 0) {
  const own = String(error.stack ?? error);
  return error.cause instanceof Error && depth < 8 ? `${own}\nCaused by: ${stackOf(error.cause, depth + 1)}` : own;
}

const PINO_LEVELS = { 10: "TRACE", 20: "DEBUG", 30: "INFO", 40: "WARNING", 50: "ERROR", 60: "CRITICAL" };

function asText(line) {
  const record = JSON.parse(line);
  const at = new Date(record.timestamp ?? record.time ?? Date.now());
  const time = Number.isNaN(at.getTime()) ? "" : at.toTimeString().slice(0, 8);
  const level = PINO_LEVELS[record.level] ?? record.level;
  const text = `${time} ${level} ${record.source}: ${record.message ?? record.msg}`;
  const stack = record.exception ?? record.err?.stack;
  return stack ? `${text}\n${stack}` : text;
}

/**
 * A stream of lines for pino, or for anything else that writes them. A line that is no object of JSON is the message of
 * a record. When the stream is ended, everything is sent before it is finished.
 */
export function weirStream(options = {}) {
  const client = options.client ?? new Client(options);
  const decoder = new StringDecoder("utf8");
  let rest = "";
  const take = (line) => {
    if (line.trim()) client.sendLine(asRecord(line, options.source, client.source));
  };
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _, done) {
      const lines = (rest + (typeof chunk === "string" ? chunk : decoder.write(chunk))).split("\n");
      rest = lines.pop();
      lines.forEach(take);
      done();
    },
    final(done) {
      take(rest + decoder.end());
      client.close().then(() => done(), done);
    },
  });
  stream.client = client;
  return stream;
}

export default weirStream;

function asRecord(line, source, program) {
  try {
    const record = JSON.parse(line);
    if (typeof record !== "object" || record === null || Array.isArray(record)) throw new TypeError(line);
    if ("source" in record) return line;
    // pino calls a logger's name `name`.
    const named = JSON.stringify(source ?? record.name ?? program);
    return `{"source":${named}${line.trim() === "{}" ? "" : ","}${line.trim().slice(1)}`;
  } catch {
    return encode({ timestamp: Date.now(), source: source ?? program, message: line });
  }
}

const CONSOLE = { debug: "DEBUG", log: "INFO", info: "INFO", warn: "WARNING", error: "ERROR", trace: "DEBUG" };

/** Sends what is written to the console, which still shows it. Returns a function that ends that. */
export function captureConsole(client, target = console) {
  const before = {};
  for (const [name, level] of Object.entries(CONSOLE)) {
    before[name] = target[name];
    target[name] = (...values) => {
      before[name].apply(target, values);
      let message;
      try {
        message = format(...values.map((value) => (value instanceof Error ? String(value) : value)));
      } catch (error) {
        message = `a text that can't be made: ${error}`;
      }
      const error = values.find((value) => value instanceof Error);
      client.log(level, message, error ? { error } : {});
    };
  }
  return () => Object.assign(target, before);
}
