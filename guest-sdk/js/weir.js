// Write filters for Weir in JavaScript or TypeScript: `filter({ name, version, description, process, … })`.
//
// This file connects Weir and your `filter.js`. Weir calls it with a batch of records as JSON; it calls your
// `process` with one record at a time, as plain objects, and records your changes. Only these go back: whatever
// you leave alone stays byte for byte as it was, including numbers beyond 2^53. The types are documented in
// `weir.d.ts`.

import host from "weir:filter/host@1.0.0";

/** What `process` returns to drop a record. */
export const drop = Symbol("drop");

/** What `process` returns to hold a record until it is released. */
export const hold = (...records) => new Held([], records);

/** The same, but holds another record in its place. */
export const holdAnother = (record, ...records) => new Held([record], records);

class Held {
  constructor(another, records) {
    this.another = another;
    this.records = records;
  }
}

let released = [];

/** Releases the record held under an id. */
export function release(id) {
  released.push(id);
}

function takeReleased() {
  const ids = released;
  released = [];
  return ids;
}

/** Returns what a filter module exports: `export const { lifecycle, packed } = filter({ … })`. */
export function filter(about) {
  let options = { ...about.options };
  const process = (batch, ids) => processBatch(about.process, options, JSON.parse(decode(batch)), ids);
  const tick = (closing) => {
    const records = about.tick?.(closing) ?? [];
    tell();
    return encode(JSON.stringify(records));
  };
  const state = {
    save: () => encode(JSON.stringify(about.save?.() ?? null)),
    restore: (state) => attempt(() => about.restore?.(JSON.parse(decode(state)))),
  };
  return {
    lifecycle: {
      describe: () => ({
        name: about.name,
        version: about.version,
        description: about.description,
        reads: about.reads ?? [],
        writes: about.writes ?? [],
      }),
      configure(text) {
        attempt(() => {
          options = withDefaults(about.options ?? {}, JSON.parse(text));
          about.configure?.(options);
        });
      },
    },
    packed: {
      encoding: () => "json",
      process: (batch) => attempt(() => process(batch)),
    },
    packedState: { tick, ...state },
    holding: {
      encoding: () => "json",
      process: (batch, ids) => attempt(() => ({ ...process(batch, ids), released: takeReleased() })),
      tick: (closing) => ({ records: tick(closing), released: takeReleased() }),
      ...state,
    },
  };
}

// Merges the operator's options with the defaults. An option without a default does not exist.
function withDefaults(defaults, given) {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaults, name)) {
      const known = Object.keys(defaults).map((key) => `\`${key}\``);
      throw new Error(`there is no option \`${name}\`; ${known.length ? `options are ${known.join(", ")}` : "it has none"}`);
    }
    const expected = kind(defaults[name]);
    if (defaults[name] !== null && kind(value) !== expected) {
      throw new Error(`option \`${name}\` is a ${kind(value)}; give a ${expected}`);
    }
  }
  return { ...defaults, ...given };
}

const kind = (value) => (Array.isArray(value) ? "list" : value === null ? "null" : typeof value);

// --- A batch ---------------------------------------------------------------------------------------------------

const KEEP = 0, DROP = 1, PATCH = 2, REPLACE = 3, EXPAND = 4, HOLD = 5, HOLD_ANOTHER = 6;
// The keys that every record has.
const NEEDED = ["timestamp", "level", "source", "message"];

