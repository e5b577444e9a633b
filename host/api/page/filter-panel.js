// The open filter: what it does and costs now, what it may do, its versions, and the way to try another one.

import { button, el, setText } from "./dom.js";
import { bytes, count, dateTime, plural, shortDigest, visible } from "./format.js";
import { Facts } from "./facts.js";
import { ofFilter } from "./health.js";
import { isAdmin } from "./session.js";
import { importsList, rightsList } from "./rights.js";
import { microseconds, perSecond, percent, sinceStart } from "./rates.js";

export class FilterPanel {
  // `on` has: close(), rollBack(filter, version), tryFile(name, file), quarantine(from).
  constructor(on) {
    this.on = on;
    this.node = el("div", { class: "panel" });
    this.now = new Facts();
    this.trial = new Facts();
    this.word = el("span", { class: "state-word" });
    this.reason = el("p", { class: "panel-error" });
    this.made = "";
  }

  // Only numbers change from answer to answer; the rest is drawn anew when it differs.
  show(filter, rates) {
    const { records_in, records_out, dropped, changed, failed, instances, memory_bytes, busy_seconds, trial, state, ...lasting } = filter;
    const text = JSON.stringify([lasting, trial?.digest]);
    if (text !== this.made) {
      this.made = text;
      this.node.replaceChildren(...this.parts(filter).filter(Boolean));
    }
    this.showState(ofFilter(filter));
    this.now.show(numbers(filter, rates));
    if (trial) this.trial.show(ofTrial(trial));
  }

  showState({ word, health, reason }) {
    setText(this.word, word);
    this.word.dataset.health = health;
    this.reason.hidden = reason === null;
    setText(this.reason, visible(reason ?? ""));
  }

  parts(filter) {
    return [
      el("div", { class: "record-head" }, el("strong", { text: visible(filter.name) }), el("span", { class: "dim", text: visible(filter.version) }),
        this.word, button("Close", this.on.close, { class: "plain" })),
      el("p", { class: "description", text: visible(filter.description ?? "") }),
      this.reason,
      isAdmin() && this.actions(filter),
      el("section", {}, el("h2", { text: "Now" }), this.now.node),
      filter.trial && el("section", {}, el("h2", { text: "Trial in progress" }), this.trial.node),
      this.rights(filter),
      this.module(filter),
      this.versions(filter),
    ];
  }

  // One button opens the file dialog, for those who don't drop files.
  actions({ name }) {
    const input = el("input", { type: "file", accept: ".wasm,application/wasm", class: "unseen", tabIndex: -1, "aria-hidden": "true", onchange: () => {
      if (input.files[0]) this.on.tryFile(name, input.files[0]);
    } });
    return el("div", { class: "record-actions" }, button("Try a new version …", () => input.click(), { title: "Choose a .wasm file, or drop it on the filter" }), input,
      button("Its quarantine", () => this.on.quarantine(`filter:${name}`)));
  }

  rights(filter) {
    return el("section", {}, el("h2", { text: "May" }), el("dl", { class: "facts" },
      el("dt", { text: "read" }), el("dd", {}, rightsList(filter.reads)),
      el("dt", { text: "write" }), el("dd", {}, rightsList(filter.writes)),
      el("dt", { text: "import" }), el("dd", {}, importsList(filter.imports))));
  }

  module(filter) {
    const pin = filter.pin;
    const facts = new Facts();
    facts.show([
      ["origin", filter.origin], ["digest", filter.digest],
      ["pin", pin && `${shortDigest(pin.run)} instead of ${shortDigest(pin.instead_of)}, by ${pin.by}: ${pin.why}`],
    ]);
    facts.rows.get("digest").value.className = "digest";
    return el("section", {}, el("h2", { text: "Module" }), facts.node);
  }

  versions(filter) {
    if (filter.versions.length === 0) return null;
    const rows = [...filter.versions].reverse().map((version) => el("li", {},
      el("span", { class: "version" }, el("strong", { text: visible(version.version) }), el("code", { text: shortDigest(version.digest) })),
      el("span", { class: "dim", text: visible(`${dateTime(version.when)} by ${version.by}`) }),
      version.digest === filter.digest ? el("span", { class: "dim", text: "running" })
        : isAdmin() && button("Roll back to this", () => this.on.rollBack(filter, version), { "aria-label": `Roll back to this: ${version.version}, ${shortDigest(version.digest)}` })));
    return el("section", {}, el("h2", { text: "Versions" }), el("ul", { class: "versions" }, ...rows));
  }
}

function numbers(filter, rates) {
  const rate = (field) => perSecond(rates.of("filters", filter.name, field));
  return [
    ["records in", `${count(filter.records_in)} · ${rate("records_in")}`],
    ["records out", `${count(filter.records_out)} · ${rate("records_out")}`],
    ["changed", count(filter.changed)],
    ["dropped", count(filter.dropped)],
    ["failed", count(filter.failed), filter.failed > 0 ? "error" : ""],
    ["a record takes", `${microseconds(rates.microseconds(filter.name))} now · ${microseconds(sinceStart(filter))} since the start`],
    ["CPU", `${percent(rates.of("filters", filter.name, "busy_seconds"))} of one core`],
    ["memory", `${bytes(filter.memory_bytes)} in ${plural(filter.instances, "instance")}`],
  ];
}

// A version that takes part of the records before it takes all.
function ofTrial(trial) {
  const pace = (part) => (part ? `${count(part.failed)} failed, ${count(part.came_out)} came out, ${microseconds(part.us_per_record)} a record` : null);
  return [
    ["version", `${trial.version} · ${shortDigest(trial.digest)}`], ["until", trial.until === null ? null : until(trial.until)],
    ["records", `${count(trial.records)}, ${count(trial.came_out_otherwise)} came out differently`],
    ["new", pace(trial.canary)], ["running", pace(trial.before)], ["so far", trial.so_far],
  ];
}

const until = (value) => (Number.isNaN(Date.parse(value)) ? String(value) : dateTime(value));
