// A list of names and values that are shown again and again: only the text that differs is touched, so that what the
// reader selects or focuses stays.

import { el, setText } from "./dom.js";
import { visible } from "./format.js";

export class Facts {
  constructor(className = "facts") {
    this.node = el("dl", { class: className });
    this.rows = new Map();
  }

  // `values` are `[name, text, health]`; a row whose text is null is hidden. `health` is "", "warning" or "error".
  show(values) {
    for (const [name, text, health = ""] of values) this.row(name, text, health);
  }

  row(name, text, health) {
    const row = this.rows.get(name) ?? this.add(name);
    const gone = text === null || text === undefined;
    row.name.hidden = row.value.hidden = gone;
    if (gone) return;
    setText(row.value, visible(String(text)));
    if (row.value.dataset.health !== health) row.value.dataset.health = health;
  }

  add(name) {
    const row = { name: el("dt", { text: name }), value: el("dd", {}) };
    this.rows.set(name, row);
    this.node.append(row.name, row.value);
    return row;
  }
}
