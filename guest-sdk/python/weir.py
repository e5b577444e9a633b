"""Write filters for Weir in Python: `@weir.filter(name, version, description)` before a function.

This module connects Weir and your `filter.py`. Weir calls it with a batch of records as JSON; it calls your function
with one record at a time, as a plain dict, and compares. Only your changes go back: whatever you leave alone stays byte
for byte as it was.

The return value decides about the record. None: it goes on with your changes. `weir.DROP`: it is dropped. Another dict:
that goes on in its place. A list of dicts: all of them go on in its place. If the function raises an exception, Weir sets
the record aside with the reason.

A record has `timestamp` (RFC 3339 with nanoseconds), `level`, `source`, `message`, often `context` and `metadata`, and
any other fields of its sender.
"""

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from operator import is_not
from typing import Any, Final, TypeAlias, TypeVar

from componentize_py_types import Err
from wit_world.exports.lifecycle import Description
from wit_world.exports.packed import Format, Output
from wit_world.imports import host
from wit_world.imports.types import Level

Record: TypeAlias = dict[str, Any]
Options: TypeAlias = dict[str, Any]


class Drop:
    """The type of `DROP`."""


DROP: Final = Drop()
"""Drops a record."""

Verdict: TypeAlias = None | Drop | Record | list[Record]

_T = TypeVar("_T")


def filter(
    name: str,
    version: str,
    description: str,
    *,
    options: Mapping[str, Any] = {},
    reads: list[str] = [],
    writes: list[str] = [],
    configure: Callable[[Options], None] | None = None,
    tick: Callable[[bool], list[Record] | None] | None = None,
    save: Callable[[], Any] | None = None,
    restore: Callable[[Any], None] | None = None,
) -> Callable[[Callable[[Record, Options], Verdict]], Callable[[Record, Options], Verdict]]:
    """Makes a filter of the function below it.

    `options` are those that an operator may set, with their defaults; anything else is refused. `configure` is called
    with them once, before the first record: raise a ValueError that names the option and what would be right.

    With `stateful = true` in `filter.toml` there is one instance, which sees every record, and: `tick` is called about
    once a second, and with True once at the end; the records that it returns go on. What `save` returns, anything that
    JSON can hold, is given to `restore` of the version that replaces this one.
    """

    def export(process: Callable[[Record, Options], Verdict]) -> Callable[[Record, Options], Verdict]:
        current: Options = dict(options)

        class Lifecycle:
            def describe(self) -> Description:
                return Description(name, version, description, list(reads), list(writes))

            def configure(self, text: str) -> None:
                try:
                    current.update(_with_defaults(options, json.loads(text)))
                    if configure:
                        configure(current)
                except ValueError as error:
                    raise Err(str(error)) from None

        class Packed:
            def encoding(self) -> Format:
                return Format.JSON

            def process(self, batch: bytes) -> Output:
                return _attempt(lambda: _process_batch(process, current, json.loads(batch.decode())))

        class PackedState:
            def tick(self, closing: bool) -> bytes:
                records = tick(closing) if tick else None
                _counted()
                return _write(records or [])

            def save(self) -> bytes:
                return _write(save() if save else None)

            def restore(self, state: bytes) -> None:
                if restore:
                    _attempt(lambda: restore(json.loads(state)))

        # The names by which componentize-py finds what a module exports.
        process.__globals__.update(Lifecycle=Lifecycle, Packed=Packed, PackedState=PackedState)
        return process

    return export


def _with_defaults(defaults: Mapping[str, Any], given: Options) -> Options:
    for name, value in given.items():
        if name not in defaults:
            known = ", ".join(f"`{name}`" for name in defaults)
            raise ValueError(f"there is no option `{name}`; {f'options are {known}' if known else 'it has none'}")
        default = defaults[name]
        if default is not None and _kind(value) != _kind(default):
            raise ValueError(f"option `{name}` is a {_kind(value)}; give a {_kind(default)}")
    return {**defaults, **given}


