"""A transport without a socket or a thread, and a scripted peer at its other end.

``memory_pair()`` gives both. The transport keeps the clauses of ``transport/base.py`` and is stricter
than a real one: what would corrupt a stream, or reach another connection through a descriptor that was given
back too early, is an AssertionError here. The peer sends what the test says, takes as many bytes as the test
says, and shows what was written as frames. A thread that has to wait does so by the injected ``Runtime``.

Used by test code on any thread. Read next: ``transport/base.py``, ``outgoing/transport_writer.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from ..clock import SystemClock
from ..codes import CloseCode
from ..message import Frame, Opcode
from ..runtime.base import Runtime
from ..runtime.system import SystemRuntime
from ..transport.base import (
    CloseReceived,
    DataReceived,
    Ended,
    Failed,
    Parted,
    PingReceived,
    PongReceived,
    Received,
)
from .wire import WireFrame, parse, server_frame

_REAL = SystemClock()


def memory_pair(
    *,
    max_message_size: int = 64 * 1024,
    stateful: bool = False,
    window: int | None = None,
    runtime: Runtime | None = None,
) -> tuple[MemoryTransport, ScriptedPeer]:
    """Give a transport and the peer it is connected to.

    ``max_message_size`` in bytes. ``stateful``: frames carry a serial number that the peer checks, and
    refused bytes must be offered again first, as with compression and TLS (clause T11). ``window``:
    see ``ScriptedPeer.window``. Threads: any. Blocks: never.
    """
    line = _Line(runtime or SystemRuntime(), max_message_size, stateful, window)
    return MemoryTransport(line), ScriptedPeer(line)


class _Line:
    """What the two ends share. ``changed`` guards every field and is notified of each change."""

    def __init__(self, runtime: Runtime, max_message_size: int, stateful: bool, window: int | None) -> None:
        self.changed = runtime.condition(runtime.lock())
        self.max_message_size = max_message_size
        self.stateful = stateful
        #: One list for each ``ScriptedPeer.send``.
        self.inbox: deque[list[Received]] = deque()
        self.deaf = False
        self.end: Ended | None = None
        self.window = window
        self.most_per_write: int | None = None
        self.bytes_until_failure: int | None = None
        self.written = bytearray()
        self.refused = b""
        self.serial = 0
        self.waiting = 0
        self.write_finished = self.aborted = self.released = self.forgotten = False


class MemoryTransport:
    """The server's end: a ``Transport``. Every use after ``release`` is an AssertionError."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        self.heard = 0
        self._parted = self._released = False

    @property
    def stateful(self) -> bool:
        return self._line.stateful

    @property
    def movable(self) -> bool:
        return not self._line.stateful

    # -- reading ----------------------------------------------------------------------------

    @property
    def pollable(self) -> None:
        """There is no socket to wait for."""

    def receive_now(self) -> list[Received]:
        raise AssertionError("this transport has no socket that a thread could wait for")

    def receive(self) -> list[Received]:
        """What the peer said with its next ``send``. Blocks until then, its end, ``abort`` or ``part``."""
        line = self._line
        with line.changed:
            self._block_until(lambda: line.inbox or line.end is not None or line.aborted or self._parted)
            if self._parted:
                return [Parted()]
            self.heard += 1
            if line.inbox:
                return line.inbox.popleft()
            return [line.end or Ended(reset=False)]

    # -- writing ----------------------------------------------------------------------------

    def encode(self, frame: Frame) -> bytes:
        kind = "text" if frame.opcode is Opcode.TEXT else "binary"
        if not self._line.stateful:
            return server_frame(kind, frame.payload)
        # The caller holds the session's lock (clause T11), so the numbers have no gap.
        self._line.serial += 1
        return server_frame(kind, self._line.serial.to_bytes(4) + frame.payload, rsv1=True)

    def encode_ping(self) -> bytes:
        return server_frame("ping", b"")

    def encode_pong(self, payload: bytes) -> bytes:
        return server_frame("pong", payload)

    def encode_close(self, code: int, reason: str) -> bytes:
        if code == CloseCode.NO_STATUS:
            return server_frame("close", b"")
        return server_frame(
            "close", int(code).to_bytes(2) + reason.encode()[:123].decode(errors="ignore").encode()
        )

    def write(self, pieces: Sequence[bytes | memoryview]) -> int:
        """As many bytes as the peer takes. Raises: OSError, if it takes none ever again."""
        line, offered = self._line, b"".join(pieces)
        with line.changed:
            self._must_be_held()
            assert not self._parted, "written to, but the connection is parted with"
            if self._is_broken():
                raise BrokenPipeError("the peer takes nothing any more")
            assert offered.startswith(line.refused), "bytes that were refused come again, before any others"
            limits = (line.window, line.most_per_write, line.bytes_until_failure)
            taken = min([len(offered), *(limit for limit in limits if limit is not None)])
            if line.stateful:
                line.refused = offered[taken:]
            if line.window is not None:
                line.window -= taken
            if line.bytes_until_failure is not None:
                line.bytes_until_failure -= taken
            line.written += offered[:taken]
            line.changed.notify_all()
            return taken

    def wait_writable(self) -> None:
        """Blocks until ``write`` would take something or raise, or ``abort``."""
        line = self._line
        with line.changed:
            self._block_until(
                lambda: self._parted or self._is_broken() or (line.window != 0 and line.most_per_write != 0)
            )

    def finish_writing(self) -> None:
        self._set("write_finished")

    # -- the end ----------------------------------------------------------------------------

    def has_hung_up(self) -> bool:
        with self._line.changed:
            self._must_be_held()
            return self._line.end is not None and not self._line.inbox

    def abort(self) -> None:
        if not self._parted:
            self._set("aborted")

    def part(self) -> None:
        assert self.movable, "a stateful connection cannot be parted with"
        with self._line.changed:
            self._parted = True
            self._line.changed.notify_all()

    def rejoin(self) -> None:
        self._parted = False

    def unread(self) -> bytes:
        """Nothing: what the peer said stays on the line, for the transport that comes next."""
        return b""

    def successor(self) -> MemoryTransport:
        """Another transport for the same connection, as a process has that is given the socket."""
        assert self._parted, "one connection is in one pair of hands at a time"
        return MemoryTransport(self._line)

    def release(self) -> None:
        assert not self._line.waiting, "released while a thread waits in it"
        if self._parted:
            self._released = True
        else:
            self._set("released")

    def after_fork_in_child(self) -> None:
        self._set("forgotten")

    # -- with the line's lock held ----------------------------------------------------------

    def _is_broken(self) -> bool:
        line = self._line
        gone = line.end is not None and line.end.reset
        return gone or line.aborted or line.write_finished or line.bytes_until_failure == 0

    def _must_be_held(self) -> None:
        released = self._line.released or self._released
        assert not released, "used after release: another connection may have the descriptor by now"

    def _block_until(self, ready: Callable[[], object]) -> None:
        self._must_be_held()
        if ready():
            return
        self._line.waiting += 1
        self._line.changed.notify_all()
        try:
            while not ready():
                self._line.changed.wait()
        finally:
            self._line.waiting -= 1

    def _set(self, flag: str) -> None:
        with self._line.changed:
            self._must_be_held()
            setattr(self._line, flag, True)
            self._line.changed.notify_all()


