"""Time, injected: the only module of the package that reads a clock.

A clock gives points in time (``monotonic``) and says how long the hub thread may wait for one
(``real_wait``). A clock that a test moves by hand also steps every hub that follows it from
deadline to deadline. It knows a hub only as a ``Timeline``. Called by the hub thread and by every
thread that puts a command. Read next: ``testing/clocks.py``.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

#: The machine's monotonic clock, in seconds, for measuring what has just happened. Any thread.
now = partial(time.clock_gettime, time.CLOCK_MONOTONIC)

#: Seconds since 1970, for what outlives the machine's start; it may be set back or forth. Any thread.
wall = time.time


class Effort(NamedTuple):
    """What a thread has done so far, as the system counts it; zeros where the system does not count."""

    #: Seconds of processor time.
    computed: float = 0.0
    #: How often the thread waited: for a lock, the interpreter's lock included, or for the network.
    waits: int = 0
    #: How often the system stopped the thread to run another thread or process.
    made_way: int = 0


def effort() -> Effort:
    """What the calling thread has done so far. Blocks: never."""
    if _THIS_THREAD is None:
        return Effort()
    usage = resource.getrusage(_THIS_THREAD)
    # Not the time in ``usage``: it is counted in ticks of milliseconds.
    return Effort(time.thread_time(), usage.ru_nvcsw, usage.ru_nivcsw)


def stopwatch(ident: int) -> Callable[[], float]:
    """A function that returns the seconds of processor time of the thread ``ident``, while that thread runs.

    It always returns 0 where the system has no such clock. Threads: any. Blocks: never.
    """
    if not hasattr(time, "pthread_getcpuclockid"):
        return float
    return partial(time.clock_gettime, time.pthread_getcpuclockid(ident))


_THIS_THREAD: int | None = getattr(resource, "RUSAGE_THREAD", None)


class Timeline(Protocol):
    """Something with deadlines: a hub, as its clock sees it."""

    def settle(self) -> float | None:
        """Handle all that is queued and due by now; return the next deadline, None if there is none.

        Threads: any but the hub's own. Blocks: until the hub thread has done so.
        """


class Clock(Protocol):
    """A source of time in float seconds that never goes back."""

    def monotonic(self) -> float:
        """The present time, in seconds. Threads: any. Blocks: never."""

    def real_wait(self, deadline: float | None) -> float | None:
        """How many real seconds the hub thread may wait before it looks at ``deadline`` again.

        None: until a command comes. ``deadline`` None: there is no deadline.
        """

    def follow(self, timeline: Timeline) -> None:
        """From now on, step ``timeline`` whenever this clock is moved by hand."""

    def unfollow(self, timeline: Timeline) -> None:
        """Stop stepping ``timeline``; an unknown one is ignored."""


class SystemClock:
    """The machine's monotonic clock.

    It ignores freezegun, which does not replace ``clock_gettime``. With
    ``resumehub.testing.FreezegunClock``, deadlines follow frozen time.
    """

    def monotonic(self) -> float:
        return now()

    def real_wait(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(0.0, deadline - self.monotonic())

    def follow(self, timeline: Timeline) -> None:
        """Nothing to do: real time needs no stepping."""

    def unfollow(self, timeline: Timeline) -> None:
        """Nothing to undo."""
