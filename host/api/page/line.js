// One line of the list: made once, then filled again and again with other rows.

import { el, setText } from "./dom.js";
import { asText, clock, cut, levelOf, plural, shortLevel, visible } from "./format.js";
import { flat, shortPath } from "./fields.js";

const LONGEST_MESSAGE = 500;
const LONGEST_VALUE = 80;
const MOST_FIELDS = 12;

export function makeLine() {
  const time = el("span", { class: "time" });
  const level = el("span", { class: "level" });
  const source = el("span", { class: "source" });
  const text = el("span", { class: "text" });
  const node = el("div", { class: "line", role: "option", "aria-selected": "false" }, time, level, source, text);
  return { node, time, level, source, text, row: null, look: null, columns: [] };
}

// `look` says how lines look now: `{columns, hidden, marks}`; a new object whenever it changes.
export function fillLine(line, row, look) {
  if (line.row === row && line.look === look) return;
  line.row = row;
  line.look = look;
  if (row.kind) fillNotice(line, row);
  else fillRecord(line, row, look);
}

function fillNotice(line, row) {
  line.node.className = `line notice ${row.kind}`;
  for (const part of [line.time, line.level, line.source]) setText(part, "");
  dropColumns(line);
  line.text.textContent = noticeText(row);
}

export function noticeText(row) {
  if (row.kind === "gap") return `${plural(row.missed, "matching record")} missed here while this page was slow`;
  if (row.kind === "skipped") return `The router could not read ${plural(row.records, "record")} here; some may match`;
  if (row.kind === "restart") return "The router was restarted here";
  return `The router no longer has what followed record ${visible(row.after)}; records may be missing here`;
}

function fillRecord(line, record, look) {
  const level = levelOf(record.level);
  line.node.className = "line";
  line.level.className = `level level-${level}`;
  line.time.textContent = clock(record.timestamp);
  line.level.textContent = shortLevel(record.level);
  line.source.textContent = visible(cut(asText(record.source), LONGEST_VALUE));
  const fields = flat(record);
  fillColumns(line, fields, look.columns);
  line.text.replaceChildren(...marked(messageOf(record), look.marks), restOf(fields, look));
}

const messageOf = (record) => visible(cut(asText(record.message ?? ""), LONGEST_MESSAGE));

// What a record says about itself comes before where it belongs: ids and stack traces are long and seldom read here.
const rank = (path) => (path.startsWith("exception") ? 2 : path.startsWith("context.") ? 1 : 0);
const inOrder = (fields) => [...fields].sort(([some], [other]) => rank(some) - rank(other));

function restOf(fields, look) {
  let text = "";
  let shown = 0;
  for (const [path, value] of inOrder(fields)) {
    if (look.columns.includes(path)) continue;
    if (look.hidden.has(path) && look.hidden.get(path) === (typeof value === "object" ? JSON.stringify(value) : value)) continue;
    if (shown === MOST_FIELDS) { text += " …"; break; }
    text += ` ${visible(shortPath(path))}=${visible(cut(asText(value), LONGEST_VALUE))}`;
    shown += 1;
  }
  return el("span", { class: "rest", text });
}

function dropColumns(line) {
  for (const cell of line.columns) cell.remove();
  line.columns = [];
}

function fillColumns(line, fields, columns) {
  if (line.columns.length !== columns.length) {
    dropColumns(line);
    line.columns = columns.map(() => el("span", { class: "column" }));
    line.text.before(...line.columns);
  }
  columns.forEach((path, index) => {
    const found = fields.find(([name]) => name === path);
    line.columns[index].textContent = found ? visible(cut(asText(found[1]), LONGEST_VALUE)) : "";
  });
}

// The text with what the query asks for in it marked; pieces are nodes or strings.
export function marked(text, marks) {
  if (!marks) return [text];
  const pieces = [];
  let from = 0;
  marks.lastIndex = 0;
  for (const match of text.matchAll(marks)) {
    if (match[0].length === 0) continue;
    if (match.index > from) pieces.push(text.slice(from, match.index));
    pieces.push(el("mark", { text: match[0] }));
    from = match.index + match[0].length;
  }
  if (from < text.length) pieces.push(text.slice(from));
  return pieces;
}
