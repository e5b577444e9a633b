// The API of `weir.js`.

/** The severity of a record, from least to most. */
export type Level = "TRACE" | "DEBUG" | "INFO" | "WARNING" | "ERROR" | "CRITICAL";

/** A map that a sender filled: check types before you rely on them. */
export type Fields = { [key: string]: any };

/**
 * A record. You can change it freely; the parts you leave alone stay byte for byte as they were, including numbers
 * beyond 2^53, which JavaScript shows rounded. Set a key to null or undefined to remove it.
 */
export interface LogRecord extends Fields {
  /** The timestamp: RFC 3339 with nanoseconds. You may assign a Date. */
  timestamp: string;
  level: Level;
  /** The component or service that logged it. */
  source: string;
  /** The message. */
  message: string;
  /** Whom or what the record is about. */
  context?: Fields;
  /** The data of the operation. */
  metadata?: Fields;
  /** Labels that sinks can select by. */
  routes?: string[];
}

/** What `process` returns to drop a record. */
export const drop: unique symbol;

/** A number that is unique among the records of a filter. Later records have higher ones. */
export type Id = number;

/** The result of `hold` and `holdAnother`. */
export interface Held {
  readonly another: Fields[];
  readonly records: Fields[];
}

/**
 * What `process` returns to hold a record, even across a crash, until its id is released. The records passed here,
 * usually none, go on in its place.
 */
export function hold(...records: Fields[]): Held;

/** The same, but holds another record in its place, which is given again after a crash. */
export function holdAnother(record: Fields, ...records: Fields[]): Held;

/**
 * Releases the record held under an id, because its result was emitted or it is not needed. Call it in `process` or
 * `tick`; an unknown id is ignored.
 */
export function release(id: Id): void;

/**
 * What happens to a record. Nothing: it goes on, with your changes. `drop`: it is dropped. Another record: that
 * replaces it. A list: all of these replace it; they inherit a missing `source`, `level` or `timestamp`. `hold()`: it
 * is held.
 */
export type Verdict = void | typeof drop | Fields | Fields[] | Held;

/** A filter. */
export interface Filter<Options, State> {
  /** Its name, such as `redact`. */
  name: string;
  /** Its version, such as `1.2.0`. */
  version: string;
  /** What it does, in a sentence. */
  description: string;
  /** The options with their defaults. Unknown options and values of another type are refused. */
  options?: Options;
  /** The paths that it reads; by default all. */
  reads?: string[];
  /** The paths that it may change; by default all. */
  writes?: string[];
  /** Checks the options once, before the first record. Throw an Error that names the option and what would be valid. */
  configure?(options: Options): void;
  /**
   * Decides what happens to a record. If it throws, Weir sets the record aside with the reason and processes the
   * records around it again.
   *
   * With `holds = true` in `filter.toml`, records have ids, and it may return `hold()`. A new instance is first given
   * all held records again, in order: it processes them as the first time and so reaches the same state.
   */
  process(record: LogRecord, options: Options, id: Id): Verdict;
  /**
   * With `stateful = true` or `holds = true` in `filter.toml`, there is one instance, which sees every record. This is
   * called about once a second, and a last time with true. The returned records go on.
   */
  tick?(closing: boolean): Fields[] | void;
  /** Returns the state for the next version of the filter: anything that JSON can represent. */
  save?(): State;
  /** Called before the first record with the state that the previous version saved. */
  restore?(state: State): void;
}

/** The exports of a filter module. */
export interface Exports {
  lifecycle: object;
  packed: object;
  /** Only with `stateful = true` in `filter.toml`. */
  packedState: object;
  /** Only with `holds = true`, instead of `packed` and `packedState`. */
  holding: object;
}

/** Creates the exports of a filter module: `export const { lifecycle, packed } = filter({ … })`. */
export function filter<Options extends object = Record<string, never>, State = unknown>(
  about: Filter<Options, State>,
): Exports;

/** Writes to Weir's log, under the filter's name; so does `console`. */
export const log: {
  debug(...words: unknown[]): void;
  info(...words: unknown[]): void;
  warning(...words: unknown[]): void;
  error(...words: unknown[]): void;
};

/** Adds to a counter of the filter, which Weir shows in its metrics. */
export function counter(name: string, delta?: number): void;

/** The time, in milliseconds since 1970. */
export function now(): number;

/** A small key-value store in memory, shared by all instances of the filter; values are anything JSON can represent. */
export const kv: {
  /** The value under a key; undefined if there is none or it has expired. */
  get(key: string): any;
  /** Stores a value for `ttlMs` milliseconds. */
  set(key: string, value: unknown, ttlMs: number): void;
  /** Adds to the number under a key and returns the sum, atomically. */
  add(key: string, delta: number, ttlMs: number): number;
  delete(key: string): void;
};

declare global {
  /** The same as `log`. */
  var console: {
    debug(...words: unknown[]): void;
    log(...words: unknown[]): void;
    info(...words: unknown[]): void;
    warn(...words: unknown[]): void;
    error(...words: unknown[]): void;
  };
}
