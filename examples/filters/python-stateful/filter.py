"""Numbers the records of each source without gaps, even when a new version replaces it in a running router.

Create a project with `weir filter new NAME --lang python`, replace its filter.py with this file, and add
`stateful = true` to filter.toml.
"""

import weir

numbers: dict[str, int] = {}


def tick(closing):
    """Called about once a second, and a last time when Weir stops or the filter is removed."""
    return [{"message": "numbered", "numbers": numbers}] if closing else []


def save():
    """Returns the state for the next version: anything that JSON can represent."""
    return numbers


def restore(state):
    numbers.update(state)


@weir.filter("numbers", "1.0.0", "numbers the records of each source", tick=tick, save=save, restore=restore)
def process(record, options):
    record["number"] = numbers[record["source"]] = numbers.get(record["source"], 0) + 1
