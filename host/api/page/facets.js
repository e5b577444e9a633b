// The column at the left: levels, sources and fields with few values, each value a way to filter; and what is hidden
// from the lines because it is the same on all of them.

import { button, byId, el, setText } from "./dom.js";
import { asText, count, cut, levelOf, visible } from "./format.js";
import { asksFor, parse } from "./query-syntax.js";

const SHOWN = 8;

export class Facets {
  // `on.filter(field, value, not)`.
  constructor(on) {
    this.on = on;
    this.node = byId("facets");
    this.open = new Set();
    this.drawn = "";
  }

  // `groups` are `{field, values: [{value, count}], quiet}`; `hidden` maps paths to values.
  show(groups, hidden, query) {
    const text = JSON.stringify([groups, [...hidden], query, [...this.open]]);
    if (text === this.drawn) return;
    if (query === this.last?.[2] && this.inUse() && !this.unfolded) return this.countAgain(groups);
    this.unfolded = false;
    this.drawn = text;
    this.last = [groups, hidden, query];
    const focused = this.focused();
    const parts = parse(query);
    this.counts = new Map();
    const sections = [...groups.map((group) => this.group(group, parts)), this.hiddenGroup(hidden)];
    this.node.replaceChildren(this.sheetHead(), ...sections.filter(Boolean));
    if (focused) this.focusAgain(focused);
  }

  // While somebody points at the values or walks through them, they stay where they are, and only the counts change.
  inUse() {
    return this.node.matches(":hover") || this.node.contains(document.activeElement);
  }

  countAgain(groups) {
    for (const { field, values } of groups) {
      for (const { value, count: n } of values) {
        const node = this.counts.get(`${field}=${asText(value)}`);
        if (node) setText(node, count(n));
      }
    }
  }

  sheetHead() {
    return el("div", { class: "sheet-head" }, button("Close", () => document.body.classList.remove("facets-open"), { class: "plain" }));
  }

  // Redrawing must not take the focus away from somebody who walks through the values.
  focused() {
    return this.node.contains(document.activeElement) ? document.activeElement.dataset.key : "";
  }

  focusAgain(key) {
    const found = [...this.node.querySelectorAll("button")].find((node) => node.dataset.key === key);
    (found ?? this.node).focus({ preventScroll: true });
  }

  group({ field, values, quiet }, parts) {
    if (values.length === 0) return null;
    const all = this.open.has(field);
    const shown = all ? values : values.slice(0, SHOWN);
    const heading = el("h2", { class: "field", text: visible(field), title: visible(field) });
    const list = el("ul", {}, ...shown.map((entry) => this.value(field, entry, parts, quiet)));
    const more = values.length > SHOWN && button(all ? "Fewer" : `${values.length - SHOWN} more`, () => {
      this.open[all ? "delete" : "add"](field);
      this.unfolded = true;
      this.show(...this.last);
    }, { class: "plain link", "data-key": `${field} more` });
    return el("section", {}, heading, list, more);
  }

  value(field, { value, count: n }, parts, quiet) {
    const text = asText(value);
    const asked = asksFor(parts, field, value);
    const counted = el("span", { class: "count", text: count(n) });
    this.counts.set(`${field}=${text}`, counted);
    const look = field === "level" ? ` level-${levelOf(value)}` : "";
    const filter = el("button", {
      type: "button", class: `facet${look}${quiet?.has(value) ? " quiet" : ""}`, "aria-pressed": String(asked !== ""),
      title: "Only this. With alt: all but this", "data-key": `${field}=${text}`,
      onclick: (event) => this.on.filter(field, value, event.altKey),
    }, el("span", { class: "name", text: (asked === "no" ? "not " : "") + visible(cut(text, 60)) }), counted);
    const not = button("not", () => this.on.filter(field, value, true), {
      class: "plain not", "aria-label": `not ${visible(cut(text, 60))}`, "data-key": `not ${field}=${text}`,
    });
    return el("li", {}, filter, not);
  }

  hiddenGroup(hidden) {
    if (hidden.size === 0) return null;
    const list = [...hidden].slice(0, 30).map(([path, value]) =>
      el("li", { class: "same", title: `${visible(path)} = ${visible(cut(asText(value), 300))}` },
        `${visible(path)} = ${visible(cut(asText(value), 60))}`));
    return el("section", {}, el("h2", { text: "Hidden, same on every line" }), el("ul", {}, ...list));
  }
}
