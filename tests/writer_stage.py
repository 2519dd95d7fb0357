"""A ``TransportWriter`` over a transport in memory, with an owner that keeps what it is told."""

from __future__ import annotations

from resumehub.message import Frame, Opcode
from resumehub.outgoing.items import Retention
from resumehub.outgoing.outbox import Outbox
from resumehub.outgoing.transport_writer import TransportWriter
from resumehub.outgoing.write_results import Flushed
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import FakeClock, MemoryTransport, ScriptedPeer, memory_pair

RUNTIME = SystemRuntime()


class Owner:
    """Keeps what a writer reports. Writer threads do not start by themselves: ``WriterStage.run_writer``."""

    def __init__(self) -> None:
        self.flushed: list[Flushed] = []
        self.writers: list[TransportWriter] = []
        self.full_windows = 0

    def on_flushed(self, writer: TransportWriter, flushed: Flushed) -> None:
        self.flushed.append(flushed)

    def start_writer(self, writer: TransportWriter) -> None:
        self.writers.append(writer)

    def window_full(self, writer: TransportWriter) -> None:
        self.full_windows += 1

    def reports(self) -> list[str]:
        """What it has heard that matters, in order: stalled, failed, close_sent."""
        names = ("stalled", "failed", "close_sent")
        return [name for flushed in self.flushed for name in names if getattr(flushed, name)]


class WriterStage:
    """An outbox, a writer, and the peer at its end; ``attach`` does what a resume does."""

    def __init__(
        self,
        *,
        window: int | None = None,
        stateful: bool = False,
        handshake_response: bytes = b"",
        max_frames: int = 1000,
        keep: Retention = Retention.NOTHING,
    ) -> None:
        self.clock = FakeClock()
        self.owner = Owner()
        self.outbox = Outbox(RUNTIME.lock(), max_frames, 1 << 20, keep)
        self._number = 0
        self.attach(window=window, stateful=stateful, handshake_response=handshake_response)

    def attach(
        self, *, window: int | None = None, stateful: bool = False, handshake_response: bytes = b""
    ) -> None:
        """Give the outbox a (new) writer, in one step with taking it from the old one."""
        self._number += 1
        self.transport: MemoryTransport
        self.peer: ScriptedPeer
        self.transport, self.peer = memory_pair(window=window, stateful=stateful)
        with self.outbox.lock:
            if self._number > 1:
                self.writer.detach()
            self.writer = TransportWriter(
                self._number, self.transport, self.outbox, self.clock, RUNTIME, self.owner, handshake_response
            )

    def put(self, *payloads: str) -> None:
        """Queue these and write what can be written, as a sender does."""
        for payload in payloads:
            with self.outbox.lock:
                assert self.outbox.put(Frame(Opcode.TEXT, payload.encode()))
                flushed = self.writer.pump()
            self.writer.report(flushed)

    def queue(self, *payloads: str) -> None:
        """Queue these and write nothing."""
        with self.outbox.lock:
            for payload in payloads:
                assert self.outbox.put(Frame(Opcode.TEXT, payload.encode()))

    def queue_dropping(self, payload: str) -> int:
        """Queue it as a broadcast does, which drops the oldest for it; how many were dropped."""
        with self.outbox.lock:
            return self.outbox.put_dropping(Frame(Opcode.TEXT, payload.encode()))

    def waiting(self) -> list[str]:
        """What the outbox holds."""
        with self.outbox.lock:
            return [frame.payload.decode() for frame in self.outbox.first(1000, 1 << 30)]

    def run_writer(self) -> None:
        """Be the writer thread that was asked for. Blocks for as long as the peer takes nothing."""
        assert self.owner.writers, "no writer was asked for"
        self.owner.writers.pop(0).write_until_drained()

    def wire(self) -> list[str]:
        """All frames that the peer has taken, in short."""
        return [str(frame) for frame in self.peer.frames]
