// Numbers the records of each source, without a gap, also when a new version of it takes over in a running router.
//
// In the project that `weir filter new NAME --lang js` writes, put this in the place of filter.js, and
// `stateful = true` into filter.toml.

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

  // About once a second, and for the last time when Weir stops or the filter is taken out.
  tick(closing) {
    return closing ? [{ message: "numbered", numbers: Object.fromEntries(numbers) }] : [];
  },

  // What the version that replaces this one is given: anything that JSON can hold.
  save: () => [...numbers],
  restore(state) {
    numbers = new Map(state);
  },
});
