// What `weir.js` offers, and what it means.

/** How severe a record is, from least to most. */
export type Level = "TRACE" | "DEBUG" | "INFO" | "WARNING" | "ERROR" | "CRITICAL";

/** A map that a sender filled: look before you trust a type. */
export type Fields = { [key: string]: any };

/**
 * A record. Change it as you like; what you leave alone stays byte for byte as it was, also numbers beyond 2^53, which
 * JavaScript shows rounded. Setting a key to null or undefined removes it.
 */
export interface LogRecord extends Fields {
  /** When it happened: RFC 3339 with nanoseconds. A Date may take its place. */
  timestamp: string;
  level: Level;
  /** The component or service that spoke. */
  source: string;
  /** What it said. */
  message: string;
  /** Whom and what it concerned. */
  context?: Fields;
  /** The operation's own data. */
  metadata?: Fields;
  /** Labels that sinks select by. */
  routes?: string[];
}

/** What `process` returns to end a record. */
export const drop: unique symbol;

/** A number that no other record of a filter has, as text: it may be beyond 2^53. Later records have higher ones. */
export type Id = string;

/** What `hold` and `holdAnother` make. */
export interface Held {
  readonly another: Fields[];
  readonly records: Fields[];
}

/**
 * What `process` returns to have a record held, safe from a crash, until its id is released. The records that are given
 * here, usually none, go on in its place.
 */
export function hold(...records: Fields[]): Held;

/** The same, but another record is held in its place and given again after a crash. */
export function holdAnother(record: Fields, ...records: Fields[]): Held;

/**
 * Releases the record that is held under an id: what was made of it goes on, or nothing comes of it. Called in
 * `process` or `tick`; an id that is not held is ignored.
 */
export function release(id: Id): void;

/**
 * What becomes of a record. Nothing: it goes on, with the changes made to it. `drop`: it ends here. Another record:
 * that goes on in its place. A list: all of these do; of a `source`, `level` or `timestamp` that is missing, they take
 * the record's. `hold()`: it waits.
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
  /** What an operator may set, with the defaults. Anything else is refused, and so is a value of another type. */
  options?: Options;
  /** The paths that it reads; none means all. */
  reads?: string[];
  /** The paths that it may change; none means all. */
  writes?: string[];
  /** Looks at the options, once, before the first record. Throw an Error that names the option and what would be right. */
  configure?(options: Options): void;
  /**
   * Decides about a record. When it throws, Weir sets the record aside, with the reason, and processes the records
   * around it again.
   *
   * With `holds = true` in `filter.toml` records have ids, and it may return `hold()`. A new instance is given all that
   * is held again, in order, before anything else: it does with a record what was done with it the first time, and so
   * comes to the same state.
   */
  process(record: LogRecord, options: Options, id: Id): Verdict;
  /**
   * With `stateful = true` or `holds = true` in `filter.toml` there is one instance, which sees every record, and this is called about
   * once a second, and with true once at the end. The records that it returns go on.
   */
  tick?(closing: boolean): Fields[] | void;
  /** The state for the version that will replace this one: anything that JSON can hold. */
  save?(): State;
  /** Takes the state that the version before this one saved, before the first record. */
  restore?(state: State): void;
}

/** What a filter's module exports. */
export interface Exports {
  lifecycle: object;
  packed: object;
  /** Only with `stateful = true` in `filter.toml`. */
  packedState: object;
  /** Only with `holds = true`, and then in place of `packed` and `packedState`. */
  holding: object;
}

/** Makes what a filter's module exports: `export const { lifecycle, packed } = filter({ … })`. */
export function filter<Options extends object = Record<string, never>, State = unknown>(
  about: Filter<Options, State>,
): Exports;

/** Weir's log; lines stand there under the filter's name. `console` writes there too. */
export const log: {
  debug(...words: unknown[]): void;
  info(...words: unknown[]): void;
  warning(...words: unknown[]): void;
  error(...words: unknown[]): void;
};

/** Adds to a counter of the filter; it stands in Weir's metrics. */
export function counter(name: string, delta?: number): void;

/** The time, in milliseconds since 1970. */
export function now(): number;

/** A small store in memory that all instances of the filter share; values are anything that JSON can hold. */
export const kv: {
  /** The value under a key; undefined when there is none or its time is over. */
  get(key: string): any;
  /** Stores a value for `ttlMs` milliseconds. */
  set(key: string, value: unknown, ttlMs: number): void;
  /** Adds to the number under a key and returns the sum, in one step. */
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
