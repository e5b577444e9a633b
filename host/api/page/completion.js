// Suggestions under the query line: fields, the values of a field, levels and ways to narrow the time.

import { byId, el } from "./dom.js";
import { count, visible } from "./format.js";
import { parse, quote } from "./query-syntax.js";

const MOST = 10;
const ALWAYS = ["level", "source", "message", "timestamp"];
const LEVEL_NAMES = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
const AGES = ["5m", "15m", "1h", "6h", "1d", "7d"];

export class Completion {
  // `words` has: fields() and values(field), what is known now; both may be promises.
  constructor(input, words, changed) {
    this.input = input;
    this.words = words;
    this.changed = changed;
    this.list = byId("suggestions");
    this.items = [];
    this.at = -1;
    this.list.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      const index = [...this.list.children].findIndex((node) => node.contains(event.target));
      if (index >= 0) this.take(index);
    });
  }

  async suggest() {
    const asked = this.asked = {};
    const part = this.partAtCaret();
    const items = part ? await this.itemsFor(part) : [];
    if (asked !== this.asked || document.activeElement !== this.input) return;
    this.show(items.slice(0, MOST), part);
  }

  // What is being typed: the part that the caret stands in or after.
  partAtCaret() {
    const caret = this.input.selectionStart;
    const part = parse(this.input.value).find(({ start, text }) => start < caret && caret <= start + text.length);
    return part && (part.kind === "word" || part.kind === "comparison") ? part : null;
  }

  async itemsFor(part) {
    if (part.kind === "word") return this.fieldsFor(part.text);
    const typed = part.value.replace(/^"|"$/g, "").toLowerCase();
    if (part.field === "since" || part.field === "until") return valueItems(part, AGES.map((value) => ({ value })), typed);
    if (part.field === "level") return valueItems(part, LEVEL_NAMES.map((value) => ({ value })), typed);
    return valueItems(part, await this.words.values(part.field), typed);
  }

  async fieldsFor(typed) {
    const known = [...new Set([...ALWAYS, ...await this.words.fields(), "since", "until"])];
    const lower = typed.toLowerCase();
    const found = known.filter((name) => name.toLowerCase().includes(lower))
      .sort((some, other) => other.toLowerCase().startsWith(lower) - some.toLowerCase().startsWith(lower));
    return found.map((name) => {
      const op = name === "level" ? ">=" : ":";
      return { text: name + op, label: name, note: name === "since" || name === "until" ? "time" : "field", goOn: true };
    });
  }

  show(items, part) {
    this.items = items;
    this.part = part;
    this.at = -1;
    this.list.replaceChildren(...items.map((item, index) => el("li", { role: "option", id: `suggestion-${index}`, "aria-selected": "false" },
      el("span", { text: visible(item.label) }), el("span", { class: "note", text: item.note ?? "" }))));
    this.list.hidden = items.length === 0;
    this.input.setAttribute("aria-expanded", String(items.length > 0));
    this.input.removeAttribute("aria-activedescendant");
    const left = this.input.selectionStart ? Math.min(part ? part.start : 0, 80) : 0;
    this.list.style.left = `min(calc(${left}ch + 8px), 60%)`;
  }

  close() {
    this.asked = null;
    if (!this.list.hidden) this.show([], null);
  }

  // Whether the key was for the suggestions.
  key(event) {
    if (this.list.hidden) {
      if (event.key !== "ArrowDown") return false;
      event.preventDefault();
      this.suggest();
      return true;
    }
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) this.mark((this.at + by + this.items.length + (this.at < 0 && by < 0 ? 1 : 0)) % this.items.length);
    else if (event.key === "Tab" || (event.key === "Enter" && this.at >= 0)) this.take(Math.max(0, this.at));
    else if (event.key === "Escape") this.close();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  mark(index) {
    this.at = index;
    [...this.list.children].forEach((node, at) => node.setAttribute("aria-selected", String(at === index)));
    this.input.setAttribute("aria-activedescendant", `suggestion-${index}`);
  }

  take(index) {
    const { text, goOn } = this.items[index];
    const { start, text: old } = this.part;
    const { value } = this.input;
    const before = value.slice(0, start) + text;
    const after = value.slice(start + old.length);
    const space = goOn || after.startsWith(" ") ? "" : " ";
    this.input.value = before + space + after;
    this.input.setSelectionRange(before.length + space.length, before.length + space.length);
    this.changed();
    this.close();
    if (goOn) this.suggest();
  }
}

function valueItems(part, values, typed) {
  return values.filter(({ value }) => String(value).toLowerCase().includes(typed)).map(({ value, count: n }) => ({
    text: part.field + part.op + quote(value), label: String(value), note: n ? count(n) : "",
  }));
}
