// Write filters for Weir in AssemblyScript: you need only this folder and the compiler.
//
//     import * as weir from "./weir";
//     function configure(options: weir.Value): string | null { ... }      // null, or an error message
//     function process(record: weir.Record): weir.Verdict { ... }         // called for each record
//     weir.filter("name", "1.0.0", "what it does, in one sentence", configure, process);
//     export * from "./weir/exports";
//
// A filter that keeps state ends like this instead:
//
//     weir.keepsState(tick, save, restore);       // about once a second; for its successor; from its predecessor
//     export * from "./weir/stateful";
//
// Records are read in place, as MessagePack: reading a field copies nothing. A `Value` or `Record` is valid until the
// function returns; options stay valid. New strings are collected after each batch.
//
// Make paths once, outside of functions: `const EMAIL = weir.path("context.email")`. They have dots and reach into
// lists by index: "tags.0". Escape a dot or a backslash inside a key with a backslash; a backslash at the very end
// stands for itself.

export enum Level { Trace, Debug, Info, Warning, Error, Critical }

export enum Kind { Null, Boolean, Integer, Float, Text, Binary, List, Map, Extension }

/** What happens to a record. */
export enum Verdict {
  /** It goes on, with your changes. */
  Keep,
  /** It is dropped; its sender is told that it was accepted. */
  Drop,
  /** It is replaced with the records made with `another`. */
  Replace,
  /** The filter failed; `record.reason` says why. */
  Fail,
}

const LEVELS: StaticArray<string> = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

// ---- The functions of the host -------------------------------------------------------------------------------------

@external("weir:filter/host@1.0.0", "log")
declare function hostLog(level: i32, at: usize, length: usize): void;
@external("weir:filter/host@1.0.0", "counter")
declare function hostCounter(at: usize, length: usize, add: u64): void;
@external("weir:filter/host@1.0.0", "now")
declare function hostNow(): i64;
@external("weir:filter/host@1.0.0", "kv-get")
declare function hostKvGet(at: usize, length: usize, found: usize): void;
@external("weir:filter/host@1.0.0", "kv-set")
declare function hostKvSet(at: usize, length: usize, value: usize, size: usize, ttl: u64): void;
@external("weir:filter/host@1.0.0", "kv-add")
declare function hostKvAdd(at: usize, length: usize, delta: i64, ttl: u64): i64;
@external("weir:filter/host@1.0.0", "kv-delete")
declare function hostKvDelete(at: usize, length: usize): void;

/** Writes a line to Weir's log. */
export function log(level: Level, line: string): void {
  const length = scratch.take(line);
  hostLog(level, scratch.at, length);
}

/** Adds to a counter, which Weir shows in its metrics. At most 64 names. */
export function count(counter: string, add: u64 = 1): void {
  const length = scratch.take(counter);
  hostCounter(scratch.at, length, add);
}

/** The current time, in nanoseconds since 1970-01-01 UTC. */
export function now(): i64 {
  return hostNow();
}

/** A small key-value store in memory, shared by all instances and versions of the filter. Values are strings here. */
export function kvGet(key: string): string | null {
  const length = scratch.take(key);
  hostKvGet(scratch.at, length, answer);
  return load<u8>(answer) ? String.UTF8.decodeUnsafe(load<u32>(answer, 4), load<u32>(answer, 8)) : null;
}

export function kvSet(key: string, value: string, ttlMs: u64): void {
  const bytes = String.UTF8.encode(value);
  const length = scratch.take(key);
  hostKvSet(scratch.at, length, changetype<usize>(bytes), bytes.byteLength, ttlMs);
}

/** Adds to the number under a key and returns the sum. */
export function kvAdd(key: string, delta: i64, ttlMs: u64): i64 {
  const length = scratch.take(key);
  return hostKvAdd(scratch.at, length, delta, ttlMs);
}

export function kvDelete(key: string): void {
  const length = scratch.take(key);
  hostKvDelete(scratch.at, length);
}

// ---- Growing buffers -----------------------------------------------------------------------------------------------

