// Masks e-mail addresses in `context`, drops DEBUG, counts what it masked.

import * as weir from "./weir";

const MASK = weir.path("mask");
const EMAIL = weir.path("context.email");

// The text that replaces an address.
let mask = "********";

function configure(options: weir.Value): string | null {
  const wanted = options.get(MASK);
  if (wanted) {
    if (wanted.kind != weir.Kind.Text) return "`mask` must be a text";
    mask = wanted.text;
  }
  return options.only(["mask"]);
}

function process(record: weir.Record): weir.Verdict {
  if (record.level <= weir.Level.Debug) return weir.Verdict.Drop;
  if (record.has(EMAIL)) {
    record.setText(EMAIL, mask);
    weir.count("masked");
  }
  return weir.Verdict.Keep;
}

weir.filter("my-filter", "0.1.0", "masks e-mail addresses, drops DEBUG", configure, process);
export * from "./weir/exports";
