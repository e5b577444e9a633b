// Holds the newest rows of a stream. A row is a record, or a line that says what is missing: `{kind, ...}`.

export class Ring {
  // Holds at most `size` rows, and fewer if they are large: all together have at most `space` characters.
  constructor(size, space) {
    this.size = size;
    this.space = space;
    this.clear();
  }

  clear() {
    this.rows = new Array(this.size);
    this.sizes = new Uint32Array(this.size);
    this.used = 0;
    this.dropped = 0;
    this.pushed = 0;
  }

  push(row, characters = 0) {
    if (this.length === this.size) this.drop();
    const place = this.pushed % this.size;
    this.rows[place] = row;
    this.sizes[place] = characters;
    this.used += characters;
    this.pushed += 1;
    while (this.used > this.space && this.length > 1) this.drop();
  }

  drop() {
    const place = this.dropped % this.size;
    this.rows[place] = undefined;
    this.used -= this.sizes[place];
    this.dropped += 1;
  }

  get length() {
    return this.pushed - this.dropped;
  }

  // The row at `index`, counted from the newest.
  at(index) {
    if (index < 0 || index >= this.length) return undefined;
    return this.rows[(this.pushed - 1 - index) % this.size];
  }

  // A number that stays with a row, so that its line can be moved instead of filled again.
  key(index) {
    return this.pushed - 1 - index;
  }

  // The rows as they are now, newest first, untouched by what comes later.
  snapshot() {
    return new Rows(Array.from({ length: this.length }, (_, index) => this.at(index)), this.pushed - 1);
  }
}

// Rows that stay where they are; older ones can be added at the end.
export class Rows {
  constructor(rows = [], first = Number.MAX_SAFE_INTEGER) {
    this.rows = rows;
    this.first = first;
  }

  get length() {
    return this.rows.length;
  }

  at(index) {
    return this.rows[index];
  }

  key(index) {
    return this.first - index;
  }

  add(rows) {
    for (const row of rows) this.rows.push(row);
  }
}

// Up to `most` records of `rows`, spread evenly, to compute facets from without looking at all of them.
export function sample(rows, most) {
  const step = Math.max(1, Math.ceil(rows.length / most));
  const found = [];
  for (let index = 0; index < rows.length; index += step) {
    const row = rows.at(index);
    if (!row.kind) found.push(row);
  }
  return found;
}
