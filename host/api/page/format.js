// Turns numbers, times and texts of records into what people read.

const numbers = new Intl.NumberFormat("en-US");
export const count = (n) => numbers.format(n);
// A number in little room: from a million on, only its beginning.
const inShort = new Intl.NumberFormat("en-US", { notation: "compact", minimumFractionDigits: 1, maximumFractionDigits: 1 });
export const shortCount = (n) => (n < 1e6 ? count(n) : inShort.format(n));
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

const two = (n) => (n < 10 ? `0${n}` : `${n}`);
const three = (n) => (n < 10 ? `00${n}` : n < 100 ? `0${n}` : `${n}`);

// The time of day in the reader's time zone, to the millisecond; what isn't a time stays as it is.
export function clock(timestamp) {
  const at = new Date(timestamp);
  if (Number.isNaN(at.getTime())) return visible(String(timestamp ?? ""));
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${three(at.getMilliseconds())}`;
}

export function day(timestamp) {
  const at = new Date(timestamp);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

// A moment for the ends of a histogram: the day is said only if it isn't today.
export function moment(timestamp) {
  const time = clock(timestamp).slice(0, 8);
  return day(timestamp) === day(Date.now()) ? time : `${day(timestamp)} ${time}`;
}

export function span(ms) {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60000) return `${Math.round(ms / 1000)} s`;
  if (ms < 3600000) return `${Math.round(ms / 60000)} min`;
  if (ms < 86400000) return `${Math.round(ms / 3600000)} h`;
  return `${Math.round(ms / 86400000)} d`;
}

export function bytes(n) {
  if (n < 1024) return `${count(n)} B`;
  const power = Math.min(4, Math.floor(Math.log2(n) / 10));
  const value = n / 1024 ** power;
  return `${value < 10 ? value.toFixed(1) : count(Math.round(value))} ${["", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

// How far behind something is, in seconds: to the tenth as long as that says something.
export const lag = (seconds) => (seconds < 60 ? `${seconds.toFixed(1)} s` : span(seconds * 1000));

// The day and the time to the second.
export const dateTime = (timestamp) => `${day(timestamp)} ${clock(timestamp).slice(0, 8)}`;

export const shortDigest = (digest) => digest.slice(0, 12);

// Control characters, bidirectional overrides and invisible characters can make a line lie about what it says.
const HOSTILE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

export function visible(text) {
  return text.replace(HOSTILE, (char) => {
    const code = char.charCodeAt(0);
    if (char === "\n") return "⏎";
    if (char === "\t") return "⇥";
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return `‹U+${code.toString(16).toUpperCase().padStart(4, "0")}›`;
  });
}

// The same for text over several lines: line ends and tabs stay.
export function visibleLines(text) {
  return text.replace(/\r\n/g, "\n").split("\n").map((line) => line.split("\t").map(visible).join("\t")).join("\n");
}

export function cut(text, length) {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

export function asText(value) {
  if (typeof value === "string") return value;
  if (value === undefined) return "";
  return JSON.stringify(value);
}

// The levels, the most severe first, each with its short name for the list.
export const LEVELS = ["CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "OTHER"];
const SAME_LEVEL = {
  FATAL: "CRITICAL", CRIT: "CRITICAL", EMERGENCY: "CRITICAL", ALERT: "CRITICAL", PANIC: "CRITICAL", ERR: "ERROR",
  WARN: "WARNING", NOTICE: "INFO", INFORMATION: "INFO", TRACE: "DEBUG", VERBOSE: "DEBUG",
};

export function levelOf(name) {
  const upper = String(name ?? "").toUpperCase();
  if (LEVELS.includes(upper)) return upper;
  return SAME_LEVEL[upper] ?? "OTHER";
}

export function shortLevel(name) {
  const upper = visible(cut(asText(name ?? ""), 8)).toUpperCase();
  return { CRITICAL: "CRIT", WARNING: "WARN" }[upper] ?? upper;
}
