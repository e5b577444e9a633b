// The nodes of the drawn pipeline: sources, filters, the journal, sinks. Each is made once by its name and then shown
// again with every answer, so that focus and drop targets stay where they are.

import { el, setText } from "./dom.js";
import { bytes, count, cut, lag, shortCount, visible } from "./format.js";
import { ofFilter, ofSink, ofSource } from "./health.js";
import { microseconds, perSecond, percent, sinceStart } from "./rates.js";

const LONGEST_REASON = 160;

export class FlowNode {
  // `open(name)` is called on a click; a node without it only shows its numbers.
  constructor(kind, name, open) {
    this.title = el("span", { class: "node-name", text: visible(name) });
    this.note = el("span", { class: "node-note" });
    this.word = el("span", { class: "node-word" });
    this.cells = el("span", { class: "node-cells" });
    this.reason = el("span", { class: "node-reason", hidden: true });
    const parts = [el("span", { class: "node-head" }, this.title, this.note, this.word), this.cells, this.reason];
    const look = { class: `node node-${kind}`, "data-name": name };
    this.node = open ? el("button", { type: "button", ...look, onclick: () => open(name) }, ...parts) : el("div", look, ...parts);
    this.values = new Map();
  }

  show({ note = "", word = "", health = "", reason = null, cells }) {
    setText(this.note, visible(note));
    setText(this.word, word);
    if (this.node.dataset.health !== health) this.node.dataset.health = health;
    this.reason.hidden = reason === null;
    if (reason !== null) setText(this.reason, visible(cut(reason, LONGEST_REASON)));
    for (const [name, text, cellHealth = ""] of cells) this.cell(name, text, cellHealth);
  }

  cell(name, text, health) {
    let value = this.values.get(name);
    if (!value) {
      this.values.set(name, value = el("span", { class: "cell-value" }));
      this.cells.append(el("span", { class: "cell" }, el("span", { class: "dim", text: `${name} ` }), value));
    }
    setText(value, text);
    if (value.dataset.health !== health) value.dataset.health = health;
  }

  // The one that the panel shows.
  select(selected) {
    if (this.node.tagName === "BUTTON") this.node.setAttribute("aria-expanded", String(selected));
  }
}

const bad = (n, health) => (n > 0 ? health : "");

export function sourceLook(source, rates) {
  return {
    note: source.type, ...ofSource(source),
    cells: [
      ["records", perSecond(rates.of("sources", source.key))],
      ["total", shortCount(source.records)],
      source.type ? ["read", bytes(source.bytes)] : ["rejected", shortCount(source.rejected), bad(source.rejected, "warning")],
      ["quarantined", shortCount(source.quarantined), bad(source.quarantined, "warning")],
    ],
  };
}

export function filterLook(filter, rates) {
  const { word, health, reason } = ofFilter(filter);
  const micros = rates.microseconds(filter.name) ?? sinceStart(filter);
  const extra = [filter.trial && `trial of ${filter.trial.version}`, filter.pin && "pinned"].filter(Boolean);
  return {
    note: [filter.version, ...extra].join(" · "), word, health, reason,
    cells: [
      ["in", perSecond(rates.of("filters", filter.name, "records_in"))],
      ["out", perSecond(rates.of("filters", filter.name, "records_out"))],
      ["a record", microseconds(micros)],
      ["dropped", shortCount(filter.dropped)],
      ["failed", shortCount(filter.failed), bad(filter.failed, "error")],
      ["CPU", percent(rates.of("filters", filter.name, "busy_seconds"))],
    ],
  };
}

export function journalLook(journal) {
  const full = journal.max_size_bytes > 0 ? journal.size_bytes / journal.max_size_bytes : 0;
  const poisoned = journal.poisoned !== null && journal.poisoned !== undefined;
  const health = poisoned ? "error" : full > 0.9 ? "warning" : "";
  return {
    word: poisoned ? "can't write" : full > 0.9 ? "nearly full" : "ok", health, reason: poisoned ? String(journal.poisoned) : null,
    cells: [
      ["size", bytes(journal.size_bytes)],
      ["of", bytes(journal.max_size_bytes)],
      ["records", shortCount(journal.records)],
      ["segments", count(journal.segments)],
    ],
  };
}

export function sinkLook(sink, rates) {
  const { word, health } = ofSink(sink);
  return {
    note: sink.type, word, health, reason: sink.error ?? null,
    cells: [
      ["records", perSecond(rates.of("sinks", sink.name))],
      ["lag", lag(sink.lag_seconds), health === "warning" ? "warning" : ""],
      ["waiting", shortCount(sink.lag_records)],
      ["errors", shortCount(sink.errors), bad(sink.errors, health || "warning")],
    ],
  };
}
