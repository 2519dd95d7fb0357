"""Tells the operator that a client sends more than its rate allows. It decides nothing.

One for each hub. A client that floods the hub must not flood the log, so a warning comes at most once a
minute of the hub's clock, and names the session that pauses at that moment. Hub thread only. Read next:
``core/input_rate.py``.
"""

from __future__ import annotations

from ..clock import Clock
from ..runtime.foreign_code import Log
from ..session.session import Session
from .throttle import Throttle

log = Log(__name__)


class RateWarning:
    """``warn`` is called for each pause. Never blocks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._throttle = Throttle()

    def warn(self, session: Session) -> None:
        """The client of ``session`` has sent too much, and is not read for a moment."""
        held_back = self._throttle.let_through(self._clock.monotonic())
        if held_back is None:
            return
        # A generated id is a secret, since a v1 client's token alone belongs to it.
        whose = f"session {session.epoch}" if session.credentials.generated else repr(session.connection_id)
        log.warning(
            "the client of %s sends more than Hub(rate=…) allows: the hub reads it no faster, and nothing is "
            "lost; %d such pauses since the last such line. If that is what your clients do, raise the rate: "
            "rate=RateLimit(messages_per_second=…, bytes_per_second=…), or rate=None.",
            whose,
            held_back + 1,
        )
