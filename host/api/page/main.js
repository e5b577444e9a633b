// Puts the page together: one frame, two views that share the list, the record panel, the bars and the query line.

import { get } from "./api.js";
import { button, byId, copy, debounce, el, setText, toast } from "./dom.js";
import { listenToDialog, showColumns, showExport, showHelp, showSaved } from "./dialogs.js";
import { Facets } from "./facets.js";
import { shortPath } from "./fields.js";
import { levelOf, visible } from "./format.js";
import { Histogram } from "./histogram.js";
import { listenToKeys } from "./keys.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { QueryLine } from "./query-line.js";
import { highlighter, replaceFields, withComparison } from "./query-syntax.js";
import { RecordPanel } from "./record-panel.js";
import { Search } from "./search.js";
import { readUrl, setState, state, urlOf } from "./url-state.js";

const FOOT_KEYS = [["/", "query"], ["j k", "move"], ["enter", "open"], ["space", "pause"], ["g", "newest"], ["?", "keys"]];

class App {
  constructor() {
    this.list = new List({
      open: (record) => this.openRecord(record),
      nearEnd: () => this.view?.nearEnd(),
      moved: () => this.view?.foot(),
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
    this.views = { live: new Live(this), search: new Search(this) };
    this.rememberOpen = debounce(() => setState({ open: this.panel.record?.entry_id ?? "" }), 250);
  }

  start() {
    readUrl();
    this.listen();
    this.showTheme();
    this.enter();
  }

  listen() {
    listenToDialog();
    listenToKeys({
      query: () => this.queryLine.focus(), next: () => this.step(1), before: () => this.step(-1),
      open: () => this.openCursor(), close: () => this.closeTop(), pause: () => this.view.togglePause?.(),
      newest: () => this.view.goOn(), nextError: () => this.nextError(), help: () => this.help(),
    });
    for (const view of ["live", "search"]) {
      byId(`tab-${view}`).addEventListener("click", (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        this.go({ view, around: "" });
      });
    }
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
    for (const view of ["live", "search"]) this.showTab(view);
    document.title = `${state.q || (state.view === "live" ? "Live" : "Search")} · Weir`;
    this.queryLine.show(state.q);
    byId("list-note").hidden = true;
    byId("histogram").hidden = false;
    this.list.setLook({ columns: state.cols, marks: highlighter(state.q) });
    this.showColumnsHead();
    this.showTools();
    this.showFootKeys();
    this.view.enter();
  }

  showTab(view) {
    const tab = byId(`tab-${view}`);
    tab.href = urlOf({ view, around: "", open: "" });
    if (view === state.view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }

  go(changes) {
    setState({ open: "", ...changes }, { step: true });
    this.enter();
  }

  // Asks for another query in the same view.
  ask(query) {
    if (state.around) return this.go({ q: query, around: "" });
    this.panel.hide();
    setState({ q: query, open: "" }, { step: query !== state.q });
    document.title = `${query || (state.view === "live" ? "Live" : "Search")} · Weir`;
    this.queryLine.show(query);
    for (const view of ["live", "search"]) this.showTab(view);
    this.list.setLook({ marks: highlighter(query) });
    this.view.setQuery(query);
  }

  filter(field, value, not) {
    this.ask(withComparison(state.q, field, value, { not }));
    toast(`Query: ${visible(state.q) || "all records"}`);
  }

  searchRange(from, until) {
    const terms = [`since:${new Date(from).toISOString()}`, `until:${new Date(until).toISOString()}`];
    this.go({ view: "search", around: "", q: replaceFields(state.q, ["since", "until"], terms) });
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
    const keys = FOOT_KEYS.filter(([key]) => key !== "space" || state.view === "live");
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

new App().start();
