"""The writing side of one transport: who may write, and when.

The thread that sends a message writes it directly, without blocking, under the session's lock (the outbox's).
Only when the kernel takes no more, a *writer thread* is started: it waits for the peer, then writes under the
same lock. So there is never more than one writer, frames never interleave, and no thread waits for the
network while it holds the lock.

A frame that is half written when a write fails, or when the session gets another transport, counts as
unwritten: it stays in the outbox for the next transport. Here only the rest of its bytes is kept, so that the
peer can parse this stream to its end. The writer decides nothing about sessions: it reports to a
``TransportWriterOwner``. Read next: ``wire_queue.py`` (what goes next), ``outbox.py``.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field

from ..clock import Clock
from ..codes import CloseCode
from ..message import Frame
from ..reasons import DropReason
from ..runtime.base import Condition, Lock, Runtime
from ..transport.base import Transport
from .items import Gap, Notice
from .outbox import Outbox
from .peer_progress import PeerProgress
from .window_watch import WindowWatch
from .wire_queue import WireQueue, WireState, Write
from .write_results import BARRED, BEGUN, PASSED, Flushed, Passage, TransportWriterOwner


@dataclass(slots=True, eq=False, repr=False)
class TransportWriter:
    """One transport's outgoing side. Any thread. Only the methods that say that they wait block."""

    number: int
    transport: Transport
    _outbox: Outbox | None
    _clock: Clock
    runtime: InitVar[Runtime]
    _owner: TransportWriterOwner
    handshake_response: InitVar[bytes] = b""
    #: Room and connection id of the session, for the metrics; None without a session.
    label: tuple[str, str] | None = None
    #: A name for logs and traces.
    whose: str = ""
    #: The last of the peer's messages that we have acknowledged; from the ``$hello`` on.
    acked: int = 0
    progress: PeerProgress = field(init=False)
    window: WindowWatch = field(init=False)
    # None where no frame may go straight to the kernel: the transport compresses (its bytes must be kept), a
    # close frame is due, or the connection is broken.
    _direct: Write | None = field(init=False)
    _lock: Lock = field(init=False)
    _left: Condition = field(init=False)
    _wire: WireQueue = field(init=False)
    _half_close: bool = False
    _writer_running: bool = False
    _broken: bool = False
    # Whether a thread has taken the right to write (``hold``), and whether every other thread has left.
    _held: bool = False
    _held_alone: bool = False

    def __post_init__(self, runtime: Runtime, handshake_response: bytes) -> None:
        assert self._outbox is not None, "until it is detached"
        self._direct = None if self.transport.stateful else self.transport.write
        self._lock = self._outbox.lock
        self._left = runtime.condition(self._lock)
        self.progress = PeerProgress(self._clock)
        self.window = WindowWatch(self._lock, self._clock)
        self._wire = WireQueue(self.transport, handshake_response)

    # -- sending: with the lock held --------------------------------------------------------

    def pump(self, before: Flushed | None = None) -> Flushed | None:
        """Write what can be written now. Lock held. Returns ``before`` if a writer thread already writes.

        ``before``: what an earlier round did and is not reported yet; it becomes part of the result.
        """
        if self._writer_running or self._broken:
            return before
        flushed = self._write_out()
        return flushed if before is None else flushed.behind(before)

    def pass_through(self, frame: Frame, size: int) -> Passage:
        """Write a frame straight to the kernel, if nothing waits before it. Never blocks."""
        with self._lock:
            outbox, write = self._outbox, self._direct
            if (
                write is None
                or outbox is None
                or self._wire.pieces
                or self._wire.lane
                or self._writer_running
                or outbox.unsent
                or outbox.refusal is not None
                or size > outbox.max_bytes
                or (outbox.held_frames and not outbox.has_room(size))
            ):
                return BARRED
            wire = frame.wire or self.transport.encode(frame)
            try:
                taken = write((wire,))
            except OSError:
                return BARRED  # ``pump`` gets the error again, and reports it
            if taken == len(wire):
                outbox.passed(frame, size)
                if not outbox.full:
                    return PASSED
            elif not taken:
                return BARRED
            else:
                outbox.put(frame)
                self._wire.begin(memoryview(wire)[taken:], outbox)
                return BEGUN
        self.report(None)
        return PASSED

    def pump_if_full(self, size: int) -> Flushed | None:
        """Lock held: ``pump``, if there is no room for ``size`` bytes: what waits may only be held back."""
        outbox = self._outbox
        if outbox is None or not outbox.unsent or outbox.has_room(size):
            return None
        return self.pump()

    def hold_back(self, frame: Frame) -> bool:
        """Accept a frame and do not write it yet. False, and nothing changes, where that is impossible.

        Next: ``flush``, soon. Never blocks.
        """
        with self._lock:
            outbox = self._outbox
            return (
                outbox is not None
                and outbox.refusal is None
                and not self._writer_running
                and outbox.put(frame)
            )

    def report(self, flushed: Flushed | None) -> None:
        """Report what ``pump`` did, and a window that is full. Without the lock, at once after ``pump``."""
        outbox = self._outbox
        if outbox is not None and outbox.full and self.window.has_news(outbox):
            self._owner.window_full(self)
        while flushed is not None:
            self._owner.on_flushed(self, flushed)
            if flushed.writer_wanted:
                self._owner.start_writer(self)
            if flushed.unannounced is None:
                return
            flushed = self._tell(flushed.unannounced)

    def _tell(self, gap: Gap) -> Flushed | None:
        # The codec is the application's, so it runs without the lock; meanwhile the gap may have grown.
        span = gap.first, gap.last
        frame = self._owner.encode_gap(self, gap)
        with self._lock:
            if frame is not None and (gap.first, gap.last) == span:
                gap.frame = frame
            return self.pump() if frame is not None else None

    # -- the session's control messages: any thread -----------------------------------------

    def send_ack(self, received: int, notices: list[Notice]) -> None:
        """Acknowledge the peer's messages up to ``received``, unless that or more was sent. Never blocks.

        ``notices``: the acknowledgement comes last. Ahead of unsent data; nothing once detached.
        """
        with self._lock:
            if received <= self.acked:
                return
            # Under one lock with the sending, so that a thread never sends less than another has sent.
            self.acked = received
            if self._outbox is None or self._wire.close_in_pieces or self._broken:
                return
            for notice in notices:
                self._outbox.notify(notice)
            flushed = self.pump()
        self.report(flushed)

    def acknowledge(self, received: int) -> bool | None:
        """The peer has handled our messages up to ``received``. False: that can't be; None: detached."""
        with self._lock:
            return self._outbox.acknowledge(received) if self._outbox is not None else None

    # -- control frames: any thread ---------------------------------------------------------

    def flush(self) -> None:
        """Write what waits, as far as the peer takes it. Never blocks."""
        with self._lock:
            flushed = self.pump()
        self.report(flushed)

    def pong(self, payload: bytes) -> None:
        """Answer a Ping. Never blocks."""
        self._send_control(self.transport.encode_pong(payload))

    def ping(self) -> None:
        """Send a Ping ahead of unsent data. Never blocks."""
        self._send_control(self.transport.encode_ping())

    def close(self, code: int, reason: str, *, after_data: bool) -> None:
        """Have a writer thread send a close frame; a second one is ignored. Never blocks."""
        with self._lock:
            wire = self._wire
            if wire.close is not None or self._broken:
                return
            wire.close = self.transport.encode_close(code, reason)
            wire.close_after_data = after_data
            self._half_close = code == CloseCode.SERVICE_RESTART  # the process ends, with input unread
            self._direct = None
            start, self._writer_running = not self._writer_running, True
        if start:
            self._owner.start_writer(self)

    def answer_close(self, code: int, reason: str, *, failed: bool = False) -> None:
        """The reader: answer the peer's close frame, or (``failed``) its breach of the protocol.

        A close frame of ours that waits behind data is sent now: the peer reads no more data.
        Never blocks.
        """
        with self._lock:
            if self._wire.close is None:
                self._wire.close = self.transport.encode_close(code, reason)
            self._wire.close_after_data = False
            self._half_close = failed
            self._direct = None
            flushed = self.pump()
        self.report(flushed)

    # -- for the hub thread -----------------------------------------------------------------

    def detach(self) -> None:
        """Part with the session's outbox; the frame that has begun is finished from a copy.

        Lock held: the session's ``writer`` must change in the same step.
        """
        if self._outbox is None:
            return
        self._wire.part_with_outbox()
        self._outbox.unbegin()
        self._outbox = None

    def discard_unsent(self, reason: DropReason) -> list[Frame]:
        """Drop the whole frames that wait, so that the close frame is next; return them."""
        with self._lock:
            if self._outbox is None:
                return []
            self._wire.forget_unbegun()
            dropped = self._outbox.drop_unsent(reason, keep_started=True)
            flushed = self.pump()
        self.report(flushed)
        return dropped

    def inspect(self) -> tuple[float, bool]:
        """When the peer last took bytes that it had refused before, and whether bytes wait now."""
        with self._lock:
            return self.progress.look()

    # -- threads ----------------------------------------------------------------------------

    def write_until_drained(self) -> None:
        """All that a writer thread does: wait for the peer and write, until no bytes wait."""
        self.transport.wait_writable()
        while not self.write_once():
            self.transport.wait_writable()

    def write_once(self) -> bool:
        """A writer thread, or one that stands in for it: write what the peer takes now. Never blocks.

        Returns whether the writer thread's work is done.
        """
        with self._lock:
            flushed = self._write_out() if not (self._broken or self._held) else Flushed()
            flushed.writer_wanted = False
            drained = self._broken or self._held or not self.progress.blocked
            if drained:
                self._held_alone = self._writer_running = self._held
                self._left.notify_all()
        self.report(flushed)
        return drained

    def writer_failed(self) -> None:
        """A bug of ours: no thread writes any more (the owner aborts the transport)."""
        with self._lock:
            self._writer_running = False
            self._break()
            self._left.notify_all()

    def retire(self) -> None:
        """The last reader: stop all writing, and wait until the writer thread no longer uses the socket.

        The transport must have been aborted; so the wait is short.
        """
        with self._lock:
            self._break()
            while self._writer_running:
                self._left.wait()

    def retire_now(self) -> bool:
        """``retire`` without waiting; False if a writer thread still uses the socket."""
        with self._lock:
            self._break()
            return not self._writer_running

    # -- moving to another process ----------------------------------------------------------

    def hold(self) -> None:
        """Let no other thread begin to write until ``let_go``; a writer thread may still wait for the peer.

        Next: ``Transport.part``, which ends that wait, and ``wait_until_held``.
        """
        with self._lock:
            self._held = True
            self._held_alone = not self._writer_running
            self._writer_running = True

    def wait_until_held(self) -> bool:
        """Wait for the writer thread to leave. Returns whether the transport can be moved.

        It cannot once a close frame is due, the session is detached or the connection is broken.
        """
        with self._lock:
            while not self._held_alone:
                self._left.wait()
            return not (self._broken or self._outbox is None or self._wire.close is not None)

    def let_go(self) -> None:
        """Undo ``hold``: the session stays here. A close frame that came meanwhile is sent."""
        with self._lock:
            self._held = self._writer_running = False
            self._left.notify_all()
            flushed = self.pump()
        self.report(flushed)

    def export(self) -> WireState:
        """The bytes that are half written. Between ``hold`` and the move; lock held."""
        assert self._held, "no other thread may write at this time"
        return self._wire.export()

    def restore(self, state: WireState, acked: int, took_at: float, blocked: bool) -> None:
        """Go on at the exact byte; lock held, and nothing has been written here yet. Next: ``flush``."""
        assert self._outbox is not None, "only a session is restored"
        self._wire.restore(state, self._outbox)
        self.acked = acked
        self.progress.restore(took_at, blocked)

    # -- the writing itself: lock held ------------------------------------------------------

    def _send_control(self, wire: bytes) -> None:
        with self._lock:
            if self._broken or not self._wire.add_control(wire):
                return
            flushed = self.pump()
        self.report(flushed)

    def _write_out(self) -> Flushed:
        flushed, queue = Flushed(), self._wire
        waits = queue.pieces or queue.lane or self.progress.blocked
        if self._direct and self._outbox is not None and not waits:
            flushed.sizes = queue.write_all_at_once(self._direct, self._outbox)
        while not queue.closed and (queue.pieces or queue.choose(self._outbox)):
            try:
                taken = self.transport.write(queue.pieces)
            except OSError:
                # Only writing stops. The reader first reads what the kernel has: perhaps a close frame.
                self._break()
                flushed.failed = True
                break
            if taken == 0:
                self._stall(flushed)
                break
            self.progress.took()
            self._account(taken, flushed)
        else:
            # Without this line a writer thread would loop for ever once ``detach`` has taken the frames.
            self.progress.blocked = False
        if self._outbox is not None:
            flushed.left = self._outbox.used_frames
            if not queue.pieces and not queue.closed:
                flushed.unannounced = self._outbox.unannounced()
        return flushed

    def _account(self, taken: int, flushed: Flushed) -> None:
        self._wire.account(taken, self._outbox, flushed.sizes)
        if self._wire.closed:
            flushed.close_sent = True
            if self._half_close:
                self.transport.finish_writing()

    def _stall(self, flushed: Flushed) -> None:
        self._wire.forget_unbegun()
        flushed.stalled = self.progress.stalled()
        flushed.writer_wanted, self._writer_running = not self._writer_running, True

    def _break(self) -> None:
        self._broken = True
        self._direct = None
        self.progress.blocked = False
        self._wire.clear(self._outbox)
