"""A bounded record of what a hub did, so that an incident can be read, drawn and checked later.

    trace = Trace(limit=10_000)
    hub = Hub(trace=trace)
    …
    trace.write(open("incident.jsonl", "w"))

It holds commands, effects, and what went over each transport, each with the hub's time and a
number, but no content: sizes instead of messages, and no data of connections. It does not know what
the records mean. Any thread writes to it. Read next: ``testing/traces.py``: it reads, checks and draws them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Any, TextIO

from .reasons import DropReason
from .runtime.system import make_lock

#: The lanes of a drawing, in their order: each record has one.
LANES = ("client", "reader", "hub", "writer", "app")

#: Fields of commands and effects that a trace leaves out: they decide nothing and help no reader.
_LEFT_OUT = frozenset({"seen_room"})


class Trace:
    """The last ``limit`` records of what a hub did. Next: give it to ``Hub(trace=…)``.

    ``limit``: records, at least 1; a record is about 300 bytes. Older ones are dropped, and
    ``forgotten`` says how many. Raises: TypeError, ValueError for a wrong limit. Threads: any.
    """

    def __init__(self, limit: int = 10_000) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"limit must be a whole number of records, not {limit!r}")
        if limit < 1:
            raise ValueError(f"limit must be at least 1 record, not {limit}")
        self.limit = limit
        self._lock = make_lock()
        self._records: deque[dict[str, Any]] = deque(maxlen=limit)
        self._count = 0

    def note(self, at: float, lane: str, what: str, /, **fields: Any) -> None:
        """Add a record. Threads: any. Blocks: never for longer than that takes."""
        with self._lock:
            self._count += 1
            self._records.append({"n": self._count, "at": round(at, 9), "lane": lane, "what": what, **fields})

    def note_value(self, at: float, kind: str, value: Any) -> None:
        """Add a record of one of the hub's commands or effects (a dataclass)."""
        self.note(at, "hub", type(value).__name__, kind=kind, **plain_fields(value))

    @property
    def forgotten(self) -> int:
        """How many records were dropped for newer ones."""
        with self._lock:
            return self._count - len(self._records)

    def records(self) -> list[dict[str, Any]]:
        """A copy of the records, oldest first: n, at (seconds), lane, what, and further fields."""
        with self._lock:
            return list(self._records)

    def write(self, file: TextIO) -> None:
        """Write the records as JSON lines. Blocks: as the file does."""
        for line in self.lines():
            file.write(line + "\n")

    def lines(self) -> Iterator[str]:
        """The records, each as a line of JSON."""
        for record in self.records():
            yield json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def plain_fields(value: Any) -> dict[str, Any]:
    """The fields of a command or an effect, for JSON. ``kind`` becomes ``about``: records have a ``kind``."""
    return {
        "about" if field.name == "kind" else field.name: _plain(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if field.name not in _LEFT_OUT
    }


def _plain(value: Any) -> Any:
    if isinstance(value, DropReason):
        return value.value  # as a metrics collector gets it
    if isinstance(value, Enum):
        return int(value) if isinstance(value, int) else value.name
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, float) and not -1e300 < value < 1e300:
        return None  # JSON has no infinity
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        if not any("secret" in field.metadata for field in fields):
            return repr(value)
        return {field.name: _disguised(field, getattr(value, field.name)) for field in fields}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value


def _disguised(field: dataclasses.Field[Any], value: Any) -> Any:
    """A secret's fingerprint: equal for equal secrets, so that a replay can compare them."""
    if "secret" in field.metadata and value:
        return hashlib.sha256(value.encode()).hexdigest()[:16]
    return value
