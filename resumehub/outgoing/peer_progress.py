"""Whether the peer of one transport takes what is written to it, and since when.

A part of the writer, which calls it with the session's lock held, on any thread; nothing here waits. Read
next: ``transport_writer.py``; ``core/transports.py``, which decides how long a peer may take nothing.
"""

from __future__ import annotations

from ..clock import Clock


class PeerProgress:
    """``took_at``: when the peer last took bytes that it had refused. ``blocked``: bytes wait for it."""

    __slots__ = ("_began", "_clock", "_ended", "_told", "blocked", "took_at")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.took_at = float("-inf")
        self.blocked = False
        # When this stall began; how long the last one was, until somebody has asked.
        self._began = float("-inf")
        self._ended: float | None = None
        # Whether the hub thread knows of this stall.
        self._told = False

    def took(self) -> None:
        """The peer has taken bytes."""
        if self.blocked:
            self.took_at = self._clock.monotonic()
            self.blocked = False
            self._ended = self.took_at - self._began

    def stalled(self) -> bool:
        """The peer takes no more. Returns whether the hub thread must be told."""
        if not self.blocked:
            self.took_at = self._began = self._clock.monotonic()  # until now the peer took everything
        self.blocked = True
        told, self._told = self._told, True
        return not told

    def ended_stall(self) -> float | None:
        """How many seconds the last stall has lasted, once; None: none has ended. Also without the lock."""
        ended, self._ended = self._ended, None
        return ended

    def look(self) -> tuple[float, bool]:
        """``took_at`` and ``blocked``; once the peer is not blocked, its next stall is told."""
        self._told = self._told and self.blocked
        return self.took_at, self.blocked

    def restore(self, took_at: float, blocked: bool) -> None:
        """Go on in another process, where the hub thread knows."""
        self.took_at = self._began = took_at
        self.blocked = self._told = blocked
