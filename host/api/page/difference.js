// The records that the two versions treat differently: the running version's output beside the new one's, field by field.

import { el } from "./dom.js";
import { asText, count, cut, visible } from "./format.js";
import { pathOf } from "./query-syntax.js";

const LONGEST_VALUE = 600;
const LONGEST_TITLE = 140;
const DEEPEST = 8;

export function differenceList({ records, same, failed, differences }) {
  if (records === 0) return null;
  if (differences.length === 0) return el("p", { class: "dim no-differences", text: failed > 0 ? "" : "No record differs." });
  const all = records - same;
  const title = differences.length < all ? `The first ${count(differences.length)} of ${count(all)} records that differ`
    : `${count(all)} ${all === 1 ? "record that differs" : "records that differ"}`;
  return el("section", {}, el("h3", { text: title }), el("ol", { class: "differences" }, ...differences.map(difference)));
}

function difference({ running, new: fresh }) {
  const [one, other] = [running.records ?? [], fresh.records ?? []];
  const known = one[0] ?? other[0];
  const item = el("li", {}, el("div", { class: "difference-head" },
    el("span", { class: "difference-title", text: known ? visible(cut(asText(known.message ?? ""), LONGEST_TITLE)) : "A record" }),
    known && el("span", { class: "dim", text: visible(asText(known.source)) })));
  const words = [said("running", running), said("new", fresh)].filter(Boolean);
  if (words.length > 0) item.append(el("p", { class: "difference-words" }, ...words));
  for (let index = 0; index < Math.max(one.length, other.length); index += 1) {
    item.append(table(one[index], other[index], index, Math.max(one.length, other.length),
      [missing(running), missing(fresh)]));
  }
  return item;
}

// What a version did other than putting out one record.
function said(name, { records, failed }) {
  const who = name === "running" ? "The running version" : "The new version";
  if (failed !== null && failed !== undefined) return el("span", { "data-health": "error", text: `${who} failed: ${visible(failed)} ` });
  if ((records ?? []).length === 0) return el("span", { text: `${who} dropped this record. ` });
  if (records.length > 1) return el("span", { text: `${who} made ${count(records.length)} records of it. ` });
  return null;
}

// What stands in the place of a record that a version didn't put out.
function missing({ records, failed }) {
  if (failed !== null && failed !== undefined) return "failed";
  return (records ?? []).length === 0 ? "dropped" : "no such record";
}

function table(one, other, index, all, words) {
  const rows = compare(one ?? {}, other ?? {});
  const differing = one && other ? rows.filter(({ kind }) => kind !== "same") : rows;
  const same = rows.length - differing.length;
  const caption = all > 1 ? `Record ${index + 1} of ${all}` : "Fields that differ";
  return el("table", { class: "difference" }, el("caption", { class: all > 1 ? "dim" : "unseen", text: caption }),
    el("thead", {}, el("tr", {}, ...["field", "running", "new"].map((text) => el("th", { scope: "col", text })))),
    el("tbody", {}, ...differing.map((row, at) => rowOf(row, one, other, at === 0 ? words : ["", ""])),
      same > 0 && el("tr", { class: "difference-same" }, el("td", { colSpan: 3, text: `${count(same)} ${same === 1 ? "field is" : "fields are"} the same` }))));
}

function rowOf({ path, kind, before, after }, one, other, words) {
  const both = one && other;
  const [left, right] = kind === "changed" ? parted(before, after) : [before, after];
  return el("tr", { class: both ? kind : "" },
    el("th", { scope: "row" }, visible(cut(path, 80)), both && el("span", { class: "difference-kind", text: ` ${kind}` })),
    cell(left, kind === "removed" && both, one ? "not there" : words[0]), cell(right, kind === "added" && both, other ? "not there" : words[1]));
}

// `value` is text, or pieces of it with what differs marked; `otherwise` is what is said where the field isn't there.
function cell(value, isWhole, otherwise) {
  if (value === undefined) return el("td", { class: "dim", text: otherwise });
  if (typeof value !== "string") return el("td", {}, ...value);
  const text = visible(cut(value, LONGEST_VALUE));
  return el("td", {}, isWhole ? el("mark", { text }) : text);
}

// Two texts with the part between their common beginning and end marked.
function parted(before, after) {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < most - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const pieces = (text) => {
    const part = text.slice(start, text.length - end);
    const [head, tail] = [text.slice(0, start), text.slice(text.length - end)];
    return [visible(head.length > 200 ? `…${head.slice(-200)}` : head), part && el("mark", { text: visible(cut(part, LONGEST_VALUE)) }), visible(cut(tail, 200))].filter(Boolean);
  };
  return [pieces(before), pieces(after)];
}

// Every field of one of the two records: `{path, kind, before, after}`, kind being same, changed, added or removed.
export function compare(one, other) {
  const [before, after] = [flat(one), flat(other)];
  return [...new Set([...before.keys(), ...after.keys()])].map((path) => {
    const [left, right] = [before.get(path), after.get(path)];
    const kind = left === undefined ? "added" : right === undefined ? "removed" : left === right ? "same" : "changed";
    return { path, kind, before: left, after: right };
  });
}

function flat(record) {
  const found = new Map();
  const walk = (names, value) => {
    const nested = value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 0;
    if (!nested || names.length >= DEEPEST) return found.set(pathOf(names), asText(value));
    for (const [name, inner] of Object.entries(value)) walk([...names, name], inner);
  };
  for (const [name, value] of Object.entries(record)) if (value !== null && name !== "entry_id") walk([name], value);
  return found;
}
