"""Since when a client of ``resumehub.v1`` has acknowledged nothing, although its window is full.

The outbox knows whether the window is full; it has no clock. The thread that sends notes the time, once for
each number up to which the client has acknowledged. So an acknowledgement needs to note nothing: it changes
that number. One object for each transport, part of its writer. Any thread; nothing here waits. Read next:
``transport_writer.py``; ``core/transports.py``, which decides what follows.
"""

from __future__ import annotations

from ..clock import Clock
from ..runtime.base import Lock
from .frame_queue import FrameQueue

_NEVER = -1


class WindowWatch:
    """See the module. ``lock``: the session's."""

    __slots__ = ("_at", "_clock", "_lock", "_since", "_told")

    def __init__(self, lock: Lock, clock: Clock) -> None:
        self._lock = lock
        self._clock = clock
        self._since = float("-inf")
        # Up to which number the client had acknowledged then.
        self._at = _NEVER
        # Whether the hub thread knows, and will ask again.
        self._told = False

    def has_news(self, outbox: FrameQueue) -> bool:
        """Note the time if the window is full. Returns whether the hub thread must be told."""
        if not self._is_new(outbox):
            return False
        with self._lock:
            if not self._is_new(outbox):
                return False
            self._since, self._at = self._clock.monotonic(), outbox.released_to
            told, self._told = self._told, True
            return not told

    def full_since(self, outbox: FrameQueue) -> float | None:
        """Since when the window is full; None if it is not, and then the next time is news again."""
        with self._lock:
            return self.look(outbox)

    def look(self, outbox: FrameQueue) -> float | None:
        """``full_since``, with the lock held."""
        if outbox.full and outbox.released_to == self._at:
            return self._since
        self._told = False
        return None

    def restore(self, outbox: FrameQueue, since: float) -> None:
        """Go on in another process, where the hub thread knows. Lock held."""
        outbox.full = True
        self._since, self._at, self._told = since, outbox.released_to, True

    def _is_new(self, outbox: FrameQueue) -> bool:
        # First without the lock: it is asked for each message that is not written at once.
        return outbox.full and outbox.released_to != self._at
