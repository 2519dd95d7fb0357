"""Who got what: numbers 1, 2, 3, … go in at one end, and a ``Row`` looks at those that come out.

Also the messages that carry them. Each says whose it is, so that one that goes astray is seen, too, and when
it was sent. Both ends of the soak use it. A row is used by one thread at a time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from resumehub import Message

EVENT = "n"

_PADS = (0, 7, 40, 90, 100, 20, 300, 60, 0, 130, 5, 2500)
"""Bytes of padding, in turn: frames with a length of one byte and of two, in many sizes."""

_SLOW_EVERY = 10
_SLOW = 0.04
_NEVER = threading.Event()


def write(name: str, number: int, at: float) -> Message:
    """Message ``number`` to or from the client ``name``, sent at the time ``at``."""
    return Message(EVENT, [name, number, at, "x" * _PADS[number % len(_PADS)]])


def read(name: str, message: Message) -> tuple[int, float] | None:
    """Number and time of a message, None if it is not one of ``name``'s, or is damaged."""
    match message:
        case Message(event="n", payload=[str(whose), int(number), float(at), str(pad)]):
            if whose == name and pad == "x" * _PADS[number % len(_PADS)]:
                return number, at
    return None


def dawdle(message: Message) -> None:
    """A handler that takes its time now and then, so that messages wait for it when a connection dies."""
    if isinstance(message.payload, list) and message.payload[1] % _SLOW_EVERY == 0:
        _NEVER.wait(_SLOW)


@dataclass(slots=True)
class Row:
    """What has come in one direction of one client."""

    name: str
    received: int = 0
    duplicated: int = 0
    reordered: int = 0
    foreign: int = 0
    #: The highest number that has come; those below that have not.
    last: int = 0
    missing: set[int] = field(default_factory=set)
    #: Seconds from ``send`` to the handler, at worst.
    longest: float = 0.0

    def take(self, message: Message, now: float) -> None:
        """Enter what has come."""
        said = read(self.name, message)
        if said is None:
            self.foreign += 1
        else:
            self._enter(*said, now)

    def _enter(self, number: int, at: float, now: float) -> None:
        self.received += 1
        self.longest = max(self.longest, now - at)
        if number > self.last:
            self.missing.update(range(self.last + 1, number))
            self.last = number
        elif number in self.missing:
            self.missing.discard(number)
            self.reordered += 1
        else:
            self.duplicated += 1

    def summary(self) -> dict[str, Any]:
        """The same as JSON, with ``missing`` as a count."""
        return {
            "received": self.received,
            "duplicated": self.duplicated,
            "reordered": self.reordered,
            "foreign": self.foreign,
            "last": self.last,
            "missing": len(self.missing),
            "longest": self.longest,
        }


@dataclass(slots=True)
class Account:
    """Both ends of one direction, summed over clients."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    foreign: int = 0
    longest: float = 0.0

    def add(self, sent: int, row: dict[str, Any]) -> None:
        """Add what one client's row says of the ``sent`` messages that went in."""
        self.sent += sent
        self.received += row["received"]
        self.lost += row["missing"] + max(0, sent - row["last"])
        self.duplicated += row["duplicated"]
        self.reordered += row["reordered"]
        self.foreign += row["foreign"]
        self.longest = max(self.longest, row["longest"])

    @property
    def spoilt(self) -> int:
        """Messages that came twice, in the wrong order, damaged, or to the wrong client."""
        return self.duplicated + self.reordered + self.foreign
