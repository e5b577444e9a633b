// An open record of the quarantine: why it is here, what can be done about it, and all of it.

import { button, copy, el } from "./dom.js";
import { asText, bytes, clock, day, levelOf, shortLevel, visible, visibleLines } from "./format.js";
import { originName } from "./quarantine-line.js";
import { tree } from "./record-tree.js";

const LONGEST_TEXT = 20000;

// `on` has: close(), replay(), remove(), filter(field, value, not), column(field).
export function entryPanel(entry, on) {
  return [head(entry, on), el("p", { class: "panel-error", text: visible(entry.reason) }), actions(entry, on), record(entry, on), raw(entry), facts(entry)];
}

function head({ time, from, record: held }, on) {
  return el("div", { class: "record-head" },
    held && el("span", { class: `level-${levelOf(held.level)}`, text: shortLevel(held.level) }),
    el("strong", { text: visible(originName(from)) }),
    el("time", { text: clock(time), title: day(time) }), button("Close", on.close, { class: "plain" }));
}

function actions(entry, on) {
  const text = entry.record ? JSON.stringify(entry.record, null, 2) : entry.text ?? entry.reason;
  return el("div", { class: "record-actions" },
    button("Replay this", on.replay, { disabled: !entry.can_replay }),
    button("Delete", on.remove),
    button("Copy", () => copy(text, entry.record ? "Record copied as JSON" : "Text copied")),
    !entry.can_replay && el("span", { class: "dim", text: "It can't be replayed: there is no complete record of it." }));
}

function record({ record: held, from }, on) {
  if (!held) return null;
  const { message, ...rest } = held;
  return el("section", {}, el("h2", { text: "Record" }),
    !from.startsWith("sink:") && el("p", { class: "dim unfiltered", text: "As it was before this filter: it may hold what a later one would have masked." }),
    message !== undefined && el("div", { class: "record-message", text: visibleLines(asText(message)) }), tree(rest, [], on));
}

function raw({ text }) {
  if (text === null || text === undefined) return null;
  return el("section", {}, el("h2", { text: "As it came in" }),
    el("pre", { class: "exception", text: visibleLines(text.slice(0, LONGEST_TEXT)) }),
    text.length > LONGEST_TEXT && el("p", { class: "dim", text: `The first ${LONGEST_TEXT} of ${text.length} characters` }));
}

function facts({ time, from, size_bytes: size, id }) {
  const rows = [["time", `${day(time)} ${clock(time)}`], ["from", from], ["size", bytes(size)], ["id", id]];
  return el("section", {}, el("h2", { text: "In quarantine" }), el("dl", { class: "facts" },
    ...rows.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: visible(String(value)) })])));
}
