"""Carries out what the machine asks for, effect by effect. Hub thread only.

Nothing here waits: not for the network (close frames go to writer threads, replays to readers),
not for user code (callbacks go to strands), not for a lock that user code may hold. Nothing here
decides either. Read next: ``hub_loop.py``, which drives it, and ``core/effects.py``.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never
from weakref import WeakValueDictionary

from ..core import effects as e
from ..core.commands import Observed, Register
from ..core.resume import Credentials, ResumeRequest
from ..core.states import State
from ..errors import ConnectionClosed, HubClosed
from ..incoming.transport_io import TransportIO
from ..message import Frame
from ..outgoing.items import Retention
from ..outgoing.outbox import Outbox
from ..outgoing.transport_writer import TransportWriter
from ..session.connection import Connection, InboundFence
from ..session.delayed_ack import DelayedAck
from ..session.handler_calls import HookCall
from ..session.serial_queue import SerialQueue

if TYPE_CHECKING:
    from .hub_loop import HubLoop

log = logging.getLogger("resumehub")

# A reader starts right behind these, and runs them: no thread of the pool is needed.
_BEFORE_READER = ("on_connect", "on_transport_restore")


class EffectRunner:
    """The hub thread's hands. ``execute`` gives the observation that an ``Inspect`` asks for."""

    def __init__(self, loop: HubLoop) -> None:
        self._loop = loop
        self._runtime = loop.runtime
        self._config = loop.config
        self._by_epoch: dict[int, Connection] = {}
        # By id and not by session: an id's next session waits for the callbacks of the one before.
        # Weak, so that an id is forgotten with the last connection object that had it.
        self._serial_queues: WeakValueDictionary[str, SerialQueue] = WeakValueDictionary()

    def execute(self, effect: e.Effect) -> Observed | None:
        """Carry out one effect. Never blocks."""
        match effect:
            case e.OpenSession():
                self._open(effect)
            case e.AttachTransport(number, epoch):
                self._attach(self._io(number), self._by_epoch[epoch], effect)
            case e.DetachTransport(number, epoch):
                self._detach(self._io(number), self._by_epoch[epoch])
            case e.EndSession():
                self._end(effect)
            case e.AdmitToRefuse(number):
                self._admit_to_refuse(self._io(number))
            case e.SendClose(number, code, reason, after_data):
                self._writer(number).close(code, reason, after_data=after_data)
            case e.DiscardUnsent(number):
                self._discard(self._io(number))
            case e.SendPing(number):
                io = self._io(number)
                io.ping_mark, io.pinged_at = io.transport.heard, self._loop.clock.monotonic()
                self._writer(number).ping()
            case e.Inspect():
                return self._inspect(effect)
            case e.SendAck(number):
                connection = self._io(number).connection
                if connection is not None:
                    self._loop.control_messages.acknowledge(connection)
            case e.UpdateCredentials(epoch, credentials):
                self._by_epoch[epoch]._credentials = credentials
            case e.AbortTransport(number):
                self._abort(self._io(number))
            case e.Notify():
                self._notify(effect)
            case e.Count(method, arguments):
                self._loop.count(method, *arguments)
            case e.Ignored(because):
                log.debug("ignored: %s", because)
            case e.NotFound() | e.Finish():
                pass  # the engine looks at these
            case _:
                assert_never(effect)
        return None

    # -- the second look at a resume --------------------------------------------------------

    def look(self, registration: Register) -> ResumeRequest:
        """What the outbox says to the client's count; it keeps what is needed until ``look_away``."""
        wanted, resume_request = self._wanted(registration), registration.resume_request
        if wanted is None or resume_request.received is None:
            return resume_request
        with wanted._outbox.lock:
            resume_position = wanted._outbox.hold_history(resume_request.received)
        return replace(
            resume_request, beyond=resume_position.beyond, first_available=resume_position.first_available
        )

    def look_away(self, registration: Register) -> None:
        """The decision is made and carried out."""
        wanted = self._wanted(registration)
        if wanted is not None:
            with wanted._outbox.lock:
                wanted._outbox.release_history()

    def _wanted(self, registration: Register) -> Connection | None:
        return (
            self._by_epoch.get(registration.seen)
            if registration.resume and registration.seen is not None
            else None
        )

    def forget_transport(self, number: int) -> None:
        """The transport is released; what its ended session could not send is lost now."""
        io = self._loop.transports.pop(number, None)
        if io is None:
            return
        self._loop.give_back_refusal(io)
        connection = io.connection
        if connection is not None and connection._writer is io.writer and connection.closed:
            with connection._outbox.lock:
                self._lose(connection, connection._outbox.close_out("closed"))
                connection._writer = None
            self._loop.ledger_totals.close(connection._outbox)
            self._count_dropped(connection, "closed")

    # -- sessions ---------------------------------------------------------------------------

    def _open(self, effect: e.OpenSession) -> None:
        config, runtime = self._config, self._runtime
        io = self._io(effect.transport)
        # A name for people; an id that was made up is a secret, and another one in every run.
        whose = f"session {effect.epoch}" if io.generated else effect.connection_id
        serial_queue = self._serial_queues.get(effect.connection_id)
        if serial_queue is None:
            serial_queue = SerialQueue(
                runtime, self._loop.pool, max(config.max_message_size, 256 * 1024), whose
            )
            self._serial_queues[effect.connection_id] = serial_queue
        connection = Connection(
            self._loop,
            epoch=effect.epoch,
            connection_id=effect.connection_id,
            room_id=effect.room_id,
            generated=io.generated,
            data=io.data,
            outbox=Outbox(
                runtime.lock(f"the outbox of {whose}"),
                config.send_buffer,
                config.send_buffer_bytes,
                self._keep(effect.credentials, io.generated),
            ),
            inbound_fence=InboundFence(runtime.lock(f"the inbox of {whose}")),
            serial_queue=serial_queue,
            ended=runtime.event(f"on_disconnect of {whose} to return"),
            credentials=effect.credentials,
            delayed_ack=self._delayed_ack(effect.credentials, whose),
        )
        self._by_epoch[effect.epoch] = connection
        self._loop.ledger_totals.open(connection._outbox)
        self._loop.registry.enter(connection)

    def _keep(self, credentials: Credentials, generated: bool) -> Retention:
        if credentials.tokens is not None:
            return Retention.UNTIL_ACKED
        return Retention.NOTHING if generated or self._config.resume_window == 0 else Retention.HISTORY

    def _delayed_ack(self, credentials: Credentials, whose: str) -> DelayedAck | None:
        if credentials.tokens is None:
            return None
        lock = self._runtime.lock(f"the receipts of {whose}")
        return DelayedAck(lock, self._config.send_buffer, self._config.send_buffer_bytes)

    def _end(self, effect: e.EndSession) -> None:
        connection = self._by_epoch[effect.epoch]
        outbox = connection._outbox
        with outbox.lock:
            if outbox.refusal is None or effect.hub_closed:
                outbox.refusal = (HubClosed if effect.hub_closed else ConnectionClosed)(connection.id)
            if not effect.flush:
                self._lose(connection, outbox.close_out(effect.drop_reason, keep_started=True))
            if connection._writer is None:
                self._loop.ledger_totals.close(outbox)
        connection._state = State.CLOSED
        if not effect.deliver:
            connection._inbound_fence.fence()
            connection._serial_queue.wake()
        self._loop.registry.leave(connection)
        self._count_dropped(connection, effect.drop_reason)

    def _notify(self, effect: e.Notify) -> None:
        connection = self._by_epoch[effect.epoch]
        if effect.hook == "on_transport_restore":
            # Before its handler may look, which can be before the hub gets to attach the transport.
            connection._state = State.CONNECTED
        if effect.hook == "on_disconnect":
            del self._by_epoch[effect.epoch]
        elif not self._is_heard(effect.hook):
            return
        call = HookCall(self._loop, connection, effect.hook, effect.generation, effect.error)
        connection._serial_queue.post(call, runner_coming=effect.hook in _BEFORE_READER)

    def _is_heard(self, hook: str) -> bool:
        """Whether a thread is worth waking for it: not where nobody has a handler and nothing is recorded."""
        return bool(self._loop.handlers[hook]) or self._loop.trace is not None

    # -- transports -------------------------------------------------------------------------

    def _attach(self, io: TransportIO, connection: Connection, effect: e.AttachTransport) -> None:
        writer = self._new_writer(io, connection._outbox, (connection.room_id, connection.id))
        io.connection = connection
        io.generation = connection._generation = effect.generation
        connection._credentials = effect.credentials
        handled = connection._inbound_fence.attach(effect.generation)
        outbox, waiting = connection._outbox, 0
        with outbox.lock:
            if effect.received is not None:
                waiting = outbox.rewind(effect.received)
            elif effect.generation > 1:
                outbox.restart()
            # Nobody writes until the channel is there, so this is still the end when it gets its words.
            last = (
                outbox.place_last("replayed") if effect.credentials.tokens and effect.generation > 1 else None
            )
        if effect.credentials.tokens is not None:
            self._loop.control_messages.say_hello(connection, writer, effect, handled, waiting, last)
        with outbox.lock:
            connection._writer = writer
        if not self._loop.io_threads.start_reader(io):
            connection._serial_queue.call_pool()

    def _detach(self, io: TransportIO, connection: Connection) -> None:
        assert io.writer is not None, "an attached link has a channel"
        with connection._outbox.lock:
            io.writer.detach()
            connection._writer = None
        connection._inbound_fence.fence()
        connection._serial_queue.wake()
        connection._state = State.SUSPENDED

    def _admit_to_refuse(self, io: TransportIO) -> None:
        self._new_writer(io, Outbox(self._runtime.lock(), 1, 1), None)
        self._loop.io_threads.start_reader(io)

    def _new_writer(self, io: TransportIO, outbox: Outbox, label: tuple[str, str] | None) -> TransportWriter:
        loop = self._loop
        io.writer = TransportWriter(
            io.number, io.transport, outbox, loop.clock, self._runtime, loop, io.handshake_response, label
        )
        io.reading_since = self._loop.clock.monotonic()
        return io.writer

    def _discard(self, io: TransportIO) -> None:
        assert io.writer is not None, "only a transport that was admitted can be closing"
        lost = io.writer.discard_unsent("closed")
        if io.connection is not None:
            with io.connection._outbox.lock:
                self._lose(io.connection, lost)
            self._count_dropped(io.connection, "closed")

    def _inspect(self, effect: e.Inspect) -> Observed:
        io = self._io(effect.transport)
        took_at, blocked = self._writer(effect.transport).state()
        return Observed(
            transport=effect.transport,
            kind=effect.kind,
            heard=io.transport.heard != io.ping_mark,
            reading_since=io.reading_since,
            took_at=took_at,
            blocked=blocked,
            pinged_at=io.pinged_at,
        )

    def _abort(self, io: TransportIO) -> None:
        io.transport.abort()
        io.aborted.set()
        if io.connection is not None:
            io.connection._serial_queue.wake()
        if io.writer is None:
            # It never had threads, so nobody else will close it.
            self._loop.io_threads.release_now(io)
        elif io.is_to_be_closed():
            self._loop.io_threads.close_unread(io)

    # -- small words ------------------------------------------------------------------------

    def _io(self, number: int) -> TransportIO:
        return self._loop.transports[number]

    def _writer(self, number: int) -> TransportWriter:
        writer = self._loop.transports[number].writer
        assert writer is not None, "only a transport that was admitted is written to"
        return writer

    @staticmethod
    def _lose(connection: Connection, frames: list[Frame]) -> None:
        """Lock held: remember what may not have arrived, for ``connection.undelivered``."""
        # In front: what stayed in the outbox for longer is older.
        connection._lost[:0] = frames

    def _count_dropped(self, connection: Connection, reason: str) -> None:
        for _ in range(len(connection._lost) - connection._lost_counted):
            self._loop.count("message_dropped", connection.room_id, connection.id, reason)
        connection._lost_counted = len(connection._lost)
