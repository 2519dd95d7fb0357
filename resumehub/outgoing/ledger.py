"""What became of every frame that was accepted for sending: one entry in one column each.

Contract D6. A frame is *accepted* once, and entered in one other column once: when the client acknowledges
it, when it makes room for a newer one, or when its session ends. It is *settled* then. Until then an outbox
holds it, so that ``accepted == settled + held`` at any moment. ``frame_queue.py`` and ``outbox.py`` keep a
ledger, under the session's lock; ``hub.stats()`` shows the sums. Values only. Read next: ``outbox.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, assert_never

from ..reasons import DropReason
from ..runtime.base import Lock


@dataclass(slots=True)
class Ledger:
    """Sums of frames. ``accepted`` is the sum of the others and of what is still held."""

    accepted: int = 0
    #: The client said that it has handled it.
    acknowledged: int = 0
    #: The kernel took it, and the client does not acknowledge.
    written: int = 0
    #: A broadcast found no room.
    dropped: int = 0
    #: The grace window ended first.
    expired: int = 0
    #: The session was ended first, or its peer took no more.
    closed: int = 0

    @property
    def settled(self) -> int:
        """How many frames are entered in a column."""
        return self.acknowledged + self.written + self.dropped + self.expired + self.closed

    def copy(self) -> Ledger:
        """An equal one."""
        return Ledger(self.accepted, self.acknowledged, self.written, self.dropped, self.expired, self.closed)

    def add(self, other: Ledger) -> None:
        """Add the sums of another ledger to these."""
        self.accepted += other.accepted
        self.acknowledged += other.acknowledged
        self.written += other.written
        self.dropped += other.dropped
        self.expired += other.expired
        self.closed += other.closed

    def enter(self, reason: DropReason, frames: int) -> None:
        """Enter ``frames`` frames in the column of ``reason``."""
        match reason:
            case DropReason.OVERFLOW:
                self.dropped += frames
            case DropReason.EXPIRED:
                self.expired += frames
            case DropReason.CLOSED:
                self.closed += frames
            case _:
                assert_never(reason)


class SessionLedger(Protocol):
    """What keeps a ledger: an outbox, as ``LedgerTotals`` sees it."""

    lock: Lock
    ledger: Ledger

    @property
    def held(self) -> int: ...

    @property
    def held_bytes(self) -> int: ...


class LedgerTotals:
    """The ledgers of all sessions of a hub: those that are open, and the sum of the closed ones.

    Threads: the hub thread opens and closes; any thread may ask for the sum.
    """

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._open: dict[int, SessionLedger] = {}
        self._closed = Ledger()

    def open(self, book: SessionLedger) -> None:
        """A session begins."""
        with self._lock:
            self._open[id(book)] = book

    def close(self, book: SessionLedger) -> None:
        """The last frame is entered. The caller may hold ``book.lock``. Closing twice is no error."""
        with self._lock:
            if self._open.pop(id(book), None) is not None:
                self._closed.add(book.ledger)

    def forget(self, book: SessionLedger) -> None:
        """Its session goes on in another process, and its sums go with it."""
        with self._lock:
            self._open.pop(id(book), None)

    def sum(self) -> tuple[Ledger, int, int]:
        """All sums, how many frames are held, and their bytes. Blocks: for one session's lock at a time."""
        total = Ledger()
        with self._lock:
            ledger_totals = list(self._open.values())
            total.add(self._closed)
        held = held_bytes = 0
        for book in ledger_totals:
            with book.lock:
                total.add(book.ledger)
                held += book.held
                held_bytes += book.held_bytes
        return total, held, held_bytes

    def unbalanced(self) -> str | None:
        """A sentence about the first ledger that does not add up (contract D6); None: all of them do.

        Takes no session's lock: for the race lab, where no thread is in the middle of a change between two
        steps. Blocks: never.
        """
        for book in self._open.values():
            ledger, held = book.ledger, book.held
            if ledger.accepted != ledger.settled + held:
                sums = f"accepted {ledger.accepted} frames, settled {ledger.settled} and holds {held}"
                return f"an outbox {sums}: {ledger}"
        closed = self._closed
        if closed.accepted != closed.settled:
            return f"of {closed.accepted} frames of closed sessions {closed.settled} are settled: {closed}"
        return None
