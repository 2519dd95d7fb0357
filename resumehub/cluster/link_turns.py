"""Who reads a link at a worker's end: its own thread, or a thread that waits for an answer.

A thread that asks the hub something and waits could be woken by the link's thread, which has read the answer.
That is one switch between threads more than needed, and takes as long as all the rest. So where calls follow
one another, the link's thread steps aside, and who waits reads the link itself, until its own answer is
there. The link's thread looks every few milliseconds, and reads again when nobody has called since, when
several threads wait, and when something comes that is no answer.

One thread at a time reads: while the link's thread is not aside, it is the reader, and while it is aside,
the one waiter that has the turn is. Any thread. Read next: ``link_thread.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from ..clock import now
from ..runtime.base import Bell, Lock, Runtime

ASIDE: Final = 0.005
"""Seconds after which the link's thread looks whether anybody has called since it stepped aside. What comes
uncalled for, right behind a call, waits at most twice as long."""


class Reads(Protocol):
    """What reads a link: ``link_thread.py``, ``LinkLoop``."""

    def read_some(self, seconds: float) -> bool:
        """Wait for input, read and handle it; False if only the link's thread can go on."""


class Waiter:
    """One answer, and the thread that waits for it. Made by ``Link.waiter``."""

    __slots__ = ("_turns", "came", "gate")

    def __init__(self, turns: Turns) -> None:
        #: Whether the answer has come.
        self.came = False
        #: Locked while the thread sleeps; None while it does not. For ``Turns``.
        self.gate: Lock | None = None
        self._turns = turns

    def tell(self) -> None:
        """The answer is there. Any thread, any number of times. Blocks: never."""
        self._turns.tell(self)

    def wait(self, timeout: float) -> bool:
        """Whether the answer has come. Blocks: until then, or ``timeout`` real seconds.

        One thread, and not one that runs a handler of a link. Meanwhile it may handle other threads' answers.
        """
        return self._turns.wait(self, timeout)


class Turns:
    """Of one end of a link. ``ring``: ends a wait of the link's thread."""

    def __init__(self, runtime: Runtime, ring: Callable[[], None]) -> None:
        self._runtime = runtime
        self._lock = runtime.lock("the turns of a link")
        self._ring = ring
        self._reads: Reads | None = None
        self._nudge: Bell | None = None
        #: Whether the link's thread leaves the reading to those who wait. Only it steps aside.
        self.aside = False
        self._reader: Waiter | None = None
        self._asleep = 0
        self._called = False
        self._handling = False

    def attach(self, reads: Reads, nudge: Bell) -> None:
        """From now on waiters may read. ``nudge``: ends a wait of ``read_some``. Before the thread runs."""
        self._reads, self._nudge = reads, nudge

    def detach(self) -> None:
        """Close the nudge. Any number of times."""
        with self._lock:
            nudge, self._nudge = self._nudge, None
            if nudge is not None:
                nudge.close()

    def silence(self) -> None:
        """The thread that reads has heard the nudge."""
        with self._lock:
            if self._nudge is not None:
                self._nudge.silence()

    # -- who waits --------------------------------------------------------------------------

    def wait(self, waiter: Waiter, timeout: float) -> bool:
        """See ``Waiter``."""
        give_up = now() + timeout
        with self._lock:
            if waiter.came:
                return True
            reads = self.aside and self._reader is None
            if reads:
                self._reader, self._called = waiter, True
            else:
                gate = self._sleeps(waiter)
        if reads:
            again = self._read_for(waiter, give_up)
            if again is None:
                return True
            gate = again
        if gate.acquire(timeout=max(0.0, give_up - now())):
            return True
        with self._lock:
            if waiter.came:
                return True
            waiter.gate = None
            self._asleep -= 1
        return False

    def tell(self, waiter: Waiter) -> None:
        """See ``Waiter``."""
        with self._lock:
            if waiter.came:
                return
            waiter.came = True
            if waiter.gate is not None:
                self._asleep -= 1
                waiter.gate.release()
            elif self._reader is waiter and not self._handling and self._nudge is not None:
                self._nudge.ring()

    def _read_for(self, waiter: Waiter, give_up: float) -> Lock | None:
        """Read until the answer is there, and give None; or the gate, if it has to be waited for."""
        assert self._reads is not None, "the link's thread stepped aside"
        alone = False
        try:
            while not waiter.came:
                left = give_up - now()
                if left <= 0 or not self._reads.read_some(left):
                    break
            alone = waiter.came
        finally:
            gate = None
            with self._lock:
                self._reader = None
                if not waiter.came:
                    gate = self._sleeps(waiter)
                if self._asleep or not alone:
                    self.aside = False
                    self._ring()
        return gate

    def _sleeps(self, waiter: Waiter) -> Lock:
        """With the lock held. The next ``acquire`` of what it returns waits until the answer is there."""
        gate = waiter.gate = self._runtime.lock("an answer")
        gate.acquire()
        self._asleep += 1
        return gate

    # -- who reads --------------------------------------------------------------------------

    def begin_handling(self) -> None:
        """A waiter's thread handles what it has read; it looks whether its own answer is there afterwards."""
        self._handling = True

    def end_handling(self) -> None:
        """See above."""
        self._handling = False

    def step_aside(self) -> None:
        """Let those who wait read, if nobody sleeps. The link's thread, behind an answer."""
        with self._lock:
            self._called = False
            self.aside = not self._asleep

    def look(self) -> None:
        """Read again if nobody has called since the last look. The link's thread, while it is aside."""
        with self._lock:
            if self._reader is None and not self._called:
                self.aside = False
            self._called = False