/** A growing byte buffer outside of the garbage-collected heap; `save` appends to one. */
export class Bytes {
  at: usize = 0;
  length: usize = 0;
  private capacity: usize = 0;

  @inline reserve(more: usize): void {
    if (this.length + more > this.capacity) this.grow(this.length + more);
  }

  private grow(least: usize): void {
    this.capacity = max(least, max(256, this.capacity * 2));
    this.at = this.at ? heap.realloc(this.at, this.capacity) : heap.alloc(this.capacity);
  }

  append(from: usize, length: usize): void {
    this.reserve(length);
    memory.copy(this.at + this.length, from, length);
    this.length += length;
  }

  @inline byte(byte: u8): void {
    this.reserve(1);
    store<u8>(this.at + this.length++, byte);
  }

  /** Appends a string as UTF-8. */
  utf8(text: string): void {
    this.reserve(text.length * 3);
    this.length += String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, this.at + this.length);
  }

  /** Replaces the content with this string and returns its length. */
  take(text: string): usize {
    this.length = 0;
    this.utf8(text);
    return this.length;
  }

  head16(byte: u8, value: u32): void {
    this.reserve(3);
    store<u8>(this.at + this.length, byte);
    store<u16>(this.at + this.length + 1, bswap<u16>(<u16>value));
    this.length += 3;
  }

  head32(byte: u8, value: u32): void {
    this.reserve(5);
    store<u8>(this.at + this.length, byte);
    store<u32>(this.at + this.length + 1, bswap<u32>(value));
    this.length += 5;
  }

  head64(byte: u8, value: u64): void {
    this.reserve(9);
    store<u8>(this.at + this.length, byte);
    store<u64>(this.at + this.length + 1, bswap<u64>(value));
    this.length += 9;
  }

  textHead(length: usize): void {
    if (length < 32) this.byte(<u8>(0xa0 | length));
    else if (length < 0x10000) this.head16(0xda, <u32>length);
    else this.head32(0xdb, <u32>length);
  }

  /** Appends a string as MessagePack. */
  text(text: string): void {
    const most = text.length * 3;
    if (most < 32) {
      // The length is known only after writing; the header always has one byte.
      this.reserve(most + 1);
      const length = String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, this.at + this.length + 1);
      store<u8>(this.at + this.length, <u8>(0xa0 | length));
      this.length += length + 1;
      return;
    }
    this.textHead(String.UTF8.byteLength(text));
    this.utf8(text);
  }
}

const scratch: Bytes = new Bytes();
/** Where results with several parts are stored for Weir. */
const answer: usize = heap.alloc(40);

// ---- Values --------------------------------------------------------------------------------------------------------

/** A parsed path. */
export class Path {
  keys: StaticArray<Key>;

  constructor(path: string) {
    const keys = new Array<Key>();
    let key = "";
    for (let i = 0; i < path.length; i++) {
      let c = path.charAt(i);
      if (c == ".") {
        keys.push(new Key(key));
        key = "";
        continue;
      }
      if (c == "\\" && i + 1 < path.length) c = path.charAt(++i);
      key += c;
    }
    keys.push(new Key(key));
    this.keys = StaticArray.fromArray(keys);
  }
}

/** Parses a path. */
export function path(text: string): Path {
  return new Path(text);
}

class Key {
  bytes: ArrayBuffer;
  length: usize;
  /** The key as a list index; -1 if it is not one. */
  index: i32;

  constructor(public text: string) {
    this.bytes = String.UTF8.encode(text);
    this.length = this.bytes.byteLength;
    this.index = text.length > 0 && text.length < 9 ? 0 : -1;
    for (let i = 0; i < text.length && this.index >= 0; i++) {
      const digit = text.charCodeAt(i) - 48;
      this.index = digit >= 0 && digit < 10 ? this.index * 10 + digit : -1;
    }
  }

  @inline is(at: usize, length: usize): bool {
    return length == this.length && same(at, changetype<usize>(this.bytes), length);
  }
}

