// Masks e-mail addresses in `context`, drops DEBUG, counts what it masked.

import { counter, drop, filter } from "./weir.js";

export const { lifecycle, packed } = filter({
  name: "my-filter",
  version: "0.1.0",
  description: "masks e-mail addresses, drops DEBUG",
  // The options, with their defaults.
  options: { mask: "********" },

  process(record, options) {
    if (record.level === "DEBUG") {
      return drop;
    }
    if (record.context?.email !== undefined) {
      record.context.email = options.mask;
      counter("masked");
    }
  },
});
