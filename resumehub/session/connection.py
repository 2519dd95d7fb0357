"""``Connection``: the handle to a session that application code holds, for the session's whole life.

What changes under it (state, channel) is set by the hub thread alone; sending goes straight to
the outbox and, where nothing waits, to the socket. It decides nothing. Read next: ``hub.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ..codec import Codec, Undecodable, decode_message, encode_frame
from ..core.resume import Credentials
from ..core.states import State
from ..errors import ConnectionClosed, SendBufferFull
from ..message import Frame, Message, Opcode
from ..outgoing.outbox import Outbox
from ..outgoing.transport_writer import BARRED, PASSED, Flushed, Passage, TransportWriter
from ..runtime.base import Event, Lock
from ..trace import Trace
from .delayed_ack import DelayedAck

if TYPE_CHECKING:
    from .serial_queue import SerialQueue


class ConnectionHost(Protocol):
    """The hub's engine, as a connection sees it."""

    codec: Codec
    trace: Trace | None
    #: Whether a collector or a trace wants to know of every frame.
    watched: bool

    def note(self, lane: str, what: str, **fields: Any) -> None: ...
    def close_session(self, epoch: int) -> None: ...
    def buffer_changed(self, connection: Connection, used: int) -> None: ...
    def passed(self, writer: TransportWriter, size: int, used: int) -> None: ...


class InboundFence:
    """Which messages may still start: those of the present transport, and no others.

    Guarded by its own lock, because handlers start on other threads than the one that fences.
    Never held while anything else happens.
    """

    __slots__ = ("_fenced", "_generation", "_lock", "handled")

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._generation = 0
        # Kept, since a handler may raise before the hub has put the transport on that it ran for
        # (tests/races/test_refused_entry_against_resume.py).
        self._fenced = 0.0
        #: Messages whose handler has started, in the session's life.
        self.handled = 0

    def attach(self, generation: int) -> int:
        """From now on messages of ``generation`` may start; gives how many have ever started."""
        with self._lock:
            if generation > self._fenced:
                self._generation = generation
            return self.handled

    def fence(self, generation: int | None = None) -> None:
        """Let no more messages start: of the present transport, or of ``generation``, put on or not."""
        with self._lock:
            if generation is not None:
                self._fenced = max(self._fenced, generation)
            if generation is None or generation == self._generation:
                self._generation = 0

    def shut(self) -> None:
        """Let no message start ever again, whichever transport comes."""
        with self._lock:
            self._fenced = float("inf")
            self._generation = 0

    def is_open(self, generation: int) -> bool:
        """Whether a message of ``generation`` may ever start again."""
        return generation == self._generation  # one look, and stale a moment later in any case

    def start(self, generation: int) -> bool:
        """Whether a message of ``generation`` may start now; if so, it counts as handled."""
        with self._lock:
            if generation != self._generation:
                return False
            self.handled += 1
            return True


