"""Tells the operator that a full hub ends suspended sessions early. It decides nothing.

One for each hub. A flood of clients must not become a flood of log lines, so a warning comes at most once a
minute of the hub's clock, and says how many sessions it stands for. Hub thread only. Read next:
``core/capacity.py``.
"""

from __future__ import annotations

from ..clock import Clock
from ..runtime.foreign_code import Log
from .throttle import Throttle

log = Log(__name__)


class FullHubWarning:
    """``warn`` is called for each session that ends early. Never blocks."""

    def __init__(self, clock: Clock, max_sessions: int) -> None:
        self._clock = clock
        self._max_sessions = max_sessions
        self._throttle = Throttle()

    def warn(self) -> None:
        """A suspended session has made room for a new one."""
        held_back = self._throttle.let_through(self._clock.monotonic())
        if held_back is None:
            return
        log.warning(
            "the hub is full (max_sessions=%d): suspended sessions end early to make room for new ones, %d "
            "since the last such line. Raise Hub(max_sessions=…), and with it ulimit -n, or lower "
            'resume_window. With Hub(on_full="refuse") new clients are refused instead.',
            self._max_sessions,
            held_back + 1,
        )
