"""Tells the operator that a hub's buffers hold more than their budget. It decides nothing.

One for each hub. A warning comes at most once a minute of the hub's clock. Hub thread only. Read next:
``core/budget.py``.
"""

from __future__ import annotations

from ..clock import Clock
from ..runtime.foreign_code import Log
from .throttle import Throttle

log = Log(__name__)


class BudgetWarning:
    """``warn`` is called at each look that finds too much. Never blocks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._throttle = Throttle()

    def warn(self, total: int, budget: int) -> None:
        """``total`` bytes are held, and ``budget`` may be."""
        if self._throttle.let_through(self._clock.monotonic()) is None:
            return
        log.warning(
            "the buffers of all sessions hold %d bytes, more than buffer_budget=%d: suspended sessions end "
            "early, the longest first, and then the clients that read most slowly lose their oldest "
            "messages. Send less, lower send_buffer_bytes or resume_window, or raise buffer_budget.",
            total,
            budget,
        )
