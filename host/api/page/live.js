// The Live view: records as they arrive, the newest first, with counts since the page opened the stream.

import { announce, button, byId, keyCap, oncePerFrame, setText, showConnection } from "./dom.js";
import { FieldCounts, bySeverity, valuesOfOwn } from "./fields.js";
import { count, plural, span } from "./format.js";
import { RecentCounts } from "./histogram.js";
import { hideNotice, showFirstSteps, showText } from "./notice.js";
import { Ring, sample } from "./ring.js";
import { limits } from "./session.js";
import { Stream } from "./stream.js";
import { state } from "./url-state.js";

const HELD = 20000;
const SPACE = 32 * 1024 * 1024;
const SAMPLED = 600;
const SETTLED = 700;
const WORDS = { wait: "connecting", live: "live", lost: "connection lost, trying again", error: "the query has an error" };

export class Live {
  constructor(app) {
    this.app = app;
    this.ring = new Ring(HELD, SPACE);
    this.recent = new RecentCounts();
    this.totals = { seen: 0, matched: 0, missed: 0, levels: {}, sources: {} };
    this.fieldCounts = new FieldCounts([]);
    this.gaps = 0;
    this.unsure = false;
    this.paused = false;
    this.connection = "wait";
    this.redraw = oncePerFrame(() => this.draw());
    this.stream = new Stream({
      records: (records, size) => this.take(records, size),
      gap: (missed) => this.note({ kind: "gap", missed }),
      skipped: (records) => this.note({ kind: "skipped", records }),
      reset: (after) => this.note({ kind: "reset", after }),
      restarted: () => this.note({ kind: "restart" }),
      cleared: () => this.clear(),
      stats: (totals, seen) => this.count(totals, seen),
      state: (name) => this.connected(name),
      queryError: (error) => this.queryError(error),
    });
    this.pauseButton = button("Pause", () => this.togglePause());
  }

  enter() {
    this.active = true;
    this.wanted = state.open;
    // The list follows again.
    this.paused = false;
    this.showPause();
    if (this.stream.query !== state.q) this.clear();
    this.app.list.follow(this.ring);
    this.stream.start(state.q);
    this.timer = setInterval(() => this.everySecond(), 1000);
    this.everySecond();
    this.redraw();
  }

  leave() {
    this.active = false;
    clearInterval(this.timer);
    this.stream.stop();
  }

  tools() {
    this.showPause();
    return [this.pauseButton];
  }

  setQuery(query) {
    if (query === this.stream.latestQuery && this.connection !== "error") return this.queryError(null);
    this.stream.setQuery(query);
  }

  clear() {
    this.ring.clear();
    this.recent.clear();
    this.gaps = 0;
    this.unsure = false;
    this.wanted = state.open;
    this.paused = false;
    this.showPause();
    this.app.list.follow(this.ring);
  }

  // `size` is how many characters a record has, on average.
  take(records, size) {
    for (const record of records) {
      this.ring.push(record, size);
      this.recent.add(record);
    }
    if (this.ring.pushed <= 1000 && this.ring.pushed === records.length) this.facetsSoon();
    this.redraw();
  }

  facetsSoon() {
    setTimeout(() => { if (this.active) this.everySecond(); }, 50);
  }

  note(row) {
    this.ring.push(row);
    if (row.kind === "gap") this.gaps += row.missed;
    if (row.kind === "reset" || row.kind === "skipped") this.unsure = true;
    this.redraw();
  }

  // Counts come once a second; the rate is what passed between two of them.
  count(totals, seen) {
    const now = performance.now();
    if (this.counted && seen >= this.counted.seen) this.rate = ((seen - this.counted.seen) * 1000) / (now - this.counted.at);
    this.counted = { seen, at: now };
    this.totals = totals;
  }

  connected(name) {
    this.connection = name;
    this.connectedAt = performance.now();
    this.counted = null;
    this.rate = undefined;
    if (this.active) this.everySecond();
    announce(WORDS[name]);
  }

  queryError(error) {
    if (!this.active) return;
    const still = this.connection === "live" ? `The lines still show ${this.stream.query || "all records"}.` : "";
    this.app.queryLine.showError(error, still);
    if (error) announce(`${error.error}. ${still}`);
  }

  togglePause() {
    if (this.paused) return this.goOn();
    this.paused = true;
    this.app.list.stand();
    this.showPause();
    this.foot();
    announce("Paused");
  }

  goOn() {
    this.paused = false;
    this.app.list.goOn();
    this.showPause();
    this.foot();
  }

  showPause() {
    this.pauseButton.replaceChildren(this.paused ? "Go on" : "Pause", keyCap("space"));
    this.pauseButton.setAttribute("aria-pressed", String(this.paused));
  }

