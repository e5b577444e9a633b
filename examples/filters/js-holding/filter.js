// Joins the two records of a request: the first is held until the last arrives, which then goes on with the duration of
// the request. Held records survive a crash.
//
// Create a project with `weir filter new NAME --lang js`, replace its filter.js with this file, and add
// `holds = true` to filter.toml.

import { filter, hold, now, release } from "./weir.js";

const MAX_OPEN = 1000;
const WAIT_MS = 60_000;

// By request: the id of its held record, its start by the record's time, and its arrival by ours.
let open = new Map();

export const { lifecycle, holding } = filter({
  name: "requests",
  version: "1.0.0",
  description: "makes one record of the beginning and the end of a request",

  process(record, options, id) {
    const request = record.context?.request;
    const known = open.get(request);
    if (record.message === "begin" && request !== undefined && known === undefined && open.size < MAX_OPEN) {
      open.set(request, { id, began: Date.parse(record.timestamp), came: now() });
      return hold();
    }
    if (record.message === "end" && known !== undefined) {
      record.context.took_ms = Date.parse(record.timestamp) - known.began;
      open.delete(request);
      release(known.id);
    }
  },

  // Reports requests that don't end. Nothing to do when Weir stops: it gives held records again.
  tick() {
    const late = [...open].filter(([, { came }]) => now() - came >= WAIT_MS);
    return late.map(([request, { id }]) => {
      open.delete(request);
      release(id);
      return { level: "WARNING", message: "a request has not ended", context: { request } };
    });
  },

  save: () => [...open],
  restore(state) {
    open = new Map(state);
  },
});