function processBatch(process, options, records, ids) {
  const verdicts = [];
  const out = [];
  // A verdict with this number of records.
  const counted = (verdict, { length }) =>
    verdicts.push(verdict, length & 255, (length >> 8) & 255, (length >> 16) & 255, length >>> 24);
  for (let at = 0; at < records.length; at++) {
    const plain = records[at];
    forget();
    const record = new Proxy(plain, traps);
    const decided = process(record, options, ids?.[at]);
    if (decided === undefined || decided === record) {
      const patch = notes.length === 0 ? undefined : patchOf(plain);
      verdicts.push(patch === undefined ? KEEP : PATCH);
      if (patch !== undefined) out.push(patch);
    } else if (decided === drop) {
      verdicts.push(DROP);
    } else if (Array.isArray(decided)) {
      counted(EXPAND, decided);
      out.push(...decided);
    } else if (decided instanceof Held) {
      if (ids === undefined) throw new TypeError("only a filter with `holds = true` in filter.toml can hold records");
      counted(decided.another.length === 0 ? HOLD : HOLD_ANOTHER, decided.records);
      out.push(...decided.another, ...decided.records);
    } else if (isObject(decided) && typeof decided.then !== "function") {
      // As a patch if possible, so that the values copied from the record stay as they were.
      const whole = NEEDED.some((key) => decided[key] === undefined);
      verdicts.push(whole ? REPLACE : PATCH);
      out.push(whole ? decided : instead(plain, decided));
    } else {
      throw new TypeError(`process returned ${String(decided)}; return nothing, the record, drop, or a list of records`);
    }
  }
  const output = { verdicts: new Uint8Array(verdicts), records: out.length ? encode(JSON.stringify(out)) : NOTHING };
  forget();
  tell();
  return output;
}

const NOTHING = new Uint8Array(0);

