"""Broadcasts that a reader thread holds back for a moment, to write those that follow together with them.

A system call is most of what a delivery costs. When twenty members of a room speak at once, the thread that
handles their messages knows that it has more in hand while it handles the first; so it writes nothing yet,
and then to each receiver all that has come together, in one call. What is held back is in the receivers'
outboxes already: counted, in order, within the bounds, and written with whatever else is sent there. It waits
for at most ``LONGEST`` seconds, and for nothing that blocks: a thread that is stuck in a callback is relieved
by its deputy, which pulls the cork.

One a reader thread, pulled by that one and its deputy. Read next: ``incoming/leader_followers.py``,
``Hub.broadcast``.
"""

from __future__ import annotations

from ..clock import now
from .transport_writer import TransportWriter

LONGEST = 0.005
"""Seconds that a broadcast is held back at most, while callbacks are quick."""


class Cork:
    """Who has frames that are held back. The methods are the thread's own but for ``pull``; none blocks."""

    __slots__ = ("_held", "_since", "open")

    def __init__(self) -> None:
        #: Whether something may be held back: there is more in hand, and callbacks are quick.
        self.open = False
        self._held: dict[TransportWriter, None] = {}
        self._since = 0.0

    def hold(self, writers: list[TransportWriter]) -> None:
        """Behind a broadcast: its frame is the last in these channels' outboxes, and not written."""
        if not self._held:
            self._since = now()
        self._held.update(dict.fromkeys(writers))
        # Behind the entry: a deputy that pulls the cork just now has written all of this, or none.
        if not self.open:
            self.flush()

    def is_due(self) -> bool:
        """Whether something has been held back for long enough."""
        return bool(self._held) and now() - self._since > LONGEST

    def flush(self) -> None:
        """Write all that is held back."""
        held, self._held = self._held, {}
        for writer in held:
            writer.flush()

    def pull(self) -> None:
        """The deputy's: its thread is stuck. Write what is held back; nothing more is, in this callback."""
        self.open = False
        for writer in list(self._held):
            writer.flush()

    def __bool__(self) -> bool:
        """Whether something is held back."""
        return bool(self._held)