  draw() {
    if (!this.active) return;
    if (this.ring.length > 0) hideNotice();
    if (this.wanted && this.ring.length > 0) this.openWanted();
    this.app.list.draw();
    this.foot();
  }

  // Whether what the router still has of the query has arrived.
  isSettled() {
    return this.connection === "live" && performance.now() - this.connectedAt >= SETTLED;
  }

  // Opens the record that the address names: among those held, or else asked for.
  openWanted() {
    const id = this.wanted;
    this.wanted = "";
    const record = this.app.list.moveToRow((row) => row.entry_id === id);
    if (record) this.app.openRecord(record);
    else this.app.fetchRecord(id);
  }

  everySecond() {
    if (this.counted && performance.now() - this.counted.at > 2500) this.rate = 0;
    const rows = this.app.list.rows;
    this.fieldCounts = new FieldCounts([...sample(rows, SAMPLED), ...this.app.list.inSight()]);
    const hidden = this.fieldCounts.sameOnAll();
    this.app.setHidden(hidden);
    this.app.facets.show([this.levels(), this.sources(), ...this.fieldCounts.facets()], hidden, state.q);
    const bars = this.recent.data();
    this.app.histogram.show(bars, this.histogramLabel(bars));
    if (this.wanted && this.isSettled()) this.openWanted();
    this.header();
    this.foot();
    this.empty();
  }

  // A reader of only some records isn't told how many passed; what is held can be counted.
  levels() {
    if (limits()) return valuesOfOwn(sample(this.ring, HELD), "level");
    const values = Object.entries(this.totals.levels).map(([value, n]) => ({ value, count: n }));
    return { field: "level", values: bySeverity(values), quiet: this.quiet("level", values) };
  }

  sources() {
    if (limits()) return valuesOfOwn(sample(this.ring, HELD), "source");
    const values = Object.entries(this.totals.sources).map(([value, n]) => ({ value, count: n }));
    values.sort((some, other) => other.count - some.count || (some.value < other.value ? -1 : 1));
    return { field: "source", values, quiet: this.quiet("source", values) };
  }

  // Values that pass, but that none of the records held has: the query leaves them out.
  quiet(field, values) {
    if (!state.q || this.ring.length === 0) return new Set();
    const held = new Set(sample(this.ring, SAMPLED).map((record) => record[field]));
    return new Set(values.map(({ value }) => value).filter((value) => !held.has(value)));
  }

  histogramLabel(data) {
    const { buckets, bucketMs } = data;
    return `the last ${span(bucketMs * buckets.length)}, ${span(bucketMs)} a bar · drag to search a time`;
  }

  header() {
    const isLive = this.connection === "live";
    const rate = isLive && this.rate !== undefined ? `${count(Math.round(this.rate))} records/s` : "";
    if (isLive && this.paused) showConnection("paused", "paused", rate);
    else showConnection(this.connection, WORDS[this.connection], rate);
  }

  foot() {
    const { seen, matched } = this.totals;
    const missed = Math.max(this.totals.missed, this.gaps);
    const still = this.paused ? "paused" : this.app.list.following ? "live" : "standing still";
    const name = this.connection === "live" ? still : WORDS[this.connection];
    setText(byId("foot-state"), `${name} · ${count(matched)}${limits() ? "" : ` of ${count(seen)}`} match`);
    const words = missed > 0 ? `${plural(missed, "matching record")} missed` : this.unsure ? "some may be missing" : "nothing missed";
    setText(byId("foot-missed"), words);
    byId("foot-missed").classList.toggle("warn", missed > 0 || this.unsure);
  }

  empty() {
    if (this.ring.length > 0) return hideNotice();
    if (this.connection === "lost") return showText("The router doesn't answer", `Nothing answers at ${location.origin}. This page tries again by itself.`);
    if (this.connection === "error") return showText("The query isn't understood", "It is marked above where it goes wrong.");
    if (!this.isSettled()) return hideNotice();
    if (this.totals.seen === 0 && !state.q) return limits() ? this.firstOfLimits(limits()) : showFirstSteps();
    const passed = limits() ? "" : `${plural(this.totals.seen, "record")} passed since this page was opened. `;
    showText("No record matches yet", `${passed}Those that match appear here as they arrive.`,
      state.q && { label: "Show all records", run: () => this.app.ask("") });
  }

  firstOfLimits(all) {
    const words = all.map(([what, values]) => `the ${what} ${values.join(", ")}`).join(" and ");
    showText("Waiting for the first record", `Records appear here as they arrive. This token is only for ${words}.`);
  }

  range(from, until) {
    this.app.searchRange(from, until);
  }

  // For the completion: what the records held have.
  fields() {
    return this.fieldCounts.names();
  }

  values(field) {
    if (field === "source") return this.sources().values;
    return this.fieldCounts.valuesOf(field);
  }

  nearEnd() {}
}
