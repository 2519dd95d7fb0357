"""Clocks for tests: one that moves when told, and one that follows freezegun.

Both step every hub that follows them from deadline to deadline, each at its own time, on the
hub's own thread, and return when all that was due has been handled: the same things in the same
order, every time. Used by test code on any thread but a hub's own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from itertools import count
from typing import Any
from weakref import WeakSet

from ..clock import SystemClock, Timeline
from ..runtime.base import Lock
from ..runtime.system import make_lock

# Seconds. Ten times a tenth is not quite one in binary, and a deadline must not be missed for that.
_NOISE = 1e-9


class _Followed:
    """The hubs that follow a clock."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._timelines: list[Timeline] = []

    def follow(self, timeline: Timeline) -> None:
        """Called by a hub that starts."""
        with self._lock:
            self._timelines.append(timeline)

    def unfollow(self, timeline: Timeline) -> None:
        """Called by a hub that stops."""
        with self._lock:
            if timeline in self._timelines:
                self._timelines.remove(timeline)

    def settle(self) -> float | None:
        """Have every hub handle what is queued and due now; give the earliest deadline that is left.

        Time stands still meanwhile: ``advance`` calls this before and after it moves. None: no deadline
        is left. Threads: any but a hub's own. Blocks: until the hubs have handled it.
        """
        with self._lock:
            timelines = list(self._timelines)
        return min((at for timeline in timelines if (at := timeline.settle()) is not None), default=None)


class FakeClock(_Followed):
    """A clock that stands still until ``advance`` moves it. Give it to ``Hub(clock=…)``.

    Starts at ``start`` seconds. Threads: any.
    """

    def __init__(self, start: float = 0.0, *, lock: Callable[[], Lock] = make_lock) -> None:
        super().__init__(lock())
        self._now = float(start)
        self._moving = lock()

    def monotonic(self) -> float:
        """The present point in time, in seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, and every deadline in them fire at its own time.

        First the hubs handle what is queued; then time goes from deadline to deadline; all that
        was due has been handled when this returns. What other threads make of it (a reader that
        notices an aborted socket, a callback) may still be going on.

        Raises: ValueError for a negative or non-finite number. Threads: any but a hub's own
        (callbacks may). Blocks: until the hubs have handled it.
        """
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"a clock can advance by 0 or more seconds, not {seconds!r}")
        with self._moving:
            target = self._now + seconds
            while True:
                due = self.settle()
                if due is None or due > target + _NOISE:
                    break
                self._now = max(self._now, due)
            self._now = max(self._now, target)
            self.settle()

    def real_wait(self, deadline: float | None) -> float | None:
        """None: a hub on this clock sleeps until a command comes or ``advance`` wakes it."""
        return None


class FreezegunClock:
    """A clock that follows freezegun: ticking the frozen time fires the hub's deadlines, too.

    Inside ``freeze_time``, ``frozen.tick(30)`` and ``frozen.move_to(…)`` step every hub that follows
    this clock like ``FakeClock.advance`` does, and ``datetime.now()`` agrees at each step. Time never
    goes back here, also where freezegun goes back. Outside ``freeze_time`` it runs like ``SystemClock``; a
    freeze that begins or ends in between costs no time. With ``freeze_time(tick=True)`` hubs
    look at the time every 20 real milliseconds.

    Raises: ImportError with what to install when freezegun is missing. Threads: any.
    """

    _POLL = 0.02

    def __init__(self) -> None:
        try:
            from freezegun import api
        except ImportError as error:
            raise ImportError("FreezegunClock needs freezegun: pip install 'resumehub[testing]'") from error
        self._time = _FreezegunTime(api)
        _follow_freezegun(api)
        _followers.add(self._time)

    def follow(self, timeline: Timeline) -> None:
        """Called by a hub that starts."""
        self._time.follow(timeline)

    def unfollow(self, timeline: Timeline) -> None:
        """Called by a hub that stops."""
        self._time.unfollow(timeline)

    def monotonic(self) -> float:
        """Seconds since this clock was made, frozen or not."""
        return self._time.monotonic()

    def real_wait(self, deadline: float | None) -> float | None:
        """How long a hub may sleep: real time if time is not frozen, else a moment."""
        if deadline is None:
            return None
        remaining = max(0.0, deadline - self.monotonic())
        # A freeze may begin, end or tick by itself at any moment, without a call to us.
        return min(remaining, self._POLL)