// Weir expects an error as text. Counts of a failed call are discarded: Weir repeats it in smaller parts.
function attempt(work) {
  try {
    return work();
  } catch (error) {
    counts.clear();
    released = [];
    if (!(error instanceof Error)) throw String(error);
    if (error.constructor === Error) throw error.message;
    const places = [...(error.stack ?? "").matchAll(/([^\s(/]+):(\d+):\d+/g)];
    const [, file, line] = places.find(([, file]) => file !== "weir.js") ?? [];
    throw `${error.name}: ${error.message}${file === undefined ? "" : ` (${file}, line ${line})`}`;
  }
}

// --- What was changed ------------------------------------------------------------------------------------------

// A record and everything inside it is wrapped in proxies, which note the old value of each key before it is set or
// deleted. There is one set of notes, for the current record, without reference cycles: QuickJS counts references and
// frees it at once.

const watched = new Map(); // object -> its proxy, and where in the record it is
let notes = []; // object, key, value before
const INSIDE = Symbol("inside");

function forget() {
  watched.clear();
  if (notes.length > 0) notes = [];
}

const traps = {
  get(plain, key) {
    const value = plain[key];
    if (typeof value !== "object" || value === null) return key === INSIDE ? plain : value;
    let place = watched.get(value);
    if (place === undefined) watched.set(value, (place = { proxy: new Proxy(value, traps), parent: plain, key }));
    return place.proxy;
  },
  set(plain, key, value) {
    notes.push(plain, key, plain[key]);
    plain[key] = inside(value);
    return true;
  },
  deleteProperty(plain, key) {
    notes.push(plain, key, plain[key]);
    return delete plain[key];
  },
  defineProperty(plain, key, property) {
    notes.push(plain, key, plain[key]);
    return Reflect.defineProperty(plain, key, property);
  },
};

const inside = (value) => (typeof value === "object" && value !== null ? (value[INSIDE] ?? value) : value);

// The changes of a map and everything in it, as a merge patch (RFC 7396); undefined if there are none.
function patchOf(root) {
  const patches = new Map([[root, emptyMap()]]);
  // The first note about a key counts: it comes last.
  for (let at = notes.length - 3; at >= 0; at -= 3) {
    const plain = notes[at], key = notes[at + 1], first = notes[at + 2];
    const patch = patchAt(plain, patches);
    if (patch === undefined) continue;
    if (plain[key] === first) delete patch[key];
    else patch[key] = instead(first, plain[key]);
  }
  const patch = patches.get(root);
  for (const _ in patch) return patch;
  return undefined;
}

// The part of a patch for an object; undefined if the object was removed, or is in a list: a patch contains whole
// lists.
function patchAt(plain, patches) {
  const known = patches.get(plain);
  if (known !== undefined || patches.has(plain)) return known;
  const { parent, key } = watched.get(plain) ?? {};
  const above = parent?.[key] === plain ? patchAt(parent, patches) : undefined;
  let patch;
  if (above !== undefined && Array.isArray(plain)) above[key] = plain;
  else if (above !== undefined) above[key] = patch = emptyMap();
  patches.set(plain, patch);
  return patch;
}

// The patch that replaces one value with another: it must also remove the old keys.
function instead(old, value) {
  if (value === undefined) return null;
  value = inside(value);
  if (!isMap(old) || !isMap(value)) return value;
  if (value === old) return patchOf(old) ?? {};
  const original = { ...old };
  for (let at = notes.length - 3; at >= 0; at -= 3) if (notes[at] === old) original[notes[at + 1]] = notes[at + 2];
  const patch = emptyMap();
  for (const key of Object.keys(original)) {
    if (original[key] !== undefined && !Object.hasOwn(value, key)) patch[key] = null;
  }
  for (const key of Object.keys(value)) {
    const now = inside(value[key]);
    if (now !== original[key]) patch[key] = instead(original[key], now);
    else if (isMap(now)) patch[key] = patchOf(now) ?? {};
    else if (isObject(now)) patch[key] = now;
  }
  return patch;
}

// A record may have a key `__proto__`.
const emptyMap = () => ({ __proto__: null });

const isObject = (value) => typeof value === "object" && value !== null;
const isMap = (value) => isObject(value) && !Array.isArray(value) && typeof value.toJSON !== "function";

// JSON and records have integers of any size.
BigInt.prototype.toJSON = function () {
  return JSON.rawJSON(this.toString());
};

// --- Bytes and text --------------------------------------------------------------------------------------------
// The runtime has no TextDecoder. Base64 is native both ways, which makes this about ten times faster than a loop.

function decode(bytes) {
  const text = atob(bytes.toBase64());
  return isAscii(bytes) ? text : text.replace(/[\x80-\xff]+/g, (run) => decodeURIComponent(escape(run)));
}

function isAscii(bytes) {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
  let bits = 0;
  for (let at = words.length * 4; at < bytes.length; at++) bits |= bytes[at];
  bits |= bits << 24;
  const blocks = words.length - (words.length % 8);
  let at = 0;
  for (; at < blocks; at += 8) {
    bits |= words[at] | words[at + 1] | words[at + 2] | words[at + 3];
    bits |= words[at + 4] | words[at + 5] | words[at + 6] | words[at + 7];
  }
  for (; at < words.length; at++) bits |= words[at];
  return (bits & 0x80808080) === 0;
}

function encode(json) {
  return Uint8Array.fromBase64(btoa(/[^\x00-\x7f]/.test(json) ? unescape(encodeURIComponent(json)) : json));
}

// --- The functions of the host ---------------------------------------------------------------------------------

const line = (words) => words.map((word) => (isObject(word) && !(word instanceof Error) ? JSON.stringify(word) : String(word))).join(" ");

/** Writes a line to Weir's log, under the filter's name. */
export const log = {
  debug: (...words) => host.log("debug", line(words)),
  info: (...words) => host.log("info", line(words)),
  warning: (...words) => host.log("warning", line(words)),
  error: (...words) => host.log("error", line(words)),
};

// The runtime has no `console` of its own.
globalThis.console ??= { debug: log.debug, log: log.info, info: log.info, warn: log.warning, error: log.error };

const counts = new Map();

/** Adds to a counter of the filter, which Weir shows in its metrics. */
export function counter(name, delta = 1) {
  counts.set(name, (counts.get(name) ?? 0) + delta);
}

function tell() {
  for (const [name, delta] of counts) host.counter(name, delta);
  counts.clear();
}

/** The time, in milliseconds since 1970 as `Date.now()` has it. */
export const now = () => host.now() / 1e6;

/** A small key-value store in memory, shared by all instances of the filter; values are anything JSON can represent. */
export const kv = {
  get(key) {
    const bytes = host.kvGet(key);
    return bytes === null || bytes === undefined ? undefined : JSON.parse(decode(bytes));
  },
  set: (key, value, ttlMs) => host.kvSet(key, encode(JSON.stringify(value)), ttlMs),
  add: (key, delta, ttlMs) => host.kvAdd(key, delta, ttlMs),
  delete: (key) => host.kvDelete(key),
};
