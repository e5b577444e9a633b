// Holds the newest rows of a stream. A row is a record, or a line that says what is missing: `{kind, ...}`.

export class Ring {
  constructor(size) {
    this.size = size;
    this.clear();
  }

  clear() {
    this.rows = new Array(this.size);
    this.pushed = 0;
  }

  push(row) {
    this.rows[this.pushed % this.size] = row;
    this.pushed += 1;
  }

  get length() {
    return Math.min(this.pushed, this.size);
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

  indexOf(row) {
    return this.rows.indexOf(row);
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
