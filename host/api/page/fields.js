// The fields of records: as flat paths, how often each value occurs, and which are the same on every line.

import { LEVELS, levelOf } from "./format.js";
import { pathOf } from "./query-syntax.js";

const OWN = new Set(["entry_id", "session_id", "timestamp", "level", "source", "message", "service_name", "service", "content"]);
const ALIASES = { service_name: "source", service: "source", content: "message" };
const MOST_DISTINCT = 50;
const DEEPEST = 6;

// The fields of a record apart from those that every line shows: `[[path, value], …]`, values that are no objects.
export function flat(record) {
  const found = [];
  for (const [name, value] of Object.entries(record)) {
    if (!isOwn(record, name)) walk([name], value, found);
  }
  return found;
}

// The names that other log services use are fields of their own only if they say something else.
export function isOwn(record, name) {
  if (!OWN.has(name)) return false;
  return !(name in ALIASES) || record[name] === record[ALIASES[name]];
}

function walk(names, value, found) {
  if (value === null || value === undefined) return;
  if (typeof value === "object" && !Array.isArray(value) && names.length < DEEPEST) {
    for (const [name, inner] of Object.entries(value)) walk([...names, name], inner, found);
    return;
  }
  if (Array.isArray(value) && value.length === 0) return;
  found.push([pathOf(names), value]);
}

// The part of a path that a line shows: context and metadata go without saying.
export const shortPath = (path) => path.replace(/^(?:context|metadata)\./, "");

export class FieldCounts {
  constructor(records) {
    this.records = records.length;
    this.fields = new Map();
    for (const record of records) for (const [path, value] of flat(record)) this.count(path, value);
  }

  count(path, value) {
    let field = this.fields.get(path);
    if (!field) this.fields.set(path, field = { records: 0, values: new Map() });
    field.records += 1;
    if (typeof value === "object") field.lists = true;
    const key = typeof value === "object" ? JSON.stringify(value) : value;
    if (field.values.size < MOST_DISTINCT || field.values.has(key)) field.values.set(key, (field.values.get(key) ?? 0) + 1);
  }

  // Fields with few different values that many records have: worth a list at the left.
  facets(most = 5) {
    const found = [];
    for (const [path, { records, values, lists }] of this.fields) {
      if (lists) continue;
      const distinct = values.size;
      if (distinct < 2 || distinct > 12 || records < this.records / 10 || records < distinct * 3) continue;
      if ([...values.keys()].some((value) => String(value).length > 48)) continue;
      found.push({ field: path, values: mostFrequent(values), records });
    }
    return found.sort((some, other) => other.records - some.records).slice(0, most);
  }

  // Fields that every record has, with one value: path → value.
  sameOnAll() {
    const same = new Map();
    if (this.records < 8) return same;
    for (const [path, { records, values }] of this.fields) {
      if (records === this.records && values.size === 1) same.set(path, values.keys().next().value);
    }
    return same;
  }

  names() {
    return [...this.fields.keys()].sort();
  }

  valuesOf(path) {
    return mostFrequent(this.fields.get(path)?.values ?? new Map());
  }
}

// How often each value of a field that every line shows occurs, such as of `level`.
export function valuesOfOwn(records, field) {
  const values = new Map();
  for (const record of records) if (record[field] !== undefined) values.set(record[field], (values.get(record[field]) ?? 0) + 1);
  const found = mostFrequent(values);
  return { field, values: field === "level" ? bySeverity(found) : found };
}

export const bySeverity = (values) =>
  [...values].sort((some, other) => LEVELS.indexOf(levelOf(some.value)) - LEVELS.indexOf(levelOf(other.value)));

const mostFrequent = (values) =>
  [...values].map(([value, count]) => ({ value, count })).sort((some, other) => other.count - some.count);