@inline function same(a: usize, b: usize, length: usize): bool {
  while (length >= 4) {
    if (load<u32>(a) != load<u32>(b)) return false;
    a += 4;
    b += 4;
    length -= 4;
  }
  while (length-- > 0) if (load<u8>(a++) != load<u8>(b++)) return false;
  return true;
}

/** Of the last collection that was entered: the start of its items, and the number of values. */
let itemsAt: usize = 0;
let itemsLeft: u32 = 0;
/** Of the last string that was read. */
let textAt: usize = 0;
let textLength: usize = 0;

/** The position of the string or bytes at an offset; false if it is neither. */
@inline function findText(at: usize): bool {
  const byte = load<u8>(at);
  if (byte >= 0xa0 && byte < 0xc0) {
    textAt = at + 1;
    textLength = byte & 31;
    return true;
  }
  return findLongText(at, byte);
}

function findLongText(at: usize, byte: u8): bool {
  switch (byte) {
    case 0xc4: case 0xd9: textLength = load<u8>(at, 1); textAt = at + 2; return true;
    case 0xc5: case 0xda: textLength = u16At(at + 1); textAt = at + 3; return true;
    case 0xc6: case 0xdb: textLength = u32At(at + 1); textAt = at + 5; return true;
    default: return false;
  }
}

@inline function u16At(at: usize): u32 { return bswap<u16>(load<u16>(at)); }
@inline function u32At(at: usize): u32 { return bswap<u32>(load<u32>(at)); }

/** Enters a collection; returns 2 for a map, 1 for a list, otherwise 0. */
function look(at: usize): i32 {
  const byte = load<u8>(at);
  if (byte >= 0x80 && byte < 0x90) { itemsAt = at + 1; itemsLeft = byte & 15; return 2; }
  if (byte >= 0x90 && byte < 0xa0) { itemsAt = at + 1; itemsLeft = byte & 15; return 1; }
  switch (byte) {
    case 0xdc: itemsAt = at + 3; itemsLeft = u16At(at + 1); return 1;
    case 0xdd: itemsAt = at + 5; itemsLeft = u32At(at + 1); return 1;
    case 0xde: itemsAt = at + 3; itemsLeft = u16At(at + 1); return 2;
    case 0xdf: itemsAt = at + 5; itemsLeft = u32At(at + 1); return 2;
    default: itemsLeft = 0; return 0;
  }
}

/** The end of the value at an offset. Weir passes only complete and valid records, so nothing is checked again. */
function skip(at: usize): usize {
  let left: usize = 1;
  while (left > 0) {
    left--;
    const byte = load<u8>(at++);
    if (byte < 0x80 || byte >= 0xe0) continue;
    if (byte >= 0xa0 && byte < 0xc0) { at += byte & 31; continue; }
    if (byte < 0x90) { left += 2 * (byte & 15); continue; }
    if (byte < 0xa0) { left += byte & 15; continue; }
    switch (byte) {
      case 0xc4: case 0xd9: at += 1 + <usize>load<u8>(at); break;
      case 0xc5: case 0xda: at += 2 + u16At(at); break;
      case 0xc6: case 0xdb: at += 4 + u32At(at); break;
      case 0xc7: at += 2 + <usize>load<u8>(at); break;
      case 0xc8: at += 3 + u16At(at); break;
      case 0xc9: at += 5 + u32At(at); break;
      case 0xcc: case 0xd0: at += 1; break;
      case 0xcd: case 0xd1: case 0xd4: at += 2; break;
      case 0xd5: at += 3; break;
      case 0xca: case 0xce: case 0xd2: at += 4; break;
      case 0xd6: at += 5; break;
      case 0xcb: case 0xcf: case 0xd3: at += 8; break;
      case 0xd7: at += 9; break;
      case 0xd8: at += 17; break;
      case 0xdc: left += u16At(at); at += 2; break;
      case 0xdd: left += u32At(at); at += 4; break;
      case 0xde: left += 2 * u16At(at); at += 2; break;
      case 0xdf: left += 2 * u32At(at); at += 4; break;
      default: break;
    }
  }
  return at;
}

