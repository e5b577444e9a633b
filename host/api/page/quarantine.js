// The Quarantine view: records that a filter failed on or a sink refused, the newest first, by where they come from.
// They can be replayed or deleted, one by one or all of an origin.

import { button, byId, el, setText, showConnection, toast } from "./dom.js";
import { explain, get } from "./api.js";
import { bytes, count, plural } from "./format.js";
import { hidePanel, panelHasFocus, showPanel } from "./panel.js";
import { entryLine, originName } from "./quarantine-line.js";
import { Origins } from "./quarantine-origins.js";
import { QuarantineActions } from "./quarantine-actions.js";
import { entryPanel } from "./quarantine-panel.js";
import { withComparison } from "./query-syntax.js";
import { StageNote } from "./stage-note.js";
import { setState, state } from "./url-state.js";

const PAGE = 100;
const POLL_MS = 5000;

export class Quarantine {
  constructor(app) {
    this.app = app;
    this.onStage = true;
    this.note = new StageNote();
    this.actions = new QuarantineActions(this.note, { inScope: () => this.inScope(), done: () => this.load() });
    this.origins = new Origins((from) => this.choose(from));
    this.bar = el("div", { class: "stage-bar" });
    this.newer = button("", () => this.load(), { class: "newer", hidden: true });
    this.list = el("ol", { class: "entries", "aria-label": "Records in quarantine, the newest first" });
    this.moreButton = button("More", () => this.more(), { hidden: true });
    this.empty = el("div", { class: "stage-empty", hidden: true });
    this.scroll = el("div", { class: "entries-box" }, this.note.node, this.bar, this.newer, this.list, this.moreButton, this.empty);
    this.node = el("div", { class: "quarantine" }, this.origins.node, this.scroll);
    new IntersectionObserver(([seen]) => { if (seen.isIntersecting) this.more(); }).observe(this.moreButton);
    document.addEventListener("visibilitychange", () => this.pollLater());
  }

  enter() {
    this.active = true;
    this.wanted = state.open;
    byId("stage").setAttribute("aria-label", "Quarantine");
    byId("stage").replaceChildren(this.node);
    this.note.hide();
    this.load();
    this.pollLater();
  }

  leave() {
    this.active = false;
    this.stop?.abort();
    clearTimeout(this.timer);
    hidePanel();
  }

  // Asks for everything anew, from the newest on.
  load() {
    this.stop?.abort();
    this.stop = new AbortController();
    this.entries = [];
    this.next = null;
    this.loadPage();
  }

  async loadPage(cursor) {
    const { signal } = this.stop;
    this.loading = true;
    try {
      const answer = await get("/api/quarantine", { from: state.from, limit: PAGE, cursor }, signal);
      if (signal.aborted || !this.active) return;
      this.failed = null;
      this.note.hide("load");
      this.came(answer);
    } catch (error) {
      if (signal.aborted || !this.active) return;
      this.failed = error;
      this.note.show(explain(error).join(". "), { health: "error", key: "load", action: { label: "Try again", run: () => this.load() } });
      this.foot();
    }
    this.loading = false;
  }

  came(answer) {
    this.next = answer.next;
    this.answer = answer;
    if (this.entries.length === 0) this.list.replaceChildren();
    this.entries.push(...answer.entries);
    this.newer.hidden = true;
    this.moreButton.hidden = this.next === null;
    this.list.classList.toggle("of-one-origin", state.from !== "");
    this.list.append(...answer.entries.map((entry) => entryLine(entry, () => this.toggle(entry))));
    this.origins.show(answer.groups, state.from);
    this.showBar();
    this.showEmpty();
    this.openWanted();
    this.foot();
  }

  more() {
    if (this.next && !this.loading) this.loadPage(this.next);
  }

  // The list never moves under the reader: what is new is only counted until the reader asks for it.
  pollLater() {
    clearTimeout(this.timer);
    if (this.active && !document.hidden) this.timer = setTimeout(() => this.poll(), POLL_MS);
  }

