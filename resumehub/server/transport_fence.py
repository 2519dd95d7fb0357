"""Stops all threads that read or write one transport of a session that is to leave, and can undo it.

The peer notices nothing: the connection is not touched (``transport/base.py``, T12 to T14). Used by the
thread that moves a session, or all of them: first ``close`` for each, then ``wait`` for each. Read next:
``moving.py``, ``hub_departure.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..incoming.transport_io import TransportIO
from ..runtime.base import Event, Runtime

if TYPE_CHECKING:
    from .hub_loop import HubLoop

_LOOK = 0.02
"""Seconds between two looks at a reader that is in a handler: another one takes its place, and leaves."""


class TransportFence:
    """One transport's, which has a session."""

    __slots__ = ("_left", "_loop", "io")

    def __init__(self, loop: HubLoop, io: TransportIO) -> None:
        self._loop = loop
        self.io = io
        self._left: Event | None = None

    def close(self, runtime: Runtime) -> None:
        """Let no thread begin to write, and have the reader leave. Next: ``wait``. Never blocks."""
        assert self.io.writer is not None, "a session is attached to it"
        self.io.writer.hold()
        self.io.part()
        if not self._loop.io_threads.take_back(self.io):  # its reader does not only wait for input
            self._left = self.io.reader_left(runtime)
            self._loop.io_threads.recall(self.io)

    def wait(self) -> str | None:
        """Return why the transport can't be moved; None if it can.

        Blocks: until no thread reads or writes; for no handler.
        """
        io = self.io
        assert io.writer is not None, "as above"
        while self._left is not None and not self._left.wait(_LOOK):
            self._loop.io_threads.stand_in(io)
            self._loop.io_threads.recall(io)
        if not io.writer.wait_until_held():
            return "its transport is closing"
        return io.what_keeps_it()

    def open(self) -> None:
        """Undo it: the session goes on here."""
        io = self.io
        assert io.writer is not None, "as above"
        io.rejoin()
        if io.aborted.is_set():  # between ``part`` and ``rejoin``, ``abort`` did nothing
            io.transport.abort()
        io.writer.let_go()
        if not io.input_ended:
            self._loop.io_threads.start_reader(io)
