"""Many clients in one thread: greeted, counted, cut. The load process's own half of the work.

One ``epoll`` watches all sockets, and what comes is counted rather than read. Called by ``flows.py`` and
``scenarios.py``. Read next: ``dial.py`` for how they get in.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable

from .dial import PATIENCE, Address, Link, Unanswered, dial
from .dialects import Dialect, ResumehubV1, Who, split
from .texts import SIZE

_ROOM = bytearray(1 << 18)
_ACK_AFTER = 128  # half of the window, as docs/reference/lossless.md asks
_ACK_LATEST = 1.0
_BATCH = 100


class Crowd:
    """Clients that are connected. ``take(fd)`` reads what has come, and gives how many messages it was."""

    def __init__(self, dialect: Dialect, address: Address, name: str = "c", at_most: int = 1_000_000) -> None:
        self.dialect = dialect
        self.address = address
        self.links: dict[int, Link] = {}
        self.poll = select.epoll()
        self.take: Callable[[int], int] = self._take_bytes if dialect.uniform else self._take_frames
        self._name = name
        self._at_most = at_most
        self._wire_size = dialect.wire_size
        self._numbers = 0
        self._rests: dict[int, int] = {}
        self._receive: dict[int, Callable[[bytearray], int]] = {}

    def grow(self, size: int) -> None:
        """Connect until there are so many, and have heard from each. Raises Unanswered."""
        if size > self._at_most:
            raise Unanswered(
                f"not tried with more than {self._at_most:,}: this machine has too few threads or descriptors"
            )
        while (missing := size - len(self.links)) > 0:
            new = [Who(f"{self._name}{self._numbers + n}") for n in range(min(missing, _BATCH))]
            self._numbers += len(new)
            links = dial(self.dialect, self.address, new)
            self.add(links)
            self.hear_from(links)

    def hear_from(self, links: Iterable[Link]) -> None:
        """Have each of these send a message that comes back.

        The 101 says that a client is connected, and not yet that the application's handler knows it: a
        broadcast could still pass it by.
        """
        waiting = set()
        for link in links:
            link.sock.send(self.dialect.say)
            waiting.add(link.sock.fileno())
        while waiting:
            events = self.poll.poll(PATIENCE)
            if not events:
                raise Unanswered(f"{len(waiting):,} newcomers were not answered for {PATIENCE:g} s")
            for fd, _ in events:
                if self.take(fd):
                    waiting.discard(fd)

    def add(self, links: Iterable[Link]) -> None:
        """Count for these from now on."""
        for link in links:
            fd = link.sock.fileno()
            self.links[fd] = link
            self._rests[fd] = len(link.rest)
            self._begin_to_count(link, fd)
            self._receive[fd] = link.sock.recv_into
            self.poll.register(fd, select.EPOLLIN)

    def remove(self, link: Link) -> None:
        """Count for it no more; it stays open."""
        fd = link.sock.fileno()
        self.poll.unregister(fd)
        del self.links[fd], self._rests[fd], self._receive[fd]

    def _take_bytes(self, fd: int) -> int:
        try:
            got = self._receive[fd](_ROOM)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Unanswered(f"a client was cut off: {error}") from None
        if not got:
            raise Unanswered("a client was sent away")
        messages, self._rests[fd] = divmod(self._rests[fd] + got, self._wire_size)
        return messages

    def _take_frames(self, fd: int) -> int:
        link = self.links[fd]
        try:
            got = self._receive[fd](_ROOM)
        except BlockingIOError:
            return 0
        if not got:
            raise Unanswered("a client was sent away")
        data = link.rest + _ROOM[:got]
        messages, odd = divmod(len(data), self._wire_size)
        # 0x81 0x40: a text of 64 bytes. Most of the time there is nothing else.
        if odd or data.count(b'\x81\x40{"e') != messages:
            frames, link.rest = split(data)
            messages = sum(len(payload) == SIZE for _, payload in frames)
        else:
            link.rest = b""
        if messages:
            self._acknowledge(link, messages)
        return messages

    @staticmethod
    def _begin_to_count(link: Link, number: int) -> None:
        # Out of step, as the real clients put themselves by a random phase (docs/reference/lossless.md): else
        # all would acknowledge in the same moment, for ever. Not by chance here, so that two runs are alike.
        link.unacked = number * 37 % _ACK_AFTER
        link.first_unacked = time.perf_counter() - _ACK_LATEST * link.unacked / _ACK_AFTER

    def _acknowledge(self, link: Link, messages: int) -> None:
        now = time.perf_counter()
        if not link.unacked:
            link.first_unacked = now
        link.unacked += messages
        link.who.received += messages
        if link.unacked >= _ACK_AFTER or now - link.first_unacked >= _ACK_LATEST:
            link.unacked = 0
            link.sock.send(ResumehubV1.ack(link.who))

    def cut(self) -> None:
        """All at once, without a word."""
        for link in list(self.links.values()):
            link.cut()
        self._forget()

    def leave(self) -> None:
        """All at once, with a close frame each; the server hangs up."""
        gone = select.epoll()
        for fd, link in self.links.items():
            try:
                link.sock.send(self.dialect.leave)
            except OSError:
                continue
            gone.register(fd, select.EPOLLIN)
        left = set(self.links)
        while left and (events := gone.poll(1.0)):
            for fd, _ in events:
                try:
                    there = fd in left and self.links[fd].sock.recv(65536)
                except OSError:
                    there = b""
                if not there:
                    left.discard(fd)
                    gone.unregister(fd)
        gone.close()
        self.cut()

    def close(self) -> None:
        """Cut, and free everything."""
        self.cut()
        self.poll.close()

    def _forget(self) -> None:
        self.poll.close()
        self.poll = select.epoll()
        self.links.clear()
        self._rests.clear()
        self._receive.clear()
