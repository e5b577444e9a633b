// Puts the page together once it is known who uses it: one frame and five views. Live and Search share the list, the
// record panel, the bars and the query line; the others draw on the stage, and open what they show in the panel at the
// right.

import { get } from "./api.js";
import { showCaller } from "./caller.js";
import { button, byId, copy, debounce, el, setText, toast } from "./dom.js";
import { listenToDialog, showColumns, showExport, showHelp, showSaved } from "./dialogs.js";
import { Facets } from "./facets.js";
import { shortPath } from "./fields.js";
import { levelOf, visible } from "./format.js";
import { Histogram } from "./histogram.js";
import { listenToKeys } from "./keys.js";
import { Levels } from "./levels.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { QueryLine } from "./query-line.js";
import { Pipeline } from "./pipeline.js";
import { Quarantine } from "./quarantine.js";
import { highlighter, inRange, withComparison } from "./query-syntax.js";
import { RecordPanel } from "./record-panel.js";
import { Search } from "./search.js";
import { begin } from "./session.js";
import { readUrl, setState, state, urlOf } from "./url-state.js";
import { titleOf, views } from "./views.js";

const FOOT_KEYS = [["/", "query"], ["j k", "move"], ["enter", "open"], ["space", "pause"], ["g", "newest"], ["?", "keys"]];
const stageKeys = () => [["j k", "move"], ["enter", "open"], ["esc", "close"], [`1 – ${views().length}`, "views"], ["?", "keys"]];

class App {
  constructor() {
    this.list = new List({
      open: (record) => this.openRecord(record),
      nearEnd: () => this.withList(() => this.view.nearEnd()),
      moved: () => this.withList(() => this.view.foot()),
      goOn: () => this.view.goOn(),
    });
    this.panel = new RecordPanel({
      filter: (field, value, not) => this.filter(field, value, not),
      only: (field, value) => this.ask(withComparison("", field, value)),
      held: (test) => this.list.countRows(test),
      column: (field) => this.toggleColumn(field),
      around: (record) => this.go({ view: "search", around: record.entry_id, open: record.entry_id }),
      close: () => this.recordClosed(),
    });
    this.facets = new Facets({ filter: (field, value, not) => this.filter(field, value, not) });
    this.histogram = new Histogram((from, until) => this.view.range(from, until));
    this.queryLine = new QueryLine((query) => this.ask(query), {
      fields: () => this.view.fields(), values: (field) => this.view.values(field),
    });
    this.views = {
      live: new Live(this), search: new Search(this), pipeline: new Pipeline(this), quarantine: new Quarantine(this),
      levels: new Levels(this),
    };
    this.rememberOpen = debounce(() => setState({ open: this.panel.record?.entry_id ?? "" }), 250);
  }

  start() {
    readUrl();
    this.makeTabs();
    showCaller();
    this.listen();
    this.showTheme();
    this.enter();
  }

  makeTabs() {
    byId("tabs").replaceChildren(...views().map(({ name, title }) => el("a", { id: `tab-${name}`, onclick: (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      this.go({ view: name, around: "", from: "" });
    } }, title)));
  }

  listen() {
    listenToDialog();
    listenToKeys({
      query: () => this.withList(() => this.queryLine.focus()), next: () => this.step(1), before: () => this.step(-1),
      open: () => this.withList(() => this.openCursor()), close: () => this.closeTop(), pause: () => this.view.togglePause?.(),
      newest: () => this.view.goOn?.(), nextError: () => this.withList(() => this.nextError()), help: () => this.help(),
      view: (view) => this.go({ view, around: "", from: "" }),
    });
    byId("help-button").addEventListener("click", () => this.help());
    byId("theme-switch").addEventListener("click", () => this.switchTheme());
    document.addEventListener("themechange", () => this.showTheme());
    addEventListener("popstate", () => { readUrl(); this.enter(); });
  }

  // Shows what the state says.
  enter() {
    this.view?.leave();
    this.panel.hide();
    this.view = this.views[state.view];
    document.body.dataset.view = state.view;
    this.showTabs();
    this.showParts();
    this.showFootKeys();
    this.view.enter();
  }

  // What only some views have.
  showParts() {
    const onStage = this.view.onStage === true;
    for (const id of ["query-form", "histogram", "records"]) byId(id).hidden = onStage;
    byId("facets").hidden = onStage;
    byId("stage").hidden = !onStage;
    document.body.classList.remove("facets-open");
    if (onStage) return;
    this.queryLine.show(state.q);
    byId("list-note").hidden = true;
    this.list.setLook({ columns: state.cols, marks: highlighter(state.q) });
    this.showColumnsHead();
    this.showTools();
  }

  withList(act) {
    if (this.view && !this.view.onStage) act();
  }

  showTabs() {
    for (const { name } of views()) this.showTab(name);
    document.title = `${(!this.view.onStage && state.q) || titleOf(state.view)} · Weir`;
  }

