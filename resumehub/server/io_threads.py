"""Who reads a link, who writes it, and who closes it.

A link is read by the request thread that has lent itself, in turns by those who read for many, or by a
thread of its own; and by a stand-in while that one is stuck in a callback. It is written by whoever sends,
until the peer is slow: then by a writer thread. It is closed by the last of them. Each of these is found
here, and so is what happens when the system has no thread to give: that one transport is dropped, and
somebody lets go of it all the same (tests/races/test_no_thread_to_be_had.py).

It knows nothing of sessions, and decides neither when a link is to be read nor when it is to end: the
executor does (hub thread), the watcher, and a channel that is full (any thread). Nothing here waits. Read
next: ``incoming/reader.py``, ``incoming/leader_followers.py``, docs/explanation/threads.md.
"""

from __future__ import annotations

import logging

from ..core import commands as c
from ..incoming.reader import FinalRelease, Reader, ReaderHost, SharedReader
from ..incoming.transport_io import TransportIO
from ..outgoing.transport_writer import TransportWriter
from .thread_group import ThreadGroup

log = logging.getLogger("resumehub")


class IOThreads:
    """One hub's, by way of which links come to their threads. Never blocks."""

    def __init__(self, host: ReaderHost, thread_group: ThreadGroup) -> None:
        self._host = host
        self._thread_group = thread_group

    def start_reader(self, io: TransportIO) -> bool:
        """Hub thread: start reading a link; False if no thread was to be had (it is given up)."""
        io.reader = token = object()
        if io.host_thread is not None:
            io.host_thread.offer(self._thread_group.adopted(Reader(self._host, io, token).run))
            return True
        try:
            self._read_on(io, token)
        except RuntimeError:
            log.exception("no thread to read transport %s could be started; it is dropped", io.number)
            self._drop_unread(io)
            return False
        return True

    def _read_on(self, io: TransportIO, token: object) -> None:
        """Have the link read by whoever has ``token``. Raises RuntimeError when there are no threads."""
        if self._host.leader_followers is not None and io.transport.pollable is not None:
            self._host.leader_followers.enter(SharedReader(self._host, io, token))
        else:
            self._thread_group.spawn("reader", Reader(self._host, io, token).run)

    def stand_in(self, io: TransportIO) -> None:
        """Watcher: the reader is stuck in a callback; give the right to read to somebody else."""
        with io.lock:
            if not io.busy:
                return
            io.busy = False
            io.reader = token = object()
            io.reading_since = self._host.clock.monotonic()
        try:
            self._read_on(io, token)
        except RuntimeError:
            log.exception("no thread to stand in for a busy reader could be started")
            self._drop_unread(io)

    def start_writer(self, writer: TransportWriter) -> None:
        """Any thread: the peer is slow, or a close frame is due."""
        try:
            self._thread_group.spawn("writer", writer.write_until_drained)
        except RuntimeError:
            log.exception("no thread to write transport %s could be started; it is dropped", writer.number)
            writer.writer_failed_to_start()
            self._host.put(c.TransportAborted(writer.number))

    def release_now(self, io: TransportIO) -> None:
        """Hub thread: close a link that no thread uses."""
        io.transport.release()
        self._host.put(c.Released(io.number))

    def close_unread(self, io: TransportIO) -> None:
        """Hub thread: close a link that nobody reads any more."""
        assert io.writer is not None, "it was read"
        if io.writer.retire_now():
            self.release_now(io)
        else:
            assert self._host.leader_followers is not None, "one of them has ended this link's input"
            self._host.leader_followers.enter(FinalRelease(Reader(self._host, io, None), io.number))

    def _drop_unread(self, io: TransportIO) -> None:
        # Nobody else would close it, so this is a reader that only lets go.
        let_go = Reader(self._host, io, io.reader).let_go
        self._host.put(c.TransportAborted(io.number))
        try:
            self._thread_group.spawn("reader", let_go)
        except RuntimeError:
            io.transport.abort()
            io.aborted.set()
            let_go()
