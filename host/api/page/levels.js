// The Levels view: the minimum level of each source, permanently or for a while. A change takes effect at once.

import { announce, button, byId, el, setText, showConnection, toast } from "./dom.js";
import { explain, get, send, sentence } from "./api.js";
import { count, plural, visible } from "./format.js";
import { ALL, ALL_STORED, KEPT, NONE, durationChoice, durationWords, levelChoice, remaining, stillFor } from "./level-choices.js";
import { isAdmin } from "./session.js";
import { StageNote } from "./stage-note.js";

const POLL_MS = 5000;

export class Levels {
  constructor() {
    this.onStage = true;
    this.note = new StageNote();
    this.below = el("p", { class: "dim" });
    this.body = el("tbody", {});
    this.sources = el("datalist", { id: "level-sources" });
    this.node = el("div", { class: "levels" }, this.note.node, el("h2", { text: "Minimum levels" }),
      el("p", { text: "Records below the minimum of their source are accepted from their senders, but not stored." }),
      this.below, this.table(), isAdmin() && this.addForm());
    document.addEventListener("visibilitychange", () => { if (this.active && !document.hidden) this.poll(); });
  }

  enter() {
    this.active = true;
    this.drawn = "";
    byId("stage").setAttribute("aria-label", "Levels");
    byId("stage").replaceChildren(this.node);
    this.note.hide();
    this.poll();
    this.clock = setInterval(() => this.showRemaining(), 1000);
  }

  leave() {
    this.active = false;
    clearTimeout(this.timer);
    clearInterval(this.clock);
  }

  async poll() {
    clearTimeout(this.timer);
    const turn = this.turn = Symbol("turn");
    try {
      const answer = await get("/api/levels");
      if (!this.active || turn !== this.turn) return;
      this.failed = null;
      this.note.hide("poll");
      this.show(answer);
    } catch (error) {
      if (!this.active || turn !== this.turn) return;
      this.failed = error;
      this.note.show(explain(error).join(". "), { health: "error", key: "poll" });
    }
    this.foot();
    this.pollLater();
  }

  pollLater() {
    clearTimeout(this.timer);
    if (!document.hidden) this.timer = setTimeout(() => this.poll(), POLL_MS);
  }

  table() {
    return el("table", { class: "levels-table" }, el("caption", { class: "unseen", text: "The minimum level of each source" }),
      el("thead", {}, el("tr", {}, ...["Source", "Minimum", "For", "Until"].map((text) => el("th", { scope: "col", text })),
        isAdmin() && el("th", { scope: "col" }, el("span", { class: "unseen", text: "Remove" })))),
      this.body);
  }

  // Rows are drawn anew only if they say something else, so that a choice that is open stays open.
  show(answer) {
    this.answer = answer;
    const text = JSON.stringify([answer.levels, answer.until]);
    if (text !== this.drawn) this.draw(text);
    const known = JSON.stringify(answer.sources);
    if (known !== this.known) {
      this.known = known;
      this.sources.replaceChildren(...answer.sources.map((source) => el("option", { value: source })));
    }
    setText(this.below, answer.below_level === 0 ? "Since the start, no record was below its minimum."
      : `Since the start, ${plural(answer.below_level, "record was", "records were")} below the minimum.`);
    this.showRemaining();
  }

  draw(text) {
    this.drawn = text;
    const { levels, until } = this.answer;
    const focused = this.body.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : "";
    const own = Object.keys(levels).filter((source) => source !== ALL).sort();
    this.rows = [ALL, ...own].map((source) => this.row(source, levels[source], until[source]));
    this.body.replaceChildren(...this.rows.map(({ node }) => node));
    if (!focused) return;
    const again = [...this.body.querySelectorAll("select, button")].find((node) => node.getAttribute("aria-label") === focused);
    (again ?? this.body.querySelector("select")).focus();
  }

  row(source, level, until) {
    const name = source === ALL ? "All others" : visible(source);
    const left = el("td", { class: "level-left" });
    if (!isAdmin()) return { source, node: line(source, name, level ?? ALL_STORED, level === undefined ? "" : durationWords(until), left), until, left };
    const minimum = levelChoice(`Minimum of ${name}`, level ?? NONE, source === ALL,
      (chosen) => this.change(source, chosen === NONE ? null : chosen, duration.value));
    const duration = durationChoice(`How long, for ${name}`, until !== undefined, (chosen) => this.change(source, level, chosen));
    duration.disabled = level === undefined;
    const remove = level !== undefined && button("Remove", () => this.change(source, null, ""), { "aria-label": `Remove the minimum of ${name}` });
    return { source, node: line(source, name, minimum, duration, left, remove), until, left };
  }

  showRemaining() {
    for (const { source, until, left } of this.rows ?? []) setText(left, remaining(until, source));
  }

  // `length` is how long it holds, such as 10m; "" for always, KEPT for as long as before.
  async change(source, level, chosen) {
    const length = chosen === KEPT ? stillFor(this.answer.until[source]) : chosen;
    const name = source === ALL ? "all others" : visible(source);
    try {
      const answer = await send("PATCH", "/api/levels", { levels: { [source]: level }, ...(level !== null && length ? { for: length } : {}) });
      if (!this.active) return false;
      // An answer that was asked for before the change is out of date.
      this.turn = null;
      this.pollLater();
      this.note.hide();
      this.show(answer);
      toast(level === null ? `No minimum of its own for ${name}` : `Minimum for ${name}: ${level}`);
      return true;
    } catch (error) {
      if (this.answer) this.draw("");
      this.note.show(`The minimum for ${name} isn't changed. ${sentence(error.message)}`, { health: "error" });
      return false;
    }
  }

  addForm() {
    const source = el("input", { type: "text", list: "level-sources", "aria-label": "Source", placeholder: "Source", autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
    const minimum = levelChoice("Minimum level", "INFO", false, () => {});
    const duration = durationChoice("How long", false, () => {});
    const add = async (event) => {
      event.preventDefault();
      const name = source.value.trim();
      if (!name) return source.focus();
      if (await this.change(name, minimum.value, duration.value)) {
        source.value = "";
        announce(`${name} is added`);
      }
    };
    return el("form", { class: "level-add", onsubmit: add, "aria-label": "Add a source" },
      source, this.sources, minimum, duration, el("button", { type: "submit", text: "Add a source" }));
  }

  foot() {
    if (this.failed) showConnection("lost", explain(this.failed)[0].toLowerCase());
    else showConnection("live", "live");
    setText(byId("foot-state"), this.answer ? `levels · ${count(this.answer.below_level)} not stored` : "levels");
    setText(byId("foot-missed"), "");
  }
}

// A row of the table; what can be changed are choices, what can't be is text.
const line = (source, name, minimum, duration, left, remove) => el("tr", { "data-source": source },
  el("th", { scope: "row", text: name }), el("td", {}, minimum), el("td", {}, duration), left, isAdmin() && el("td", {}, remove));
