"""The messages of moves that cross a link, by number (60 to 79).

Each is a frozen dataclass with slots, entered in ``MESSAGES`` below; a number is never used for another
message. ``move`` names one attempt: the source makes it, and a message with another one is too late. Plain
values, any thread. Read next: ``../link_codec.py``, for how they become bytes; ``move_source.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Moved:
    """The last message of a hub on each of its links but that of the move: it is in another process now."""

    hub_life: str


@dataclass(frozen=True, slots=True)
class MoveOffer:
    """Source: can you take a hub with so many sessions, of which so many are connected?"""

    move: str
    hub_life: str
    sessions: int
    connected: int


@dataclass(frozen=True, slots=True)
class MoveAccepted:
    """Target: there is room for all."""

    move: str


@dataclass(frozen=True, slots=True)
class MoveDropped:
    """Target: it can't, and holds nothing (any more)."""

    move: str
    because: str


@dataclass(frozen=True, slots=True)
class MoveGivenUp:
    """Source: the hub stays here; drop everything."""

    move: str


@dataclass(frozen=True, slots=True)
class SessionsAhead:
    """Source: of some sessions what rarely changes. Everything is alive. Each has a number, from 0 on.

    ``states``: as ``ahead_state.encode_ahead`` wrote them. One that is in no ``SessionsMove`` later has ended
    meanwhile.
    """

    move: str
    batch: int
    states: bytes


@dataclass(frozen=True, slots=True)
class SessionsMove:
    """Source: some of the sessions. ``rests``: as ``ahead_state.rest_of_all`` wrote them.

    ``ahead``: for each the number of what went ahead of it; -1 for one that has begun or changed since, for
    which ``states`` has the next. ``connected``: which of them have a descriptor, in this order. ``carried``:
    whose callbacks still run in the old process (``server/hub_departure.py``).
    """

    move: str
    batch: int
    connected: tuple[bool, ...]
    carried: tuple[bool, ...]
    ahead: tuple[int, ...]
    states: bytes
    rests: bytes


@dataclass(frozen=True, slots=True)
class SessionsHeld:
    """Target: it has these: built, or held."""

    move: str
    batch: int


@dataclass(frozen=True, slots=True)
class RestMoves:
    """Source: that was all. ``names``, ``sizes``, ``parts``: what else belongs to a hub, by name."""

    move: str
    sessions: int
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    parts: bytes


@dataclass(frozen=True, slots=True)
class MoveHeld:
    """Target: it holds everything, inert."""

    move: str


@dataclass(frozen=True, slots=True)
class MoveCommitted:
    """Source: the hub is yours, once its lock is free. From here on the source never goes on."""

    move: str


@dataclass(frozen=True, slots=True)
class HubGoesOn:
    """Target: all transports go on here. So the source need not hurry with what it still has to forget."""

    move: str


@dataclass(frozen=True, slots=True)
class LastWordSaid:
    """The former source: the last callback of a carried session has returned.

    ``data``: JSON; "" if there is a ``problem``. See ``session_release.LastWord``.
    """

    move: str
    life: str
    data: str
    problem: str
    failed_in: str


@dataclass(frozen=True, slots=True)
class AnswerArrived:
    """The former target: a client has answered a request that a thread of the former source waits for.

    ``answer``: as the codec wrote it, text or ``is_binary``; ``ended``: in its place, why there is none:
    "doubt", "closed" or "hub closed".
    """

    move: str
    life: str
    request: str
    answer: bytes
    is_binary: bool
    ended: str


@dataclass(frozen=True, slots=True)
class AnswerUnwanted:
    """The former source: the thread that waited for this answer waits no longer."""

    move: str
    life: str
    request: str


@dataclass(frozen=True, slots=True)
class NothingMore:
    """The former source: it needs this link no more."""

    move: str


MESSAGES: Final[dict[int, type]] = {
    60: Moved,
    61: MoveOffer,
    62: MoveAccepted,
    63: MoveDropped,
    64: MoveGivenUp,
    65: SessionsMove,
    66: SessionsHeld,
    67: RestMoves,
    68: MoveHeld,
    69: MoveCommitted,
    70: LastWordSaid,
    71: AnswerArrived,
    72: NothingMore,
    73: AnswerUnwanted,
    74: SessionsAhead,
    75: HubGoesOn,
}
"""Number → class of the message."""
