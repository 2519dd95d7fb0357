"""Messages that wait for the application, and callbacks that wait to be called.

A message *waits*, is *taken* when the application gets it, and is *handled* when its callback has returned,
or when the application asks for the next one. A resume asks for the messages behind the last one that was
*taken*: that one is still being handled here, and must not come twice. So while the client dials, nothing can
be taken. The messages that wait are thrown away when the server sends them again, and may be taken after all
when the session has ended.

One object a client, with a lock of its own; any thread. A transport puts messages in, the driver freezes,
begins and ends, and whatever handles messages takes them. What blocks may be a step (``steps.py``): nothing
has changed when it waits. Read next: ``callbacks.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..clock import now
from ..message import Message
from ..runtime.base import Runtime
from .steps import Steps

#: A callback's call: it may be a step that is awaited.
Call = Callable[[], Steps[Any]]

#: How many messages may wait for the application; with more, the client stops reading.
MAX_WAITING = 1024


@dataclass(slots=True)
class Arrival:
    """What came: a message, or (None) something that takes up numbers and is nothing to handle."""

    message: Message | None
    size: int = 0
    #: Where messages will never come: the last of their numbers; None: this one came.
    missed_to: int | None = None


class Inbox:
    """The messages of one client that wait, in order, and the calls of its callbacks.

    Both functions are called without the lock: ``report(number, size)`` when messages have been handled,
    ``missed(first, last)`` when it is the turn of messages that will never come.
    """

    def __init__(
        self, runtime: Runtime, report: Callable[[int, int], None], missed: Callable[[int, int], None]
    ) -> None:
        self._lock = runtime.lock("the inbox")
        self._changed = runtime.condition(self._lock)
        self._report = report
        self._missed = missed
        self._waiting: deque[Arrival] = deque()
        self._calls: deque[Call] = deque()
        self._last_calls: deque[Call] = deque()
        # The dial whose transport may put; 0: none may.
        self._dial = 0
        self._frozen = False
        self._last_taken = 0
        # What has been taken and not handled yet, with its first and last number.
        self._taken: Arrival | None = None
        self._taken_numbers = (0, 0)
        self.ended = False
        #: How many messages the application was given.
        self.received = 0

    # -- putting in -------------------------------------------------------------------------

    def begin(self, dial: int, last_taken: int | None) -> None:
        """From now on the transport of ``dial`` puts; its first message is the one behind ``last_taken``.

        None, for a plain server that does not resume: the messages that wait stay, and the count goes on.
        """
        with self._lock:
            self._dial = dial
            if last_taken is not None:
                self._last_taken = last_taken
                self._waiting.clear()
            self._frozen = False
            self._changed.notify_all()

    def put(self, dial: int, arrival: Arrival) -> bool:
        """Add what came; False: this transport has been given up. Blocks while too many messages wait."""
        with self._lock:
            while len(self._waiting) >= MAX_WAITING and dial == self._dial and not self.ended:
                self._changed.wait()
            if dial != self._dial or self.ended:
                return False
            self._waiting.append(arrival)
            self._changed.notify_all()
            return True

    def is_full(self) -> bool:
        """Whether a transport may have to wait before it reads on."""
        with self._lock:
            return len(self._waiting) >= MAX_WAITING

    def freeze(self, *, replay: bool) -> None:
        """No transport puts any more; ``replay``: the server will send again what waits, so none is taken."""
        with self._lock:
            self._dial = 0
            self._frozen = replay
            self._changed.notify_all()

    def last_taken(self) -> int:
        """The number of the last message that the application was given."""
        with self._lock:
            return self._last_taken

    def add_call(self, call: Call, *, last: bool = False) -> None:
        """Queue the call of a callback: ahead of the messages that wait, or (``last``) behind them."""
        with self._lock:
            (self._last_calls if last else self._calls).append(call)
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will come; what waits may be taken."""
        with self._lock:
            self.ended = True
            self._frozen = False
            self._changed.notify_all()

    # -- taking out -------------------------------------------------------------------------

    def take(self, timeout: float | None = None) -> Message | None:
        """The next message, once there is one; None when ``timeout`` passed, or at the end (``ended``).

        The one that was taken before counts as handled. Threads: one at a time. ``timeout``: real seconds.
        """
        give_up = None if timeout is None else now() + timeout
        while True:
            self.handled()
            arrival = self._wait_for_one(give_up)
            if arrival is None or arrival.message is not None:
                return arrival.message if arrival is not None else None

    def next_call(self, on_message: Callable[[Message], Steps[Any]] | None) -> Call | None:
        """What the callbacks' worker calls next, once there is something; None: that was all.

        Without ``on_message`` the messages are left to ``take``.
        """
        with self._lock:
            while True:
                if self._calls:
                    return self._calls.popleft()
                if on_message is not None and self._may_take():
                    return _MessageCall(self, on_message, self._take_next())
                if self.ended:
                    return self._last_calls.popleft() if self._last_calls else None
                self._changed.wait()

    def handled(self) -> None:
        """The message that was taken last, if it still counts as taken, has been handled."""
        with self._lock:
            arrival, self._taken = self._taken, None
            first, last = self._taken_numbers
        if arrival is not None:
            if arrival.missed_to is not None:
                self._missed(first, last)
            self._report(last, arrival.size)

    # -- inside -----------------------------------------------------------------------------

    def _wait_for_one(self, give_up: float | None) -> Arrival | None:
        with self._lock:
            while not self._may_take():
                left = None if give_up is None else give_up - now()
                if self.ended or (left is not None and left <= 0) or not self._changed.wait(left):
                    break
            return self._take_next() if self._may_take() else None

    def _may_take(self) -> bool:
        return bool(self._waiting) and not self._frozen

    def _take_next(self) -> Arrival:
        arrival = self._waiting.popleft()
        first = self._last_taken + 1
        self._last_taken = first if arrival.missed_to is None else max(self._last_taken, arrival.missed_to)
        self._taken, self._taken_numbers = arrival, (first, self._last_taken)
        self.received += arrival.message is not None
        self._changed.notify_all()
        return arrival


class _MessageCall:
    """Call the application's ``on_message`` with one message; it counts as handled even if that raises."""

    def __init__(self, inbox: Inbox, on_message: Callable[[Message], Steps[Any]], arrival: Arrival) -> None:
        self._inbox = inbox
        self._on_message = on_message
        self._arrival = arrival

    def __call__(self) -> Steps[None]:
        try:
            if self._arrival.message is not None:
                yield from self._on_message(self._arrival.message)
        finally:
            self._inbox.handled()
