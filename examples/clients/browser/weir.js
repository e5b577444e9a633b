/**
 * Logging to Weir from web pages: copy this file into your project. It needs nothing else.
 *
 *     import { Client } from "./weir.js";
 *
 *     const weir = new Client({ url: "https://weir.example.com", source: "shop-web" });
 *     weir.captureErrors();                               // uncaught exceptions and unhandled rejections
 *     weir.context = { user: 7 };                         // in each record from now on
 *     weir.info("basket is open", { items: 3 });
 *
 * The router has to list the page's origin in `allowed_origins` of `[http]`, or a proxy of the page's own origin passes
 * `/ingest` on. Who opens a page knows what it knows: give it a token only if that may send and nothing else.
 *
 * Logging puts a record into a queue in memory, and what waits there is sent in batches:
 *
 * - Nothing that the router does makes a call that logs wait or throw.
 * - A batch is sent until the router acknowledges it. All attempts have the same key, so the router stores it once, if
 *   it is back within its `repeat_window` (10 minutes).
 * - While the router is away or the browser is offline, records wait. When `capacity` records wait, new ones are lost.
 *   So are records that the router refuses. What is lost is counted (`lost`), and a record tells how many when the
 *   router is back.
 * - When the page is hidden or left, what waits is given to `sendBeacon`, which does not say whether it has arrived, or
 *   to `fetch` if there is a token. What the browser doesn't take, what was on its way before and what waits for an
 *   absent router is kept in `localStorage`, `offlineBytes` at most, and sent by the next page of this origin.
 */

/** A batch has up to so many bytes: the browser takes no more than 64 KiB for a page that is left. */
const BATCH_BYTES = 48 * 1024;
/** How long a batch waits for more records. */
const LINGER_MS = 500;
/** Pauses between attempts: doubled each time, up to the second. What the router asks for counts up to the third. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 30_000;
const LONGEST_ASKED_MS = 300_000;
/** How deep a value may nest in a record that JSON can't take as it is. */
const DEEPEST = 16;
/** What the names in `localStorage` begin with. */
const KEPT = "weir:";

/** A queue of records, and what sends them. */
export class Client {
  /** Lines that are in no batch yet. */
  #waiting = [];
  /** Batches: `{ key, lines, report, told, body, isKept }`. The first is on its way. A batch keeps its key and body. */
  #batches = [];
  #running;
  #wake;
  #closed = false;
  #hurry = false;
  #away = false;
  #answered = true;
  /** How many of the lost records a record tells of, in a batch or at the router. */
  #told = 0;
  #printed = new WeakSet();
  #said = new Set();
  #target;
  #headers;

  /** How many records were lost. */
  lost = 0;
  /** Fields in the `context` of each record. */
  context = {};

