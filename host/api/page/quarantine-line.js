// One line of the Quarantine view: when, from where, why, and what the record says.

import { el } from "./dom.js";
import { asText, clock, cut, moment, visible } from "./format.js";

const LONGEST_REASON = 160;
const LONGEST_TEXT = 300;

export function entryLine(entry, open) {
  return el("li", {}, el("button", { type: "button", class: "entry", "data-id": entry.id, "aria-expanded": "false", onclick: open },
    el("span", { class: "entry-time", text: moment(entry.time), title: clock(entry.time) }),
    el("span", { class: "entry-from", text: visible(originName(entry.from)) }),
    el("span", { class: "entry-reason", text: visible(cut(entry.reason, LONGEST_REASON)) }),
    el("span", { class: "entry-text", text: textOf(entry) })));
}

// The message of the record, or the beginning of what was no record.
export function textOf({ record, text }) {
  if (record) return visible(cut(asText(record.message ?? ""), LONGEST_TEXT));
  if (text !== null && text !== undefined) return visible(cut(text, LONGEST_TEXT));
  return "only its reason was kept";
}

// `filter:redact` is the filter redact.
export function originName(from) {
  const [, kind, name] = /^(filter|sink|source):(.*)$/s.exec(from) ?? [];
  return kind ? `${kind} ${name}` : from;
}
