"""Which messages may start a handler: those of the present transport, and no others.

The hub thread detaches a transport while other threads start handlers. So the fence has a lock of its own,
which is held for one look or one change only. It decides nothing: the hub thread sets it, and the thread on
which a handler raised. Read next: ``handler_calls.py``, which asks it before each message.
"""

from __future__ import annotations

from ..runtime.base import Lock


class InboundFence:
    """One session's fence. Any thread. Blocks: only while another thread is in a call."""

    __slots__ = ("_fenced", "_generation", "_lock", "handled")

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._generation = 0
        # Kept, since a handler may raise before the hub thread has attached the transport for which it ran
        # (tests/races/test_refused_entry_against_resume.py).
        self._fenced = 0.0
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

    def is_open(self, generation: int) -> bool:
        """Whether a message of ``generation`` may start. It may change at any time; ``start`` decides."""
        return generation == self._generation  # without the lock: the answer can be old in any case

    def export(self) -> tuple[int, float]:
        """Messages whose handler has started, and the last generation whose messages may not start."""
        with self._lock:
            return self.handled, self._fenced

    def restore(self, handled: int, fenced: float) -> None:
        """Go on from what ``export`` returned."""
        with self._lock:
            self.handled, self._fenced = handled, fenced

    def start(self, generation: int) -> bool:
        """Whether a message of ``generation`` may start now; if so, it counts as handled."""
        with self._lock:
            if generation != self._generation:
                return False
            self.handled += 1
            return True
