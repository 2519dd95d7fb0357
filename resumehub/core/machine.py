"""The pure state machine of the hub: ``handle(command, now) -> effects``.

Everything that is decided about sessions and transports is decided here, on one thread, from
plain values: no thread, socket, clock, log or random number is in reach. The life of a session
is the table in ``states.py``; this module says what each command comes to. How a session begins and
ends is in ``sessions.py``, how transports die in ``transports.py``, from which the machine inherits.

Called by the hub thread (``server/hub_loop.py``), and by tests with any order of commands they like.
Deadlines that are due before a command fire before it, each at its own time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from ..codes import CloseCode
from ..errors import DuplicateConnectionId, HandlerError, HubClosed, ResumeHubError
from ..protocol.expiry import gap_reason
from ..reasons import CloseReason, DropReason
from . import commands as c
from . import effects as e
from .deadlines import Deadline, DeadlineKind
from .records import Phase, SessionRecord
from .resume import Verdict, attached, is_stale_dial, judge, returns
from .sessions import Rules, Sessions
from .states import Outcome, SessionEvent, Transition

__all__ = ["Machine", "Rules"]

_HANDLER_ERROR = (CloseCode.HANDLER_ERROR, "handler error")
_SHUTTING_DOWN = (CloseCode.GOING_AWAY, "server shutting down")


class Machine(Sessions):
    """All sessions and transports of one hub. Hub thread only; never blocks."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.draining = False
        self.impatient = False
        self.finished = False

    def next_deadline(self) -> float | None:
        """When ``handle(Tick(), …)`` is next worth calling; None: only a command can change things."""
        return self.deadlines.next_at()

    def handle(self, command: c.Command, now: float) -> list[e.Effect]:
        """Let time pass until ``now``, then let ``command`` happen; give what is to be done, in order.

        ``now`` never goes back: a command that was stamped before another and put behind it
        happens at the later time.
        """
        self.now = max(self.now, now)
        upto, done = self.now, self._effects
        if not isinstance(command, c.Observed):  # an observation answers a deadline; it has no time
            while (due := self.deadlines.pop_due(upto)) is not None:
                self.now = due.at
                self._expire(due)
            self.now = upto
        self._dispatch(command)
        if self.draining and not self.finished and not self.sessions and not self.transports:
            self.finished = True
            done.append(e.Finish())
        self._effects = []
        return done

    # -- what a command means -------------------------------------------------------------

    def _dispatch(self, command: c.Command) -> None:
        match command:
            case c.Register():
                self._register(command)
            case c.PeerClosed() | c.PeerGone() | c.PeerFailed() | c.TransportAborted():
                self._transport_ended(command)
            case c.CloseSent(number) | c.WriteFailed(number):
                self._nothing_more_to_write(number)
            case c.WriteStalled(number):
                self._write_stalled(number)
            case c.Observed():
                self._observed(command)
            case c.Released(number):
                self._forget_transport(number)
            case c.Kick(connection_id):
                self._kick(connection_id)
            case c.Close(epoch):
                self._end_on_request(self.epochs.get(epoch), SessionEvent.CLOSE, CloseReason.NORMAL, "")
            case c.HandlerFailed():
                self._handler_failed(command)
            case c.Acknowledged(number):
                self._acknowledged(number)
            case c.AckDue(number):
                self._ack_due(number)
            case c.GapFound(epoch, generation):
                self._gap_found(epoch, generation)
            case c.Shutdown():
                self._shutdown()
            case c.AbortAll():
                self._abort_all()
            case c.Tick():
                pass
            case _:
                assert_never(command)

    def _expire(self, due: Deadline) -> None:
        if due.kind is not DeadlineKind.GRACE:
            self._transport_due(due)
            return
        session = self.epochs.get(due.owner)
        entry = self._enter(session, SessionEvent.EXPIRE)
        if session is not None and entry.outcome is Outcome.ENDED:
            self._end(session, CloseReason.GRACE_EXPIRED, session.last_error, drop_reason=DropReason.EXPIRED)

    # -- a client knocks --------------------------------------------------------------------

    def _register(self, registration: c.Register) -> None:
        if self.impatient:
            self._abort_newcomer(registration.transport, "the time for a polite shutdown is over")
            return
        if self.draining:
            self._refuse(registration.transport, *_SHUTTING_DOWN)
            return
        if registration.refusal is not None:
            self._refuse(registration.transport, *registration.refusal)
            return
        holder = self.sessions.get(registration.connection_id)
        if registration.resume and holder is not None and holder.epoch != registration.seen:
            # Only the very session that the pre-check saw may be resumed. Another one that has the
            # id by now is somebody else's (tests/races/test_expiry_during_upgrade.py).
            holder = None
        if registration.resume and holder is not None and not registration.peer_already_gone:
            verdict = judge(holder.credentials, registration.resume_request)
            if verdict is not Verdict.GRANTED:
                self._deny(registration, holder, verdict)
                return
        if (
            not registration.resume
            and holder is not None
            and is_stale_dial(holder.credentials, registration.resume_request)
        ):
            self._deny(registration, holder, Verdict.LATE_DIAL)
            return
        entry = self._look_up(holder, self._asked_for(registration, holder))
        if entry.outcome is Outcome.TOO_LATE:
            self._too_late(registration)
        elif entry.outcome is Outcome.REFUSED:
            self._refuse(registration.transport, CloseCode.CONFLICT, "connection id in use")
        elif entry.outcome is Outcome.OPENED and len(self.sessions) >= self.rules.max_sessions:
            self._refuse(registration.transport, CloseCode.TRY_AGAIN_LATER, "too many sessions")
        elif registration.peer_already_gone:
            # A newcomer that has hung up already must not take anything over.
            self._abort_newcomer(registration.transport, "the newcomer has hung up already")
        else:
            self._welcome(registration, holder, entry)

    def _asked_for(self, registration: c.Register, holder: SessionRecord | None) -> SessionEvent:
        if registration.resume:
            return SessionEvent.RESUME
        if holder is not None and not returns(holder.credentials, registration.resume_request):
            return SessionEvent.CLAIM_OR_REFUSE if self.rules.refuse_duplicates else SessionEvent.CLAIM
        return SessionEvent.CONNECT_OR_REFUSE if self.rules.refuse_duplicates else SessionEvent.CONNECT

    def _too_late(self, registration: c.Register, reason: str = "session expired") -> None:
        self._count("resume_attempt", registration.seen_room, registration.connection_id, False)
        self._refuse(registration.transport, CloseCode.SESSION_EXPIRED, reason)

    def _deny(self, registration: c.Register, holder: SessionRecord, verdict: Verdict) -> None:
        """There is a session, but not for this client, or not for this dial."""
        match verdict:
            case Verdict.NOT_YOURS:
                self._too_late(registration)
            case Verdict.GAP:
                assert registration.resume_request.first_available is not None, "a gap has an end"
                self._end_with_gap(holder)
                self._too_late(registration, gap_reason(registration.resume_request.first_available))
            case Verdict.FORBIDDEN:
                self._count("resume_attempt", registration.seen_room, registration.connection_id, False)
                self._refuse(registration.transport, CloseCode.FORBIDDEN, "forbidden")
            case Verdict.LATE_DIAL:
                # The older of two dials came in last; the session stays with the newer one.
                self._refuse(registration.transport, CloseCode.SUPERSEDED, "superseded")
            case _:
                self._refuse(
                    registration.transport, CloseCode.POLICY_VIOLATION, "received is more than was ever sent"
                )

    def _welcome(self, registration: c.Register, holder: SessionRecord | None, entry: Transition) -> None:
        if holder is None:
            self._open(registration)
            return
        if entry.outcome is Outcome.DISPLACED:
            error = DuplicateConnectionId(holder.connection_id)
            self._end(
                holder, CloseReason.DUPLICATE, error, close=(CloseCode.NORMAL, "duplicate connection id")
            )
            self._open(registration)
            return
        if entry.outcome is Outcome.TAKEN_OVER:
            self._detach(holder, close=(CloseCode.SUPERSEDED, "superseded"))
            self._count("transport_superseded", holder.room_id, holder.connection_id)
            self._notify(holder, "on_transport_drop")
        self.deadlines.cancel(DeadlineKind.GRACE, holder.epoch)
        holder.state = entry.to
        holder.credentials = attached(holder.credentials, registration.resume_request)
        holder.generation += 1
        holder.transport = registration.transport
        self._count("resume_attempt", holder.room_id, holder.connection_id, True)
        # Queued before the reader starts: a message must not be handled before the restore.
        self._notify(holder, "on_transport_restore")
        self._attach(holder, registration.resume_request.received if registration.resume else None)

    # -- a transport ends, or a session does ------------------------------------------------

    def _transport_lost(
        self, number: int, error: ResumeHubError, close: tuple[int, str] | None = None
    ) -> None:
        session = self.session_of(number)
        assert session is not None, "a live transport carries a session"
        event = SessionEvent.DROP if self.rules.resume_window > 0 else SessionEvent.DROP_FINAL
        entry = self._look_up(session, event)
        assert entry.outcome is not Outcome.IGNORED, "a session with a live transport is connected"
        if entry.outcome is Outcome.ENDED:
            failed = isinstance(error, HandlerError)
            reason = CloseReason.HANDLER_ERROR if failed else CloseReason.TRANSPORT_LOST
            self._end(session, reason, error, close=close, polite=False)
            return
        self._detach(session, close=close)
        session.state = entry.to
        session.transport = None
        session.last_error = error
        self.deadlines.arm(DeadlineKind.GRACE, session.epoch, self.now + self.rules.resume_window)
        self._notify(session, "on_transport_drop", error)

    def _transport_left(self, number: int) -> None:
        session = self.session_of(number)
        assert session is not None, "a live transport carries a session"
        self._enter(session, SessionEvent.LEAVE)
        self._end(session, CloseReason.NORMAL, None, deliver=True)

    def _kick(self, connection_id: str) -> None:
        session = self.sessions.get(connection_id)
        if self._look_up(session, SessionEvent.KICK).outcome is Outcome.NOT_FOUND:
            self._do(e.NotFound(connection_id))
            return
        self._end_on_request(session, SessionEvent.KICK, CloseReason.KICK, "kicked")

    def _end_on_request(
        self, session: SessionRecord | None, event: SessionEvent, reason: CloseReason, text: str
    ) -> None:
        entry = self._enter(session, event)
        if session is not None and entry.outcome is Outcome.ENDED:
            self._end(session, reason, None, close=(CloseCode.NORMAL, text))

    def _handler_failed(self, failure: c.HandlerFailed) -> None:
        session = self.epochs.get(failure.epoch)
        if failure.hook == "on_connect":
            entry = self._enter(session, SessionEvent.REFUSE_ENTRY)
            if session is not None and entry.outcome is Outcome.ENDED:
                self._end(
                    session, CloseReason.HANDLER_ERROR, failure.error, close=_HANDLER_ERROR, polite=False
                )
        elif session is None or session.transport is None or session.generation != failure.generation:
            # The transport that the handler ran for is gone: the next one has done nothing wrong.
            self._enter(session, SessionEvent.LATE)
        else:
            self._transport_lost(session.transport, failure.error, close=_HANDLER_ERROR)

    def _acknowledged(self, number: int) -> None:
        session = self.session_of(number)
        if session is None or session.credentials.tokens is None:
            self._enter(session, SessionEvent.LATE)
            return
        session.credentials = replace(session.credentials, tokens=session.credentials.tokens.acknowledged())
        self._do(e.UpdateCredentials(session.epoch, session.credentials))

    def _gap_found(self, epoch: int, generation: int) -> None:
        session = self.epochs.get(epoch)
        if session is None or session.generation != generation:
            self._enter(session, SessionEvent.LATE)
        else:
            self._end_with_gap(session)

    def _shutdown(self) -> None:
        if self.draining:
            self._ignore("the hub is shutting down already")
            return
        self.draining = True
        for session in list(self.sessions.values()):
            self._enter(session, SessionEvent.SHUTDOWN)
            error = HubClosed(session.connection_id)
            self._end(session, CloseReason.HUB_CLOSE, error, close=_SHUTTING_DOWN)

    def _abort_all(self) -> None:
        # Of two threads that close the hub, the one in a hurry may be the first to be heard.
        if not self.draining:
            self._shutdown()
        self.impatient = True
        for transport in list(self.transports.values()):
            self._abort(transport)

    def _abort_newcomer(self, number: int, because: str) -> None:
        self._abort(self._new_transport(number, None, 0, Phase.LIVE))
        self._ignore(because)
