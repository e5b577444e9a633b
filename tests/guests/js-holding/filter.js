// Holds the sum of the numbers so far instead of each record, and reports that it counted; "show" emits the sum.

import { filter, hold, holdAnother, release } from "./weir.js";

let sum = 0, last = 0;

export const { lifecycle, holding } = filter({
  name: "sums",
  version: "1.0.0",
  description: "holds a sum",

  process({ message, n }, options, id) {
    if (message === "sum") {
      // A held record that is given again.
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