class Connection:
    """A session, as your handlers see it: the same object from on_connect to on_disconnect.

    Made by the hub. Safe to use and to keep from any thread; after the session has ended it
    stays usable for ``id``, ``room_id``, ``data`` and ``closed``.
    """

    __slots__ = (
        "__weakref__",
        "_credentials",
        "_delayed_ack",
        "_ended",
        "_epoch",
        "_generated",
        "_generation",
        "_host",
        "_id",
        "_inbound_fence",
        "_lost",
        "_lost_counted",
        "_outbox",
        "_room_id",
        "_serial_queue",
        "_state",
        "_undecodable_logged",
        "_writer",
        "data",
    )

    def __init__(
        self,
        host: ConnectionHost,
        *,
        epoch: int,
        connection_id: str,
        room_id: str,
        generated: bool,
        data: Any,
        outbox: Outbox,
        inbound_fence: InboundFence,
        serial_queue: SerialQueue,
        ended: Event,
        credentials: Credentials,
        delayed_ack: DelayedAck | None,
    ) -> None:
        self._host = host
        self._epoch = epoch
        self._id = connection_id
        self._room_id = room_id
        self._generated = generated
        self._outbox = outbox
        self._inbound_fence = inbound_fence
        self._serial_queue = serial_queue
        self._ended = ended
        self._writer: TransportWriter | None = None
        self._state = State.CONNECTED
        self._undecodable_logged = False
        # For the pre-check of the next resume. The hub thread writes both, the generation first.
        self._generation = 1
        self._credentials = credentials
        #: Only where the client acknowledges, and is to be acknowledged.
        self._delayed_ack = delayed_ack
        self._lost: list[Frame] = []
        self._lost_counted = 0
        #: What ``connect`` or ``hub.upgrade`` gave, copied when the session began; yours to change.
        self.data: Any = data

    @property
    def id(self) -> str:
        """The connection id: your own, or a random one if you gave none."""
        return self._id

    @property
    def room_id(self) -> str:
        """The room of the session, for life."""
        return self._room_id

    @property
    def suspended(self) -> bool:
        """Whether the session is without a transport, waiting in its grace window."""
        return self._state is State.SUSPENDED

    @property
    def closed(self) -> bool:
        """Whether the session has ended (``on_disconnect`` may still be running)."""
        return self._state is State.CLOSED

    @property
    def undelivered(self) -> list[Message]:
        """The messages of this session of which it is not known that they arrived, oldest first.

        For on_disconnect: to store them, or to send them another way. With a client that acknowledges
        (``resumehub.v1``) those that it has not acknowledged; with any other those that were not
        written. While a session that was closed or kicked still sends its last messages, they are
        in the list until they are through. Threads: any. Blocks: never (the codec decodes them).
        """
        with self._outbox.lock:
            frames = [*self._outbox.undelivered(), *self._lost]
        messages = []
        for frame in frames:
            data = frame.payload.decode() if frame.opcode is Opcode.TEXT else frame.payload
            try:
                messages.append(decode_message(self._host.codec, data))
            except Undecodable:  # a codec that cannot read what it writes
                continue
        return messages

    def send(self, message: Message) -> None:
        """Queue ``message`` for this session and return; while suspended it waits for the resume.

        Written at once, by the calling thread, where the peer takes it; never waits for the peer.

        Raises: ConnectionClosed (HubClosed) when the session has ended; SendBufferFull; TypeError
        or ValueError when ``message`` is not a Message, cannot be encoded, has a reserved event
        or is larger than ``send_buffer_bytes``.
        Threads: any. Blocks: never.
        """
        self._send_frame(encode_frame(self._host.codec, message))

    def close(self) -> None:
        """End the session: the peer gets what was sent before, then a close frame 1000.

        No grace window: the id is free at once. Returns when the session has left the hub's
        tables; on_disconnect runs soon after, see ``wait_closed``. Closing twice is no error.
        Threads: any. Blocks: until the hub thread has handled it (it never waits for the network).
        """
        with self._outbox.lock:
            if self._outbox.refusal is None:
                self._outbox.refusal = ConnectionClosed(self._id)
        self._host.close_session(self._epoch)

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until on_disconnect has returned; False if ``timeout`` real seconds passed before.

        Threads: any but a handler of this same session, which it would wait for.
        """
        return self._ended.wait(timeout)

    def __repr__(self) -> str:
        return f"<Connection {self._id!r} in room {self._room_id!r}, {self._state.value}>"

    # -- the hub's --------------------------------------------------------------------------

    def _send_frame(self, frame: Frame) -> None:
        outbox, size = self._outbox, len(frame.payload)
        if size > outbox.max_bytes:
            raise ValueError(
                f"the encoded message has {size} bytes, more than send_buffer_bytes "
                f"({outbox.max_bytes}) will ever hold; split it, or raise send_buffer_bytes"
            )
        writer = self._writer
        passage = writer.pass_through(frame, size) if writer is not None else BARRED
        if passage is not PASSED:
            self._put(frame, passage)
        elif writer is not None and self._host.watched:
            self._host.note("app", "Send", connection_id=self._id, size=size, left=outbox.used_frames)
            self._host.passed(writer, size, outbox.used_frames)

    def _put(self, frame: Frame, passage: Passage) -> None:
        """By way of the buffer. ``passage``: whether it is BEGUN, and so in there already."""
        outbox, full = self._outbox, None
        with outbox.lock:
            if passage is BARRED and outbox.refusal is not None:
                raise _fresh(outbox.refusal)
            writer = self._writer
            before = writer.pump_if_full(frame.size) if writer is not None else None
            if passage is BARRED and not outbox.put(frame):
                full = SendBufferFull(self._id, outbox.used_frames, outbox.used_bytes)
            flushed = writer.pump(before) if writer is not None else None
            used = outbox.used_frames
        if full is None:
            self._host.note("app", "Send", connection_id=self._id, size=frame.size, left=used)
        if writer is not None:
            writer.report(flushed)
        if full is not None:
            raise full
        if used:
            self._host.buffer_changed(self, used)

    def _offer(self, frame: Frame, passage: Passage) -> Offered | None:
        """A broadcast's frame: what does not fit pushes out the oldest. None if the session has ended."""
        outbox = self._outbox
        with outbox.lock:
            if passage is BARRED and outbox.refusal is not None:
                return None
            writer = self._writer
            before = writer.pump_if_full(frame.size) if writer is not None else None
            dropped = outbox.put_dropping(frame) if passage is BARRED else 0
            flushed = writer.pump(before) if writer is not None else None
            return Offered(self, writer, flushed, dropped, outbox.used_frames)


class Offered:
    """What became of a broadcast's frame at one receiver; settled once no lock is held."""

    __slots__ = ("connection", "dropped", "flushed", "used", "writer")

    def __init__(
        self,
        connection: Connection,
        writer: TransportWriter | None,
        flushed: Flushed | None,
        dropped: int,
        used: int,
    ) -> None:
        self.connection = connection
        self.writer = writer
        self.flushed = flushed
        self.dropped = dropped
        self.used = used


def _fresh(error: Exception) -> Exception:
    # An exception object collects tracebacks; one that is kept must not be raised itself.
    make: Callable[[str], Exception] = type(error)
    return make(error.connection_id) if isinstance(error, ConnectionClosed) else error
