// What stands in place of the list when it has nothing to show: how to begin, that nothing matches, or what is wrong.

import { button, byId, copy, el } from "./dom.js";
import { needsToken } from "./session.js";

let shown = "";

export function hideNotice() {
  shown = "";
  byId("notice").hidden = true;
}

// `parts` are nodes; `key` tells whether the same is shown already, so that it can be selected and copied in peace.
function show(key, parts) {
  if (shown === key) return;
  shown = key;
  const node = byId("notice");
  node.replaceChildren(el("div", { class: "notice-inner" }, ...parts));
  node.hidden = false;
}

export function showText(title, text, action) {
  show(`${title}\n${text}`, [
    el("h2", { text: title }), el("p", { text }),
    action && el("p", {}, button(action.label, action.run)),
  ]);
}

// Nothing has arrived yet: the two shortest ways to send a record.
export function showFirstSteps() {
  const [option, argument] = needsToken() ? [' -H "authorization: Bearer $TOKEN"', ', headers={"authorization": f"Bearer {token}"}'] : ["", ""];
  const curl = `curl ${location.origin}/ingest${option} --json '{"source":"shop","message":"hello"}'`;
  const python = `requests.post("${location.origin}/ingest", json={"source": "shop", "message": "hello"}${argument})`;
  show("first steps", [
    el("h2", { text: "Waiting for the first record" }),
    el("p", { text: "Whatever is sent to this router appears here as it arrives. From a shell:" }), snippet(curl, "the shell command"),
    el("p", { text: "From Python, with the package requests:" }), snippet(python, "the Python line"),
    needsToken() && el("p", { class: "dim" }, "The token is one that ", el("code", { text: "weir token new NAME --role ingest" }), " made."),
    el("p", { class: "dim" }, "Then narrow it down in the line above: ", el("code", { text: "level>=WARN" }), ", ",
      el("code", { text: "source:shop" }), ", ", el("code", { text: '"connection reset"' }), "."),
  ]);
}

function snippet(text, name) {
  return el("div", { class: "snippet" }, el("code", { text }),
    button("Copy", () => copy(text), { "aria-label": `Copy ${name}` }));
}
