// The origins of the records in quarantine, each with its count: a click shows only the records from there.

import { el } from "./dom.js";
import { count, visible } from "./format.js";
import { originName } from "./quarantine-line.js";

export class Origins {
  // `choose(from)` is called with an origin, or "" for all.
  constructor(choose) {
    this.choose = choose;
    this.node = el("nav", { class: "origins", "aria-label": "Where the records come from" });
  }

  show(groups, chosen) {
    const all = groups.reduce((sum, { entries }) => sum + entries, 0);
    const rows = [["", "All", all], ...groups.map(({ from, entries }) => [from, originName(from), entries])];
    if (chosen && !groups.some(({ from }) => from === chosen)) rows.push([chosen, originName(chosen), 0]);
    const focused = this.node.contains(document.activeElement) ? document.activeElement.dataset.from : null;
    this.node.replaceChildren(el("h2", { text: "From" }), el("ul", {}, ...rows.map((row) => el("li", {}, this.origin(row, chosen)))));
    if (focused !== null) [...this.node.querySelectorAll("button")].find((node) => node.dataset.from === focused)?.focus();
  }

  origin([from, name, n], chosen) {
    return el("button", {
      type: "button", class: "facet", "aria-pressed": String(from === chosen), "data-from": from, onclick: () => this.choose(from),
    }, el("span", { class: "name", text: visible(name) }), el("span", { class: "count", text: count(n) }));
  }
}
