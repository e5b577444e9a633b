// The Search view: what a sink has stored, the newest first, page after page as the reader scrolls.

import { announce, byId, el, setText, showConnection } from "./dom.js";
import { ApiError, explain, get } from "./api.js";
import { FieldCounts, valuesOfOwn } from "./fields.js";
import { count, plural, span } from "./format.js";
import { hideNotice, showText } from "./notice.js";
import { Rows, sample } from "./ring.js";
import { inRange } from "./query-syntax.js";
import { NO_BARS, barsOf, groupsOf } from "./search-answers.js";
import { sinkChoice, timeChoice } from "./search-choices.js";
import { state } from "./url-state.js";

const PAGE = 200;
const AROUND = 200;
const BARS = 120;

export class Search {
  constructor(app) {
    this.app = app;
    this.rows = new Rows();
    this.sinks = [];
    this.known = [];
    this.groups = [];
  }

  async enter() {
    this.active = true;
    this.load();
    await this.loadSinks();
    if (this.active) this.app.showTools();
  }

  leave() {
    this.active = false;
    this.stop?.abort();
  }

  async loadSinks() {
    try {
      this.sinks = (await get("/api/sinks")).sinks ?? [];
    } catch {
      this.sinks = [];
    }
  }

  tools() {
    return [timeChoice((query) => this.app.ask(query)), sinkChoice(this.sinks, () => this.load())].filter(Boolean);
  }

  setQuery() {
    this.app.showTools();
    this.load();
  }

  params(more = {}) {
    return { query: state.q, sink: state.sink, ...more };
  }

  // Asks for everything anew: the first page, the bars, the fields.
  load() {
    this.stop?.abort();
    const { signal } = this.stop = new AbortController();
    this.rows = new Rows();
    this.next = null;
    this.failed = null;
    this.total = undefined;
    this.groups = [];
    this.wanted = state.around || state.open;
    this.app.queryLine.showError(null);
    this.app.list.show(this.rows);
    this.app.histogram.show(NO_BARS, "");
    byId("histogram").hidden = state.around !== "";
    hideNotice();
    this.loadPage(signal);
    if (!state.around) {
      this.loadBars(signal);
      this.loadFields(signal);
    }
    this.aroundNote();
  }

  async loadPage(signal, cursor) {
    this.loading = true;
    this.foot();
    try {
      const size = state.around ? AROUND : PAGE;
      const which = state.around ? { around: state.around, query: "" } : { cursor };
      const answer = await get("/api/logs", this.params({ limit: size, aliases: false, ...which }), signal);
      if (signal.aborted) return;
      this.took = answer.took_ms;
      this.sink = answer.sink;
      this.next = answer.next;
      this.rows.add(answer.logs);
      this.failed = null;
      this.loading = false;
      this.pageCame(cursor);
    } catch (error) {
      if (signal.aborted) return;
      this.loading = false;
      this.pageFailed(error, cursor);
    }
  }

  pageCame(cursor) {
    this.aroundNote();
    this.showFacets();
    this.app.list.draw();
    this.foot();
    if (this.rows.length === 0) {
      showText("No record matches", "The sink holds no such record. Ask for a longer time, or for less.",
        state.q && { label: "Show all records", run: () => this.app.ask("") });
    }
    if (!cursor) {
      announce(`${plural(this.rows.length, "record")} found${this.next ? ", more follow" : ""}`);
      this.openWanted();
    }
  }

  pageFailed(error, cursor) {
    const known = error instanceof ApiError ? error : new ApiError(0, { error: String(error.message) });
    this.failed = known;
    if (known.status === 400) this.app.queryLine.showError(known);
    const [title, text] = explain(known);
    const again = { label: "Try again", run: () => (cursor ? this.more() : this.load()) };
    if (cursor) this.listNote(`${title}. ${text}`, again);
    else showText(title, text, known.status === 404 ? { label: "Go to Live", run: () => this.app.go({ view: "live" }) } : known.status !== 400 && again);
    announce(`${title}. ${text}`);
    this.foot();
  }

  openWanted() {
    const id = this.wanted;
    this.wanted = "";
    if (!id) return;
    const record = this.app.list.moveToRow((row) => row.entry_id === id);
    if (record) this.app.openRecord(record);
    else this.app.fetchRecord(id);
  }

  nearEnd() {
    if (this.next && !this.loading && !this.failed) this.more();
  }

  more() {
    this.failed = null;
    this.loadPage(this.stop.signal, this.next);
  }

  async loadBars(signal) {
    try {
      const answer = await get("/api/histogram", this.params({ buckets: BARS }), signal);
      if (signal.aborted) return;
      this.total = answer.total;
      const bars = barsOf(answer);
      this.app.histogram.show(bars, bars.buckets.length ? `${plural(answer.total, "record")}, ${span(answer.bucket_ms)} a bar · drag to choose a time` : "");
      this.foot();
    } catch (error) {
      if (signal.aborted) return;
      byId("histogram").hidden = error.status === 404;
      this.app.histogram.show(NO_BARS, `No bars: ${error.message}`);
    }
  }

  async loadFields(signal) {
    try {
      const answer = await get("/api/fields", this.params(), signal);
      if (signal.aborted) return;
      this.known = answer.fields;
      this.groups = groupsOf(answer);
      this.showFacets();
    } catch {
      if (!signal.aborted) this.showFacets();
    }
  }

  showFacets() {
    const records = sample(this.rows, 1000);
    const held = new FieldCounts(records);
    const hidden = held.sameOnAll();
    this.app.setHidden(hidden);
    const ofHeld = [valuesOfOwn(records, "level"), valuesOfOwn(records, "source"), ...held.facets()];
    this.app.facets.show(this.groups.length ? this.groups : ofHeld, hidden, state.q);
  }

  aroundNote() {
    if (!state.around) return this.listNote("");
    this.listNote(`The lines around record ${state.around}, in the order they arrived, whatever the query says`,
      { label: "Back to the search", run: () => this.app.go({ around: "" }) });
  }

  listNote(text, action) {
    const node = byId("list-note");
    node.hidden = !text;
    node.replaceChildren(text);
    if (action) node.append(el("button", { type: "button", class: "plain link", onclick: action.run }, action.label));
  }

  header() {
    if (this.failed) showConnection("lost", explain(this.failed)[0].toLowerCase());
    else showConnection("live", this.sink ? `searching ${this.sink}` : "searching");
  }

  foot() {
    if (!this.active) return;
    this.header();
    const shown = this.total === undefined ? plural(this.rows.length, "record") : `${count(this.rows.length)} of ${count(this.total)} shown`;
    setText(byId("foot-state"), this.loading ? "searching …" : `search · ${shown}`);
    setText(byId("foot-missed"), this.took === undefined || this.loading ? "" : `${count(this.took)} ms`);
    byId("foot-missed").classList.remove("warn");
  }

  goOn() {
    byId("list").scrollTop = 0;
    this.app.list.noCursor();
  }

  range(from, until) {
    this.app.ask(inRange(state.q, from, until));
  }

  fields() {
    return this.known.map(({ field }) => field);
  }

  // The values of a field, from what is known, or else asked for.
  async values(field) {
    const known = this.known.find((entry) => entry.field === field);
    if (known && known.distinct <= known.values.length) return known.values;
    try {
      return (await get("/api/fields", { sink: state.sink, field })).fields[0]?.values ?? [];
    } catch {
      return known?.values ?? [];
    }
  }
}
