// Bars over time, stacked by level. A range can be dragged on it, or chosen with the keyboard: arrows move, shift
// extends, enter takes the range, escape leaves it.

import { byId, oncePerFrame, setText } from "./dom.js";
import { LEVELS, count, levelOf, moment } from "./format.js";

const GAP = 1;

export class Histogram {
  // `onRange(from, until)` is called with milliseconds.
  constructor(onRange) {
    this.onRange = onRange;
    this.box = byId("histogram-bars");
    this.canvas = byId("histogram-canvas");
    this.range = byId("histogram-range");
    this.words = byId("histogram-at");
    this.data = { since: 0, bucketMs: 1, buckets: [] };
    this.draw = oncePerFrame(() => this.drawNow());
    new ResizeObserver(() => this.draw()).observe(this.box);
    document.addEventListener("themechange", () => { this.colours = null; this.draw(); });
    this.listen();
  }

  listen() {
    this.box.addEventListener("pointerdown", (event) => this.press(event));
    this.box.addEventListener("pointermove", (event) => this.move(event));
    this.box.addEventListener("pointerup", (event) => this.release(event));
    this.box.addEventListener("pointercancel", () => this.leave());
    this.box.addEventListener("pointerleave", () => { if (!this.dragging) this.leave(); });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("blur", () => this.leave());
  }

  // `buckets` are counts by level, one for every `bucketMs` from `since` on; undefined where nothing was.
  show(data, label) {
    if (this.dragging) return;
    this.data = data;
    this.peak = data.buckets.reduce((most, counts) => Math.max(most, sum(counts)), 0);
    setText(byId("histogram-from"), data.buckets.length ? moment(data.since) : "");
    setText(byId("histogram-to"), data.buckets.length ? moment(data.since + data.bucketMs * data.buckets.length) : "");
    this.box.setAttribute("aria-label", label);
    if (!this.picked) setText(this.words, label);
    this.label = label;
    this.draw();
  }

  drawNow() {
    const { clientWidth: width, clientHeight: height } = this.box;
    const scale = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.colours ??= readColours();
    const { buckets } = this.data;
    buckets.forEach((counts, index) => { if (counts) this.bar(pen, counts, index, width / buckets.length, height); });
  }

  bar(pen, counts, index, step, height) {
    let bottom = height;
    const left = Math.round(index * step);
    const wide = Math.max(1, Math.round((index + 1) * step) - left - GAP);
    for (const level of [...LEVELS].reverse()) {
      if (!counts[level]) continue;
      const tall = Math.max(1, (counts[level] / this.peak) * (height - 2));
      pen.fillStyle = this.colours[level];
      pen.fillRect(left, bottom - tall, wide, tall);
      bottom -= tall;
    }
  }

  indexAt(event) {
    const box = this.box.getBoundingClientRect();
    const index = Math.floor(((event.clientX - box.left) / box.width) * this.data.buckets.length);
    return Math.min(this.data.buckets.length - 1, Math.max(0, index));
  }

  press(event) {
    if (event.button !== 0 || this.data.buckets.length === 0) return;
    this.box.setPointerCapture(event.pointerId);
    this.dragging = true;
    this.pick(this.indexAt(event), this.indexAt(event));
  }

  move(event) {
    if (this.data.buckets.length === 0) return;
    const index = this.indexAt(event);
    this.pick(this.dragging ? this.picked.from : index, index);
  }

  release() {
    if (!this.dragging) return;
    this.dragging = false;
    this.take();
  }

  key(event) {
    const most = this.data.buckets.length - 1;
    if (most < 0) return;
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -most, End: most }[event.key];
    if (by !== undefined) {
      const to = Math.min(most, Math.max(0, (this.picked?.to ?? (by > 0 ? -1 : most + 1)) + by));
      this.pick(event.shiftKey && this.picked ? this.picked.from : to, to);
    } else if (event.key === "Enter" && this.picked) this.take();
    else if (event.key === "Escape" && this.picked) this.leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  pick(from, to) {
    this.picked = { from, to };
    const [first, last] = [Math.min(from, to), Math.max(from, to)];
    const part = 100 / this.data.buckets.length;
    this.range.hidden = false;
    this.range.style.left = `${first * part}%`;
    this.range.style.width = `${(last - first + 1) * part}%`;
    setText(this.words, this.describe(first, last));
  }

  describe(first, last) {
    const { since, bucketMs, buckets } = this.data;
    const total = {};
    for (const counts of buckets.slice(first, last + 1)) {
      for (const [level, n] of Object.entries(counts ?? {})) total[level] = (total[level] ?? 0) + n;
    }
    const words = LEVELS.filter((level) => total[level]).map((level) => `${level.toLowerCase()} ${count(total[level])}`);
    return `${moment(since + first * bucketMs)} to ${moment(since + (last + 1) * bucketMs)} · ${words.join(" · ") || "no records"}`;
  }

  take() {
    const { since, bucketMs } = this.data;
    const [first, last] = [Math.min(this.picked.from, this.picked.to), Math.max(this.picked.from, this.picked.to)];
    this.leave();
    this.onRange(since + first * bucketMs, since + (last + 1) * bucketMs);
  }

  leave() {
    this.dragging = false;
    this.picked = null;
    this.range.hidden = true;
    setText(this.words, this.label ?? "");
  }
}

const sum = (counts) => (counts ? Object.values(counts).reduce((all, n) => all + n, 0) : 0);

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = { OTHER: "debug" };
  return Object.fromEntries(LEVELS.map((level) =>
    [level, style.getPropertyValue(`--bar-${names[level] ?? level.toLowerCase()}`).trim()]));
}

// How many bars of how many seconds: a stream begins with short ones, and ends with ten minutes.
const WINDOWS = [[60, 1], [120, 1], [120, 2], [120, 5]];

// Counts of a stream: the records of the last ten minutes by their own time, to the second.
export class RecentCounts {
  constructor() {
    this.clear();
  }

  clear() {
    this.counts = new Map();
  }

  add(record) {
    const second = Math.floor(Date.parse(record.timestamp) / 1000);
    if (Number.isNaN(second)) return;
    let counts = this.counts.get(second);
    if (!counts) this.counts.set(second, counts = {});
    const level = levelOf(record.level);
    counts[level] = (counts[level] ?? 0) + 1;
  }

  // The shortest window that holds all there is.
  data(now = Math.floor(Date.now() / 1000)) {
    this.forget(now);
    const oldest = Math.min(now, ...this.counts.keys());
    const [most, seconds] = WINDOWS.find(([bars, wide]) => oldest > now - bars * wide) ?? WINDOWS.at(-1);
    const last = Math.floor(now / seconds);
    const first = last - most + 1;
    const buckets = new Array(most).fill(undefined);
    for (const [second, counts] of this.counts) {
      const index = Math.floor(second / seconds) - first;
      if (index >= 0 && index < most) buckets[index] = added(buckets[index], counts);
    }
    return { since: first * seconds * 1000, bucketMs: seconds * 1000, buckets };
  }

  // Records with a time that is long past or far ahead are not kept.
  forget(now) {
    for (const second of this.counts.keys()) if (second <= now - 600 || second > now + 600) this.counts.delete(second);
  }
}

function added(sums, counts) {
  const all = { ...sums };
  for (const [level, n] of Object.entries(counts)) all[level] = (all[level] ?? 0) + n;
  return all;
}
