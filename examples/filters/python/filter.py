"""Masks e-mail addresses in `context`, drops DEBUG, counts what it masked."""

import weir


@weir.filter("my-filter", "0.1.0", "masks e-mail addresses, drops DEBUG", options={"mask": "********"})
def process(record: weir.Record, options: weir.Options) -> weir.Verdict:
    if record["level"] == "DEBUG":
        return weir.DROP
    if "email" in record.get("context", {}):
        record["context"]["email"] = options["mask"]
        weir.counter("masked")
