// The list of records: only the lines in sight exist. While it follows a ring, it shows the newest; as soon as the
// reader scrolls, moves or presses somewhere, it stands still, and only the reader makes it go on.

import { byId, oncePerFrame, setText } from "./dom.js";
import { count } from "./format.js";
import { fillLine, makeLine } from "./line.js";
import { Rows } from "./ring.js";

const HEIGHT = 20;
const BEYOND = 6;

export class List {
  // `on` has: open(record), nearEnd(), moved(), goOn().
  constructor(on) {
    this.on = on;
    this.box = byId("list");
    this.space = byId("list-rows");
    this.pill = byId("new-pill");
    this.lines = [];
    this.ring = null;
    this.rows = new Rows();
    this.cursor = -1;
    this.look = { columns: [], hidden: new Map(), marks: null };
    this.draw = oncePerFrame(() => this.drawNow());
    this.listen();
  }

  listen() {
    this.box.addEventListener("scroll", () => {
      if (this.box.scrollTop > 0) this.stand();
      else if (this.ring && this.rows !== this.ring && this.cursor < 0 && this.newer() === 0) this.on.goOn();
      this.draw();
    }, { passive: true });
    this.box.addEventListener("pointerdown", () => this.stand());
    this.box.addEventListener("click", (event) => this.clicked(event));
    this.pill.addEventListener("click", () => { this.on.goOn(); this.box.focus(); });
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  clicked(event) {
    if (String(getSelection()).length > 0) return;
    const line = this.lines.find(({ node }) => node.contains(event.target));
    if (line && line.index >= 0) this.moveTo(line.index, true);
  }

  // Follows a ring: shows its newest rows as they come.
  follow(ring) {
    this.ring = ring;
    this.goOn();
  }

  // Shows rows that don't move.
  show(rows) {
    this.ring = null;
    this.rows = rows;
    this.cursor = -1;
    this.box.scrollTop = 0;
    this.draw();
  }

  stand() {
    if (!this.ring || this.rows !== this.ring) return;
    this.stoodAt = this.ring.pushed;
    this.rows = this.ring.snapshot();
    this.on.moved();
    this.draw();
  }

  goOn() {
    if (!this.ring) return;
    this.rows = this.ring;
    this.cursor = -1;
    this.box.scrollTop = 0;
    this.on.moved();
    this.draw();
  }

  get following() {
    return this.ring !== null && this.rows === this.ring;
  }

  // How many rows came since the list stands still.
  newer() {
    return this.ring && !this.following ? this.ring.pushed - this.stoodAt : 0;
  }

  setLook(changes) {
    this.look = { ...this.look, ...changes };
    this.draw();
  }

  // The records in sight and a few around them.
  inSight() {
    return this.lines.map(({ row }) => row).filter((row) => row && !row.kind);
  }

  current() {
    const row = this.rows.at(this.cursor);
    return row && !row.kind ? row : null;
  }

  step(by, open) {
    this.stand();
    const from = this.cursor < 0 ? (by > 0 ? -1 : 0) : this.cursor;
    let index = Math.min(this.rows.length - 1, Math.max(0, from + by));
    while (this.rows.at(index)?.kind && this.rows.at(index + Math.sign(by))) index += Math.sign(by);
    this.moveTo(index, open);
  }

  moveTo(index, open) {
    if (index < 0 || index >= this.rows.length) return;
    this.cursor = index;
    this.reveal(index);
    this.draw();
    const record = this.current();
    if (open && record) this.on.open(record);
  }

  countRows(test) {
    let found = 0;
    for (let index = 0; index < this.rows.length; index += 1) if (test(this.rows.at(index))) found += 1;
    return found;
  }

  // Moves to a record that is held, if it is.
  moveToRow(test) {
    for (let index = 0; index < this.rows.length; index += 1) {
      if (!test(this.rows.at(index))) continue;
      this.stand();
      this.cursor = index;
      this.reveal(index, true);
      this.draw();
      return this.current();
    }
    return null;
  }

  reveal(index, middle = false) {
    this.setHeight(this.rows.length * HEIGHT);
    const top = index * HEIGHT;
    const height = this.box.clientHeight;
    if (middle) this.box.scrollTop = top - height / 2;
    else if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + HEIGHT > this.box.scrollTop + height) this.box.scrollTop = top + HEIGHT - height;
  }

  noCursor() {
    this.cursor = -1;
    this.draw();
  }

  drawNow() {
    const height = this.box.clientHeight;
    const rows = this.rows;
    const total = rows.length;
    this.setHeight(total * HEIGHT);
    const first = Math.max(0, Math.floor(this.box.scrollTop / HEIGHT) - BEYOND);
    const last = Math.min(total, first + Math.ceil(height / HEIGHT) + 2 * BEYOND);
    this.provide(Math.ceil(height / HEIGHT) + 2 * BEYOND);
    const used = new Set();
    for (let index = first; index < last; index += 1) used.add(this.place(index));
    for (const line of this.lines) if (!used.has(line)) this.hide(line);
    this.drawPill();
    this.sayCursor();
    if (last >= total - 30) this.on.nearEnd();
  }

  setHeight(height) {
    if (this.height === height) return;
    this.height = height;
    this.space.style.height = `${height}px`;
  }

  provide(most) {
    while (this.lines.length < most) {
      const line = makeLine();
      line.node.id = `line-${this.lines.length}`;
      line.index = -1;
      line.node.hidden = true;
      this.lines.push(line);
      this.space.append(line.node);
    }
  }

  place(index) {
    const key = this.rows.key(index);
    const line = this.lines[key % this.lines.length];
    if (line.index < 0) line.node.hidden = false;
    if (line.index !== index) {
      line.index = index;
      line.node.style.transform = `translateY(${index * HEIGHT}px)`;
    }
    fillLine(line, this.rows.at(index), this.look);
    const selected = index === this.cursor;
    if (line.selected !== selected) {
      line.selected = selected;
      line.node.setAttribute("aria-selected", String(selected));
    }
    return line;
  }

  hide(line) {
    if (line.index < 0) return;
    line.index = -1;
    line.row = null;
    line.node.hidden = true;
  }

  sayCursor() {
    const line = this.cursor >= 0 && this.lines.find(({ index }) => index === this.cursor);
    if (line) this.box.setAttribute("aria-activedescendant", line.node.id);
    else this.box.removeAttribute("aria-activedescendant");
  }

  drawPill() {
    const newer = this.newer();
    this.pill.hidden = newer === 0;
    if (newer > 0) setText(this.pill, `↑ ${count(newer)} new`);
  }
}
