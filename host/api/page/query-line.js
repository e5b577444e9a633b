// The query line: colours what is typed, completes it, marks where it is wrong, and says when it changes.

import { byId, el } from "./dom.js";
import { Completion } from "./completion.js";
import { levelOf } from "./format.js";
import { parse } from "./query-syntax.js";

export class QueryLine {
  // `onQuery(query)` is called when the reader asks for it: with enter, or by leaving the line.
  constructor(onQuery, words) {
    this.onQuery = onQuery;
    this.input = byId("query");
    this.colours = byId("query-colours");
    this.error = byId("query-error");
    this.asked = "";
    this.completion = new Completion(this.input, words, () => this.changed());
    this.listen();
  }

  listen() {
    byId("query-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit(true);
    });
    this.input.addEventListener("input", () => { this.changed(); this.completion.suggest(); });
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("scroll", () => this.follow());
    this.input.addEventListener("blur", () => { this.completion.close(); this.submit(); });
    for (const name of ["keyup", "click", "focus"]) this.input.addEventListener(name, () => this.follow());
  }

  key(event) {
    if (this.completion.key(event)) return;
    if (event.key === "Enter") {
      event.preventDefault();
      this.submit(true);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.input.blur();
      byId("list").focus();
    }
  }

  get value() {
    return this.input.value.trim();
  }

  // Shows a query that came from elsewhere: the address, a facet, another view.
  show(query) {
    this.asked = query;
    if (this.input.value !== query) this.input.value = query;
    this.changed();
  }

  // `again` asks even if the query is the same.
  submit(again = false) {
    this.completion.close();
    if (this.value === this.asked && !again) return;
    this.asked = this.value;
    this.onQuery(this.value);
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  changed() {
    this.showError(null);
  }

  // `error` is an answer of the router: `{error, column}`, with columns from 1; `more` is what that means for the list.
  showError(error, more = "") {
    this.column = error?.column ?? 0;
    this.error.hidden = !error;
    this.input.setAttribute("aria-invalid", String(Boolean(error)));
    if (error) this.error.replaceChildren(this.column ? `Column ${this.column}: ${error.error.replace(/^column \d+: /, "")}` : error.error,
      el("span", { class: "dim", text: more }));
    this.paint();
  }

  paint() {
    const query = this.input.value;
    const wrong = this.column ? positionOf(query, this.column) : -1;
    this.colours.replaceChildren(...parse(query).flatMap((part) => pieces(part, wrong)));
    if (wrong >= query.length) this.colours.append(el("span", { class: "wrong", text: " " }));
    this.follow();
  }

  follow() {
    this.colours.scrollLeft = this.input.scrollLeft;
  }
}

// Columns count characters; positions of the text count UTF-16 units.
const positionOf = (query, column) => [...query].slice(0, column - 1).join("").length;

// The pieces of a part, with the wrong place cut out of the piece it is in.
function pieces(part, wrong) {
  let at = part.start;
  return coloured(part).flatMap(([kind, text]) => {
    const from = at;
    at += text.length;
    if (wrong < from || wrong >= at) return [el("span", { class: kind, text })];
    const char = String.fromCodePoint(text.codePointAt(wrong - from));
    const inside = wrong - from;
    return [
      el("span", { class: kind, text: text.slice(0, inside) }),
      el("span", { class: `${kind} wrong`, text: char }),
      el("span", { class: kind, text: text.slice(inside + char.length) }),
    ];
  });
}

function coloured(part) {
  if (part.kind !== "comparison") return [[`q-${part.kind}`, part.text]];
  const level = part.field === "level" && part.value ? ` level-${levelOf(part.value)}` : "";
  return [["q-field", part.field], ["q-op", part.op], [`q-value${level}`, part.value]];
}
