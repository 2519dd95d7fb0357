"""What has come and the application has not handled yet, and what its callbacks are to be told.

A message is *taken* when the application gets it, and *handled* when its callback has returned, or the
next one is asked for. A resume asks for what comes behind the last one *taken*: the one in hand goes on
being handled here, and must not come twice. So what was not taken is frozen while the client dials,
and forgotten when the server sends it again, or given to the application after all when the
session has ended. A monitor of its own lock; any thread. Called by ``transport.py`` (puts), by
``client_loop.py``
(freezes, begins, ends), by whoever handles (takes).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..clock import SystemClock
from ..message import Message
from ..runtime.base import Runtime

#: So many messages may wait for the application; then the client stops reading.
MOST = 1024

_REAL = SystemClock()


@dataclass(slots=True)
class Arrival:
    """What came: a message, or (None) something that takes up numbers and is nothing to handle."""

    message: Message | None
    size: int = 0
    #: Of messages that will never come: the last number; None: it is one that came.
    missed_to: int | None = None


class Inbox:
    """Messages on their way to the application, and callbacks on their way to be called.

    Both are called without the lock: ``report(number, size)`` when messages have been handled,
    ``missed(first, last)`` when it is the turn of messages that will never come.
    """

    def __init__(
        self, runtime: Runtime, report: Callable[[int, int], None], missed: Callable[[int, int], None]
    ) -> None:
        self._lock = runtime.lock("the inbox")
        self._changed = runtime.condition(self._lock)
        self._report = report
        self._missed = missed
        self._arrivals: deque[Arrival] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._last_calls: deque[Callable[[], None]] = deque()
        self._generation = 0
        self._frozen = False
        self._taken = 0
        self._in_hand: Arrival | None = None
        self._in_hand_numbers = (0, 0)
        self.ended = False
        #: How many messages the application was given.
        self.received = 0

    # -- putting in -------------------------------------------------------------------------

    def begin(self, generation: int, taken: int | None) -> None:
        """Connection ``generation`` puts from now on; the count goes on from ``taken`` (None: as it was)."""
        with self._lock:
            self._generation = generation
            if taken is not None:
                self._taken = taken
                self._arrivals.clear()
            self._frozen = False
            self._changed.notify_all()

    def put(self, generation: int, arrival: Arrival) -> bool:
        """Add what came; False: this connection has been given up. Waits while there is too much."""
        with self._lock:
            while len(self._arrivals) >= MOST and generation == self._generation and not self.ended:
                self._changed.wait()
            if generation != self._generation or self.ended:
                return False
            self._arrivals.append(arrival)
            self._changed.notify_all()
            return True

    def is_full(self) -> bool:
        """Whether a connection may have to wait before it reads on."""
        with self._lock:
            return len(self._arrivals) >= MOST

    def freeze(self, *, replay: bool) -> None:
        """No connection puts any more; ``replay``: what is here will come again, so nobody takes it."""
        with self._lock:
            self._generation = 0
            self._frozen = replay
            self._changed.notify_all()

    def count(self) -> int:
        """The number of the last message that the application was given."""
        with self._lock:
            return self._taken

    def call(self, callback: Callable[[], None], *, last: bool = False) -> None:
        """Queue a callback: ahead of the messages that wait, or (``last``) behind them."""
        with self._lock:
            (self._last_calls if last else self._calls).append(callback)
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will come; what is here may be had."""
        with self._lock:
            self.ended = True
            self._frozen = False
            self._changed.notify_all()

    # -- taking out -------------------------------------------------------------------------

    def take(self, timeout: float | None = None) -> Message | None:
        """The next message, once there is one; None when ``timeout`` passed, or at the end (``ended``).

        The one that was taken before counts as handled. One thread at a time.
        """
        give_up = None if timeout is None else _REAL.monotonic() + timeout
        while True:
            self.handled()
            arrival = self._wait_for_one(give_up)
            if arrival is None or arrival.message is not None:
                return arrival.message if arrival is not None else None

    def job(self, on_message: Callable[[Message], None] | None) -> Callable[[], None] | None:
        """What the thread that runs callbacks does next, once there is something; None: that was all.

        Without ``on_message`` the messages are somebody else's.
        """
        with self._lock:
            while True:
                if self._calls:
                    return self._calls.popleft()
                if on_message is not None and self._may_take():
                    return _Handling(self, on_message, self._take_next())
                if self.ended:
                    return self._last_calls.popleft() if self._last_calls else None
                self._changed.wait()

    def handled(self) -> None:
        """The message in hand, if there is one, has been dealt with."""
        with self._lock:
            arrival, self._in_hand = self._in_hand, None
            first, last = self._in_hand_numbers
        if arrival is not None:
            if arrival.missed_to is not None:
                self._missed(first, last)
            self._report(last, arrival.size)

    # -- inside -----------------------------------------------------------------------------

    def _wait_for_one(self, give_up: float | None) -> Arrival | None:
        with self._lock:
            while not self._may_take():
                left = None if give_up is None else give_up - _REAL.monotonic()
                if self.ended or (left is not None and left <= 0) or not self._changed.wait(left):
                    break
            return self._take_next() if self._may_take() else None

    def _may_take(self) -> bool:
        return bool(self._arrivals) and not self._frozen

    def _take_next(self) -> Arrival:
        arrival = self._arrivals.popleft()
        first = self._taken + 1
        self._taken = first if arrival.missed_to is None else max(self._taken, arrival.missed_to)
        self._in_hand, self._in_hand_numbers = arrival, (first, self._taken)
        self.received += arrival.message is not None
        self._changed.notify_all()
        return arrival


class _Handling:
    """Run the application's callback on one message, and count it as handled, come what may."""

    def __init__(self, inbox: Inbox, on_message: Callable[[Message], None], arrival: Arrival) -> None:
        self._inbox = inbox
        self._on_message = on_message
        self._arrival = arrival

    def __call__(self) -> None:
        try:
            if self._arrival.message is not None:
                self._on_message(self._arrival.message)
        finally:
            self._inbox.handled()