  /**
   * @param {object} [options]
   * @param {string} [options.url] where the router is; by default the origin of the page
   * @param {string} [options.token]
   * @param {string} [options.source] by default the host of the page
   * @param {number} [options.capacity] how many records may wait, those on their way included
   * @param {number} [options.batch] how many records are sent at once
   * @param {number} [options.timeoutMs] how long to wait for an answer
   * @param {number} [options.offlineBytes] how much is kept for the next page; 0 for nothing
   * @param {boolean} [options.print] whether records are printed on the console while the router is away
   */
  constructor(options = {}) {
    const { url = location.origin, token, source = location.host, capacity = 2_000, batch = 200 } = options;
    const { timeoutMs = 10_000, offlineBytes = 512 * 1024, print = false } = options;
    Object.assign(this, { url, source, capacity, batch, timeoutMs, offlineBytes, print });
    const target = new URL(url, location.href);
    const path = target.pathname.replace(/\/+$/, "");
    target.pathname = path.endsWith("/ingest") ? path : `${path}/ingest`;
    this.#target = target.href;
    this.#headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    addEventListener("pagehide", this.#leave);
    document.addEventListener("visibilitychange", this.#hide);
    addEventListener("online", this.#online);
    this.#adopt();
  }

  /** How many records wait or are on their way. */
  get unsent() {
    return this.#batches.reduce((count, { lines }) => count + lines.length, this.#waiting.length);
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
    const named = added.filter(([name]) => name === "error").map(([, value]) => value);
    const error = [message, more, ...named].find((value) => value instanceof Error);
    const record = { timestamp: Date.now(), level, source: this.source, message: message?.message ?? message };
    record.context = { page: location.href, ...this.context };
    if (error) record.exception = stackOf(error);
    for (const [name, value] of added) {
      if (value === error && error) continue;
      if (name === "context" || name === "metadata") record[name] = { ...record[name], ...asObject(name, value) };
      else if (name in record && name !== "source") (record.metadata ??= {})[name] = value;
      else record[name] = value;
    }
    this.#put(encode(record));
  }

  /** Logs uncaught exceptions and unhandled rejections. Returns a function that ends that. */
  captureErrors() {
    const onError = (event) => {
      // Also comes for scripts and images that can't be loaded; those aren't errors of a script.
      if (!(event instanceof ErrorEvent)) return;
      const place = { file: event.filename, line: event.lineno, column: event.colno };
      this.error(event.message, { metadata: place, ...(event.error instanceof Error && { error: event.error }) });
    };
    const onRejection = ({ reason }) => {
      const error = reason instanceof Error ? { error: reason } : {};
      this.error(`unhandled rejection: ${reason instanceof Error ? reason.message : asText(reason)}`, error);
    };
    addEventListener("error", onError);
    addEventListener("unhandledrejection", onRejection);
    return () => {
      removeEventListener("error", onError);
      removeEventListener("unhandledrejection", onRejection);
    };
  }

  /** Waits until nothing is unsent, for so long at most. Resolves to whether that is so. */
  async flush(timeoutMs = 5_000) {
    this.#hurry = true;
    this.#wake?.();
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, timeoutMs, "late")));
    while (this.#running && (await Promise.race([this.#running, late])) !== "late");
    clearTimeout(timer);
    this.#hurry = false;
    return this.unsent === 0;
  }

