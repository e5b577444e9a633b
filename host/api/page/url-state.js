// What the address of the page says: view, query, columns, open record, and what Search shows.

const EMPTY = { view: "live", q: "", cols: [], open: "", around: "", sink: "" };

export const state = { ...EMPTY };

export function readUrl() {
  const params = new URLSearchParams(location.search);
  state.view = params.get("view") === "search" ? "search" : "live";
  state.q = params.get("q") ?? "";
  state.cols = (params.get("cols") ?? "").split(",").filter(Boolean);
  state.open = params.get("open") ?? "";
  state.around = params.get("around") ?? "";
  state.sink = params.get("sink") ?? "";
}

// The address for the state with `changes`.
export function urlOf(changes = {}) {
  const next = { ...state, ...changes };
  const params = new URLSearchParams();
  if (next.view === "search") params.set("view", "search");
  if (next.q) params.set("q", next.q);
  if (next.cols.length) params.set("cols", next.cols.join(","));
  if (next.open) params.set("open", next.open);
  if (next.around) params.set("around", next.around);
  if (next.sink) params.set("sink", next.sink);
  const text = params.toString();
  return text ? `?${text}` : location.pathname;
}

// Changes the state and the address. Only what is worth going back to becomes a step of the history.
export function setState(changes, { step = false } = {}) {
  const url = urlOf(changes);
  Object.assign(state, changes);
  history[step ? "pushState" : "replaceState"](null, "", url);
}