function step(at: usize, key: Key): usize {
  const kind = look(at);
  at = itemsAt;
  let left = itemsLeft;
  if (kind == 2) {
    for (; left > 0; left--) {
      if (!findText(at)) return 0;
      const after = textAt + textLength;
      if (key.is(textAt, textLength)) return after;
      at = skip(after);
    }
    return 0;
  }
  let index = key.index;
  if (kind == 0 || index < 0 || <u32>index >= left) return 0;
  while (index-- > 0) at = skip(at);
  return at;
}

function find(at: usize, path: Path): usize {
  const keys = path.keys;
  for (let i = 0; i < keys.length && at != 0; i++) at = step(at, unchecked(keys[i]));
  return at;
}

/** A value in a record. */
@unmanaged
export class Value {
  @inline private get at(): usize { return changetype<usize>(this); }

  get kind(): Kind {
    const byte = load<u8>(this.at);
    if (byte < 0x80 || byte >= 0xe0 || (byte >= 0xcc && byte <= 0xd3)) return Kind.Integer;
    if (byte < 0x90 || byte >= 0xde) return Kind.Map;
    if (byte < 0xa0 || byte >= 0xdc) return Kind.List;
    if (byte < 0xc0 || byte >= 0xd9) return Kind.Text;
    if (byte == 0xc0) return Kind.Null;
    if (byte <= 0xc3) return Kind.Boolean;
    if (byte <= 0xc6) return Kind.Binary;
    return byte == 0xca || byte == 0xcb ? Kind.Float : Kind.Extension;
  }

  get boolean(): bool { return load<u8>(this.at) == 0xc3; }

  /** The integer, or `i64.MAX_VALUE` if it is greater; zero for other types. */
  get integer(): i64 {
    const byte = load<u8>(this.at);
    if (byte < 0x80 || byte >= 0xe0) return <i8>byte;
    switch (byte) {
      case 0xcc: return load<u8>(this.at, 1);
      case 0xcd: return u16At(this.at + 1);
      case 0xce: return u32At(this.at + 1);
      case 0xcf: return min<u64>(bswap<u64>(load<u64>(this.at, 1)), i64.MAX_VALUE);
      case 0xd0: return load<i8>(this.at, 1);
      case 0xd1: return <i16>u16At(this.at + 1);
      case 0xd2: return <i32>u32At(this.at + 1);
      case 0xd3: return bswap<i64>(load<i64>(this.at, 1));
      default: return 0;
    }
  }

  /** The number, whether integer or float; zero for other types. */
  get float(): f64 {
    switch (load<u8>(this.at)) {
      case 0xca: return reinterpret<f32>(u32At(this.at + 1));
      case 0xcb: return reinterpret<f64>(bswap<u64>(load<u64>(this.at, 1)));
      case 0xcf: return <f64>bswap<u64>(load<u64>(this.at, 1));
      default: return <f64>this.integer;
    }
  }

  /** Empty for other types than string. */
  get text(): string { return findText(this.at) ? String.UTF8.decodeUnsafe(textAt, textLength) : ""; }

  /** Whether it is this string; does not allocate. */
  is(text: string): bool {
    const length = scratch.take(text);
    return findText(this.at) && textLength == length && same(textAt, scratch.at, length);
  }

  /** The value at a path below this one. */
  get(path: Path): Value | null { return changetype<Value | null>(find(this.at, path)); }

  /** The items of a list, or the values of a map, in order; empty for other types. */
  get items(): Array<Value> {
    const has_keys = look(this.at) == 2;
    const items = new Array<Value>();
    let at = itemsAt;
    for (let left = itemsLeft; left > 0; left--) {
      if (has_keys) at = skip(at);
      items.push(changetype<Value>(at));
      at = skip(at);
    }
    return items;
  }

