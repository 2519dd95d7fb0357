"""Lets something through at most once a minute: a flood of events must not become a flood of log lines.

It keeps no clock and takes no lock; what calls it does. Pure. Read next: ``refusal_reports.py``.
"""

from __future__ import annotations

MINUTE = 60.0
"""Seconds."""


class Throttle:
    """Of one kind of event. Never blocks."""

    def __init__(self) -> None:
        self._next_at = float("-inf")
        self._held_back = 0

    def let_through(self, now: float) -> int | None:
        """How many were held back since the last one that went through; None: this one is held back.

        ``now``: in seconds of one clock.
        """
        if now < self._next_at:
            self._held_back += 1
            return None
        held_back, self._held_back, self._next_at = self._held_back, 0, now + MINUTE
        return held_back
