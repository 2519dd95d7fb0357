"""Deadlines as data: a heap of (time, kind, owner) that the machine keeps and the clock drives.

To arm a deadline again is to move it. To cancel one costs nothing. Of two at the same time, the one that was
armed first fires first, so a run can be repeated exactly. This module knows no clock and starts no timer: the
machine asks it on the hub thread, with the time in hand. Pure. Read next: ``transports.py``, which arms most
of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple


class DeadlineKind(Enum):
    """What is due. GRACE belongs to a session (by epoch), ANSWER_WANTED to a request, BUDGET to the hub, the
    others to a transport (by number)."""

    GRACE = "the grace window ends"
    FIRST_PING = "a newcomer should have sent something"
    PING = "a ping is due"
    PONG = "the answer to the ping is due"
    STALL = "the peer should have taken some bytes"
    CLOSE = "the close frame should be out"
    ANSWER = "the peer should have answered the close frame"
    WINDOW = "the client should have acknowledged something of a full window"
    ACK = "what has been handled is to be acknowledged"
    ANSWER_WANTED = "the client should have answered a request"
    BUDGET = "the buffers of all sessions are to be looked at"
    PAUSE = "a client that has sent too much may send again"
    REFUSAL = "the close frame of a refusal is to be sent"

    # By default an Enum hashes the name of its member, in Python code: half of the time of a look-up. There
    # is only one object for each member, so its identity does as well.
    __hash__ = object.__hash__


_OF_OTHERS = (DeadlineKind.GRACE, DeadlineKind.ANSWER_WANTED, DeadlineKind.BUDGET)

OF_TRANSPORTS = tuple(kind for kind in DeadlineKind if kind not in _OF_OTHERS)
"""Those whose owner is a transport."""

WRITTEN_DOWN = tuple(kind for kind in OF_TRANSPORTS if kind is not DeadlineKind.PAUSE)
"""Those that go with a transport to another process. There its reader begins anew, and pauses if it must."""


class Deadline(NamedTuple):
    """One deadline: when, what, whose."""

    at: float
    kind: DeadlineKind
    owner: int


_Entry = tuple[float, int, DeadlineKind, int]
"""When it is due, the serial number of its arming, its kind, its owner."""


class Deadlines:
    """The deadlines that are armed, earliest first. Single-threaded: the machine owns it."""

    # A cancelled entry stays in the heap until it is the earliest one. A heap that is mostly such entries is
    # rebuilt, so that a session that resumes a thousand times a minute does not fill it.
    _SLACK = 64

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._armed: dict[tuple[DeadlineKind, int], tuple[float, int]] = {}
        self._serial = 0

    def arm(self, kind: DeadlineKind, owner: int, at: float) -> None:
        """Set the deadline, or move it if it is armed already."""
        self._serial += 1
        self._armed[kind, owner] = (at, self._serial)
        heapq.heappush(self._heap, (at, self._serial, kind, owner))
        if len(self._heap) > 2 * len(self._armed) + self._SLACK:
            self._heap = [(at, serial, k, o) for (k, o), (at, serial) in self._armed.items()]
            heapq.heapify(self._heap)

    def cancel(self, kind: DeadlineKind, owner: int) -> None:
        """Forget the deadline; one that is not armed is no error."""
        self._armed.pop((kind, owner), None)

    def cancel_each(self, kinds: Iterable[DeadlineKind], owner: int) -> None:
        """The same for several kinds."""
        pop = self._armed.pop
        for kind in kinds:
            pop((kind, owner), None)

    def armed_at(self, kind: DeadlineKind, owner: int) -> float | None:
        """When it is due, None if it is not armed."""
        entry = self._armed.get((kind, owner))
        return entry[0] if entry else None

    def armed(self, kinds: Iterable[DeadlineKind], owner: int) -> list[Deadline]:
        """Those of ``owner`` that are armed, of these kinds, in the order in which they were armed."""
        get = self._armed.get
        found = [(entry, kind) for kind in kinds if (entry := get((kind, owner))) is not None]
        if len(found) > 1:
            found.sort(key=lambda one: one[0][1])
        return [Deadline(at, kind, owner) for (at, _), kind in found]

    def next_at(self) -> float | None:
        """The time of the earliest one, None if there is none."""
        while self._heap and not self._is_armed(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def owners(self) -> list[int]:
        """The owners of all that are armed, earliest first."""
        return [owner for (_, owner), _ in sorted(self._armed.items(), key=lambda one: one[1])]

    def next_owner(self) -> int | None:
        """The owner of the earliest one, None if there is none."""
        return self._heap[0][3] if self.next_at() is not None else None

    def pop_due(self, now: float) -> Deadline | None:
        """Take the earliest one that is due at ``now`` or before; None if none is."""
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if self._is_armed(entry):
                at, _, kind, owner = entry
                del self._armed[kind, owner]
                return Deadline(at, kind, owner)
        return None

    def __len__(self) -> int:
        return len(self._armed)

    def _is_armed(self, entry: _Entry) -> bool:
        """Whether the deadline has been neither cancelled nor armed again since the entry was made."""
        at, serial, kind, owner = entry
        return self._armed.get((kind, owner)) == (at, serial)
