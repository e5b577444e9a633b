// The open record at the right, or as a sheet from below on a phone: what it says, what to do next, and all its fields.

import { button, byId, copy, el, onPhone } from "./dom.js";
import { asText, clock, count, day, levelOf, shortLevel, visible, visibleLines } from "./format.js";
import { isOwn } from "./fields.js";
import { marked } from "./line.js";
import { tree } from "./record-tree.js";
import { urlOf } from "./url-state.js";

const LONGEST_TEXT = 2000;

export class RecordPanel {
  // `on` has: filter(field, value, not), only(field, value), held(test), column(field), around(record), close().
  constructor(on) {
    this.on = on;
    this.node = byId("record");
    this.record = null;
  }

  open(record, marks, { focus = false } = {}) {
    this.record = record;
    this.node.setAttribute("aria-label", "The open record");
    this.node.replaceChildren(this.head(record), this.message(record, marks), this.actions(record), ...this.sections(record));
    this.node.scrollTop = 0;
    this.node.hidden = false;
    document.body.classList.add("record-open");
    if (focus || onPhone()) this.node.focus();
  }

  close() {
    if (!this.record) return false;
    this.hide();
    this.on.close();
    return true;
  }

  hide() {
    this.record = null;
    this.node.hidden = true;
    this.node.replaceChildren();
    document.body.classList.remove("record-open");
  }

  head(record) {
    const level = el("button", {
      type: "button", class: `plain value level-${levelOf(record.level)}`, text: shortLevel(record.level), title: "Only this level",
      onclick: (event) => this.on.filter("level", record.level, event.altKey),
    });
    const source = el("button", {
      type: "button", class: "plain value", text: visible(asText(record.source)), title: "Only this source",
      onclick: (event) => this.on.filter("source", record.source, event.altKey),
    });
    const time = el("time", { text: clock(record.timestamp), title: `${day(record.timestamp)} · ${visible(asText(record.timestamp))}` });
    return el("div", { class: "record-head" }, level, source, time, button("Close", () => this.close(), { class: "plain" }));
  }

  message(record, marks) {
    const node = el("div", { class: "record-message" });
    fillLong(node, asText(record.message ?? ""), marks);
    return node;
  }

  actions(record) {
    const trace = traceOf(record);
    const link = new URL(urlOf({ open: record.entry_id }), location.href).href;
    return el("div", { class: "record-actions" },
      button("Lines around it", () => this.on.around(record)),
      trace && button(`Same ${trace.name}${this.heldWords(trace)}`, () => this.on.only(trace.path, trace.value)),
      button("Copy", () => copy(JSON.stringify(record, null, 2), "Record copied as JSON")),
      button("Link", () => copy(link, "Link copied")));
  }

  // How many of the records held have it, if more than this one.
  heldWords({ names, value }) {
    const n = this.on.held((row) => names.reduce((inner, name) => inner?.[name], row) === value);
    return n > 1 ? ` (${count(n)})` : "";
  }

  sections(record) {
    const parts = [
      section("Context", record.context, ["context"], this.on),
      section("Metadata", record.metadata, ["metadata"], this.on),
      this.exception(record.exception),
    ];
    const others = Object.entries(record)
      .filter(([name, value]) => !["context", "metadata", "exception"].includes(name) && !isOwn(record, name) && value !== null);
    parts.push(section("Other fields", Object.fromEntries(others), [], this.on));
    parts.push(this.identity(record));
    return parts.filter(Boolean);
  }

  // A stack trace is read as text; anything else about an exception as a tree.
  exception(value) {
    if (value === undefined || value === null) return null;
    const node = el("section", {}, el("h2", { text: "Exception" }));
    const text = typeof value === "string" ? value : null;
    if (text === null) return section("Exception", value, ["exception"], this.on, true);
    const pre = el("pre", { class: "exception" });
    fillLong(pre, text, null);
    node.append(pre);
    return node;
  }

  identity(record) {
    const rows = [["time", asText(record.timestamp)], ["entry id", asText(record.entry_id)]];
    return el("section", {}, el("h2", { text: "Record" }), el("dl", { class: "tree" },
      ...rows.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: visible(value) })])));
  }
}

function section(title, value, names, on, keep = false) {
  const empty = value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);
  if (empty && !keep) return null;
  return el("section", {}, el("h2", { text: title }), tree(value, names, on));
}

function traceOf(record) {
  for (const id of ["trace_id", "request_id"]) {
    for (const names of [[id], ["context", id], ["metadata", id]]) {
      const value = names.reduce((inner, name) => inner?.[name], record);
      if (typeof value === "string" || typeof value === "number") return { name: id.replace("_id", ""), path: names.join("."), names, value };
    }
  }
  return null;
}

// A text of any length: the beginning, and the rest when asked for.
function fillLong(node, text, marks) {
  const lines = visibleLines(text.slice(0, LONGEST_TEXT));
  node.replaceChildren(...marked(lines, marks));
  if (text.length <= LONGEST_TEXT) return;
  node.append("… ", button(`Show all ${count(text.length)} characters`, () => {
    node.replaceChildren(...marked(visibleLines(text), marks));
  }, { class: "plain link" }));
}