def _kind(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", dict: "table", list: "list"}
    return names.get(type(value), "null")


# --- A batch ---------------------------------------------------------------------------------------------------------

_KEEP, _DROP, _PATCH, _REPLACE, _EXPAND = range(5)

# The keys that every record has.
_NEEDED = ("timestamp", "level", "source", "message")


def _process_batch(process: Callable[[Record, Options], Verdict], options: Options, records: list[Record]) -> Output:
    verdicts = bytearray()
    out = []
    for record in records:
        before = _Before(record)
        decided = process(record, options)
        if decided is None or decided is record:
            patch = before.of_record(record) if before.changed() else None
            verdicts.append(_PATCH if patch else _KEEP)
            if patch:
                out.append(patch)
        elif decided is DROP:
            verdicts.append(_DROP)
        elif isinstance(decided, list):
            verdicts.append(_EXPAND)
            verdicts += len(decided).to_bytes(4, "little")
            out += decided
        elif isinstance(decided, dict):
            # As a patch if possible, so that the values copied from the record stay as they were.
            whole = any(decided.get(key) is None for key in _NEEDED)
            verdicts.append(_REPLACE if whole else _PATCH)
            out.append(decided if whole else before.instead_of_record(record, decided))
        else:
            raise TypeError(f"the filter returned {decided!r}; return nothing, weir.DROP, a record, or a list of records")
    output = Output(bytes(verdicts), _write(out) if out else b"")
    _counted()
    return output


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _write(value: Any) -> bytes:
    return _encode(value).encode("utf-8", "surrogatepass")


def _attempt(work: Callable[[], _T]) -> _T:
    """Weir expects an error as text. Counts of a failed call are discarded: Weir repeats it in smaller parts."""
    try:
        return work()
    except Exception as error:
        _counts.clear()
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        place = f" ({frames[-1].filename.rsplit('/')[-1]}, line {frames[-1].lineno})" if frames else ""
        raise Err(f"{type(error).__name__}: {error}{place}") from None


# --- What was changed ------------------------------------------------------------------------------------------------


class _Before:
    """What was in a record before the filter saw it: all its maps and lists, and, one behind the other, how many
    entries each has, the maps' keys, and the values. One comparison then tells whether anything was changed.
    """

    __slots__ = ("found", "lengths", "keys", "values", "others", "dirty")

    def __init__(self, record: Record) -> None:
        self.found = found = [record]
        self.keys = keys = [*record]
        self.values = values = [*record.values()]
        for value in values:  # grows during the loop
            kind = type(value)
            if kind is dict:
                found.append(value)
                keys += value
                values += value.values()
            elif kind is list:
                found.append(value)
                values += value
        self.lengths = [*map(len, found)]

    def changed(self) -> bool:
        """Whether anything may have changed. Values are compared by identity: True is not 1."""
        keys, values = [], []
        for holder in self.found:
            if type(holder) is dict:
                keys += holder
                values += holder.values()
            else:
                values += holder
        if keys != self.keys or [*map(len, self.found)] != self.lengths:
            self.others = None
            return True
        self.others = others = [*map(is_not, values, self.values)]
        return True in others

    def of_record(self, record: Record) -> Record | None:
        """The changes as a merge patch (RFC 7396); None if there are none."""
        self._find()
        return self._inside(record)

    def instead_of_record(self, record: Record, other: Record) -> Record:
        """The patch that turns the record into another one."""
        self.changed()
        self._find()
        return self._instead(record, other)

    def _find(self) -> None:
        """What was in the maps and lists that may not be as they were: all of them, or, when nothing came, went or
        moved, those in which there are other values."""
        self.dirty = dirty = {}
        others = self.others
        key = value = 0
        for holder, length in zip(self.found, self.lengths):
            end = value + length
            is_map = type(holder) is dict
            if others is None or True in others[value:end]:
                values = self.values[value:end]
                dirty[id(holder)] = dict(zip(self.keys[key : key + length], values)) if is_map else values
            value = end
            key += length if is_map else 0

    def _inside(self, now: Any) -> Any:
        """The changes of a map or list of the record and everything in it; None if there are none."""
        before = self.dirty.get(id(now))
        if type(now) is list:
            other = before is not None and (len(now) != len(before) or any(map(is_not, now, before)))
            return now if other or any(self._inside(item) is not None for item in _holders(now)) else None
        if before is not None:
            return self._difference(before, now) or None
        patch = {}
        for key, value in now.items():
            if (type(value) is dict or type(value) is list) and (inner := self._inside(value)) is not None:
                patch[key] = inner
        return patch or None

    def _instead(self, old: Any, now: Any) -> Any:
        """The patch that replaces one value with another: it must also remove the old keys."""
        if type(old) is not dict or type(now) is not dict:
            return now
        return self._difference(self.dirty.get(id(old), old), now)

    def _difference(self, before: Record, now: Record) -> Record:
        patch = {key: None for key in before if key not in now}
        for key, value in now.items():
            old = before.get(key)
            if value is old and key in before:
                if (type(value) is dict or type(value) is list) and (inner := self._inside(value)) is not None:
                    patch[key] = inner
            elif key not in before:
                patch[key] = value
            elif not (type(value) is type(old) is str and value == old):
                patch[key] = self._instead(old, value)
        return patch


def _holders(items: list[Any]) -> Iterator[Any]:
    return (item for item in items if type(item) is dict or type(item) is list)


# --- The functions of the host ---------------------------------------------------------------------------------------


class log:
    """Writes to Weir's log, under the filter's name."""

    @staticmethod
    def debug(message: object) -> None:
        host.log(Level.DEBUG, str(message))

    @staticmethod
    def info(message: object) -> None:
        host.log(Level.INFO, str(message))

    @staticmethod
    def warning(message: object) -> None:
        host.log(Level.WARNING, str(message))

    @staticmethod
    def error(message: object) -> None:
        host.log(Level.ERROR, str(message))


_counts: dict[str, int] = {}


def counter(name: str, delta: int = 1) -> None:
    """Adds to a counter of the filter, which Weir shows in its metrics."""
    _counts[name] = _counts.get(name, 0) + delta


def _counted() -> None:
    for name, delta in _counts.items():
        host.counter(name, delta)
    _counts.clear()


def now_ns() -> int:
    """The time, in nanoseconds since 1970."""
    return host.now()


class kv:
    """A small key-value store in memory, shared by all instances of the filter; values are anything JSON can represent."""

    @staticmethod
    def get(key: str) -> Any:
        value = host.kv_get(key)
        return None if value is None else json.loads(value)

    @staticmethod
    def set(key: str, value: Any, ttl_ms: int) -> None:
        host.kv_set(key, _write(value), ttl_ms)

    @staticmethod
    def add(key: str, delta: int, ttl_ms: int) -> int:
        return host.kv_add(key, delta, ttl_ms)

    @staticmethod
    def delete(key: str) -> None:
        host.kv_delete(key)
