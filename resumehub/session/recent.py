"""What has happened to one session lately: a short list, for an operator. Values, and the list itself.

Each entry has a time, a word for what it was, and how many messages there had been by then. There is no
payload, no token and no text of a client in it, but the names of rooms. What happens several times in a row
is one entry that says how often. Any thread adds; a lock guards the list. Read next: ``recorder.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from ..runtime.base import Lock

MOST_EVENTS: Final = 32
"""Of one session. Older ones go, but the first one stays: it says how the session came here."""


class What(Enum):
    """What can happen to a session, as an operator sees it."""

    BEGAN = "its client connected"
    MOVED_IN = "it came from another process"
    LOST = "its connection was lost"
    TAKEN_OVER = "another connection of its client took over"
    RESUMED = "its client came back"
    NOT_RESUMED = "a client that wanted it was refused"
    JOINED = "it joined a room"
    LEFT = "it left a room"
    RAISED = "a handler raised"
    SLOW = "a handler took long"
    STALLED = "its client takes no more"
    PAUSED = "its client sends faster than its rate allows"
    ENDED = "it ended"
    MOVED_OUT = "it left for another process"


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages so far: of the client that a handler has begun with, accepted for it, dropped for want of
    room.
    """

    handled: int = 0
    accepted: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Happened:
    """``at``: seconds of the hub's clock; of the last time, where there were ``times``. ``detail``: a code, a
    name, or ""; ``seconds``: how long it was, -1 where it has no duration.
    """

    at: float
    what: What
    detail: str = ""
    seconds: float = -1.0
    times: int = 1
    counts: Counts = Counts()


class RecentEvents:
    """One session's. Any thread. Blocks: only while another thread is in a call."""

    __slots__ = ("_events", "_lock", "forgotten")

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._events: list[Happened] = []
        #: How many went to make room.
        self.forgotten = 0

    def add(self, event: Happened) -> None:
        """Add an event; to the last entry, if that says the same."""
        with self._lock:
            events = self._events
            if events and (events[-1].what, events[-1].detail) == (event.what, event.detail):
                events[-1] = replace(event, times=events[-1].times + 1)
                return
            if len(events) >= MOST_EVENTS:
                del events[1]
                self.forgotten += 1
            events.append(event)

    def began_at(self) -> float:
        """When the first of them happened."""
        with self._lock:
            return self._events[0].at

    def copy(self) -> tuple[Happened, ...]:
        """The events, the oldest first."""
        with self._lock:
            return tuple(self._events)
