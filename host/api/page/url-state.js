// What the address of the page says: view, query, columns, what is open, and what Search and Quarantine show.

import { views } from "./views.js";

const EMPTY = { view: "live", q: "", cols: [], open: "", around: "", sink: "", from: "" };

export const state = { ...EMPTY };

export function readUrl() {
  const params = new URLSearchParams(location.search);
  const view = params.get("view");
  state.view = views().some(({ name }) => name === view) ? view : "live";
  state.q = params.get("q") ?? "";
  state.cols = (params.get("cols") ?? "").split(",").filter(Boolean);
  state.open = params.get("open") ?? "";
  state.around = params.get("around") ?? "";
  state.sink = params.get("sink") ?? "";
  state.from = params.get("from") ?? "";
}

// The address for the state with `changes`.
export function urlOf(changes = {}) {
  const next = { ...state, ...changes };
  const params = new URLSearchParams();
  if (next.view !== "live") params.set("view", next.view);
  if (next.q) params.set("q", next.q);
  if (next.cols.length) params.set("cols", next.cols.join(","));
  if (next.open) params.set("open", next.open);
  if (next.around) params.set("around", next.around);
  if (next.sink) params.set("sink", next.sink);
  if (next.from) params.set("from", next.from);
  const text = params.toString();
  return text ? `?${text}` : location.pathname;
}

// Changes the state and the address. Only what is worth going back to becomes a step of the history.
export function setState(changes, { step = false } = {}) {
  const url = urlOf(changes);
  Object.assign(state, changes);
  history[step ? "pushState" : "replaceState"](null, "", url);
}
