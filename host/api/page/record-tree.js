// The fields of a record as a tree: names at the left, values at the right, each value a way to filter.

import { button, el } from "./dom.js";
import { asText, cut, visible } from "./format.js";
import { pathOf } from "./query-syntax.js";

const LONGEST_VALUE = 300;
const MOST_ENTRIES = 200;
const DEEPEST = 12;

export function tree(value, names, on) {
  if (value === null || typeof value !== "object") return el("dl", { class: "tree" }, ...entry("value", value, names, on));
  const entries = Object.entries(value);
  const list = el("dl", { class: "tree" }, ...entries.slice(0, MOST_ENTRIES).flatMap(([name, inner]) => entry(name, inner, [...names, name], on)));
  if (entries.length > MOST_ENTRIES) list.append(rest(list, entries, names, on));
  return list;
}

function rest(list, entries, names, on) {
  const more = button(`Show all ${entries.length} entries`, () => {
    more.replaceWith(...entries.slice(MOST_ENTRIES).flatMap(([name, inner]) => entry(name, inner, [...names, name], on)));
  }, { class: "plain link" });
  return el("dd", { class: "wide" }, more);
}

function entry(name, value, names, on) {
  const label = el("dt", { text: visible(cut(name, 100)), title: visible(cut(names.join("."), 300)) });
  const nested = value !== null && typeof value === "object" && Object.keys(value).length > 0;
  if (!nested) return [label, el("dd", {}, ...leaf(value, names, on))];
  if (isListOfPlain(value)) return [label, el("dd", {}, ...value.slice(0, MOST_ENTRIES).flatMap((item) => leaf(item, names, on)))];
  if (names.length >= DEEPEST) return [label, el("dd", { text: visible(cut(JSON.stringify(value), LONGEST_VALUE)) })];
  const inner = tree(value, names, on);
  return [el("dt", { class: "wide", title: label.title }, label.textContent), el("dd", { class: "wide inner" }, inner)];
}

const isListOfPlain = (value) => Array.isArray(value) && value.every((item) => item === null || typeof item !== "object");

function leaf(value, names, on) {
  const text = asText(value);
  const path = pathOf(names);
  if (value === null || typeof value === "object") return [el("span", { class: "dim", text: visible(text) })];
  const filter = button(visible(cut(text, LONGEST_VALUE)), (event) => on.filter(path, value, event.altKey), {
    class: `plain value${typeof value === "string" ? "" : " plainly"}`, title: `Only ${cut(path, 80)} with this value. With alt: all but it`,
  });
  const tools = el("span", { class: "tools" },
    button("not", () => on.filter(path, value, true), { class: "plain not", "aria-label": `not ${visible(cut(text, 60))}` }),
    button("column", () => on.column(path), { class: "plain not column-button", "aria-label": `column ${visible(cut(path, 60))}` }));
  if (text.length <= LONGEST_VALUE) return [filter, tools];
  const all = button("show all", () => { filter.textContent = visible(text); all.remove(); }, { class: "plain link" });
  return [filter, all, tools];
}
