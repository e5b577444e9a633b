// The dialogs: help, columns, saved queries, export. The browser keeps the focus inside and closes them with escape.

import { addressOf } from "./api.js";
import { button, byId, el } from "./dom.js";
import { visible } from "./format.js";
import { keys } from "./keys.js";
import { loadSaved, storeSaved } from "./saved.js";
import { state } from "./url-state.js";

const EXAMPLES = [
  ["timeout", "a word in the message"],
  ['"connection reset"', "a phrase in the message"],
  ["level>=WARN", "this level, or a more severe one"],
  ["source:checkout*", "the value of a field begins like this"],
  ["context.user_id=42", "a field has exactly this value"],
  ["took_ms>250", "a number in this relation"],
  ["trace_id:*", "that have this field"],
  ["-path:/health", "that don't match"],
  ["timeout OR reset", "one of both"],
  ["since:1h", "of the last hour"],
];

function show(title, ...content) {
  const dialog = byId("dialog");
  dialog.replaceChildren(
    el("div", { class: "dialog-head" }, el("h2", { id: "dialog-title", text: title }), button("Close", () => dialog.close(), { class: "plain" })),
    ...content);
  // As when it opens: what had the focus is replaced.
  if (dialog.open) dialog.querySelector("button").focus();
  else dialog.showModal();
}

export function listenToDialog() {
  const dialog = byId("dialog");
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

// Asks before something that can't be undone; the answer is whether the reader is sure.
export function confirm(title, text, label) {
  const dialog = byId("dialog");
  return new Promise((resolve) => {
    let sure = false;
    show(title, el("p", { text }), el("p", { class: "dialog-actions" },
      button(label, () => { sure = true; dialog.close(); }, { class: "primary" }), button("Cancel", () => dialog.close())));
    dialog.addEventListener("close", () => resolve(sure), { once: true });
  });
}

export function showHelp(ask) {
  const rows = keys().map((row) => [el("dt", {}, ...row.slice(0, -1).map((key) => el("kbd", { text: key }))), el("dd", { text: row.at(-1) })]);
  const examples = EXAMPLES.map(([query, meaning]) => [
    el("dt", {}, button(query, () => { byId("dialog").close(); ask(query); }, { class: "plain link code" })), el("dd", { text: meaning })]);
  show("Keys and queries",
    el("h3", { text: "Keys" }), el("dl", { class: "help" }, ...rows.flat()),
    el("h3", { text: "With the mouse" }),
    el("p", { text: "Click a value to see only the records that have it, with Alt all others. The query line shows what that means. Click or drag on the bars for a time." }),
    el("h3", { text: "Queries" }), el("dl", { class: "help" }, ...examples.flat()));
}

// `names` are the fields known; `toggle(name)` puts a column up or takes it away.
export function showColumns(names, toggle) {
  const all = [...new Set([...state.cols, ...names])].slice(0, 200);
  const rows = all.map((name) => el("li", {}, el("label", {},
    el("input", { type: "checkbox", checked: state.cols.includes(name), onchange: () => toggle(name) }), ` ${visible(name)}`)));
  show("Columns",
    el("p", { class: "dim", text: all.length ? "These fields get a place of their own on every line." : "No record with fields of its own has been seen yet." }),
    el("ul", { class: "choices" }, ...rows));
}

export function showSaved(ask) {
  const saved = loadSaved();
  const again = () => showSaved(ask);
  const remove = (index) => {
    storeSaved(saved.filter((_, at) => at !== index));
    again();
    // The next one is in its place.
    byId("dialog").querySelectorAll("li > button:last-child")[index]?.focus();
  };
  const rows = saved.map((query, index) => el("li", {},
    button(visible(query), () => { byId("dialog").close(); ask(query); }, { class: "plain link code" }),
    button("remove", () => remove(index), { class: "plain", "aria-label": `Remove ${query}` })));
  const canSave = state.q !== "" && !saved.includes(state.q);
  show("Saved queries",
    el("p", {}, button(state.q ? `Save ${state.q}` : "Save this query", () => { storeSaved([state.q, ...saved]); again(); }, { disabled: !canSave })),
    el("p", { class: "dim", text: saved.length ? "They stay in this browser." : "None yet. They stay in this browser." }),
    el("ul", { class: "choices" }, ...rows));
}

export function showExport() {
  const link = (format, text) => el("li", {}, el("a", {
    href: addressOf("/api/export", { query: state.q, sink: state.sink, format }), download: `records.${format}`,
  }, text));
  show("Export",
    el("p", { class: "dim", text: state.q ? `All records that match ${visible(state.q)}` : "All records of the sink" }),
    el("ul", { class: "choices" }, link("ndjson", "As NDJSON, one record a line"), link("csv", "As CSV, for a table")));
}