  /** The keys of a map, in the order of `items`. */
  get keys(): Array<string> {
    const keys = new Array<string>();
    if (look(this.at) < 2) return keys;
    let at = itemsAt;
    for (let left = itemsLeft; left > 0; left--) {
      keys.push(changetype<Value>(at).text);
      at = skip(skip(at));
    }
    return keys;
  }

  /** Null, or an error about the first key that is not in the list. */
  only(known: string[]): string | null {
    const keys = this.keys;
    for (let i = 0; i < keys.length; i++) {
      if (!known.includes(keys[i])) return "unknown option `" + keys[i] + "`; there is " + known.join(", ");
    }
    return null;
  }
}

// ---- Records -------------------------------------------------------------------------------------------------------

const TIMESTAMP: Path = new Path("timestamp");
const LEVEL: Path = new Path("level");
const SOURCE: Path = new Path("source");
const MESSAGE: Path = new Path("message");
const ROUTES: Path = new Path("routes");

class Change {
  /** The offset of the value in `values`; none removes. */
  from: usize = 0;
  to: usize = 0;
  constructor(public path: Path) {}
}

/** A record and the changes made to it. */
export class Record {
  /** Why the filter failed, with `Verdict.Fail`. */
  reason: string = "";
  private at: usize = 0;
  private values: Bytes = new Bytes();
  private changes: Array<Change> = new Array<Change>(0);
  private used: i32 = 0;

  /** The value at a path, or null. */
  @inline get(path: Path): Value | null {
    return this.at ? changetype<Value | null>(find(this.at, path)) : null;
  }

  @inline has(path: Path): bool { return this.get(path) != null; }

  /** The record as a map; empty if it was made by `another`. */
  get whole(): Value { return changetype<Value>(this.at); }

  /** The string at a path, or an empty one. */
  text(path: Path): string {
    const value = this.get(path);
    return value ? value.text : "";
  }

  /** The timestamp, in nanoseconds since 1970-01-01 UTC. */
  get time(): i64 {
    const value = this.get(TIMESTAMP);
    return value ? value.integer : 0;
  }

  get level(): Level {
    const value = this.get(LEVEL);
    if (!value || !findText(changetype<usize>(value)) || textLength == 0) return Level.Info;
    switch (load<u8>(textAt)) {
      case 0x54: return Level.Trace;
      case 0x44: return Level.Debug;
      case 0x57: return Level.Warning;
      case 0x45: return Level.Error;
      case 0x43: return Level.Critical;
      default: return Level.Info;
    }
  }

  get source(): string { return this.text(SOURCE); }
  get message(): string { return this.text(MESSAGE); }

  // Changes. Missing maps on the path are created, and a map is merged into an existing one. They return false if the
  // path leads into a list (set the whole list), or if a value above it was set before.

  setText(path: Path, value: string): bool {
    const change = this.place(path);
    if (!change) return false;
    this.values.text(value);
    return this.done(change);
  }

  setInteger(path: Path, value: i64): bool {
    const change = this.place(path);
    if (!change) return false;
    this.values.head64(0xd3, value);
    return this.done(change);
  }

  setFloat(path: Path, value: f64): bool {
    const change = this.place(path);
    if (!change) return false;
    this.values.head64(0xcb, reinterpret<u64>(value));
    return this.done(change);
  }

  setBoolean(path: Path, value: bool): bool {
    const change = this.place(path);
    if (!change) return false;
    this.values.byte(value ? 0xc3 : 0xc2);
    return this.done(change);
  }

  /** Copies an existing value. */
  setValue(path: Path, value: Value): bool {
    const change = this.place(path);
    if (!change) return false;
    const at = changetype<usize>(value);
    this.values.append(at, skip(at) - at);
    return this.done(change);
  }

  setLevel(level: Level): bool { return this.setText(LEVEL, LEVELS[level]); }
  setMessage(message: string): bool { return this.setText(MESSAGE, message); }