  /** Sends what waits, for so long at most. What is left then is lost. */
  async close(timeoutMs = 5_000) {
    if (this.#closed) return;
    await this.flush(timeoutMs);
    this.#closed = true;
    this.#wake?.();
    removeEventListener("pagehide", this.#leave);
    document.removeEventListener("visibilitychange", this.#hide);
    removeEventListener("online", this.#online);
    const left = this.unsent;
    this.lost += left;
    this.#printUnsent();
    this.#batches.forEach((batch) => this.#forget(batch));
    this.#batches = [];
    this.#waiting = [];
    if (left) this.#say(`${left} records were not acknowledged before the end`);
  }

  #put(text) {
    if (this.#closed || this.unsent >= this.capacity) {
      this.lost += 1;
      return;
    }
    this.#waiting.push({ text });
    if (!this.#running) this.#running = this.#run();
    else if (this.#waiting.length === this.batch) this.#wake?.();
  }

  async #run() {
    // Not in the call that logs.
    await null;
    try {
      while (!this.#closed && (this.#batches.length || this.#waiting.length || this.#hasNews())) {
        const isFull = () => this.#hurry || this.#batches.length > 0 || this.#waiting.length >= this.batch;
        await this.#pause(LINGER_MS, isFull);
        if (!this.#batches.length) this.#seal();
        if (this.#batches.length) await this.#deliver(this.#batches[0]);
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

  /** Makes a batch of the first lines that wait, and of a record that tells what was lost. */
  #seal() {
    let bytes = 0;
    let count = 0;
    for (; count < Math.min(this.#waiting.length, this.batch); count++) {
      // Up to three bytes for each unit of UTF-16.
      bytes += this.#waiting[count].text.length * 3 + 1;
      if (bytes > BATCH_BYTES && count > 0) break;
    }
    const lines = this.#waiting.splice(0, count);
    const lost = this.lost;
    const told = lost - this.#told;
    const metadata = { lost: told, lost_all_time: lost };
    const message = `${told} records were lost before this one`;
    const report = { timestamp: Date.now(), level: "WARNING", source: this.source, message, metadata };
    if (!lines.length && !told) return;
    this.#batches.push({ ...asBatch(lines, told ? encode(report) : ""), told });
    this.#told = lost;
  }

  /** Sends a batch, the first one, until it is acknowledged or refused. */
  async #deliver(batch) {
    const { status, text } = await this.#postUntilAnswered(batch);
    if (!status || this.#closed) return;
    this.#answered = status === 200;
    const { lines, report } = batch;
    this.#forget(batch);
    this.#batches.shift();
    if (status === 200) return;
    // What was lost is told in a later batch.
    this.#told -= batch.told;
    if (status === 413 && lines.length + (report ? 1 : 0) > 1) {
      const middle = Math.floor(lines.length / 2);
      const parts = [lines.slice(0, middle), lines.slice(middle)].filter((part) => part.length);
      this.#batches.unshift(...parts.map((part) => asBatch(part, "")));
    } else {
      this.lost += lines.length;
      if (!this.#said.has(status)) this.#say(`${this.url} refuses records, which are lost: ${status} ${text}`);
      this.#said.add(status);
    }
  }

  /** The final answer; without a status if the client was closed meanwhile. */
  async #postUntilAnswered(batch) {
    for (let attempt = 0; !this.#closed; attempt++) {
      const { status, text, askedMs } = await this.#post(batch);
      if (status && status < 500 && ![408, 425, 429].includes(status)) {
        this.#isBack();
        return { status, text };
      }
      if (![429, 503].includes(status) || attempt >= 3) this.#isAway(status ? `${status} ${text}` : text);
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
      await this.#pause(Math.max(pause, Math.min(askedMs, LONGEST_ASKED_MS)), () => this.#closed);
    }
    return {};
  }

  async #post({ key, body }) {
    const headers = { ...this.#headers, "idempotency-key": key };
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), this.timeoutMs);
    try {
      const keepalive = outlivesPage(body);
      const answer = await fetch(this.#target, { method: "POST", headers, body, keepalive, signal: stop.signal });
      const text = (await answer.text()).replace(/\s+/g, " ").slice(0, 200);
      const asked = Number(answer.headers.get("retry-after"));
      return { status: answer.status, text, askedMs: asked > 0 ? asked * 1000 : 0 };
    } catch (error) {
      const text = stop.signal.aborted ? `no answer in ${this.timeoutMs / 1000} s` : String(error.message);
      return { status: 0, text, askedMs: 0 };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for a time or until something is so, and prints what is logged meanwhile. */
  async #pause(ms, isOver) {
    const until = performance.now() + ms;
    while (!isOver() && !this.#closed) {
      if (this.#away) this.#printUnsent();
      const left = until - performance.now();
      if (left <= 0) return;
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 200));
        this.#wake = () => resolve(clearTimeout(timer));
      });
    }
  }

  #hide = () => {
    if (document.visibilityState === "hidden") this.#leave();
  };

  #online = () => this.#wake?.();

  /** The page may be gone after this. */
  #leave = () => {
    // What is on its way may have arrived: it is only sent again with its own key.
    this.#batches.forEach((batch) => this.#keep(batch));
    while (this.#waiting.length) {
      this.#seal();
      const batch = this.#batches.pop();
      if (!this.#away && this.#giveAway(batch)) continue;
      this.#batches.push(batch);
      this.#keep(batch);
    }
  };

  /** Gives a batch to the browser. Returns whether it takes it. */
  #giveAway(batch) {
    if (!navigator.onLine) return false;
    // As text, so that the browser doesn't ask the router for leave first. A beacon can't have a token.
    if (!this.#headers.authorization) return navigator.sendBeacon(this.#target, batch.body);
    if (!outlivesPage(batch.body)) return false;
    // The browser takes 64 KiB of all requests together, and says so only afterwards.
    this.#post(batch).then(({ status }) => status === 200 || this.#takeBack(batch));
    return true;
  }

  /** Sends a batch once more that the browser was given: it was refused, or nobody knows. */
  #takeBack(batch) {
    if (this.#closed) {
      this.lost += batch.lines.length;
      return;
    }
    this.#batches.push(batch);
    this.#keep(batch);
    this.#running ??= this.#run();
  }

  /** Keeps a batch for the next page, if there is room. */
  #keep(batch) {
    if (batch.isKept) return;
    const texts = batch.lines.map(({ text }) => text);
    const kept = JSON.stringify({ key: batch.key, texts, report: batch.report, url: this.#target });
    try {
      const others = Object.keys(localStorage).filter((name) => name.startsWith(KEPT));
      const size = others.reduce((sum, name) => sum + localStorage.getItem(name).length, kept.length);
      if (size > this.offlineBytes) return;
      localStorage.setItem(KEPT + batch.key, kept);
      batch.isKept = true;
    } catch {
      // There is no storage, or it is full: the batch is lost if the page is.
    }
  }

  #forget(batch) {
    try {
      if (batch.isKept) localStorage.removeItem(KEPT + batch.key);
    } catch {
      // There is no storage.
    }
  }

  /** Takes over what earlier pages have kept. If another page does so, too, the keys are the same. */
  #adopt() {
    try {
      for (const name of Object.keys(localStorage).filter((name) => name.startsWith(KEPT))) {
        const { key, texts, report, url } = JSON.parse(localStorage.getItem(name));
        if (url !== this.#target) continue;
        const lines = texts.map((text) => ({ text }));
        this.#batches.push({ ...asBatch(lines, report), key, isKept: true });
      }
    } catch {
      // There is no storage, or something else is in it.
    }
    if (this.#batches.length) this.#running = this.#run();
  }

  #isAway(reason) {
    if (this.#away || this.#closed) return;
    this.#away = true;
    this.#say(`${this.url} is away (${reason}); up to ${this.capacity} records wait`);
  }

  #isBack() {
    if (!this.#away) return;
    this.#away = false;
    this.#say(`${this.url} is back`);
  }

  #printUnsent() {
    if (!this.print) return;
    for (const line of [...this.#batches.flatMap(({ lines }) => lines), ...this.#waiting]) {
      if (this.#printed.has(line)) continue;
      this.#printed.add(line);
      const { level, source, message } = JSON.parse(line.text);
      console.warn(`${level} ${source}: ${message}`);
    }
  }

  #say(what) {
    console.warn(`weir: ${what}`);
  }
}

function asBatch(lines, report) {
  const texts = lines.map(({ text }) => text);
  return { key: newKey(), lines, report, told: 0, body: `[${[...texts, ...(report ? [report] : [])].join(",")}]` };
}

/** Whether the browser goes on sending it when the page is left: `keepalive`. */
const outlivesPage = (body) => body.length * 3 < 60_000;

/** `randomUUID` is only there over HTTPS. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
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
  if (value === null || ["boolean", "number", "string", "undefined"].includes(typeof value)) return value;
  if (typeof value !== "object" || value instanceof Node) return asText(value);
  if (above.includes(value) || above.length >= DEEPEST) return "not shown again, or too deep";
  const inside = [...above, value];
  try {
    if (Array.isArray(value)) return value.map((inner) => plain(inner, inside));
    return Object.fromEntries(entriesOf(value).map(([name, inner]) => [name, plain(inner, inside)]));
  } catch {
    return asText(value);
  }
}

function entriesOf(value) {
  const names = typeof value === "object" && value !== null ? Object.keys(value) : [];
  return names.map((name) => {
    try {
      return [name, value[name]];
    } catch (error) {
      return [name, `can't be read: ${asText(error)}`];
    }
  });
}

/** A copy of an object, as it belongs to the caller; anything else becomes one. */
function asObject(name, value) {
  const isObject = typeof value === "object" && !Array.isArray(value);
  return isObject ? Object.fromEntries(entriesOf(value)) : { [name]: value };
}

function asText(value) {
  try {
    return String(value);
  } catch {
    return "a value that can't be shown";
  }
}

/** The stack of an error and of its causes. Not every browser begins it with the message. */
function stackOf(error, depth = 0) {
  const stack = asText(error.stack ?? "");
  const own = stack.includes(error.message) ? stack : `${asText(error)}\n${stack}`;
  return error.cause instanceof Error && depth < 8 ? `${own}\nCaused by: ${stackOf(error.cause, depth + 1)}` : own;
}
