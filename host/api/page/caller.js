// At the right of the header, if the router asks for tokens: who is logged in, what that permits, and the way out.

import { button, byId, el, toast } from "./dom.js";
import { explain } from "./api.js";
import { Facts } from "./facts.js";
import { limits, logOut, needsToken, session } from "./session.js";
import { visible } from "./format.js";

const PERMITS = { read: "watching and searching", admin: "everything" };

export function showCaller() {
  if (!needsToken()) return;
  const { name, role } = session();
  const facts = [["token", name], ["role", `${role}: ${PERMITS[role]}`], ...(limits() ?? []).map(([what, values]) => [what, `only ${values.join(", ")}`])];
  const list = new Facts();
  list.show(facts);
  byId("caller").replaceChildren(
    el("button", { type: "button", class: "plain", id: "caller-name", popovertarget: "caller-facts", title: facts.map((fact) => visible(fact.join(": "))).join("\n") }, visible(name)),
    logOutButton(),
    el("div", { id: "caller-facts", popover: "auto", role: "dialog", "aria-label": "Who is logged in" }, list.node,
      // On a phone, the header has no room for these.
      el("div", { class: "caller-acts" }, logOutButton(), button("Switch the theme", () => byId("theme-switch").click(), { class: "plain" }))));
  byId("caller").hidden = false;
}

const logOutButton = () => button("Log out", async () => {
  try {
    await logOut();
  } catch (error) {
    toast(explain(error)[0]);
  }
}, { class: "plain log-out" });