  /** Removes the value at a path, if there is one. */
  remove(path: Path): bool {
    const change = this.place(path);
    if (!change) return false;
    if (!this.has(path)) {
      // There is nothing to remove, and a patch would replace what is on the path with a map: take the slot away.
      const last = this.changes[--this.used];
      change.path = last.path;
      change.from = last.from;
      change.to = last.to;
    }
    return true;
  }

  /** Adds a label that sinks can select by, if it is missing; at most one per record. */
  addRoute(label: string): bool {
    const routes = this.get(ROUTES);
    const before = routes ? routes.items : new Array<Value>();
    for (let i = 0; i < before.length; i++) if (before[i].is(label)) return true;
    const change = this.place(ROUTES);
    if (!change) return false;
    this.values.head32(0xdd, before.length + 1);
    for (let i = 0; i < before.length; i++) {
      const at = changetype<usize>(before[i]);
      this.values.append(at, skip(at) - at);
    }
    this.values.text(label);
    return this.done(change);
  }

  /**
   * Makes a new record to replace this one. Call it again for each further record, and return `Verdict.Replace`. The
   * new record is empty: set its content. Unless you set them, it inherits the time, level and source of this record.
   */
  another(): Record {
    if (made++ > 0) next.write();
    next.begin(0);
    return next;
  }

  begin(at: usize): void {
    this.at = at;
    this.used = 0;
    this.values.length = 0;
  }

  @inline get isChanged(): bool { return this.used > 0; }

  /** A slot for a change, which removes until it gets a value. */
  private place(path: Path): Change | null {
    const keys = path.keys;
    let at = this.at;
    for (let i = 0; i < keys.length - 1 && at != 0; i++) {
      at = step(at, keys[i]);
      if (at != 0 && look(at) == 1) return null;
    }
    for (let i = 0; i < this.used; i++) {
      const other = this.changes[i];
      const shorter = min(keys.length, other.path.keys.length);
      if (!sameKeys(keys, other.path.keys, shorter)) continue;
      if (keys.length != other.path.keys.length) return null;
      return this.reset(other);
    }
    if (this.used == this.changes.length) this.changes.push(new Change(path));
    const added = this.changes[this.used++];
    added.path = path;
    return this.reset(added);
  }

  private reset(change: Change): Change {
    change.from = this.values.length;
    change.to = this.values.length;
    return change;
  }

  @inline private done(change: Change): bool {
    change.to = this.values.length;
    return true;
  }

  write(): void { this.writeBelow(null, 0); }

  /** Writes the changes below a path as a map. In a patch, null stands for removal; a new record omits the key. */
  private writeBelow(above: Path | null, depth: i32): void {
    const head = maps.length;
    maps.head32(0xdf, 0);
    let entries: u32 = 0;
    for (let i = 0; i < this.used; i++) {
      const change = this.changes[i];
      const keys = change.path.keys;
      if (above && (keys.length <= depth || !sameKeys(keys, above.keys, depth))) continue;
      const isValue = keys.length == depth + 1;
      const isRemoved = change.from == change.to;
      if (isValue && isRemoved && this.at == 0) continue;
      if (!isValue && this.isSeen(i, keys, depth + 1)) continue;
      entries++;
      const key = keys[depth];
      maps.textHead(key.length);
      maps.append(changetype<usize>(key.bytes), key.length);
      if (!isValue) this.writeBelow(change.path, depth + 1);
      else if (isRemoved) maps.byte(0xc0);
      else maps.append(this.values.at + change.from, change.to - change.from);
    }
    store<u32>(maps.at + head + 1, bswap<u32>(entries));
  }

  private isSeen(before: i32, keys: StaticArray<Key>, depth: i32): bool {
    for (let i = 0; i < before; i++) {
      const other = this.changes[i].path.keys;
      if (other.length > depth && sameKeys(other, keys, depth)) return true;
    }
    return false;
  }
}

function sameKeys(a: StaticArray<Key>, b: StaticArray<Key>, count: i32): bool {
  for (let i = 0; i < count; i++) {
    if (a[i] !== b[i] && !a[i].is(changetype<usize>(b[i].bytes), b[i].length)) return false;
  }
  return true;
}

