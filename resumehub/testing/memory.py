"""A transport without a socket or a thread, which keeps the clauses of ``transport/base.py``.

It is stricter than a real one: what would corrupt a stream, or reach another connection through a descriptor
that was given back too early, is an AssertionError here. A thread that has to wait does so by the injected
``Runtime``. ``memory_pair()`` gives one with the peer at its other end.

Used by test code on any thread. Read next: ``scripted_peer.py``, ``transport/base.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..codes import CloseCode
from ..message import Frame, Opcode
from ..runtime.base import Runtime
from ..runtime.system import SystemRuntime
from ..transport.base import Ended, Parted, Received
from .scripted_peer import MemoryWire, ScriptedPeer
from .wire import server_frame


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
    wire = MemoryWire(runtime or SystemRuntime(), max_message_size, stateful, window)
    return MemoryTransport(wire), ScriptedPeer(wire)


class MemoryTransport:
    """The server's end: a ``Transport``. Every use after ``release`` is an AssertionError."""

    def __init__(self, wire: MemoryWire) -> None:
        self._wire = wire
        self.heard = 0
        self.fragments = 0  # its peer says whole messages
        self._parted = self._released = False

    @property
    def stateful(self) -> bool:
        return self._wire.stateful

    @property
    def has_more(self) -> bool:
        return False

    @property
    def movable(self) -> bool:
        return not self._wire.stateful

    # -- reading ----------------------------------------------------------------------------

    @property
    def pollable(self) -> None:
        """There is no socket to wait for."""

    def receive_now(self) -> list[Received]:
        raise AssertionError("this transport has no socket that a thread could wait for")

    def receive(self, *, once: bool = False) -> list[Received]:
        """What the peer said with its next ``send``. Blocks until then, its end, ``abort`` or ``part``."""
        wire = self._wire
        with wire.changed:
            self._block_until(lambda: wire.inbox or wire.end is not None or wire.aborted or self._parted)
            if self._parted:
                return [Parted()]
            self.heard += 1
            if wire.inbox:
                return wire.inbox.popleft()
            return [wire.end or Ended(reset=False)]

    # -- writing ----------------------------------------------------------------------------

    def encode(self, frame: Frame) -> bytes:
        kind = "text" if frame.opcode is Opcode.TEXT else "binary"
        if not self._wire.stateful:
            return server_frame(kind, frame.payload)
        # The caller holds the session's lock (clause T11), so the numbers have no gap.
        self._wire.serial += 1
        return server_frame(kind, self._wire.serial.to_bytes(4) + frame.payload, rsv1=True)

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
        wire, offered = self._wire, b"".join(pieces)
        with wire.changed:
            self._must_be_held()
            assert not self._parted, "written to after part"
            if self._is_broken():
                raise BrokenPipeError("the peer takes nothing any more")
            assert offered.startswith(wire.refused), "bytes that were refused come again, before any others"
            limits = (wire.window, wire.most_per_write, wire.bytes_until_failure)
            taken = min([len(offered), *(limit for limit in limits if limit is not None)])
            if wire.stateful:
                wire.refused = offered[taken:]
            if wire.window is not None:
                wire.window -= taken
            if wire.bytes_until_failure is not None:
                wire.bytes_until_failure -= taken
            wire.written += offered[:taken]
            wire.changed.notify_all()
            return taken

    def wait_writable(self) -> None:
        """Blocks until ``write`` would take something or raise, or ``abort``."""
        wire = self._wire
        with wire.changed:
            self._block_until(
                lambda: self._parted or self._is_broken() or (wire.window != 0 and wire.most_per_write != 0)
            )

    def finish_writing(self) -> None:
        self._set("write_finished")

    # -- the end ----------------------------------------------------------------------------

    def has_hung_up(self) -> bool:
        with self._wire.changed:
            self._must_be_held()
            return self._wire.end is not None and not self._wire.inbox

    def abort(self) -> None:
        if not self._parted:
            self._set("aborted")

    def part(self) -> None:
        assert self.movable, "a stateful transport cannot leave its connection"
        with self._wire.changed:
            self._parted = True
            self._wire.changed.notify_all()

    def rejoin(self) -> None:
        self._parted = False

    def unread(self) -> bytes:
        """Nothing: what the peer said stays on the wire, for the next transport."""
        return b""

    def successor(self) -> MemoryTransport:
        """Another transport for the same connection, as a process has that is given the socket."""
        assert self._parted, "a connection has one transport at a time"
        return MemoryTransport(self._wire)

    def release(self) -> None:
        assert not self._wire.waiting, "released while a thread waits in it"
        if self._parted:
            self._released = True
        else:
            self._set("released")

    def after_fork_in_child(self) -> None:
        self._set("forgotten")

    # -- with the lock of the wire held ----------------------------------------------------------

    def _is_broken(self) -> bool:
        wire = self._wire
        gone = wire.end is not None and wire.end.reset
        return gone or wire.aborted or wire.write_finished or wire.bytes_until_failure == 0

    def _must_be_held(self) -> None:
        released = self._wire.released or self._released
        assert not released, "used after release: another connection may have the descriptor by now"

    def _block_until(self, ready: Callable[[], object]) -> None:
        self._must_be_held()
        if ready():
            return
        self._wire.waiting += 1
        self._wire.changed.notify_all()
        try:
            while not ready():
                self._wire.changed.wait()
        finally:
            self._wire.waiting -= 1

    def _set(self, flag: str) -> None:
        with self._wire.changed:
            self._must_be_held()
            setattr(self._wire, flag, True)
            self._wire.changed.notify_all()
