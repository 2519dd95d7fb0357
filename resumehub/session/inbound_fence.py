"""Which messages may start a handler: those of the present transport, and no others.

The hub thread detaches a transport while other threads start handlers. So the fence has a lock of its own,
which is held for one look or one change only. It decides nothing: the hub thread sets it, and the thread on
which a handler raised. It counts the messages that start, and keeps which of them could not be decoded, for
as long as the client may not know of it. While the session is written down, to go on in another process,
none starts: each message starts in one of the two. Read next: ``handler_calls.py``, which asks it before each
message.
"""

from __future__ import annotations

from typing import Protocol

from ..protocol.control_messages import Rejection
from ..runtime.base import Lock
from .elsewhere import Seal


class Startable(Protocol):
    """A message. ``generation``: of its transport; ``is_started``: set when it starts."""

    @property
    def generation(self) -> int: ...

    is_started: bool


class InboundFence:
    """One session's fence. Any thread. Blocks: only ``start``, and else while another thread is in a call.

    ``window``: how many messages of a ``resumehub.v1`` client may be unacknowledged.
    """

    __slots__ = ("_fenced", "_generation", "_lock", "_rejected", "_seal", "_window", "handled")

    def __init__(self, lock: Lock, window: int) -> None:
        self._lock = lock
        self._generation = 0
        # Kept, since a handler may raise before the hub thread has attached the transport for which it ran
        # (tests/races/test_refused_entry_against_resume.py).
        self._fenced = 0.0
        self._window = window
        self._seal: Seal | None = None
        # A new tuple each time, so that it can be read without the lock; and nearly every session has none.
        self._rejected: tuple[Rejection, ...] = ()
        #: Messages whose handler has started, in the session's life.
        self.handled = 0

    def attach(self, generation: int) -> int:
        """Let messages of ``generation`` start from now on; return how many have started in all."""
        with self._lock:
            if generation > self._fenced:
                self._generation = generation
            return self.handled

    def fence(self, generation: int | None = None) -> None:
        """Let no more messages of ``generation`` start, attached or not; None: the present one's."""
        with self._lock:
            if generation is not None:
                self._fenced = max(self._fenced, generation)
            if generation is None or generation == self._generation:
                self._generation = 0

    def shut(self) -> None:
        """Let no message start again, on any transport."""
        with self._lock:
            self._fenced = float("inf")
            self._generation = 0

    def seal(self, seal: Seal | None) -> None:
        """Have messages that are about to start wait for this; None: before it opens, if they start here."""
        with self._lock:
            self._seal = seal

    def is_open(self, generation: int) -> bool:
        """Whether a message of ``generation`` may start. It may change at any time; ``start`` decides."""
        return generation == self._generation  # without the lock: the answer can be old in any case

    def export(self) -> tuple[int, float, tuple[Rejection, ...]]:
        """Messages whose handler has started; the last generation whose messages may not; ``rejected``."""
        with self._lock:
            return self.handled, self._fenced, self._rejected

    def restore(self, handled: int, fenced: float, rejected: tuple[Rejection, ...]) -> None:
        """Go on from what ``export`` returned."""
        with self._lock:
            self.handled, self._fenced, self._rejected = handled, fenced, rejected

    def rejected(self, behind: int, upto: int) -> list[Rejection]:
        """Of the messages with a number above ``behind``, up to ``upto``: those that were not decoded.

        Only those that the client may not know of: it sends no message that is a window behind another one
        before it has heard all about that one.
        """
        behind = max(behind, self.handled - self._window)
        return [one for one in self._rejected if behind < one.number <= upto]

    def start(self, message: Startable, rejected: str | None = None) -> bool:
        """Whether a message may start now; if so, it counts as handled.

        ``rejected``: why it can't be decoded, for a client that is told; None otherwise. Blocks: while the
        session is sealed.
        """
        while True:
            with self._lock:
                if message.generation != self._generation:
                    return False
                seal = self._seal
                if seal is None:
                    message.is_started = True
                    self._count(rejected)
                    return True
            seal.wait()

    def _count(self, rejected: str | None) -> None:
        if rejected is not None:
            # Before it counts: whoever acknowledges it must find it here.
            kept = self._rejected[1 - self._window :] if self._window > 1 else ()
            self._rejected = (*kept, Rejection(self.handled + 1, rejected))
        self.handled += 1