/** The output of a batch: verdicts and the maps that they refer to. */
const verdicts: Bytes = new Bytes();
const maps: Bytes = new Bytes();
/** The current record, the one that `another` makes, and how many it made. */
const current: Record = new Record();
const next: Record = new Record();
let made: u32 = 0;

// ---- Options: JSON, converted to MessagePack -------------------------------------------------------------------------

const options: Bytes = new Bytes();

function space(at: usize): usize {
  while (load<u8>(at) <= 0x20) at++;
  return at;
}

function hex4(at: usize): u32 {
  return <u32>parseInt(String.UTF8.decodeUnsafe(at, 4), 16);
}

function readText(at: usize): usize {
  const text = new Bytes();
  for (at++; load<u8>(at) != 0x22; at++) {
    let byte = load<u8>(at);
    if (byte == 0x5c) {
      byte = load<u8>(++at);
      switch (byte) {
        case 0x62: byte = 8; break;
        case 0x66: byte = 12; break;
        case 0x6e: byte = 10; break;
        case 0x72: byte = 13; break;
        case 0x74: byte = 9; break;
        case 0x75: {
          let c = hex4(at + 1);
          at += 4;
          if (c >= 0xd800 && c < 0xdc00 && load<u8>(at + 1) == 0x5c) {
            c = 0x10000 + ((c - 0xd800) << 10) + (hex4(at + 3) - 0xdc00);
            at += 6;
          }
          text.utf8(String.fromCodePoint(c));
          continue;
        }
        default: break;
      }
    }
    text.byte(byte);
  }
  options.textHead(text.length);
  options.append(text.at, text.length);
  heap.free(text.at);
  return at + 1;
}

function readNumber(at: usize): usize {
  let end = at;
  let isFloat = false;
  for (; ; end++) {
    const byte = load<u8>(end);
    if (byte == 0x2e || (byte | 0x20) == 0x65) isFloat = true;
    else if (byte != 0x2d && byte != 0x2b && (byte < 0x30 || byte > 0x39)) break;
  }
  const text = String.UTF8.decodeUnsafe(at, end - at);
  if (isFloat) options.head64(0xcb, reinterpret<u64>(parseFloat(text)));
  else options.head64(0xd3, I64.parseInt(text));
  return end;
}

/** Weir passes only valid JSON, of limited depth. */
function readJson(at: usize): usize {
  at = space(at);
  const byte = load<u8>(at);
  switch (byte) {
    case 0x6e: options.byte(0xc0); return at + 4;
    case 0x74: options.byte(0xc3); return at + 4;
    case 0x66: options.byte(0xc2); return at + 5;
    case 0x22: return readText(at);
    case 0x5b: case 0x7b: break;
    default: return readNumber(at);
  }
  const hasKeys = byte == 0x7b;
  const head = options.length;
  let entries: u32 = 0;
  options.head32(hasKeys ? 0xdf : 0xdd, 0);
  for (at = space(at + 1); load<u8>(at) != byte + 2; entries++) {
    if (hasKeys) at = space(readText(at)) + 1;
    at = space(readJson(at));
    if (load<u8>(at) == 0x2c) at = space(at + 1);
  }
  store<u32>(options.at + head + 1, bswap<u32>(entries));
  return at + 1;
}

// ---- The contract: the functions that Weir calls. AssemblyScript can't express their names: Weir renames
// ---- `weir_packed_process` to `weir:filter/packed@1.0.0#process`.
// ----------------------------------------------------

let about: StaticArray<ArrayBuffer> = [];
let configure: (options: Value) => string | null = (options: Value): string | null => null;
let process: (record: Record) => Verdict = (record: Record): Verdict => Verdict.Keep;
let tick: (closing: bool, out: Record) => void = (closing: bool, out: Record): void => {};
let save: (state: Bytes) => void = (state: Bytes): void => {};
let restore: (at: usize, length: usize) => string | null = (at: usize, length: usize): string | null => null;

