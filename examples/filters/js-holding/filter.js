// Makes one record of the two that a request leaves: the one of its beginning is held until the one of its end comes,
// which then goes on with the time that the request took. What is held survives a crash.
//
// In the project that `weir filter new NAME --lang js` writes, put this in the place of filter.js, and
// `holds = true` into filter.toml.

import { filter, hold, now, release } from "./weir.js";

const MAX_OPEN = 1000;
const WAIT_MS = 60_000;

// By request: the id under which Weir holds the record of its beginning, and when that was, by its clock and by ours.
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

  // A request that does not end is told. When Weir stops there is nothing to do: what is held is given again.
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
