// What the state of a sink, a filter or the router means to a person: a word, and how bad it is.

const LAGGING_SECONDS = 5;

// `health` is "" (well), "warning" or "error"; `word` is always shown, so that colour is never alone.
export function ofSink(sink) {
  if (sink.state === "failed") return { word: "failed", health: "error" };
  if (sink.state === "retrying") return { word: "failing, retrying", health: "error" };
  if (sink.state === "stopped") return { word: "stopped", health: "warning" };
  if (sink.lag_seconds >= LAGGING_SECONDS && sink.lag_records > 0) return { word: "lagging", health: "warning" };
  return { word: sink.state, health: "" };
}

// A protocol has no state: it waits for senders.
export function ofSource(source) {
  if (source.state === "failed") return { word: "failed, retrying", health: "error", reason: source.error };
  return { word: source.state ?? "", health: "", reason: null };
}

// A filter's state begins with its word: `failing, 3 batches in a row: …`.
export function ofFilter(filter) {
  if (filter.state === "ok") return { word: "ok", health: "", reason: null };
  const [word] = filter.state.split(/[,:]/);
  return { word, health: "error", reason: filter.state };
}

export const ofRouter = (status) => ({ ok: "", degraded: "warning" }[status] ?? "error");