/** Registers the filter and its functions. */
export function filter(
  name: string,
  version: string,
  description: string,
  configuring: (options: Value) => string | null,
  processing: (record: Record) => Verdict,
): void {
  about = [String.UTF8.encode(name), String.UTF8.encode(version), String.UTF8.encode(description)];
  configure = configuring;
  process = processing;
}

/** Registers the functions of a filter with state: called about once a second, to save the state, and to restore it. */
export function keepsState(
  ticking: (closing: bool, out: Record) => void,
  saving: (state: Bytes) => void,
  restoring: (at: usize, length: usize) => string | null,
): void {
  tick = ticking;
  save = saving;
  restore = restoring;
}

/** Memory for data that Weir passes during a call; reused after the call. Outgrown memory stays valid until then. */
let room: usize = 0;
let roomUsed: usize = 0;
let roomSize: usize = 0;
let outgrown: usize[] = [];

export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  roomUsed = (roomUsed + 15) & ~15;
  if (roomUsed + size > roomSize) {
    if (room) outgrown.push(room);
    roomSize = max(roomSize * 2, size);
    room = heap.alloc(roomSize);
    roomUsed = 0;
  }
  const at = room + roomUsed;
  roomUsed += size;
  if (old) memory.copy(at, old, min(oldSize, size));
  return at;
}

function endCall(): void {
  roomUsed = 0;
  while (outgrown.length > 0) heap.free(outgrown.pop());
  // Nothing on the stack is garbage-collected here.
  __collect();
}

function answerError(reason: string | null): usize {
  store<u32>(answer, reason ? 1 : 0);
  if (reason) {
    const length = scratch.take(reason);
    store<u32>(answer, scratch.at, 4);
    store<u32>(answer, length, 8);
  }
  return answer;
}

function answerBytes(bytes: Bytes): usize {
  store<u32>(answer, bytes.at);
  store<u32>(answer, bytes.length, 4);
  return answer;
}

export function weir_lifecycle_describe(): usize {
  memory.fill(answer, 0, 40); // It reads and may change all fields.
  for (let i = 0; i < about.length; i++) {
    store<u32>(answer + 8 * i, changetype<usize>(about[i]));
    store<u32>(answer + 8 * i, about[i].byteLength, 4);
  }
  return answer;
}

export function weir_lifecycle_configure(json: usize, length: usize): usize {
  options.length = 0;
  readJson(json);
  answerError(configure(changetype<Value>(options.at)));
  endCall();
  return answer;
}

export function weir_packed_encoding(): i32 {
  return 0; // MessagePack
}

export function weir_packed_process(batch: usize, length: usize): usize {
  const end = batch + length;
  verdicts.length = 0;
  maps.length = 0;
  while (batch < end) {
    current.begin(batch);
    made = 0;
    switch (process(current)) {
      case Verdict.Keep:
        verdicts.byte(current.isChanged ? 2 : 0);
        if (current.isChanged) current.write();
        break;
      case Verdict.Drop:
        verdicts.byte(1);
        break;
      case Verdict.Replace:
        if (made > 0) next.write();
        verdicts.head32(4, bswap<u32>(made));
        break;
      default:
        answerError(current.reason);
        endCall();
        return answer;
    }
    batch = skip(batch);
  }
  endCall();
  store<u32>(answer, 0);
  store<u32>(answer, verdicts.at, 4);
  store<u32>(answer, verdicts.length, 8);
  store<u32>(answer, maps.at, 12);
  store<u32>(answer, maps.length, 16);
  return answer;
}

export function weir_packed_state_tick(closing: i32): usize {
  maps.length = 0;
  made = 0;
  current.begin(0);
  tick(closing != 0, current);
  if (made > 0) next.write();
  endCall();
  return answerBytes(maps);
}

export function weir_packed_state_save(): usize {
  maps.length = 0;
  save(maps);
  endCall();
  return answerBytes(maps);
}

export function weir_packed_state_restore(at: usize, length: usize): usize {
  answerError(restore(at, length));
  endCall();
  return answer;
}
