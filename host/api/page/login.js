// The login view, in place of the page. Its form is made for each login and taken away afterwards, so that no token
// stays in the document. What the page shows is hidden and out of reach meanwhile, but stays as it is.

import { byId, el } from "./dom.js";

let before = null;

// Shows the form. `logIn(token)` throws an error that says why a token isn't accepted.
export function askForToken(why, logIn) {
  cover();
  const token = el("input", { id: "login-token", name: "password", type: "password", autocomplete: "current-password", spellcheck: "false", autocapitalize: "off", "aria-describedby": "login-error" });
  const problem = el("p", { id: "login-error", role: "alert" });
  const submit = el("button", { type: "submit", class: "primary" }, "Log in");
  const tried = async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    problem.textContent = "";
    try {
      if (token.value.trim() === "") throw new Error("Paste or type a token.");
      await logIn(token.value.trim());
    } catch (error) {
      problem.textContent = error.message;
      token.setAttribute("aria-invalid", "true");
      token.focus();
      token.select();
    }
    submit.disabled = false;
  };
  show(
    el("h2", { id: "login-title", text: "Log in" }),
    why && el("p", { class: "dim", text: why }),
    // Never sent by the browser itself; `post` so that nothing could be in the address even then.
    el("form", { method: "post", "aria-labelledby": "login-title", onsubmit: tried },
      // Password managers keep a password under a name.
      el("input", { type: "text", name: "username", autocomplete: "username", value: "weir", hidden: true }),
      el("label", { for: "login-token", text: "Token" }), el("div", { class: "login-row" }, token, submit), problem),
    howToGetOne());
  token.focus();
}

// Shows why there is neither the page nor the form yet.
export function showWaiting(title, text) {
  cover();
  show(el("h2", { text: title }), el("p", { role: "status", text: `${text} This page tries again by itself.` }));
}

export function hideLogin() {
  byId("login").hidden = true;
  byId("login").replaceChildren();
  byId("page").inert = false;
  if (!before) return;
  document.title = before.title;
  before.focused?.focus({ preventScroll: true });
  before = null;
}

function cover() {
  if (byId("dialog").open) byId("dialog").close();
  if (!before && !byId("page").inert) before = { title: document.title, focused: document.activeElement };
  byId("page").inert = true;
  byId("login").hidden = false;
  document.title = "Log in · Weir";
}

function show(...parts) {
  byId("login").replaceChildren(el("div", { class: "login-inner" }, el("p", { class: "login-name", text: "weir" }), ...parts));
}

function howToGetOne() {
  return el("section", { class: "login-help" },
    el("p", { class: "dim", text: "No token? The operator of this router creates one with" }),
    el("p", { class: "snippet" }, el("code", { text: "weir token new NAME --role read" })),
    el("p", { class: "dim" }, "The role ", el("code", { text: "read" }), " is for watching and searching, ", el("code", { text: "admin" }), " also for changing the router."));
}
