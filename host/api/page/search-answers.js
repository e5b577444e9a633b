// Turns answers of /api/histogram and /api/fields into what the bars and the filters show.

import { bySeverity } from "./fields.js";
import { levelOf } from "./format.js";

export const NO_BARS = { since: 0, bucketMs: 1, buckets: [] };

// The bars of the answer, with holes where nothing was.
export function barsOf({ since, until, bucket_ms: bucketMs, buckets }) {
  const from = Date.parse(since);
  const most = Math.min(1000, Math.ceil((Date.parse(until) - from) / bucketMs));
  if (!(most > 0)) return NO_BARS;
  const bars = new Array(most).fill(undefined);
  for (const { start, counts } of buckets) {
    const index = Math.floor((Date.parse(start) - from) / bucketMs);
    if (index >= 0 && index < most) bars[index] = byLevel(counts, bars[index]);
  }
  return { since: from, bucketMs, buckets: bars };
}

function byLevel(counts, sums = {}) {
  for (const [name, n] of Object.entries(counts)) sums[levelOf(name)] = (sums[levelOf(name)] ?? 0) + n;
  return sums;
}

// Levels and sources first, then the fields with few values that enough records have.
export function groupsOf({ fields, sampled }) {
  const first = ["level", "source"].map((name) => fields.find(({ field }) => field === name)).filter(Boolean);
  const others = fields.filter(({ field, distinct, records, values }) =>
    !["level", "source", "message", "timestamp"].includes(field) && distinct >= 2 && distinct <= 20 && records > sampled / 20
    && values.every(({ value }) => String(value).length <= 48));
  return [...first, ...others.slice(0, 6)].map(({ field, values }) => ({ field, values: field === "level" ? bySeverity(values) : values }));
}
