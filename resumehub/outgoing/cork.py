"""Broadcasts that a reader thread holds back for a moment, to write those that follow together with them.

A system call is most of what a delivery costs. When twenty members of a room send at once, the thread that
handles their messages knows, while it handles the first, that more are waiting. So it writes nothing yet.
Later it writes to each receiver all that has collected, in one call. The frames that are held back are in the
receivers' outboxes already: counted, in order, within the bounds. They wait for at most ``LONGEST`` seconds.
When the thread is stuck in a callback, its deputy writes them.

There is one cork for each reader thread; that thread and its deputy use it. Read next:
``incoming/leader_followers.py``, ``server/room.py``.
"""

from __future__ import annotations

from ..clock import now
from ..runtime.foreign_code import Log, passes
from .transport_writer import TransportWriter

log = Log(__name__)

LONGEST = 0.005
"""Seconds that a broadcast is held back at most, while callbacks are quick."""


class Cork:
    """The writers whose frames are held back. Threads: the cork's own, but for ``pull``. Blocks: never."""

    __slots__ = ("_held", "_since", "open")

    def __init__(self) -> None:
        #: Whether frames may be held back: more messages are waiting, and callbacks are quick.
        self.open = False
        self._held: dict[TransportWriter, None] = {}
        self._since = 0.0

    def hold(self, writers: list[TransportWriter]) -> None:
        """After a broadcast: its frame is the last one in the outboxes of ``writers``, and not written."""
        if not self._held:
            self._since = now()
        self._held.update(dict.fromkeys(writers))
        # After the update: a deputy that calls ``pull`` at this moment has written all of these, or none.
        if not self.open:
            self.flush()

    def is_due(self) -> bool:
        """Whether a frame has been held back for longer than ``LONGEST``."""
        return bool(self._held) and now() - self._since > LONGEST

    def flush(self) -> None:
        """Write all that is held back."""
        held, self._held = self._held, {}
        for writer in held:
            _flush(writer)

    def pull(self) -> None:
        """The deputy: the thread is stuck in a callback. Write what is held back; hold no more in it."""
        self.open = False
        for writer in list(self._held):
            _flush(writer)

    def __bool__(self) -> bool:
        """Whether a frame is held back."""
        return bool(self._held)


def _flush(writer: TransportWriter) -> None:
    try:
        writer.flush()
    except BaseException as error:  # a bug of ours; the frames of the other receivers must not wait for it
        if passes(error):
            raise
        log.error(
            "writing to transport %s failed; please report this",
            writer.number,
            exc_info=error,
            transport=writer.number,
        )
