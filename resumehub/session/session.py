"""``Session``: the record of everything that the hub's threads know of one session.

The hub thread attaches and detaches transports and ends the session, as the machine (``core/machine.py``)
decides; any thread sends. What was accepted for sending waits in ``outbox``, which outlives every transport;
what was received goes through ``serial_queue``, and ``inbound_fence`` lets it start. The session decides
nothing: it knows neither deadlines nor which client may resume. Application code holds a ``Connection``. Read
next: ``connection.py`` (the handle), ``outgoing/outbox.py`` (the way out), ``handler_calls.py`` (the way in).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..codec import decode_frames, encode_frame
from ..core.effects import AttachTransport, EndSession
from ..core.input_rate import InputRate
from ..core.open_requests import ClientRequest, ClientRequests, OwnRequests
from ..core.resume import Credentials
from ..core.states import State
from ..errors import ConnectionClosed, HubClosed, SendBufferFull
from ..message import Frame, Message
from ..outgoing.outbox import Outbox
from ..outgoing.transport_writer import TransportWriter
from ..outgoing.write_results import BARRED, PASSED, Flushed, Passage
from ..reasons import DropReason, RequestRefusal
from ..runtime.base import Event
from .delayed_ack import DelayedAck
from .elsewhere import Elsewhere, Seal, SealedError, wherever
from .inbound_fence import InboundFence
from .request_frames import encode_refusal
from .seen_session import SeenSession
from .serial_queue import SerialQueue
from .services import Services
from .session_state import Limits

if TYPE_CHECKING:
    from ..spans import SessionSpan
    from .connection import Connection


class Asked(Protocol):
    """A thread's request to the client, as the session's end sees it (``asking.py``).

    ``frame``: None where the thread is in another process. ``given_up``: called when nobody waits any more,
    once the session has left this process.
    """

    generation: int
    given_up: Callable[[], None] | None

    @property
    def frame(self) -> Frame | None: ...
    def ended(self, error: Exception | None) -> None: ...
    def answered(self, message: Message) -> None: ...


@dataclass(slots=True, eq=False)
class Offered:
    """What ``Session.offer`` did with a broadcast's frame; for ``Session.report``."""

    session: Session
    writer: TransportWriter | None
    flushed: Flushed | None
    dropped: int
    used: int