class _FreezegunTime(_Followed):
    """The time of one ``FreezegunClock``, as the functions below that move frozen time need it."""

    # A datetime has microseconds and a float has rounding errors: what is due within this one is due now.
    _SAME = 6e-7

    def __init__(self, api: Any) -> None:
        super().__init__(make_lock())
        self._api = api
        self._real = SystemClock()
        self._source: object = None
        self._offset = -self._real.monotonic()
        self._last = 0.0
        self.monotonic()
        #: The oldest clock has the lowest.
        self.serial = next(_serials)

    def monotonic(self) -> float:
        with self._lock:
            # In one step: a freeze may end on another thread between a test of the list and its use.
            factory = next(iter(self._api.freeze_factories[-1:]), None)
            reading = self._read(factory)
            if factory is not self._source:
                self._offset = self._last - reading
                self._source = factory
            self._last = max(self._last, reading + self._offset)
            return self._last

    def goes_by(self, factory: Any) -> bool:
        """Whether this frozen time is the one that is read now."""
        factories = self._api.freeze_factories
        return bool(factories) and factories[-1] is factory

    def start_over(self) -> None:
        """Frozen time was set back: what passes from here on counts, what was taken back does not."""
        with self._lock:
            self._offset = self._last - self._read(self._source)

    def settle(self) -> float | None:
        due = super().settle()
        if due is None or not 0 < due - self.monotonic() < self._SAME:
            return due
        with self._lock:
            self._last = due
        return self.settle()

    def _read(self, factory: Any) -> float:
        if factory is None:
            return self._real.monotonic()
        # A step factory moves with each call; what it holds is the time without moving it.
        frozen = (
            factory.time_to_freeze if not isinstance(factory, self._api.TickingDateTimeFactory) else factory()
        )
        # Counted from nearby: so many seconds as there have been since the year 1 leave a float no room for
        # microseconds, and a deadline that was one ahead was taken for due.
        return (_plain(frozen) - datetime(2020, 1, 1)).total_seconds()


_followers: WeakSet[_FreezegunTime] = WeakSet()
_move = make_lock()  # one move of frozen time at a time
_serials = count()


def _follow_freezegun(api: Any) -> None:
    """Have ``tick`` and ``move_to`` of every frozen time go by way of the clocks that follow it. Once."""
    for kind in (api.FrozenDateTimeFactory, api.StepTickTimeFactory, api.TickingDateTimeFactory):
        for name in ("tick", "move_to"):
            if not hasattr(getattr(kind, name), "goes_by_resumehub"):
                setattr(kind, name, _by_way_of_clocks(api, kind, getattr(kind, name), kind.move_to))


def _by_way_of_clocks(api: Any, kind: Any, move: Callable[..., Any], jump: Callable[..., Any]) -> Any:
    @wraps(move)
    def moved(factory: Any, *arguments: Any, **named: Any) -> Any:
        # The oldest first: of deadlines at the same time, too, the order is the same every time.
        followers = sorted(list(_followers), key=lambda clock: clock.serial)
        clocks = [clock for clock in followers if clock.goes_by(factory)]
        # With auto_tick_seconds each look at the date is a bare tick, on any thread: a hub's own must
        # not wait for itself. The hubs see it at their next look at the time.
        a_look = kind is api.StepTickTimeFactory and not arguments and not named
        if not clocks or a_look:
            return move(factory, *arguments, **named)
        with _move:
            # The goal is worked out on a copy, so that no thread sees the time jump ahead and back.
            goal = copy.copy(factory)
            result = move(goal, *arguments, **named)
            _walk(api, factory, goal, clocks, jump)
        return result

    moved.goes_by_resumehub = True  # type: ignore[attr-defined]
    return moved


def _walk(api: Any, factory: Any, goal: Any, clocks: list[_FreezegunTime], jump: Callable[..., Any]) -> None:
    """Take frozen time to where ``goal`` is, from deadline to deadline of all the clocks'."""
    ticking = isinstance(factory, api.TickingDateTimeFactory)
    before = factory() if ticking else factory.time_to_freeze
    for clock in clocks:
        clock.monotonic()  # a freeze that has just begun begins here, and not where it leads
    while True:
        aheads = [due - clock.monotonic() for clock in clocks if (due := clock.settle()) is not None]
        if not aheads:
            break
        at = (factory() if ticking else factory.time_to_freeze) + timedelta(seconds=max(0.0, min(aheads)))
        if at > goal.time_to_freeze:
            break
        if ticking:
            jump(factory, at)
        else:
            factory.time_to_freeze = at
    if ticking:
        factory.start = goal.start
    factory.time_to_freeze = goal.time_to_freeze
    for clock in clocks:
        if goal.time_to_freeze < before:
            clock.start_over()
        clock.settle()


def _plain(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)
