// Holds the sum of the numbers so far in place of each record, and says that it counted; "show" sends the sum on.

import { filter, hold, holdAnother, release } from "./weir.js";

let sum = 0, last = 0;

export const { lifecycle, holding } = filter({
  name: "sums",
  version: "1.0.0",
  description: "holds a sum",

  process({ message, n }, options, id) {
    if (message === "sum") {
      // Given again.
      sum = n;
      last = id;
      return hold();
    }
    release(last);
    sum += n ?? 0;
    if (message === "show") return [{ message: "sum", n: sum }];
    last = id;
    return holdAnother({ message: "sum", n: sum }, { message: "counted" });
  },

  tick(closing) {
    if (!closing) return [];
    release(last);
    return [{ n: sum }];
  },

  save: () => [sum, last],
  restore(state) {
    [sum, last] = state;
  },
});
