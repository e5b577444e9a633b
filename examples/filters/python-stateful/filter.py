"""Numbers the records of each source, without a gap, also when a new version of it takes over in a running router.

In the project that `weir filter new NAME --lang python` writes, put this in the place of filter.py, and
`stateful = true` into filter.toml.
"""

import weir

numbers: dict[str, int] = {}


def tick(closing):
    """About once a second, and for the last time when Weir stops or the filter is taken out."""
    return [{"message": "numbered", "numbers": numbers}] if closing else []


def save():
    """What the version that replaces this one is given: anything that JSON can hold."""
    return numbers


def restore(state):
    numbers.update(state)


@weir.filter("numbers", "1.0.0", "numbers the records of each source", tick=tick, save=save, restore=restore)
def process(record, options):
    record["number"] = numbers[record["source"]] = numbers.get(record["source"], 0) + 1
