// The keys of the page. They do nothing while somebody types, a dialog is open or the login view is shown.

import { byId } from "./dom.js";
import { views } from "./views.js";

// What the help says: keys, and what they do.
export const keys = () => [
  ["/", "go to the query"],
  ["j", "k", "next line, line before"],
  ["Enter", "open the line"],
  ["Esc", "close what is open"],
  ["Space", "pause, go on"],
  ["g", "go to the newest"],
  ["n", "next line with an error"],
  ["1", String(views().length), views().map(({ title }) => title).join(", ")],
  ["?", "this help"],
];

// `act` has: query, next, before, open, close, pause, newest, nextError, help, view(name).
export function listenToKeys(act) {
  const acts = {
    "/": act.query, j: act.next, k: act.before, ArrowDown: act.next, ArrowUp: act.before, Enter: act.open,
    Escape: act.close, " ": act.pause, g: act.newest, n: act.nextError, "?": act.help,
  };
  views().forEach(({ name }, index) => { acts[index + 1] = () => act.view(name); });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (byId("page").inert || byId("dialog").open || isTyping(event.target)) return;
    if (isOwnKey(event)) return;
    // The browser closes it, unless the key is taken from it.
    if (event.key === "Escape" && document.querySelector(":popover-open")) return;
    const run = Object.hasOwn(acts, event.key) && acts[event.key];
    if (!run) return;
    event.preventDefault();
    run();
  });
}

const isTyping = (node) => node.closest?.("input, textarea, select, [contenteditable]") !== null;

// Buttons and links keep enter and space; arrows move lines only in the list.
function isOwnKey(event) {
  if (event.key === "Enter" || event.key === " ") return event.target.closest?.("button, a, summary") !== null;
  if (event.key.startsWith("Arrow")) return event.target !== byId("list") && event.target !== document.body;
  return false;
}
