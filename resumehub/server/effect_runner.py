"""Carries out the machine's effects, one by one. Hub thread only.

It never waits: not for the network (close frames go to writer threads, replays to readers), not for user
code (callbacks go to serial queues), not for a lock that user code may hold. It decides nothing either.
Called by ``hub_loop.py``. Read next: ``core/effects.py``, ``session/session.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import assert_never
from weakref import WeakValueDictionary

from ..config import Config
from ..core import effects as e
from ..core.commands import Observed, Register
from ..core.moving import DecisionState, ErrorState
from ..core.resume import Credentials, ResumeRequest
from ..core.states import State
from ..incoming.transport_io import TransportIO
from ..outgoing.items import Retention
from ..outgoing.ledger import LedgerTotals
from ..outgoing.outbox import Outbox
from ..outgoing.transport_writer import TransportWriter
from ..reasons import DropReason, MembershipReason
from ..runtime.base import Runtime
from ..runtime.foreign_code import Log
from ..session.connection import Connection
from ..session.delayed_ack import DelayedAck
from ..session.handler_calls import HookCall, MessageCall
from ..session.inbound_fence import InboundFence
from ..session.moving_state import attach_again, export_session, session_from, write_down
from ..session.serial_queue import CallbackPool, SerialQueue
from ..session.services import Services
from ..session.session import Session
from ..session.session_state import HookState, Limits, LiveTransport, SessionState
from .beginning import Beginning
from .full_hub_warning import FullHubWarning
from .io_threads import IOThreads
from .refusal_reports import RefusalReports
from .registry import SessionRegistry
from .transport_table import TransportTable

log = Log("resumehub")

# After these a reader starts, which runs them: no thread of the pool is needed.
_BEFORE_READER = ("on_connect", "on_transport_restore")

# Messages of one id that wait for their handler may have at least this size, however small one may be.
_LEAST_PARKED_BYTES = 256 * 1024


@dataclass(eq=False, repr=False)
class EffectRunner:
    """One hub's. ``execute`` returns the observation that an ``Inspect`` asks for."""

    _config: Config
    _runtime: Runtime
    _services: Services
    _registry: SessionRegistry
    _transports: TransportTable
    _ledger_totals: LedgerTotals
    _pool: CallbackPool
    _io_threads: IOThreads
    _beginning: Beginning
    _refusals: RefusalReports
    #: States of sessions that leave, by epoch, until ``HubLoop.departed`` takes them; and of sessions that
    #: arrive, by the number of the arrival, until ``TakeOver`` uses them. Any thread.
    departures: dict[int, SessionState] = field(default_factory=dict)
    arrivals: dict[int, SessionState] = field(default_factory=dict)
    _by_epoch: dict[int, Session] = field(default_factory=dict)
    # By id and not by session: the next session of an id waits for the callbacks of the one before.
    # Weak, so that an id is forgotten with the last session that had it.
    _serial_queues: WeakValueDictionary[str, SerialQueue] = field(default_factory=WeakValueDictionary)

    def __post_init__(self) -> None:
        config, self._observers = self._config, self._services.observers
        self._full = FullHubWarning(self._services.clock, config.max_sessions)
        self._limits = Limits(config.resume_window, config.ping_interval, config.max_message_size)

    def execute(self, effect: e.Effect) -> Observed | None:
        """Carry out one effect. Never blocks."""
        match effect:
            case e.OpenSession():
                self._open(effect)
            case e.AttachTransport(number, epoch):
                self._attach(self._transports[number], self._by_epoch[epoch], effect)
            case e.DetachTransport(_, epoch):
                self._by_epoch[epoch].detach()
                self._registry.suspended.add(epoch)
            case e.EndSession():
                self._end(effect)
            case e.AdmitToRefuse(number):
                self._admit_to_refuse(self._transports[number])
            case e.SendClose(number, code, reason, after_data):
                self._writer(number).close(code, reason, after_data=after_data)
            case e.DiscardUnsent(number):
                self._discard(self._transports[number])
            case e.SendPing(number):
                io = self._transports[number]
                io.ping_mark, io.pinged_at = io.transport.heard, self._services.clock.monotonic()
                self._writer(number).ping()
            case e.Inspect():
                return self._inspect(effect)
            case e.SendAck(number):
                session = self._transports[number].session
                if session is not None:
                    self._services.control_messages.acknowledge(session)
            case e.AddMember(epoch, room_id):
                self._join(self._by_epoch[epoch], room_id)
            case e.RemoveMember(epoch, room_id):
                self._registry.part(self._by_epoch[epoch], room_id)
            case e.UpdateCredentials(epoch, credentials):
                self._by_epoch[epoch].credentials = credentials
            case e.AbortTransport(number):
                self._abort(self._transports[number])
            case e.Notify():
                self._notify(effect)
            case e.NotifyMembership():
                self._notify_membership(effect)
            case e.Count("upgrade_refused", (status, reason)):
                self._refusals.report(status, reason)
            case e.Count(method, arguments):
                self._observers.count(method, *arguments)
            case e.Ignored(because):
                log.debug("ignored: %s", because)
            case e.HandOver():
                self._hand_over(effect)
            case e.GoneElsewhere(epoch, number):
                self._gone_elsewhere(epoch, number)
            case e.TakeOver():
                self._take_over(effect)
            case e.GiveUpRequest(number):
                self._services.askers.give_up(number)
            case e.WarnFull():
                self._full.warn()
            case e.NotFound() | e.NotMoved() | e.NotJoined() | e.Finish():
                pass  # the loop handles these
            case _:
                assert_never(effect)
        return None

    # -- the hub's own check of a resume ----------------------------------------------------

    def look(self, registration: Register) -> ResumeRequest:
        """The request with what the outbox says of its count; what it needs is kept until ``look_away``."""
        wanted, request = self._wanted(registration), registration.resume_request
        if wanted is None or request.received is None:
            return request
        with wanted.outbox.lock:
            position = wanted.outbox.hold_history(request.received)
        return replace(request, beyond=position.beyond, first_available=position.first_available)

    def look_away(self, registration: Register) -> None:
        """Undo ``look``: the decision is made and carried out."""
        wanted = self._wanted(registration)
        if wanted is not None:
            with wanted.outbox.lock:
                wanted.outbox.release_history()

    def _wanted(self, registration: Register) -> Session | None:
        if not registration.resume or not registration.seen:
            return None
        session = self._registry.sessions.get(registration.connection_id)
        return session if session is not None and session.life == registration.seen else None

    # -- sessions ---------------------------------------------------------------------------

    def _open(self, effect: e.OpenSession) -> None:
        config, runtime = self._config, self._runtime
        io = self._transports[effect.transport]
        # A name for logs and traces. A generated id is a secret, and differs in every run.
        whose = f"session {effect.epoch}" if effect.credentials.generated else effect.connection_id
        session = Session(
            self._services,
            effect.epoch,
            effect.life,
            effect.connection_id,
            effect.room_id,
            outbox=Outbox(
                runtime.lock(f"the outbox of {whose}"),
                config.send_buffer,
                config.send_buffer_bytes,
                self._retention(effect.credentials),
            ),
            inbound_fence=InboundFence(runtime.lock(f"the inbound fence of {whose}"), config.send_buffer),
            serial_queue=self._serial_queue(effect.connection_id, whose),
            ended=runtime.event(f"on_disconnect of {whose} to return"),
            credentials=effect.credentials,
            delayed_ack=self._delayed_ack(effect.credentials, whose),
            limits=self._limits,
        )
        session.connection = Connection(session, io.data)
        self._by_epoch[effect.epoch] = session
        self._ledger_totals.open(session.outbox)
        self._registry.begin(session)
        if self._beginning.holds:
            self._beginning.enter(session.serial_queue, None)

    def _join(self, session: Session, room_id: str) -> None:
        self._registry.join(session, room_id)
        writer = session.writer
        if self._registry.history is not None and writer is not None:
            writer.flush()

    def _serial_queue(self, connection_id: str, whose: str) -> SerialQueue:
        queue = self._serial_queues.get(connection_id)
        if queue is None:
            bound = max(self._config.max_message_size, _LEAST_PARKED_BYTES)
            queue = SerialQueue(self._runtime, self._pool, bound, whose)
            self._serial_queues[connection_id] = queue
        return queue

    def _retention(self, credentials: Credentials) -> Retention:
        if credentials.tokens is not None:
            return Retention.UNTIL_ACKED
        resumable = self._config.resume_window > 0 and not credentials.generated
        return Retention.HISTORY if resumable else Retention.NOTHING

    def _delayed_ack(self, credentials: Credentials, whose: str) -> DelayedAck | None:
        if credentials.tokens is None:
            return None
        lock = self._runtime.lock(f"the delayed ack of {whose}")
        return DelayedAck(lock, self._config.send_buffer, self._config.send_buffer_bytes)

    def _end(self, effect: e.EndSession) -> None:
        session = self._by_epoch[effect.epoch]
        if session.end(effect):
            self._ledger_totals.close(session.outbox)
        self._registry.leave(session)
        session.count_lost(effect.drop_reason)

    def _notify(self, effect: e.Notify) -> None:
        session = self._by_epoch[effect.epoch]
        if effect.hook == "on_transport_restore":
            # Set here, since a handler may read it before the hub thread has attached the transport.
            session.state = State.CONNECTED
        if effect.hook == "on_disconnect":
            del self._by_epoch[effect.epoch]
        elif not self._is_heard(effect.hook):
            return
        call = HookCall(self._services, session, effect.hook, effect.generation, effect.error)
        session.serial_queue.post(call, runner_coming=effect.hook in _BEFORE_READER)

    def _notify_membership(self, effect: e.NotifyMembership) -> None:
        # A trace records the membership itself, so no thread is woken for it alone.
        if self._services.handlers[effect.hook]:
            session = self._by_epoch[effect.epoch]
            what = effect.hook, effect.generation, None, effect.room_id, effect.reason
            begins = effect.reason == MembershipReason.CONNECT.value
            session.serial_queue.post(HookCall(self._services, session, *what), runner_coming=begins)

    def _is_heard(self, hook: str) -> bool:
        """Whether the hook has a handler, or a trace records it. If not, no thread is woken for it."""
        return bool(self._services.handlers[hook]) or self._observers.trace is not None

    # -- transports -------------------------------------------------------------------------

    def _attach(self, io: TransportIO, session: Session, effect: e.AttachTransport) -> None:
        io.session = session
        writer = self._new_writer(io, session.outbox, (session.room_id, session.connection_id))
        io.generation = effect.generation
        session.attach(writer, effect)
        self._registry.suspended.discard(session.epoch)
        if not self._io_threads.start_reader(io):
            session.serial_queue.call_pool()

    def _admit_to_refuse(self, io: TransportIO) -> None:
        self._new_writer(io, Outbox(self._runtime.lock(), 1, 1), None)
        self._io_threads.start_reader(io)

    def _new_writer(self, io: TransportIO, outbox: Outbox, label: tuple[str, str] | None) -> TransportWriter:
        clock = self._services.clock
        io.writer = TransportWriter(
            io.number,
            io.transport,
            outbox,
            clock,
            self._runtime,
            self._io_threads,
            io.handshake_response,
            label,
        )
        io.writer.whose = io.whose
        io.reading_since = clock.monotonic()
        return io.writer

    def _discard(self, io: TransportIO) -> None:
        writer = self._writer(io.number)
        if io.session is not None:
            io.session.discard_unsent(writer)
        else:
            writer.discard_unsent(DropReason.CLOSED)

    def _inspect(self, effect: e.Inspect) -> Observed:
        io = self._transports[effect.transport]
        writer = self._writer(effect.transport)
        took_at, blocked = writer.inspect()
        return Observed(
            transport=effect.transport,
            kind=effect.kind,
            heard=io.transport.heard != io.ping_mark,
            reading_since=io.reading_since,
            took_at=took_at,
            blocked=blocked,
            pinged_at=io.pinged_at,
            full_since=writer.window.full_since(io.session.outbox) if io.session is not None else None,
            reads_on_since=io.reads_on_since,
            seen_at=self._services.clock.monotonic(),
        )

    def _abort(self, io: TransportIO) -> None:
        io.transport.abort()
        io.aborted.set()
        if io.session is not None:
            io.session.serial_queue.wake()
        if io.writer is None:
            # It never had a reader or a writer, so no other thread will close it.
            self._io_threads.release_now(io)
        elif io.is_to_be_closed():
            self._io_threads.close_unread(io)

    def release(self, number: int) -> None:
        """The transport is closed; if its session has ended, what is still unsent is lost now."""
        io = self._transports.remove(number)
        session = io.session if io is not None else None
        if io is not None and session is not None and session.writer is io.writer and session.is_over:
            session.close_out()
            self._ledger_totals.close(session.outbox)

    # -- moving to another process, and coming from one -------------------------------------

    def _hand_over(self, effect: e.HandOver) -> None:
        session = self._by_epoch[effect.epoch]
        self.departures[effect.epoch] = self.pack(session, effect.transport, effect.decisions, export_session)
        self._gone_elsewhere(effect.epoch, effect.transport)

    def pack(
        self,
        session: Session,
        number: int | None,
        decisions: DecisionState,
        write: Callable[..., SessionState] = write_down,
    ) -> SessionState:
        """The state of a session that is fenced. Hub thread, or the thread that holds it."""
        io = self._transports[number] if number is not None else None
        calls = [call for call in session.serial_queue.waiting() if call.session is session]
        messages = [call for call in calls if isinstance(call, MessageCall) and not call.is_stale()]
        hooks = tuple(
            HookState(call.hook, call.generation, ErrorState.of(call.error), call.room_id, call.reason)
            for call in calls
            if isinstance(call, HookCall)
        )
        with session.outbox.lock:
            live = io.export(messages, self._services.clock.monotonic()) if io is not None else None
            return write(session, decisions, hooks, live)

    def session(self, epoch: int) -> Session:
        """A session that lives. Hub thread, or the thread that holds it."""
        return self._by_epoch[epoch]

    def _gone_elsewhere(self, epoch: int, number: int | None) -> None:
        session = self._by_epoch.pop(epoch)
        if number is not None:
            self._transports.remove(number)
        self._registry.leave(session)
        self._ledger_totals.forget(session.outbox)

    def _take_over(self, effect: e.TakeOver) -> None:
        state = self.arrivals.pop(effect.arrival)
        connection_id = effect.decisions.connection_id
        whose = f"session {effect.epoch}" if effect.decisions.credentials.generated else connection_id
        queue = self._serial_queue(connection_id, whose)
        session = session_from(self._services, state, effect.epoch, queue, self._runtime)
        session.connection = Connection(session, state.data)
        self._by_epoch[effect.epoch] = session
        self._ledger_totals.open(session.outbox)
        self._registry.enter(session)
        self._beginning.enter(queue, self._on_adopt(session, state))
        for hook in state.hooks:
            error = hook.error.make() if hook.error is not None else None
            call = HookCall(
                self._services, session, hook.hook, hook.generation, error, hook.room_id, hook.reason
            )
            queue.post(call)
        if effect.transport is not None and state.transport is not None:
            self._go_on(self._transports[effect.transport], session, state.transport)

    def _on_adopt(self, session: Session, state: SessionState) -> HookCall | None:
        # A session whose on_connect has not run has been in no process's tables: that comes first, here.
        if any(hook.hook == "on_connect" for hook in state.hooks) or not self._is_heard("on_adopt"):
            return None
        return HookCall(self._services, session, "on_adopt", session.generation, None)

    def _go_on(self, io: TransportIO, session: Session, live: LiveTransport) -> None:
        now = self._services.clock.monotonic()
        io.session = session
        io.generation = session.generation
        writer = self._new_writer(io, session.outbox, (session.room_id, session.connection_id))
        io.restore(live, now)
        attach_again(session, writer, live, now)
        if not self._io_threads.start_reader(io):
            session.serial_queue.call_pool()

    def _writer(self, number: int) -> TransportWriter:
        writer = self._transports[number].writer
        assert writer is not None, "a transport gets its writer when it is admitted"
        return writer
