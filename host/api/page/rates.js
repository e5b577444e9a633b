// Rates of the pipeline: what passed between two answers of the router, and the words for them.

import { count } from "./format.js";

export class Rates {
  constructor() {
    this.before = null;
    this.now = null;
  }

  // Takes the next answer. After a restart of the router its totals begin anew, and so do the rates.
  take(pipeline) {
    const restarted = this.now !== null && pipeline.uptime_seconds < this.now.uptime_seconds;
    this.before = restarted ? null : this.now;
    this.now = pipeline;
  }

  seconds() {
    return this.before === null ? 0 : (this.now.time_ns - this.before.time_ns) / 1e9;
  }

  // How much `field` of the entry `name` of `kind` grew; undefined if that isn't known.
  growth(kind, name, field) {
    const find = (answer) => answer?.[kind]?.find((entry) => (entry.key ?? entry.name) === name)?.[field];
    const [before, now] = [find(this.before), find(this.now)];
    return typeof before === "number" && now >= before ? now - before : undefined;
  }

  // A second.
  of(kind, name, field = "records") {
    const growth = this.growth(kind, name, field);
    const seconds = this.seconds();
    return growth === undefined || seconds <= 0 ? undefined : growth / seconds;
  }

  // The processor time of a filter for one record, in microseconds, between the last two answers.
  microseconds(name) {
    const busy = this.growth("filters", name, "busy_seconds");
    const records = this.growth("filters", name, "records_in");
    return busy === undefined || !records ? undefined : (busy * 1e6) / records;
  }
}

export function perSecond(rate) {
  if (rate === undefined) return "…";
  if (rate > 0 && rate < 10) return `${(Math.round(rate * 10) / 10).toFixed(1)}/s`;
  return `${count(Math.round(rate))}/s`;
}

export function microseconds(value) {
  if (value === undefined || value === null || !Number.isFinite(value)) return "–";
  if (value >= 1000) return `${count(Math.round(value / 100) / 10)} ms`;
  return `${value >= 100 ? Math.round(value) : value.toFixed(value >= 10 ? 1 : 2)} µs`;
}

export const sinceStart = (filter) => (filter.records_in > 0 ? (filter.busy_seconds * 1e6) / filter.records_in : undefined);

export function percent(share) {
  if (share === undefined) return "…";
  return `${(share * 100).toFixed(share >= 0.1 ? 0 : 1)} %`;
}
