"""One connection through the proxy: two sockets, two directions, and what its fault does to them.

Until the fault strikes, bytes pass as they come. Then each direction gets a *way* of its own: bytes are
thrown away, or held, or let through a few at a time. All of it runs on the proxy's thread and never blocks.
Made by ``proxy.py``, which calls ``End.ready`` when the kernel has something to say.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from enum import Enum
from random import Random
from typing import Protocol

from .faults import Direction, Fault, Kind
from .flow import Flow

CHUNK = 1 << 16
MOST_WAITING = 1 << 18
"""So many bytes may wait for an end that does not read; then the other is not read, either."""

PATIENCE = 5.0
"""Seconds after which an end that nobody uses any more is closed, whatever its peer believes."""

_TICK = 0.002
_RESET = struct.pack("ii", 1, 0)


class Way(Enum):
    """What happens to the bytes of a direction."""

    PASS = "they go on to the other end"
    SWALLOW = "they are thrown away"
    HOLD = "they are kept"


class Loop(Protocol):
    """The proxy, as a pipe sees it."""

    def watch(self, end: End, *, read: bool, write: bool) -> None: ...
    def forget(self, end: End) -> None: ...
    def later(self, seconds: float, call: Callable[[], None]) -> None: ...
    def may_strike(self, pipe: Pipe) -> bool: ...
    def struck(self, pipe: Pipe) -> None: ...
    def answered(self, pipe: Pipe) -> None: ...
    def over(self, pipe: Pipe) -> None: ...


class End:
    """One socket of a pipe: what comes from it, and what waits to be written to it."""

    def __init__(self, pipe: Pipe, sock: socket.socket, direction: Direction, fault: Fault | None) -> None:
        self.pipe = pipe
        self.sock = sock
        place = fault.place if fault is not None and fault.place.direction == direction else None
        #: Of the bytes that come from here.
        self.flow = Flow(place)
        self.way = Way.PASS
        self.held = bytearray()
        self.out = bytearray()
        self.at_end = False  # nothing more comes from here
        self.finish = False  # say end-of-file here once everything is written
        self.finished = False
        self.closed = False

    def ready(self, readable: bool, writable: bool) -> None:
        """The kernel has input, or takes output."""
        try:
            if writable and not self.closed:
                self.flush()
            if readable and not self.closed:
                self._read()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.pipe.broken(self)
        self.pipe.look()

    def _read(self) -> None:
        data = self.sock.recv(CHUNK)
        if data:
            self.pipe.arrived(self, data)
        else:
            self.at_end = True
            self.pipe.ended(self)

    def write(self, data: bytes | bytearray) -> None:
        """Write ``data``, as far as that can be done now; the rest waits."""
        if not self.closed:
            self.out += data
            self.flush()

    def flush(self) -> None:
        """Write what waits. Never raises: who can't be written to is read to his end."""
        try:
            while self.out:
                del self.out[: self.sock.send(self.out)]
            if self.finish and not self.finished:
                self.finished = True
                self.sock.shutdown(socket.SHUT_WR)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.out.clear()

    def say_end(self) -> None:
        """Close for writing, behind what waits."""
        if not self.closed:
            self.finish = True
            self.flush()

    def close(self, *, reset: bool = False) -> None:
        """Let go of the socket; ``reset``: as a machine does that has lost its memory."""
        if self.closed:
            return
        self.closed = True
        self.out.clear()
        self.pipe.loop.forget(self)
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()