  showTab(view) {
    const tab = byId(`tab-${view}`);
    tab.href = urlOf({ view, around: "", open: "", from: "" });
    if (view === state.view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }

  go(changes) {
    setState({ open: "", ...changes }, { step: true });
    this.enter();
  }

  // Asks for another query in the same view; a view without a query leaves it to Search.
  ask(query) {
    if (this.view.onStage) return this.go({ view: "search", q: query, around: "" });
    if (state.around) return this.go({ q: query, around: "" });
    this.panel.hide();
    setState({ q: query, open: "" }, { step: query !== state.q });
    this.showTabs();
    this.queryLine.show(query);
    this.list.setLook({ marks: highlighter(query) });
    this.view.setQuery(query);
  }

  filter(field, value, not) {
    this.ask(withComparison(state.q, field, value, { not }));
    toast(`Query: ${visible(state.q) || "all records"}`);
  }

  searchRange(from, until) {
    this.go({ view: "search", around: "", q: inRange(state.q, from, until) });
  }

  openRecord(record, options) {
    this.panel.open(record, this.list.look.marks, options);
    this.rememberOpen();
  }

  // A record that the list doesn't hold, by its id.
  async fetchRecord(id) {
    try {
      const record = await get(`/api/logs/${encodeURIComponent(id)}`, { sink: state.sink, aliases: false });
      if (state.open === id || state.around === id) this.panel.open(record, this.list.look.marks);
    } catch {
      toast(`Record ${visible(id)} isn't held any more`);
    }
  }

  openCursor() {
    const record = this.list.current();
    if (record) this.openRecord(record, { focus: true });
  }

  step(by) {
    if (this.view.onStage) return this.view.step?.(by);
    this.list.step(by, this.panel.record !== null);
  }

  nextError() {
    const { rows, cursor } = this.list;
    for (let index = cursor + 1; index < rows.length; index += 1) {
      const row = rows.at(index);
      if (row.kind || !["ERROR", "CRITICAL"].includes(levelOf(row.level))) continue;
      return this.list.step(index - cursor, this.panel.record !== null);
    }
    toast("No further error in the lines held");
  }

  closeTop() {
    if (document.body.classList.contains("facets-open")) document.body.classList.remove("facets-open");
    else if (this.view.onStage) this.view.close?.();
    else if (!this.panel.close()) this.list.noCursor();
  }

  recordClosed() {
    this.rememberOpen();
    if (!document.activeElement || document.activeElement === document.body) byId("list").focus({ preventScroll: true });
  }

  setHidden(hidden) {
    const old = this.list.look.hidden;
    const same = old.size === hidden.size && [...hidden].every(([path, value]) => old.get(path) === value);
    if (!same) this.list.setLook({ hidden });
  }

  toggleColumn(field) {
    const cols = state.cols.includes(field) ? state.cols.filter((name) => name !== field) : [...state.cols, field];
    setState({ cols });
    this.list.setLook({ columns: cols });
    this.showColumnsHead();
  }

  showColumnsHead() {
    const head = byId("columns-head");
    head.hidden = state.cols.length === 0;
    const cells = state.cols.map((field) => el("span", { class: "column" },
      button(visible(shortPath(field)), () => this.toggleColumn(field), { class: "plain", title: `${visible(field)}: click to take this column away` })));
    head.replaceChildren(el("span", { class: "time", text: "time" }), el("span", { class: "level", text: "level" }),
      el("span", { class: "source", text: "source" }), ...cells, el("span", { class: "text", text: "message" }));
  }

  showTools() {
    const isSearch = state.view === "search";
    const box = byId("query-tools");
    const focused = [...box.children].indexOf(document.activeElement);
    box.replaceChildren(
      ...this.view.tools(),
      button("Filters", () => this.openFacets(), { id: "facets-button" }),
      button("Columns", () => showColumns(this.view.fields(), (name) => this.toggleColumn(name))),
      button("Saved", () => showSaved((query) => this.ask(query))),
      ...(isSearch ? [button("Export", showExport)] : []),
      button("Share", () => copy(location.href, "The address of this page is copied")));
    box.children[focused]?.focus();
  }

  showFootKeys() {
    const ofView = this.view.onStage ? stageKeys().filter(([, what]) => this.view.step || what === "views" || what === "keys") : FOOT_KEYS;
    const keys = ofView.filter(([key]) => key !== "space" || state.view === "live");
    byId("foot-keys").replaceChildren(...keys.flatMap(([key, what]) => [el("kbd", { text: key }), ` ${what} `]));
  }

  openFacets() {
    document.body.classList.add("facets-open");
    byId("facets").focus();
  }

  help() {
    showHelp((query) => this.ask(query));
  }

  showTheme() {
    const dark = document.documentElement.dataset.theme === "dark";
    setText(byId("theme-switch"), dark ? "Light" : "Dark");
    byId("theme-switch").setAttribute("aria-label", dark ? "Light theme" : "Dark theme");
  }

  switchTheme() {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.dispatchEvent(new CustomEvent("themechoice", { detail: theme }));
  }
}

await begin();
new App().start();
