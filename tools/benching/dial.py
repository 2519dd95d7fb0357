"""How a client gets in: connect, ask for the upgrade, listen to the greeting, until it is ready.

``dial`` does so for many at once, and a ``TransportIO`` is what comes of each. Sockets do not block. Called
by
``crowd.py``, ``scenarios.py`` and ``commands.py``. Read next: ``dialects.py`` for what is said.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterable

from .dialects import Dialect, Greeting, Who, split

Address = tuple[str, int]

PATIENCE = 10.0
"""Seconds without any progress after which a measurement is given up."""

_RESET = struct.pack("ii", 1, 0)


class Unanswered(Exception):
    """The server did not do what was measured. The text is for the table's notes."""


class Link:
    """One connection of a client. Times are of ``time.perf_counter``."""

    __slots__ = ("dialled_at", "first_unacked", "messages", "ready_at", "rest", "sock", "unacked", "who")

    def __init__(self, who: Who, sock: socket.socket) -> None:
        self.who = who
        self.sock = sock
        self.dialled_at = time.perf_counter()
        self.ready_at = 0.0
        self.rest = b""
        #: Before it was ready, and in the same breath.
        self.messages = 0
        self.unacked = 0
        self.first_unacked = 0.0

    def cut(self) -> None:
        """What a broken network does: a reset, and no word."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()


class Dialling:
    """One client on its way in; ``heard`` is called when its socket has something to say."""

    def __init__(
        self, dialect: Dialect, address: Address, who: Who, messages: int, small: bool = False
    ) -> None:
        self._dialect = dialect
        self._wanted = messages
        self._upgraded = self._ready = False
        sock = socket.socket()
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.link = Link(who, sock)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(dialect.request(who))
        sock.setblocking(False)

    def heard(self) -> bool:
        """Read on; True when the client is in, and has as many messages as it waits for."""
        link = self.link
        try:
            data = link.sock.recv(65536)
        except BlockingIOError:
            return False
        except OSError as error:
            raise Unanswered(f"a newcomer was cut off: {error}") from None
        if not data:
            raise Unanswered("a newcomer was sent away")
        link.rest += data
        if not self._upgraded and not self._read_answer():
            return False
        frames, link.rest = split(link.rest)
        for opcode, payload in frames:
            self._take(self._dialect.heard(link.who, opcode, payload))
        if self._ready and link.messages >= self._wanted:
            link.ready_at = time.perf_counter()
            return True
        return False

    def _read_answer(self) -> bool:
        link = self.link
        head, ended, rest = link.rest.partition(b"\r\n\r\n")
        if not ended:
            return False
        if b" 101 " not in head[:16]:
            raise Unanswered(f"answered {head.splitlines()[0].decode(errors='replace')!r}")
        self._upgraded, link.rest = True, rest
        self._take(self._dialect.upgraded(link.who))
        return True

    def _take(self, greeting: Greeting) -> None:
        self._ready = self._ready or greeting.ready
        self.link.messages += greeting.messages
        if greeting.answer:
            self.link.sock.send(greeting.answer)


def dial(
    dialect: Dialect,
    address: Address,
    crowd: Iterable[Who],
    *,
    at_once: int = 128,
    messages: int = 0,
    small: bool = False,
) -> list[Link]:
    """Connect them, ``at_once`` of them on their way at any time, until each has so many messages.

    ``small``: with as little room for incoming bytes as the kernel allows.
    Raises: Unanswered, and then all that were opened here are closed.
    """
    waiting = list(crowd)[::-1]
    under_way: dict[int, Dialling] = {}
    done: list[Link] = []
    poll = select.epoll()
    try:
        while waiting or under_way:
            while waiting and len(under_way) < at_once:
                dialling = Dialling(dialect, address, waiting.pop(), messages, small)
                under_way[dialling.link.sock.fileno()] = dialling
                poll.register(dialling.link.sock.fileno(), select.EPOLLIN)
            events = poll.poll(PATIENCE)
            if not events:
                raise Unanswered(f"{len(done):,} connected, then nobody for {PATIENCE:g} s")
            for fd, _ in events:
                if under_way[fd].heard():
                    poll.unregister(fd)
                    done.append(under_way.pop(fd).link)
    except BaseException:
        for link in [*done, *(one.link for one in under_way.values())]:
            link.cut()
        raise
    finally:
        poll.close()
    return done
