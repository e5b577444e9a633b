// What a filter may read, write and import, as a person reads it; what is new against another version is marked.

import { el } from "./dom.js";
import { visible } from "./format.js";

// `rights` is a list of fields; null means every field, and an empty list none.
export function rightsList(rights, before) {
  if (rights === null) return el("span", {}, before !== undefined && before !== null ? fresh("every field") : "every field");
  if (rights.length === 0) return el("span", { class: "dim", text: "nothing" });
  return items(rights, before === undefined || before === null ? undefined : before);
}

export function importsList(imports, before) {
  if (imports.length === 0) return el("span", { class: "dim", text: "nothing" });
  return items(imports, before);
}

const items = (names, before) => el("ul", { class: "rights" }, ...names.map((name) =>
  el("li", {}, before && !before.includes(name) ? fresh(name) : visible(name))));

const fresh = (name) => el("mark", { class: "new-right" }, `${visible(name)} `, el("strong", { text: "new" }));

// Whether `now` allows something that `before` doesn't.
export function allowsMore(now, before) {
  if (before === null) return false;
  return now === null || now.some((name) => !before.includes(name));
}
