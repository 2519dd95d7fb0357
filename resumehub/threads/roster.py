"""Who reads a link, who writes it, and who closes it.

A link is read by the request thread that has lent itself, in turns by those who read for many, or by a
thread of its own; and by a stand-in while that one is stuck in a callback. It is written by whoever sends,
until the peer is slow: then by a writer thread. It is closed by the last of them. Each of these is found
here, and so is what happens when the system has no thread to give: that one transport is dropped, and
somebody lets go of it all the same (tests/races/test_no_thread_to_be_had.py).

It knows nothing of sessions, and decides neither when a link is to be read nor when it is to end: the
executor does (hub thread), the watcher, and a channel that is full (any thread). Nothing here waits. Read
next: ``reader.py``, ``readers.py``, docs/explanation/threads.md.
"""

from __future__ import annotations

import logging

from ..channel import Channel
from ..core import commands as c
from .crew import Crew
from .link import Link
from .reader import Farewell, Reader, ReaderHost, SharedReader

log = logging.getLogger("resumehub")


class Roster:
    """One hub's, by way of which links come to their threads. Never blocks."""

    def __init__(self, host: ReaderHost, crew: Crew) -> None:
        self._host = host
        self._crew = crew

    def start_reader(self, link: Link) -> bool:
        """Hub thread: start reading a link; False if no thread was to be had (it is given up)."""
        link.reader = token = object()
        if link.host_thread is not None:
            link.host_thread.offer(self._crew.adopted(Reader(self._host, link, token).run))
            return True
        try:
            self._read_on(link, token)
        except RuntimeError:
            log.exception("no thread to read transport %s could be started; it is dropped", link.number)
            self._drop_unread(link)
            return False
        return True

    def _read_on(self, link: Link, token: object) -> None:
        """Have the link read by whoever has ``token``. Raises RuntimeError when there are no threads."""
        if self._host.readers is not None and link.transport.pollable is not None:
            self._host.readers.enter(SharedReader(self._host, link, token))
        else:
            self._crew.spawn("reader", Reader(self._host, link, token).run)

    def stand_in(self, link: Link) -> None:
        """Watcher: the reader is stuck in a callback; give the right to read to somebody else."""
        with link.lock:
            if not link.busy:
                return
            link.busy = False
            link.reader = token = object()
            link.reading_since = self._host.clock.monotonic()
        try:
            self._read_on(link, token)
        except RuntimeError:
            log.exception("no thread to stand in for a busy reader could be started")
            self._drop_unread(link)

    def start_writer(self, channel: Channel) -> None:
        """Any thread: the peer is slow, or a close frame is due."""
        try:
            self._crew.spawn("writer", channel.write_until_drained)
        except RuntimeError:
            log.exception("no thread to write transport %s could be started; it is dropped", channel.number)
            channel.writer_failed_to_start()
            self._host.put(c.TransportAborted(channel.number))

    def release_now(self, link: Link) -> None:
        """Hub thread: close a link that no thread uses."""
        link.transport.release()
        self._host.put(c.Released(link.number))

    def see_off(self, link: Link) -> None:
        """Hub thread: close a link that nobody reads any more."""
        assert link.channel is not None, "it was read"
        if link.channel.retire_now():
            self.release_now(link)
        else:
            assert self._host.readers is not None, "one of them has ended this link's input"
            self._host.readers.enter(Farewell(Reader(self._host, link, None), link.number))

    def _drop_unread(self, link: Link) -> None:
        # Nobody else would close it, so this is a reader that only lets go.
        let_go = Reader(self._host, link, link.reader).let_go
        self._host.put(c.TransportAborted(link.number))
        try:
            self._crew.spawn("reader", let_go)
        except RuntimeError:
            link.transport.abort()
            link.aborted.set()
            let_go()
