"""Carries out the machine's effects, one by one. Hub thread only.

It never waits: not for the network (close frames go to writer threads, replays to readers), not for user
code (callbacks go to serial queues), not for a lock that user code may hold. It decides nothing either.
Called by ``hub_loop.py``. Read next: ``core/effects.py``, ``session/session.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from ..core import effects as e
from ..core.commands import BuffersMeasured, Held, Observed, Register, Seen, WindowFull, WriteStalled
from ..core.drain import Drain
from ..core.resume import Credentials, ResumeRequest
from ..core.states import State
from ..incoming.transport_io import TransportIO
from ..outgoing.items import Retention
from ..outgoing.outbox import Outbox
from ..outgoing.transport_writer import TransportWriter
from ..reasons import DropReason, MembershipReason
from ..runtime.foreign_code import Log
from ..session.connection import Connection
from ..session.delayed_ack import DelayedAck
from ..session.handler_calls import HookCall
from ..session.inbound_fence import InboundFence
from ..session.recent import What
from ..session.session import Session
from .moving_effects import MovingEffects

log = Log(__name__)

# After these a reader starts, which runs them: no thread of the pool is needed.
_BEFORE_READER = ("on_connect", "on_transport_restore")

_BY_THE_APPLICATION = (MembershipReason.JOIN.value, MembershipReason.LEAVE.value)

_DRAINS = {
    Drain.NONE: "the hub is drained no more: it takes new sessions",
    Drain.NEWCOMERS: "the hub is drained: it takes no new session, and lets its own clients resume",
    Drain.ALL: "the hub is drained: it takes no new session, and lets no client resume",
}


class EffectRunner(MovingEffects):
    """One hub's. ``execute`` returns the observation that an ``Inspect`` asks for."""

    def execute(self, effect: e.Effect) -> Seen | None:
        """Carry out one effect. Never blocks."""
        match effect:
            case e.OpenSession():
                self._open(effect)
            case e.AttachTransport(number, epoch):
                self._attach(self._transports[number], self._by_epoch[epoch], effect)
            case e.DetachTransport(_, epoch):
                self._by_epoch[epoch].detach()
                if self._observers.timed:
                    self._suspended_at[epoch] = self._observers.began()
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
            case e.MeasureBuffers():
                return self._measure()
            case e.ShedFrames(epoch, size):
                self._shed(self._by_epoch[epoch], size)
            case e.WarnOverBudget(total, budget):
                self._over_budget.warn(total, budget)
            case e.ReadOn(number):
                self._transports[number].read_on()
            case e.NotePause(number, seconds):
                self._note_pause(self._transports[number], seconds)
            case e.Count("upgrade_refused", (status, reason)):
                self._refusals.report(status, reason)
            case e.Count("resume_attempt", (room_id, connection_id, False)):
                self._observers.count("resume_attempt", room_id, connection_id, False)
                self._observers.remember(self._registry.sessions.get(connection_id), What.NOT_RESUMED)
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
            case e.DrainChanged(drain, told):
                self._registry.drain = drain
                if told:
                    log.info("%s; %d sessions are here", _DRAINS[drain], len(self._registry.sessions))
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
            input_rate=self._input_rate(),
        )
        session.connection = Connection(session, io.data)
        self._by_epoch[effect.epoch] = session
        self._ledger_totals.open(session.outbox)
        self._registry.begin(session)
        self._observers.begin_span(session)
        if self._beginning.holds:
            self._beginning.enter(session.serial_queue, None)

    def _join(self, session: Session, room_id: str) -> None:
        self._registry.join(session, room_id)
        writer = session.writer
        if self._registry.history is not None and writer is not None:
            writer.flush()

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
        self._suspension_ended(session, resumed=False)

    def _notify(self, effect: e.Notify) -> None:
        session = self._by_epoch[effect.epoch]
        if effect.hook == "on_transport_drop":
            self._observers.tell_span(session, "dropped", effect.error)
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
        session = self._by_epoch[effect.epoch]
        if effect.hook == "on_leave" and effect.room_id == session.room_id:
            # Its home room: it leaves that when it ends, and this effect knows why.
            self._observers.tell_span(session, "ended", effect.reason)
        elif effect.reason in _BY_THE_APPLICATION:
            what_happened = What.LEFT if effect.hook == "on_leave" else What.JOINED
            self._observers.remember(session, what_happened, effect.room_id)
        # A trace records the membership itself, so no thread is woken for it alone.
        if self._services.handlers[effect.hook]:
            what = effect.hook, effect.generation, None, effect.room_id, effect.reason
            begins = effect.reason == MembershipReason.CONNECT.value
            session.serial_queue.post(HookCall(self._services, session, *what), runner_coming=begins)

    def _measure(self) -> BuffersMeasured:
        # Without their locks: what changes meanwhile is seen at the next look.
        held = [
            Held(epoch, session.outbox.held_bytes, session.serial_queue.parked()[1])
            for epoch, session in self._by_epoch.items()
        ]
        total = sum(one.waiting + one.parked for one in held)
        return BuffersMeasured(total, tuple(one for one in held if one.waiting or one.parked))

    def _shed(self, session: Session, size: int) -> None:
        with session.outbox.lock:
            dropped = session.outbox.shed(size)
        for _ in range(dropped):
            name = session.room_id, session.connection_id
            self._observers.count("message_dropped", *name, DropReason.OVERFLOW.value)

    # -- transports -------------------------------------------------------------------------

    def _attach(self, io: TransportIO, session: Session, effect: e.AttachTransport) -> None:
        io.session = session
        writer = self._new_writer(io, session.outbox, (session.room_id, session.connection_id))
        io.generation = effect.generation
        waiting = session.attach(writer, effect)
        self._registry.suspended.discard(session.epoch)
        if not self._io_threads.start_reader(io):
            session.serial_queue.call_pool()
        if effect.generation > 1:
            self._resumed(session, io, waiting)

    def _resumed(self, session: Session, io: TransportIO, waiting: int) -> None:
        suspended = self._suspension_ended(session, resumed=True)
        self._observers.tell_span(session, "restored", suspended, waiting)
        if self._observers.timed:
            delay = max(0.0, self._observers.began() - io.given_at)
            self._observers.count("resume_served", session.room_id, session.connection_id, delay)

    def _suspension_ended(self, session: Session, *, resumed: bool) -> float | None:
        began = self._suspended_at.pop(session.epoch, None)
        if began is None:
            return None
        duration = max(0.0, self._observers.began() - began)
        who = session.room_id, session.connection_id
        self._observers.count("suspension_ended", *who, duration, resumed)
        return duration

    def _admit_to_refuse(self, io: TransportIO) -> None:
        self._new_writer(io, Outbox(self._runtime.lock(), 1, 1), None)
        self._io_threads.start_reader(io)

    def note_stall(self, command: WriteStalled | WindowFull) -> None:
        """A client takes no more bytes, or acknowledges too little, for its life in the inspector."""
        io = self._transports.get(command.transport)
        detail = "window" if isinstance(command, WindowFull) else ""
        self._observers.remember(io.session if io is not None else None, What.STALLED, detail)

    def _note_pause(self, io: TransportIO, seconds: float) -> None:
        session = io.session
        assert session is not None, "only a session's client has a rate"
        self._too_fast.warn(session)
        self._observers.count("reading_paused", session.room_id, session.connection_id, seconds)
        self._observers.remember(session, What.PAUSED)

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
        io.read_on()
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

    def _writer(self, number: int) -> TransportWriter:
        writer = self._transports[number].writer
        assert writer is not None, "a transport gets its writer when it is admitted"
        return writer
