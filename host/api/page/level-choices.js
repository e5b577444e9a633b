// The choices of the Levels view, and the words for what is left of a minimum that holds for a while.

import { el } from "./dom.js";
import { moment } from "./format.js";

// The source that stands for all others.
export const ALL = "*";
export const NONE = "";
// The duration that a minimum has already.
export const KEPT = "kept";

// What no minimum means.
export const ALL_STORED = "none: all are stored";

const LEVELS = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
const DURATIONS = [["", "always"], ["10m", "10 minutes"], ["1h", "1 hour"], ["1d", "1 day"]];

export function levelChoice(label, chosen, withNone, onchange) {
  const options = [...(withNone ? [[NONE, ALL_STORED]] : []), ...LEVELS.map((level) => [level, level])];
  return choice(label, options, chosen, onchange);
}

// A minimum that holds for a while is a choice of its own: it stays until another one is made.
export function durationChoice(label, isTemporary, onchange) {
  const options = isTemporary ? [[KEPT, "for a while"], ...DURATIONS] : DURATIONS;
  return choice(label, options, isTemporary ? KEPT : "", onchange);
}

export const durationWords = (until) => (until === undefined ? "always" : "for a while");

function choice(label, options, chosen, onchange) {
  return el("select", { "aria-label": label, onchange: ({ target }) => onchange(target.value) },
    ...options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
}

// What is left of a duration, in whole minutes, as the router takes it.
export const stillFor = (until) => (until ? `${Math.max(1, Math.ceil((Date.parse(until.time) - Date.now()) / 60000))}m` : "");

export function remaining(until, source) {
  if (!until) return "";
  const left = Date.parse(until.time) - Date.now();
  const none = source === ALL ? "then all are stored" : "then that of all others";
  const then = until.then === null ? none : `then ${until.then}`;
  return left <= 0 ? `ends now, ${then}` : `${lasts(left)} left, until ${moment(until.time).slice(0, -3)}, ${then}`;
}

function lasts(ms) {
  const minutes = Math.floor(ms / 60000);
  if (minutes < 1) return `${Math.ceil(ms / 1000)} s`;
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
