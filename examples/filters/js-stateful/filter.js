// Numbers the records of each source without gaps, even when a new version replaces it in a running router.
//
// Create a project with `weir filter new NAME --lang js`, replace its filter.js with this file, and add
// `stateful = true` to filter.toml.

import { filter } from "./weir.js";

let numbers = new Map();

export const { lifecycle, packed, packedState } = filter({
  name: "numbers",
  version: "1.0.0",
  description: "numbers the records of each source",

  process(record) {
    record.number = (numbers.get(record.source) ?? 0) + 1;
    numbers.set(record.source, record.number);
  },

  // Called about once a second, and a last time when Weir stops or the filter is removed.
  tick(closing) {
    return closing ? [{ message: "numbered", numbers: Object.fromEntries(numbers) }] : [];
  },

  // Returns the state for the next version: anything that JSON can represent.
  save: () => [...numbers],
  restore(state) {
    numbers = new Map(state);
  },
});
