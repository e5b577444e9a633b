// Reads the query language as far as the page needs it: to colour a query, to find the words to highlight, and to add
// or take away a comparison. Whether a query is right, only the router says.

const OPERATOR = /^(?:!=|!~|>=|<=|[:=~<>])/;
const SPACE = /\s/;

// The parts of a query, in order and without gaps: `{kind, text, start}`, and `field`, `op`, `value`, `not` for a
// comparison. Kinds: space, paren, keyword, not, word, phrase, comparison.
export function parse(query) {
  const parts = [];
  let at = 0;
  while (at < query.length) {
    const part = next(query, at);
    part.start = at;
    part.text = query.slice(at, at + part.length);
    at += part.length;
    parts.push(part);
  }
  let not = false;
  for (const part of parts) {
    if (part.kind === "space") continue;
    part.not = not;
    not = part.kind === "not" ? !not : false;
  }
  return parts;
}

function next(query, at) {
  const char = query[at];
  if (SPACE.test(char)) return { kind: "space", length: query.slice(at).match(/^\s+/)[0].length };
  if (char === "(" || char === ")") return { kind: "paren", length: 1 };
  if (char === "-" && at + 1 < query.length && !SPACE.test(query[at + 1])) return { kind: "not", length: 1 };
  if (char === '"') return { kind: "phrase", length: quotedLength(query, at) };
  const rest = query.slice(at);
  const keyword = rest.match(/^(AND|OR|NOT)(?=[\s()]|$)/);
  if (keyword) return { kind: keyword[1] === "NOT" ? "not" : "keyword", length: keyword[1].length };
  const field = rest.match(/^(?:\\.|[^\s()"\\:=~<>!])+|^\*/)?.[0] ?? "";
  const op = rest.slice(field.length).match(OPERATOR)?.[0];
  if (field && op) return comparison(query, at, field, op);
  return { kind: "word", length: Math.max(1, rest.match(/^[^\s()]*/)[0].length) };
}

function comparison(query, at, field, op) {
  const from = at + field.length + op.length;
  const length = query[from] === '"' ? quotedLength(query, from) : query.slice(from).match(/^[^\s()]*/)[0].length;
  return { kind: "comparison", field, op, value: query.slice(from, from + length), length: from - at + length };
}

function quotedLength(query, at) {
  for (let end = at + 1; end < query.length; end += 1) {
    if (query[end] === "\\") end += 1;
    else if (query[end] === '"') return end + 1 - at;
  }
  return query.length - at;
}

export const unquote = (text) =>
  text.startsWith('"') ? text.slice(1).replace(/"$/, "").replace(/\\(["\\])/g, "$1") : text;

export function quote(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (/^[\p{L}\p{N}_./@+][\p{L}\p{N}_./@+:#%,;-]*$/u.test(text) && !/^(AND|OR|NOT)$/.test(text)) return text;
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

// A path of names as the query language writes it.
export const pathOf = (names) => names.map((name) => name.replace(/[.\s\\:=~<>!()"*]/g, "\\$&")).join(".");

// What is to be highlighted in messages: an expression that finds the words and phrases the query asks for.
export function highlighter(query) {
  const found = [];
  for (const part of parse(query)) {
    if (part.not) continue;
    if (part.kind === "phrase") found.push(escape(unquote(part.text)));
    if (part.kind === "word") found.push(wordPattern(part.text));
    if (part.kind === "comparison" && part.op === ":" && (part.field === "message" || part.field === "*"))
      found.push(part.value.startsWith('"') ? escape(unquote(part.value)) : wordPattern(part.value));
  }
  const patterns = found.filter((pattern) => pattern.length > 0);
  return patterns.length ? new RegExp(`(?:${patterns.join("|")})`, "giu") : null;
}

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

function wordPattern(word) {
  const core = word.replace(/^\*+|\*+$/g, "");
  if (!core) return "";
  const inner = core.split("*").map(escape).join("[\\p{L}\\p{N}_]*");
  const before = word.startsWith("*") ? "[\\p{L}\\p{N}_]*" : "(?<![\\p{L}\\p{N}_])";
  const after = word.endsWith("*") ? "[\\p{L}\\p{N}_]*" : "(?![\\p{L}\\p{N}_])";
  return before + inner + after;
}

// The query with `field op value` added, or `-field op value`. The same comparison is taken away instead; its opposite,
// and the same with another value, are replaced.
export function withComparison(query, field, value, { not = false, op } = {}) {
  const operator = op ?? (field === "level" || field === "source" ? ":" : "=");
  const term = `${field}${operator}${quote(value)}`;
  const parts = parse(query);
  const same = parts.findIndex((part) => part.kind === "comparison" && part.text.toLowerCase() === term.toLowerCase());
  const wasNot = same >= 0 && parts[same].not;
  const rest = same >= 0 ? without(parts, same) : query.trim();
  if (same >= 0 && Boolean(wasNot) === not) return rest;
  return join(not ? rest : withoutOthers(rest, field, operator), (not ? "-" : "") + term);
}

function withoutOthers(query, field, op) {
  const parts = parse(query);
  const index = parts.findIndex((part) => part.kind === "comparison" && part.field === field && part.op === op && !part.not);
  return index < 0 || query.includes("(") ? query : without(parts, index);
}

// The query without any comparison of `fields`, followed by `terms`.
export function replaceFields(query, fields, terms) {
  let rest = query;
  for (;;) {
    const parts = parse(rest);
    const index = parts.findIndex((part) => part.kind === "comparison" && fields.includes(part.field));
    if (index < 0) break;
    rest = without(parts, index);
  }
  return terms.reduce(join, rest.trim());
}

// The query, for the time between two moments.
export const inRange = (query, from, until) => replaceFields(query, ["since", "until"],
  [`since:${new Date(from).toISOString()}`, `until:${new Date(until).toISOString()}`]);

function without(parts, index) {
  let from = index;
  if (parts[from - 1]?.kind === "not") from -= 1;
  else if (parts[from - 1]?.kind === "space" && parts[from - 2]?.kind === "not") from -= 2;
  const kept = [...parts.slice(0, from), ...parts.slice(index + 1)];
  return kept.map((part) => part.text).join("").replace(/\s+/g, " ").replace(/^\s*(AND|OR)\s+|\s+(AND|OR)\s*$/g, "").trim();
}

function join(query, term) {
  if (!query) return term;
  const either = parse(query).some((part) => part.kind === "keyword" && part.text === "OR");
  return either && !wrapped(query) ? `(${query}) ${term}` : `${query} ${term}`;
}

// Whether every OR stands inside parentheses.
function wrapped(query) {
  let depth = 0;
  for (const part of parse(query)) {
    if (part.text === "(") depth += 1;
    if (part.text === ")") depth -= 1;
    if (depth === 0 && part.text === "OR") return false;
  }
  return true;
}

// Whether the query asks for this value, or for anything but it: "yes", "no" or "".
export function asksFor(parts, field, value) {
  const term = `${field}${field === "level" || field === "source" ? ":" : "="}${quote(value)}`.toLowerCase();
  const found = parts.find((part) => part.kind === "comparison" && part.text.toLowerCase() === term);
  return found ? (found.not ? "no" : "yes") : "";
}