class Pipe:
    """One connection. ``fault`` None: nothing happens to it."""

    def __init__(
        self, loop: Loop, door: int, fault: Fault | None, client: socket.socket, server: socket.socket
    ) -> None:
        self.loop = loop
        self.door = door
        self.fault = fault
        self.struck = self.over = self._answered = False
        self.client = End(self, client, "up", fault)
        self.server = End(self, server, "down", fault)

    # -- what the ends tell -----------------------------------------------------------------

    def arrived(self, end: End, data: bytes) -> None:
        """Bytes have come from ``end``."""
        if end.way is Way.HOLD:
            end.held += data
        if end.way is not Way.PASS:
            return
        before = end.flow.take(data)
        fault = self.fault if end.flow.struck and not self.struck and self.loop.may_strike(self) else None
        if fault is not None and fault.kind is Kind.OVERTAKEN:
            before = b""
        self._other(end).write(before if fault is not None else data)
        if end is self.server and end.flow.head_size is not None and not self._answered:
            self._answered = True
            self.loop.answered(self)
        if fault is not None:
            self._strike(fault, data[len(before) :])

    def ended(self, end: End) -> None:
        """The peer of ``end`` has said end-of-file."""
        if end.way is Way.PASS:
            self._other(end).say_end()
            return
        end.close()
        if end is self.client and self.fault is not None and self.fault.kind is Kind.LATE:
            self.loop.later(self.fault.delay, self.release)

    def broken(self, end: End) -> None:
        """The peer of ``end`` has reset the connection."""
        end.at_end = True
        if end.way is Way.PASS:
            self.close(reset=True)
        else:
            self.ended(end)

    def look(self) -> None:
        """After each event: what to wait for next, and whether it is over."""
        if self.client.at_end and self.server.at_end and not (self.client.out or self.server.out):
            self.close()
        if self.client.closed and self.server.closed:
            if not self.over:
                self.over = True
                self.loop.over(self)
            return
        for end in (self.client, self.server):
            if not end.closed:
                room = len(self._other(end).out) < MOST_WAITING
                self.loop.watch(end, read=room and not end.at_end, write=bool(end.out))

    # -- the fault --------------------------------------------------------------------------

    def _strike(self, fault: Fault, rest: bytes) -> None:
        """``rest``: what has come behind the place already."""
        self.fault = fault
        self.struck = True
        self.loop.struck(self)
        struck = self.client if fault.place.direction == "up" else self.server
        match fault.kind:
            case Kind.CUT:
                self._swallow(self.client, self.server)
                self.client.say_end()
                self.server.say_end()
            case Kind.RESET:
                self.close(reset=True)
            case Kind.CLIENT_ONLY:
                self._swallow(self.server)
                self.client.close(reset=True)
            case Kind.SERVER_ONLY:
                self._swallow(self.client)
                self.server.close(reset=True)
            case Kind.STALL:
                self._swallow(self.client, self.server)
            case Kind.LATE:
                self._swallow(self.server)
                self.client.way = Way.HOLD
                self.client.held += rest
            case Kind.DRIP:
                struck.way = Way.HOLD
                struck.held += rest
                self._drip(struck, fault.amount, Random(fault.amount))
            case Kind.OVERTAKEN:
                self._swallow(self.server)
                self.client.held += rest
                self.client.close(reset=True)
        if fault.kind is not Kind.OVERTAKEN:
            self.loop.later(PATIENCE, self.close)

    def release(self) -> None:
        """What was held goes to the server after all, then its end."""
        self.server.write(self.client.held)
        self.client.held.clear()
        if self.fault is not None and self.fault.kind is Kind.LATE:
            self.server.say_end()
        self.loop.later(PATIENCE, self.close)
        self.look()

    def close(self, *, reset: bool = False) -> None:
        """Let go of both ends."""
        self.client.close(reset=reset)
        self.server.close(reset=reset)
        if not self.over:
            self.over = True
            self.loop.over(self)

    def _drip(self, end: End, left: int, random: Random) -> None:
        if self.over:
            return
        if left <= 0 or end.closed:
            self.close(reset=True)
            return
        amount = min(left, random.randrange(1, 12), len(end.held))
        self._other(end).write(end.held[:amount])
        del end.held[:amount]
        self.look()
        # Time is used up where nothing comes, too.
        self.loop.later(_TICK, lambda: self._drip(end, left - max(amount, 1), random))

    def _swallow(self, *ends: End) -> None:
        for end in ends:
            end.way = Way.SWALLOW

    def _other(self, end: End) -> End:
        return self.server if end is self.client else self.client
