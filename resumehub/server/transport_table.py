"""The transports of a hub by number, and how many of them exist only to be refused.

Request threads add transports, the hub thread removes them, any thread may read. Read next:
``incoming/transport_io.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..incoming.transport_io import TransportIO
from ..runtime.base import Lock

MAX_REFUSALS = 128
"""So many sockets at once may exist only to get a close frame that says why they were refused."""


class TransportTable:
    """One hub's. Blocks: never for long."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._numbers = itertools.count(1)
        self._transports: dict[int, TransportIO] = {}
        self._refusals = 0

    def next_number(self) -> int:
        """A number that no transport of this hub has had. Any thread."""
        return next(self._numbers)

    def add(self, io: TransportIO) -> None:
        """Add a transport. Any thread."""
        if io.counts_as_refusal:
            with self._lock:
                self._refusals += 1
        self._transports[io.number] = io

    def remove(self, number: int) -> TransportIO | None:
        """Remove a transport that is closed, or that the hub never got; None if it is not there."""
        io = self._transports.pop(number, None)
        if io is not None and io.counts_as_refusal:
            with self._lock:
                self._refusals -= 1
        return io

    def may_refuse_one_more(self) -> bool:
        """Whether one more socket may be upgraded only to be refused.

        A socket is counted when it arrives, so that a response that is never sent does not count. The number
        can exceed the bound by as many requests as are being answered at this moment.
        """
        return self._refusals < MAX_REFUSALS

    def get(self, number: int) -> TransportIO | None:
        """The transport with this number; None if it is not in the table (any more)."""
        return self._transports.get(number)

    def __getitem__(self, number: int) -> TransportIO:
        return self._transports[number]

    def __contains__(self, number: object) -> bool:
        return number in self._transports

    def __iter__(self) -> Iterator[TransportIO]:
        return iter(list(self._transports.values()))

    def __len__(self) -> int:
        return len(self._transports)
