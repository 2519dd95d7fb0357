"""What goes wrong with a connection, and where: decided by a seed alone.

``plan(seed, client, dial)`` is the fault that meets a client's dial number ``dial``. Each client has a door
of its own at the proxy, so its dials are counted in the order in which it makes them, and the same seed gives
the same faults again, however the threads run. Pure; no socket, no clock. Called by ``run.py``, which gives
it to the proxy. Read next: ``flow.py`` (finds the place), ``pipe.py`` (does it).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Literal

Direction = Literal["up", "down"]
Part = Literal["head", "frames"]

WHOLE = 1 << 30
"""More bytes than any head has: behind the last one."""


class Kind(Enum):
    """What is done to the connection. The value is what a report calls it."""

    CUT = "both ends are closed"
    RESET = "both ends are reset"
    CLIENT_ONLY = "the client's end is reset, the server is not told"
    SERVER_ONLY = "the server's end is reset, the client is not told"
    STALL = "nothing passes any more, nobody is told"
    LATE = "the server gets the client's bytes after the client has gone"
    DRIP = "a few bytes at a time, then both ends are reset"
    OVERTAKEN = "the request arrives after the next one was answered"


@dataclass(frozen=True, slots=True)
class Place:
    """Behind so many bytes of a part of a direction.

    ``up`` is from the client to the server. ``head`` is the HTTP request or response, ``frames`` all
    that follows it. So ``down, frames, 0`` is between the 101 and the first frame.
    """

    direction: Direction
    part: Part
    byte: int

    @property
    def name(self) -> str:
        """What a report calls it."""
        if self.part == "head":
            return "in the request" if self.direction == "up" else "in the 101"
        if self.direction == "up":
            return "in the client's frames"
        return "in the server's frames" if self.byte else "between the 101 and $hello"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``delay``: seconds, for what comes late; ``amount``: bytes, for what comes slowly."""

    kind: Kind
    place: Place
    delay: float = 0.0
    amount: int = 0


_KINDS = {
    Kind.CUT: 22,
    Kind.RESET: 22,
    Kind.CLIENT_ONLY: 16,
    Kind.SERVER_ONLY: 5,
    Kind.STALL: 5,
    Kind.LATE: 8,
    Kind.DRIP: 12,
    Kind.OVERTAKEN: 10,
}
"""How often each, in a hundred. Those that only a heartbeat finds out take long, so they are few."""

_PLACES: dict[tuple[Direction, Part], int] = {
    ("up", "head"): 12,
    ("down", "head"): 12,
    ("up", "frames"): 34,
    ("down", "frames"): 42,
}

_LONGEST_HEAD = 320
_FEWEST_BITS, _MOST_BITS = 2, 13


def plan(seed: int, client: int, dial: int) -> Fault:
    """The fault of one dial; ``dial`` counts from 0."""
    random = Random(f"{seed}/{client}/{dial}")
    kind = random.choices(list(_KINDS), list(_KINDS.values()))[0]
    direction, part = random.choices(list(_PLACES), list(_PLACES.values()))[0]
    delay, amount = random.uniform(0.0, 0.1), random.randrange(1, 400)
    if kind is Kind.OVERTAKEN:
        return Fault(kind, Place("up", "head", WHOLE), delay, amount)
    if kind is Kind.LATE:  # half a request that comes late is only a broken one
        direction, part = "up", "frames"
    return Fault(kind, Place(direction, part, _byte(random, direction, part)), delay, amount)


def _byte(random: Random, direction: Direction, part: Part) -> int:
    if part == "head":
        return random.randrange(_LONGEST_HEAD)
    if direction == "down" and random.random() < 0.2:
        return 0
    # As many small places as large ones: the first frames are the interesting ones.
    return random.randrange(1 << random.randint(_FEWEST_BITS, _MOST_BITS))