# No ``==`` and no ``repr`` of the fields: a session equals itself alone, and a log shows no messages of it.
@dataclass(slots=True, eq=False, repr=False, weakref_slot=True)
class Session:
    """One session, from the first attach until on_disconnect has returned.

    Only the hub thread writes a field, unless its comment says otherwise; any thread may read.
    """

    _services: Services
    #: Its name in this process, and its name in all of them.
    epoch: int
    life: str
    connection_id: str
    room_id: str
    outbox: Outbox
    inbound_fence: InboundFence
    serial_queue: SerialQueue
    #: Set when on_disconnect has returned.
    ended: Event
    # For the pre-check of the next resume. The hub thread writes ``generation`` first, then this.
    credentials: Credentials
    #: Only in a v1 session, where both ends acknowledge.
    delayed_ack: DelayedAck | None
    #: What its client was told.
    limits: Limits
    generation: int = 1
    state: State = State.CONNECTED
    #: Any thread: whether an undecodable message, and a refusal of what is no request, has been logged.
    undecodable_logged: bool = False
    refusal_logged: bool = False
    #: Its callbacks' thread: whether on_connect raised. Then neither on_join nor on_leave is called.
    entry_refused: bool = False
    #: Its callbacks' thread: the hook in which one has raised, and the generation of its transport.
    failed: tuple[str, int] = ("", 0)
    span: SessionSpan | None = None  # for tracing
    #: The application's handle; None behind on_disconnect: no cycle waits for the garbage collector.
    connection: Connection | None = None
    #: What the client asks, and has no answer yet. Under the outbox's lock.
    client_requests: ClientRequests = field(default_factory=ClientRequests)
    #: What the client is asked, and has not answered. Under the outbox's lock.
    own_requests: OwnRequests[Asked] = field(default_factory=OwnRequests)
    #: The present transport's; changes under the outbox's lock.
    writer: TransportWriter | None = None
    #: In order of joining, the home room (``room_id``) first.
    rooms: tuple[str, ...] = ()
    #: While the whole hub is about to move, and for ever if it has. Changes under the outbox's lock.
    seal: Seal | None = None
    #: How much its client may still send; None without a limit. Its transport's reader alone changes it.
    input_rate: InputRate | None = None
    _lost: list[Frame] = field(default_factory=list)
    _lost_counted: int = 0

    def __post_init__(self) -> None:
        self.rooms = self.rooms or (self.room_id,)

    # -- sending: any thread ----------------------------------------------------------------

    def send(self, message: Message) -> None:
        """See ``Connection.send``."""
        self.send_frame(encode_frame(self._services.codec, message))

    def send_frame(self, frame: Frame) -> None:
        """Queue an encoded message, or write it at once. Raises: as ``Connection.send``. Blocks: never."""
        outbox, size = self.outbox, len(frame.payload)
        if size > outbox.max_bytes:
            self.check_size(size)
        writer = self.writer
        passage = writer.pass_through(frame, size) if writer is not None else BARRED
        if passage is not PASSED:
            wherever(
                lambda: self._put(frame, passage),
                lambda elsewhere: elsewhere.send(self.connection_id, self.life, frame),
            )
        elif writer is not None and (observers := self._services.observers).watched:
            observers.note(
                "app", "Send", connection_id=self.connection_id, size=size, left=outbox.used_frames
            )
            observers.wrote_at_once(writer, size, outbox.used_frames)

    def check_size(self, size: int) -> None:
        """Make sure that a frame of ``size`` bytes can find room at all. Raises: ValueError."""
        if size > self.outbox.max_bytes:
            raise ValueError(
                f"the encoded message has {size} bytes, more than send_buffer_bytes "
                f"({self.outbox.max_bytes}) will ever hold; split it, or raise send_buffer_bytes"
            )

    def _put(self, frame: Frame, passage: Passage) -> None:
        """Put the frame into the outbox, and write. If ``passage`` is BEGUN, it is in there already."""
        outbox, full = self.outbox, None
        with outbox.lock:
            if passage is BARRED:
                self.check_open()
            writer = self.writer
            before = writer.pump_if_full(frame.size) if writer is not None else None
            if passage is BARRED and not outbox.put(frame):
                full = SendBufferFull(self.connection_id, outbox.used_frames, outbox.used_bytes)
            flushed = writer.pump(before) if writer is not None else None
            used = outbox.used_frames
        observers = self._services.observers
        if full is None:
            observers.note("app", "Send", connection_id=self.connection_id, size=frame.size, left=used)
        if writer is not None:
            writer.report(flushed)
        if full is not None:
            raise full
        if used:
            observers.buffer_changed(self, used)

    def check_open(self) -> None:
        """Lock held: raise SealedError while the hub moves; ConnectionClosed when the session has ended."""
        if self.seal is not None:
            raise SealedError(self.seal)
        if self.outbox.refusal is not None:
            raise _fresh(self.outbox.refusal)

    def put_kept(self, frame: Frame, accept: Callable[[], bool]) -> bool:
        """Put a request or an answer into the outbox, if ``accept`` does, and write.

        ``accept``: called with the outbox's lock held, once the session is known to live. Returns what it
        returned. Raises: ConnectionClosed; SealedError; what ``accept`` raises. Blocks: never.
        """
        outbox = self.outbox
        with outbox.lock:
            self.check_open()
            writer = self.writer
            before = writer.pump_if_full(frame.size) if writer is not None else None
            try:
                accepted = accept()
            finally:
                flushed = writer.pump(before) if writer is not None else None
            used = outbox.used_frames
        if writer is not None:
            writer.report(flushed)
        if accepted:
            observers = self._services.observers
            observers.note("app", "Send", connection_id=self.connection_id, size=frame.size, left=used)
            if used:
                observers.buffer_changed(self, used)
        return accepted

    def offer(self, frame: Frame, passage: Passage) -> Offered | None:
        """Accept a broadcast's frame; without room the oldest are dropped. None if the session has ended.

        Next: ``report`` with the result, once the caller holds no lock. Blocks: never.
        """
        outbox = self.outbox
        with outbox.lock:
            if passage is BARRED and outbox.refusal is not None:
                return None
            writer = self.writer
            before = writer.pump_if_full(frame.size) if writer is not None else None
            dropped = outbox.put_dropping(frame) if passage is BARRED else 0
            flushed = writer.pump(before) if writer is not None else None
            return Offered(self, writer, flushed, dropped, outbox.used_frames)

    def report(self, offered: Offered) -> None:
        """Tell the writer's owner and the observers what ``offer`` did. Without a lock."""
        if offered.writer is not None:
            offered.writer.report(offered.flushed)
        observers = self._services.observers
        for _ in range(offered.dropped):
            observers.count("message_dropped", self.room_id, self.connection_id, DropReason.OVERFLOW.value)
        if offered.used:
            observers.buffer_changed(self, offered.used)

    def undelivered(self) -> list[Message]:
        """See ``Connection.undelivered``."""
        return self.decoded(self.undelivered_frames())

    def undelivered_frames(self) -> list[Frame]:
        """The same, encoded."""
        with self.outbox.lock:
            return [*self.outbox.undelivered(), *self._lost]

    def decoded(self, frames: Iterable[Frame]) -> list[Message]:
        """The messages in ``frames``, without those that the codec can't read."""
        return decode_frames(self._services.codec, frames)

    # -- looking: any thread ----------------------------------------------------------------

    @property
    def services(self) -> Services:
        """What it shares with all sessions of its hub."""
        return self._services

    @property
    def elsewhere(self) -> Elsewhere | None:
        """Where the session is, if it has left this process with the whole hub."""
        return self.seal.elsewhere if self.seal is not None else None

    @property
    def is_suspended(self) -> bool:
        """See ``Connection.suspended``."""
        return self.state is State.SUSPENDED

    @property
    def is_over(self) -> bool:
        """See ``Connection.closed``."""
        return self.state is State.CLOSED

    def seen(self, received: int | None) -> SeenSession:
        """The session, for the pre-check of a resume. ``received``: messages that the client has handled."""
        # The generation first: if a transport is attached in between, the hub thread sees an older one.
        generation, credentials = self.generation, self.credentials
        position = None
        if received is not None:
            with self.outbox.lock:
                position = self.outbox.resume_position(received)
        who = self.life, generation, self.connection_id, self.room_id, self.rooms
        return SeenSession(*who, self.is_suspended, credentials, position)

    # -- transports come and go: the hub thread ---------------------------------------------

    def attach(self, writer: TransportWriter, attach: AttachTransport) -> int:
        """Go on with a new transport: what waits is sent first, in order. Returns how many frames that are.

        Next: start its reader. No thread writes before this has returned. Blocks: never (the codec
        encodes the hub's own messages).
        """
        self.generation = attach.generation
        self.credentials = attach.credentials
        handled = self.inbound_fence.attach(attach.generation)
        outbox, waiting = self.outbox, 0
        with outbox.lock:
            if attach.received is not None:
                waiting = outbox.rewind(attach.received)
            elif attach.generation > 1:
                waiting = outbox.restart()
            # No thread writes until ``writer`` is set, so this is still the last place once it has its frame.
            resumed = self.delayed_ack is not None and attach.generation > 1
            last = outbox.place_last("replayed") if resumed else None
        if self.delayed_ack is not None:
            self._services.control_messages.say_hello(self, writer, attach, handled, waiting, last)
        with outbox.lock:
            self.writer = writer
        writer.report(None)  # the window may be full of what waits
        return waiting

    def detach(self) -> None:
        """Part with the present transport: it gets no more frames, and no message of it starts."""
        with self.outbox.lock:
            assert self.writer is not None, "only an attached transport can be detached"
            self.writer.detach()
            self.writer = None
        self.inbound_fence.fence()
        self.serial_queue.wake()
        self.state = State.SUSPENDED

    # -- the end: the hub thread ------------------------------------------------------------

    def end(self, end: EndSession) -> bool:
        """Refuse further sends and messages; True if nothing in the outbox will still be written.

        Next: ``count_lost``, once the session has left the registry.
        """
        outbox = self.outbox
        refusals = self._deferred_refusals() if end.flush and len(self.client_requests) else []
        refused = 0
        with outbox.lock:
            for request, frame in refusals:
                if self.client_requests.settle(request):
                    outbox.put_kept(frame, self._services.max_requests, any_size=True)
                    refused += 1
            unanswered = len(self.client_requests)
            if outbox.refusal is None or end.hub_closed:
                outbox.refusal = (HubClosed if end.hub_closed else ConnectionClosed)(self.connection_id)
            unheard = self._unanswered(end)
            if not end.flush:
                self._lose(outbox.close_out(end.drop_reason, keep_started=True))
            settled = self.writer is None
        self.state = State.CLOSED
        for asked, error in unheard:
            asked.ended(error)
        self._services.observers.requests_ended(self, refused, unanswered)
        if not end.deliver:
            self.inbound_fence.fence()
            self.serial_queue.wake()
        return settled

    def _unanswered(self, end: EndSession) -> list[tuple[Asked, Exception | None]]:
        """Lock held, nothing dropped yet: who waits for the client, and why in vain; None: it is in doubt."""
        lost = HubClosed if end.hub_closed else ConnectionClosed
        return [
            (asked, lost(self.connection_id) if self._never_left(asked, end) else None)
            for asked in self.own_requests.settle_all()
        ]

    def _never_left(self, asked: Asked, end: EndSession) -> bool:
        if asked.frame is None or asked.generation != self.generation:
            return False
        return not end.flush and self.outbox.is_untouched(asked.frame)

    def _deferred_refusals(self) -> list[tuple[ClientRequest, Frame]]:
        """What those are told whose handler has put the answer off: nobody can give it any more."""
        with self.outbox.lock:
            deferred = [request for request in self.client_requests.all() if request.deferred]
        codec, why = self._services.codec, RequestRefusal.INTERNAL_ERROR
        frames = [encode_refusal(codec, request.id, why, self.connection_id) for request in deferred]
        return [(one, frame) for one, frame in zip(deferred, frames, strict=True) if frame is not None]

    def close_out(self) -> None:
        """After ``end``: the last transport is released, and what it did not write is lost."""
        with self.outbox.lock:
            self._lose(self.outbox.close_out(DropReason.CLOSED))
            self.writer = None
        self.count_lost(DropReason.CLOSED)

    def discard_unsent(self, writer: TransportWriter) -> None:
        """The peer takes no bytes: drop the whole frames that wait, so that the close frame is next."""
        dropped = writer.discard_unsent(DropReason.CLOSED)
        with self.outbox.lock:
            self._lose(dropped)
        self.count_lost(DropReason.CLOSED)

    def count_lost(self, reason: DropReason) -> None:
        """Tell the collector how many frames were lost since the last call."""
        for _ in range(len(self._lost) - self._lost_counted):
            self._services.observers.count("message_dropped", self.room_id, self.connection_id, reason.value)
        self._lost_counted = len(self._lost)

    def _lose(self, frames: list[Frame]) -> None:
        """Lock held: keep what may not have arrived, for ``undelivered``."""
        # In front: what is lost later has a lower number, since what has begun is lost last.
        self._lost[:0] = frames


def _fresh(error: Exception) -> Exception:
    # Each raise adds to an exception's traceback, so the one that is kept is never raised itself.
    make: Callable[[str], Exception] = type(error)
    return make(error.connection_id) if isinstance(error, ConnectionClosed) else error
