"""A clock of the application's that may fail: then the last time that it gave counts.

Every thread that puts a command reads the clock, and the hub thread waits by it. So one that raises would end
them all. ``SystemClock`` cannot fail and is used as it is. Made by ``server/hub_loop.py`` and
``client/client_loop.py``; any thread. Read next: ``../clock.py``.
"""

from __future__ import annotations

from ..clock import Clock, SystemClock, Timeline
from .foreign_code import Log, passes

log = Log(__name__)

RETRY = 1.0
"""Real seconds until a clock that could not say how long to wait is asked again."""


def steady(clock: Clock) -> Clock:
    """``clock``, or one that cannot fail in its place."""
    return clock if type(clock) is SystemClock else _SteadyClock(clock)


class _SteadyClock:
    """``clock`` with its failures logged, one line for several in a row."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0.0
        self._failing: set[str] = set()

    def monotonic(self) -> float:
        try:
            last = self._last = float(self._clock.monotonic())
        except BaseException as error:
            self._complain("monotonic", error)
            return self._last
        self._failing.discard("monotonic")
        return last

    def real_wait(self, deadline: float | None) -> float | None:
        try:
            wait = self._clock.real_wait(deadline)
        except BaseException as error:
            self._complain("real_wait", error)
            return RETRY
        self._failing.discard("real_wait")
        return wait

    def follow(self, timeline: Timeline) -> None:
        try:
            self._clock.follow(timeline)
        except BaseException as error:
            self._complain("follow", error)

    def unfollow(self, timeline: Timeline) -> None:
        try:
            self._clock.unfollow(timeline)
        except BaseException as error:
            self._complain("unfollow", error)

    def _complain(self, method: str, error: BaseException) -> None:
        if passes(error):
            raise error
        if method not in self._failing:
            self._failing.add(method)
            log.error("the clock raised in %s; until it works, the time stands still", method, exc_info=error)
