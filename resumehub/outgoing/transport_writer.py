"""The writing side of one transport: what goes next, and who may write it.

Whoever has something to send writes it directly, without blocking, under the session's lock
(the outbox's). Only when the kernel takes no more does a *writer thread* step in: it waits for
the peer, then writes under the same lock. So there is never more than one writer, frames never
interleave, and the lock is never held while anything waits.

Order on the wire: what has begun; then a close frame that ends only the transport; pings and
pongs; the session's frames; a close frame that ends the session. After a close frame, nothing.

A frame is *begun* with its first byte and *written* when the kernel has taken its last; a begun
one that the channel loses (write error, or the session moved on) is unwritten: it stays in the
outbox for the next transport, and only its bytes that are needed to keep this stream parsable are
kept here. The channel decides nothing about sessions: it reports to a ``TransportWriterOwner``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from ..clock import Clock
from ..message import Frame
from ..runtime.base import Runtime
from ..transport.base import Transport
from .items import Gap, Item, Notice
from .outbox import Outbox

# What one system call may carry: enough to fill a socket buffer, few enough to stay below IOV_MAX.
BATCH_FRAMES = 64
BATCH_BYTES = 64 * 1024
# A peer that sends pings and never reads gets only the newest answers (RFC 6455 §5.5.3 allows it).
MAX_LANE = 16


Passage = Literal["barred", "passed", "begun"]
BARRED: Final = "barred"
"""Nothing has happened: the frame is to go by way of the outbox."""
PASSED: Final = "passed"
"""Accepted and written, whole."""
BEGUN: Final = "begun"
"""Accepted and half written: ``pump`` sees to the rest."""


@dataclass(slots=True)
class Flushed:
    """What a bout of writing did; settled by ``TransportWriter.report`` after the lock is given back."""

    sizes: list[int] = field(default_factory=list)
    close_sent: bool = False
    failed: bool = False
    stalled: bool = False
    writer_wanted: bool = False
    left: int = 0
    #: What has to be put into words, without the lock, before anything behind it can go.
    unannounced: Gap | None = None

    def behind(self, before: Flushed) -> Flushed:
        """This bout and the one before it, as one."""
        self.sizes[:0] = before.sizes
        self.close_sent |= before.close_sent
        self.failed |= before.failed
        self.stalled |= before.stalled
        self.writer_wanted |= before.writer_wanted
        return self


class TransportWriterOwner(Protocol):
    """Who hears of what a channel did. Called by any thread, without a lock."""

    def on_flushed(self, writer: TransportWriter, flushed: Flushed) -> None: ...
    def start_writer(self, writer: TransportWriter) -> None: ...
    def encode_gap(self, writer: TransportWriter, gap: Gap) -> Frame | None: ...


class TransportWriter:
    """One transport's outgoing bytes. Any thread; only ``write_until_drained`` blocks."""

    def __init__(
        self,
        number: int,
        transport: Transport,
        outbox: Outbox,
        clock: Clock,
        runtime: Runtime,
        owner: TransportWriterOwner,
        handshake_response: bytes = b"",
        label: tuple[str, str] | None = None,
    ) -> None:
        self.number = number
        #: Room and connection id of the session, for the metrics; None where there is none.
        self.label = label
        #: A name for people.
        self.whose = ""
        self.transport = transport
        self.took_at = float("-inf")
        #: Up to which of the peer's messages we have acknowledged; from the ``$hello`` on.
        self.acked = 0
        self._outbox: Outbox | None = outbox
        # None where no frame may go straight: compressed bytes have to be kept, a close frame comes, or the
        # connection is broken.
        self._direct = None if transport.stateful else transport.write
        self._lock = outbox.lock
        self._left = runtime.condition(outbox.lock)
        self._clock = clock
        self._owner = owner
        self._pieces: deque[bytes | memoryview] = deque([handshake_response] if handshake_response else [])
        self._frames_in_pieces = 0  # how many of the pieces are whole frames of the outbox, in order
        self._begun_frame = False  # the first piece is the rest of an outbox frame
        self._lane: deque[bytes] = deque()
        self._close: bytes | None = None
        self._close_after_data = False
        self._close_in_pieces = False
        self._closed = False
        self._half_close = False
        self._blocked = False
        self._stall_reported = False
        self._writer_running = False
        self._broken = False

    # -- sending: with the lock held --------------------------------------------------------

    def pump(self, before: Flushed | None = None) -> Flushed | None:
        """Write what can be written now. Lock held. None if a writer thread is at it already.

        ``before``: what a bout before this one did that is not settled yet; it becomes part of this.
        """
        if self._writer_running or self._broken:
            return before
        flushed = self._write_out()
        return flushed if before is None else flushed.behind(before)

    def pass_through(self, frame: Frame, size: int) -> Passage:
        """Write a frame straight from its sender's hand, if nothing is in its way. Never blocks."""
        with self._lock:
            outbox, write = self._outbox, self._direct
            if (
                write is None
                or outbox is None
                or self._pieces
                or self._lane
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
                return BARRED  # the way by the buffer meets it again, and reports it
            if taken == len(wire):
                outbox.passed(frame, size)
                return PASSED
            if not taken:
                return BARRED
            outbox.put(frame)
            self._pieces.append(memoryview(wire)[taken:])
            self._frames_in_pieces = 1
            self._begun_frame = outbox.started = True
            return BEGUN

    def pump_if_full(self, size: int) -> Flushed | None:
        """Lock held: ``pump``, if there is no room for ``size`` bytes: all of it may be held back."""
        outbox = self._outbox
        if outbox is None or not outbox.unsent or outbox.has_room(size):
            return None
        return self.pump()

    def hold_back(self, frame: Frame) -> bool:
        """Accept a frame and do not write it yet; False, and nothing has happened, where that cannot be.

        ``flush`` must follow soon. Never blocks.
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
        """Report what ``pump`` did. Without the lock, by the thread that pumped, at once."""
        while flushed is not None:
            self._owner.on_flushed(self, flushed)
            if flushed.writer_wanted:
                self._owner.start_writer(self)
            if flushed.unannounced is None:
                return
            flushed = self._tell(flushed.unannounced)

    def _tell(self, gap: Gap) -> Flushed | None:
        # The codec is not ours, so it runs without the lock; meanwhile the hole may have grown.
        span = gap.first, gap.last
        frame = self._owner.encode_gap(self, gap)
        with self._lock:
            if frame is not None and (gap.first, gap.last) == span:
                gap.frame = frame
            return self.pump() if frame is not None else None

    # -- the session's control messages: any thread -----------------------------------------

    def send_ack(self, received: int, frame: Frame) -> None:
        """Acknowledge the peer's messages up to ``received``, unless more has been said. Never blocks.

        Ahead of unsent data, and not if the session has moved on.
        """
        with self._lock:
            if received <= self.acked:
                return
            # In one step with the sending: of two threads that acknowledge, none says less than the other.
            self.acked = received
            if self._outbox is None or self._close_in_pieces or self._broken:
                return
            self._outbox.notify(Notice("ack", frame))
            flushed = self.pump()
        self.report(flushed)

    def acknowledge(self, received: int) -> bool | None:
        """The peer has handled our messages up to ``received``: whether that can be; None if too late."""
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
            if self._close is not None or self._broken:
                return
            self._close = self.transport.encode_close(code, reason)
            self._close_after_data = after_data
            self._direct = None
            start = not self._writer_running
            self._writer_running = True
        if start:
            self._owner.start_writer(self)

    def answer_close(self, code: int, reason: str, *, failed: bool = False) -> None:
        """The reader's: reply to the peer's close frame, or (``failed``) to its breach of protocol.

        If a close frame of ours waits behind data, it goes now instead: the peer reads no more data.
        Never blocks.
        """
        with self._lock:
            if self._close is None:
                self._close = self.transport.encode_close(code, reason)
            self._close_after_data = False
            self._half_close = failed
            self._direct = None
            flushed = self.pump()
        self.report(flushed)

    # -- the hub's --------------------------------------------------------------------------

    def detach(self) -> None:
        """Take the session's outbox away; the frame that has begun is finished from a copy.

        Lock held: attaching the next channel must be part of the same step.
        """
        if self._outbox is None:
            return
        self._forget_unbegun()
        self._frames_in_pieces = 0  # what is left of one is now just bytes of this stream
        self._begun_frame = False
        self._outbox.unbegin()
        self._outbox = None

    def discard_unsent(self, reason: str) -> list[Frame]:
        """Drop the whole frames that wait, so that the close frame is next. Gives them."""
        with self._lock:
            if self._outbox is None:
                return []
            self._forget_unbegun()
            dropped = self._outbox.drop_unsent(reason, keep_started=True)
            flushed = self.pump()
        self.report(flushed)
        return dropped

    def state(self) -> tuple[float, bool]:
        """When the peer last took bytes that it had refused before, and whether bytes wait now."""
        with self._lock:
            if not self._blocked:
                self._stall_reported = False
            return self.took_at, self._blocked

    # -- threads ----------------------------------------------------------------------------

    def write_until_drained(self) -> None:
        """A writer thread's whole life: wait for the peer, write, until nothing waits."""
        while True:
            self.transport.wait_writable()
            with self._lock:
                flushed = self._write_out() if not self._broken else Flushed()
                flushed.writer_wanted = False
                drained = self._broken or not self._blocked
                if drained:
                    self._writer_running = False
                    self._left.notify_all()
            self.report(flushed)
            if drained:
                return

    def writer_failed_to_start(self) -> None:
        """No thread was to be had: nobody writes any more (the owner aborts the transport)."""
        with self._lock:
            self._writer_running = False
            self._break()
            self._left.notify_all()

    def retire(self) -> None:
        """The last reader's: stop all writing and wait until the writer has let go of the socket.

        The transport must have been aborted, so the wait is short.
        """
        with self._lock:
            self._break()
            while self._writer_running:
                self._left.wait()

    def retire_now(self) -> bool:
        """``retire`` without waiting: False, where a writer still has to let go."""
        with self._lock:
            self._break()
            return not self._writer_running

    # -- the writing itself: lock held ------------------------------------------------------

    def _send_control(self, wire: bytes) -> None:
        with self._lock:
            # A close frame far behind data is no reason to leave a peer's pings unanswered meanwhile.
            ending = self._close is not None and not self._close_after_data
            if ending or self._close_in_pieces or self._broken:
                return
            if len(self._lane) >= MAX_LANE:
                self._lane.pop()
            self._lane.append(wire)
            flushed = self.pump()
        self.report(flushed)

    def _write_out(self) -> Flushed:
        flushed = Flushed()
        if self._direct is not None and not (self._pieces or self._lane or self._blocked):
            self._write_all_at_once(self._direct, flushed)
        while not self._closed and (self._pieces or self._choose()):
            try:
                taken = self.transport.write(self._pieces)
            except OSError:
                # Only writing stops: the reader empties the kernel's buffer first, since a leave may
                # be in it, and then reports the end.
                self._break()
                flushed.failed = True
                break
            if taken == 0:
                self._stall(flushed)
                break
            if self._blocked:
                self.took_at = self._clock.monotonic()
                self._blocked = False
            self._account(taken, flushed)
        else:
            # Without it a writer would go round and round after ``detach`` took away what it waited for.
            self._blocked = False
        if self._outbox is not None:
            flushed.left = self._outbox.used_frames
            if not self._pieces and not self._closed:
                flushed.unannounced = self._outbox.unannounced()
        return flushed

    def _write_all_at_once(self, write: Callable[[Sequence[bytes]], int], flushed: Flushed) -> None:
        """The usual case: frames wait, and the kernel takes them all in one piece."""
        outbox = self._outbox
        frames = outbox.all_frames(BATCH_BYTES) if outbox is not None else []
        if outbox is None or not frames:
            return
        encode = self.transport.encode
        wires = [frame.wire or encode(frame) for frame in frames]
        wire = b"".join(wires)
        try:
            taken = write((wire,))
        except OSError:
            return  # the way in pieces meets it again, and reports it
        if taken == len(wire):
            flushed.sizes = [frame.size for frame in frames]
            outbox.written_frames(frames, flushed.sizes)
        elif taken:
            self._pieces.extend(wires)
            self._frames_in_pieces = len(frames)
            self._account(taken, flushed)

    def _choose(self) -> bool:
        """Fill ``_pieces`` with what goes next; False if nothing is to be sent."""
        outbox = self._outbox
        if self._close is not None and not self._close_after_data:
            self._take_close()
        elif self._lane:
            self._pieces.extend(self._lane)
            self._lane.clear()
        elif outbox is not None and outbox.unsent and self._take_batch(outbox):
            pass
        elif self._close is not None and (outbox is None or not outbox.unsent):
            self._take_close()
        return bool(self._pieces)

    def _take_batch(self, outbox: Outbox) -> bool:
        batch = outbox.first(1 if self.transport.stateful else BATCH_FRAMES, BATCH_BYTES)
        for item in batch:
            self._pieces.append(self.transport.encode(_frame_of(item)))
        self._frames_in_pieces = len(batch)
        # Compressed bytes, once made, must be sent: the peer's window depends on them.
        self._begun_frame = outbox.started = self.transport.stateful and bool(batch)
        return bool(batch)

    def _take_close(self) -> None:
        assert self._close is not None, "chosen because it is there"
        self._pieces.append(self._close)
        self._close_in_pieces = True

    def _account(self, taken: int, flushed: Flushed) -> None:
        outbox = self._outbox
        while taken:
            piece = self._pieces[0]
            if taken < len(piece):
                self._pieces[0] = memoryview(piece)[taken:]
                if self._frames_in_pieces and outbox is not None:
                    self._begun_frame = outbox.started = True
                return
            taken -= len(piece)
            self._pieces.popleft()
            if self._frames_in_pieces:
                self._frames_in_pieces -= 1
                self._begun_frame = False
                if outbox is not None and isinstance(item := outbox.written(), Frame):
                    flushed.sizes.append(item.size)
            elif self._close_in_pieces and not self._pieces:
                self._closed = flushed.close_sent = True
                if self._half_close:
                    self.transport.finish_writing()

    def _stall(self, flushed: Flushed) -> None:
        if not self._blocked:
            self.took_at = self._clock.monotonic()  # until now it took all that came
        self._blocked = True
        self._forget_unbegun()
        flushed.stalled = not self._stall_reported
        self._stall_reported = True
        flushed.writer_wanted = not self._writer_running
        self._writer_running = True

    def _forget_unbegun(self) -> None:
        """Give frames of which no byte is out back to the outbox, where they still are."""
        if self._frames_in_pieces:
            keep = int(self._begun_frame)
            while len(self._pieces) > keep:
                self._pieces.pop()
            self._frames_in_pieces = keep

    def _break(self) -> None:
        self._broken = True
        self._direct = None
        self._blocked = False
        self._pieces.clear()
        self._lane.clear()
        self._frames_in_pieces = 0
        if self._begun_frame and self._outbox is not None:
            self._outbox.started = False
        self._begun_frame = False


def _frame_of(item: Item) -> Frame:
    frame = item if isinstance(item, Frame) else item.frame
    assert frame is not None, "a hole is told once it is put into words"
    return frame