class ScriptedPeer:
    """The client's end. Nothing blocks but the ``wait_…`` methods, which give up after real seconds."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        self._read = 0

    # -- talking ----------------------------------------------------------------------------

    def send(self, *said: str | bytes | Received) -> None:
        """Say all this at once: str and bytes are messages, anything else is what ``receive`` gives.

        As with a real transport, a message over ``max_message_size`` becomes ``Failed(1009)``, and after
        a failure, a close frame or an end nothing is reported but that end.
        """
        line = self._line
        with line.changed:
            batch: list[Received] = []
            for one in said:
                event = _as_event(one, line.max_message_size)
                if isinstance(event, Ended):
                    line.end = line.end or event
                elif not line.deaf and line.end is None:
                    batch.append(event)
                    line.deaf = isinstance(event, CloseReceived | Failed)
            if batch:
                line.inbox.append(batch)
            line.changed.notify_all()

    def ping(self, payload: bytes = b"") -> None:
        self.send(PingReceived(payload))

    def pong(self) -> None:
        self.send(PongReceived())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame; 1005 for one without a code."""
        self.send(CloseReceived(code, reason))

    def fail(self, code: int = 1002, reason: str = "nonsense") -> None:
        """Break the protocol in the way that is answered with ``code``."""
        self.send(Failed(code, reason))

    def finish(self) -> None:
        """Say that nothing follows, and go on reading."""
        self.send(Ended(reset=False))

    def hang_up(self, *, reset: bool = False) -> None:
        """Leave without a close frame; ``reset``: the server sees an error and not the end of input."""
        self.send(Ended(reset))
        self.fail_writes()

    # -- taking -----------------------------------------------------------------------------

    @property
    def window(self) -> int | None:
        """How many more bytes the peer takes; None, as at first: any number; 0: it does not read."""
        return self._line.window

    @window.setter
    def window(self, size: int | None) -> None:
        self._change(window=size)

    def trickle(self, most: int | None) -> None:
        """Take at most so many bytes of each write; None: any number."""
        self._change(most_per_write=most)

    def fail_writes(self, after: int = 0) -> None:
        """Raise OSError on every write, once ``after`` more bytes have been taken."""
        self._change(bytes_until_failure=after)

    def _change(self, **changed: int | None) -> None:
        with self._line.changed:
            for name, value in changed.items():
                setattr(self._line, name, value)
            self._line.changed.notify_all()

    # -- what was written -------------------------------------------------------------------

    @property
    def wire(self) -> bytes:
        """All bytes that were written."""
        with self._line.changed:
            return bytes(self._line.written)

    @property
    def frames(self) -> list[WireFrame]:
        """All whole frames that were written. Raises AssertionError for bytes that are no frames."""
        return self._parsed()[0]

    @property
    def unfinished(self) -> bytes:
        """The beginning of a frame whose rest has not been written (yet)."""
        return self._parsed()[1]

    def read(self) -> list[WireFrame]:
        """The frames since the last ``read``."""
        fresh = self.frames[self._read :]
        self._read += len(fresh)
        return fresh

    def _parsed(self) -> tuple[list[WireFrame], bytes]:
        wire = self.wire
        if wire.startswith(b"HTTP/"):
            wire = wire.partition(b"\r\n\r\n")[2]
        return parse(wire, serials=self._line.stateful)

    # -- what was done to the transport -----------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many threads block in ``receive`` or ``wait_writable``."""
        return self._line.waiting

    @property
    def aborted(self) -> bool:
        return self._line.aborted

    @property
    def released(self) -> bool:
        return self._line.released

    @property
    def forgotten(self) -> bool:
        return self._line.forgotten

    @property
    def write_finished(self) -> bool:
        """Whether the other side has said that nothing follows."""
        return self._line.write_finished

    # -- waiting ----------------------------------------------------------------------------

    def wait_until(self, condition: Callable[[ScriptedPeer], bool], timeout: float = 10.0) -> bool:
        """Whether ``condition(peer)`` comes true within ``timeout`` real seconds.

        It is called after each change on the transport, without a lock.
        """
        give_up = _REAL.monotonic() + timeout
        while True:
            with self._line.changed:
                seen = self._state()
            if condition(self):
                return True
            if not self._wait_for_change(seen, give_up - _REAL.monotonic()):
                return condition(self)

    def wait_for_frames(self, count: int, timeout: float = 10.0) -> list[WireFrame]:
        """Wait until ``count`` frames have been written in all; what has been by then."""
        self.wait_until(lambda peer: len(peer.frames) >= count, timeout)
        return self.frames

    def _wait_for_change(self, seen: object, seconds: float) -> bool:
        with self._line.changed:
            return seen != self._state() or self._line.changed.wait(max(0.0, seconds))

    def _state(self) -> tuple[object, ...]:
        line = self._line
        return (
            len(line.written),
            len(line.inbox),
            line.waiting,
            line.aborted,
            line.released,
            line.write_finished,
        )


def _as_event(said: str | bytes | Received, max_message_size: int) -> Received:
    if isinstance(said, str | bytes):
        said = DataReceived(said, len(said.encode() if isinstance(said, str) else said))
    if isinstance(said, DataReceived) and said.size > max_message_size:
        return Failed(CloseCode.TOO_BIG, "message too big")
    return said