  async poll() {
    try {
      const answer = await get("/api/quarantine", { from: state.from, limit: 1 }, this.stop.signal);
      if (this.active && this.answer && !this.loading) this.compare(answer);
    } catch { /* the next poll or the next click says what is wrong */ }
    this.pollLater();
  }

  compare(answer) {
    const changed = answer.total !== this.answer.total || answer.entries[0]?.id !== this.entries[0]?.id;
    if (!changed) return;
    if (this.entries.length === 0) return this.load();
    this.newer.hidden = false;
    setText(this.newer, `${plural(answer.total, "record")} now: show them`);
  }

  choose(from) {
    this.hideOpen();
    setState({ from, open: "" }, { step: true });
    this.app.showTabs();
    this.load();
  }

  showBar() {
    const n = this.inScope();
    this.bar.hidden = n === 0;
    const what = state.from ? `from ${originName(state.from)}` : "in quarantine";
    this.bar.replaceChildren(el("p", { text: `${plural(n, "record")} ${what}` }),
      button(state.from ? "Replay all of this origin" : "Replay all", () => this.actions.replayAll()),
      button(state.from ? "Delete all of this origin" : "Delete all", () => this.actions.deleteAll()));
  }

  inScope() {
    if (!state.from) return this.answer.total;
    return this.answer.groups.find(({ from }) => from === state.from)?.entries ?? 0;
  }

  showEmpty() {
    this.empty.hidden = this.entries.length > 0;
    this.empty.replaceChildren(el("h2", { text: state.from ? `Nothing from ${originName(state.from)}` : "Nothing is in quarantine" }),
      el("p", { text: "Records land here when a filter fails on them, when a sink refuses them for good, or when they can't be read as records. They stay until they are replayed or deleted." }));
  }

  // Opens the entry that the address names, once.
  openWanted() {
    const found = this.entries.find(({ id }) => id === state.open);
    if (found && this.shown === found.id) this.mark();
    else if (found) this.open(found);
    else if (this.shown) this.close();
    else if (this.wanted) toast("The record isn't among the newest in quarantine");
    this.wanted = "";
  }

  toggle(entry) {
    if (this.shown === entry.id) return this.close();
    setState({ open: entry.id });
    this.open(entry, { focus: false });
  }

  open(entry, options) {
    this.shown = entry.id;
    this.mark();
    showPanel("The open record in quarantine", entryPanel(entry, {
      close: () => this.close(), replay: () => this.actions.replay({ ids: [entry.id] }), remove: () => this.actions.deleteOne(entry),
      filter: (field, value, not) => this.app.ask(withComparison("", field, value, { not })), column: () => {},
    }), options);
  }

  mark() {
    for (const node of this.list.querySelectorAll("button")) node.setAttribute("aria-expanded", String(node.dataset.id === this.shown));
  }

  hideOpen() {
    const id = this.shown;
    const refocus = panelHasFocus();
    this.shown = null;
    this.mark();
    hidePanel();
    if (refocus) (this.button(id) ?? this.list.querySelector("button"))?.focus();
  }

  button(id) {
    return [...this.list.querySelectorAll("button")].find((node) => node.dataset.id === id);
  }

  close() {
    if (!this.shown) return;
    setState({ open: "" });
    this.hideOpen();
  }

  // `j` and `k` go from line to line; while a record is open, it follows.
  step(by) {
    const nodes = [...this.list.querySelectorAll("button")];
    const at = nodes.findIndex((node) => node === document.activeElement || (this.shown && node.dataset.id === this.shown));
    const next = nodes[Math.min(nodes.length - 1, Math.max(0, at + by))];
    next?.focus();
    if (next && this.shown && next.dataset.id !== this.shown) next.click();
  }

  foot() {
    if (this.failed) showConnection("lost", explain(this.failed)[0].toLowerCase());
    else showConnection("live", "live");
    const { answer } = this;
    setText(byId("foot-state"), answer ? `quarantine · ${count(this.entries.length)} of ${count(this.inScope())} shown` : "quarantine");
    setText(byId("foot-missed"), answer ? bytes(answer.size_bytes) : "");
    byId("foot-missed").classList.remove("warn");
  }
}
