"""The pure state machine of the hub: ``handle(command, now) -> effects``.

Everything that is decided about sessions and transports is decided here and in the machine's parts, from
plain values, without a thread, socket, clock, log or random number. ``TransportMachine`` decides how a
transport lives and ends, ``Moves`` which session goes on where, ``Capacity`` whether there is room for one
more, ``RoomTable`` who is in which room; ``SessionTable`` makes effects of it. What can happen to a session
is the table in ``states.py``: this module says which of its events a command is, and does the rest.

The hub thread calls it (``server/hub_loop.py``), and so do tests, with any order of commands. Deadlines that
are due before a command fire before it, each at its own time. Read next: ``states.py``, ``sessions.py``.
"""

from __future__ import annotations

from typing import assert_never

from ..codes import CloseCode
from ..errors import DuplicateConnectionId, HandlerError, HubClosed, ResumeHubError
from ..reasons import CloseReason, RefusalReason
from . import commands as c
from . import effects as e
from . import refusals
from .capacity import Capacity
from .deadlines import Deadline, DeadlineKind, Deadlines
from .moves import Moves, Packed, Unmovable
from .plan import Plan
from .records import CloseFrame, SessionRecord
from .records import Rules as Rules
from .refusals import RefusalByClose
from .resume import Verdict, can_come_back, judge, judge_connect, returns
from .rooms import RoomTable
from .sessions import DISPLACED, HANDLER_FAILED, SessionTable
from .states import Outcome, SessionEvent, State, Transition, transition
from .transports import TransportMachine


class Machine:
    """All sessions and transports of one hub. Hub thread only; never blocks. A test may give its own parts.

    To be looked at: ``sessions`` by id and by epoch (``epochs``), how many are in each of the ``rooms``,
    ``transports`` by number, ``deadlines``. ``draining``: no session begins; ``finished``: none is left.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        sessions: type[SessionTable] = SessionTable,
        transports: type[TransportMachine] = TransportMachine,
    ) -> None:
        self.rules = rules
        self.deadlines = Deadlines()
        self.draining = False
        self.impatient = False
        self.finished = False
        self._plan = Plan()
        self._transport_machine = transports(self._plan, self.deadlines, self, rules)
        self._room_table = RoomTable(self._plan, rules.max_rooms)
        self._session_table = sessions(self._plan, self.deadlines, self._transport_machine, self._room_table)
        self._capacity = Capacity(rules, self._plan, self.deadlines, self._session_table)
        self._moves = Moves(self._plan, self._session_table, self._transport_machine)
        self.sessions = self._session_table.by_id
        self.epochs = self._session_table.by_epoch
        self.rooms = self._room_table.counts
        self.transports = self._transport_machine.by_number

    @property
    def now(self) -> float:
        """The time at which the last command happened."""
        return self._plan.now

    def session_of(self, number: int) -> SessionRecord | None:
        """The session that the transport carries *now*; None for one that was superseded."""
        transport = self.transports.get(number)
        session = self.epochs.get(transport.epoch) if transport and transport.epoch is not None else None
        return session if session is not None and session.transport == number else None

    def written_down(self) -> list[Packed | Unmovable]:
        """Each session as it would leave this process now. Nothing changes."""
        return self._moves.written_down()

    @property
    def suspended(self) -> int:
        """How many sessions are suspended: in a full hub, each of them can make room for a new one."""
        return self._session_table.suspended

    def next_deadline(self) -> float | None:
        """When ``handle(Tick(), …)`` is next worth calling; None: only a command can change things."""
        return self.deadlines.next_at()

    def handle(self, command: c.Command, now: float) -> list[e.Effect]:
        """Let time pass until ``now``, then let ``command`` happen; give what is to be done, in order.

        ``now``: seconds of the hub's clock. Time never goes back: a command that was stamped before another,
        and put into the queue behind it, happens at the later time. AssertionError: a bug of ours.
        """
        plan = self._plan
        plan.now = until = max(plan.now, now)
        if not isinstance(command, c.Seen):  # it answers a deadline, at that one's time
            while (due := self.deadlines.pop_due(until)) is not None:
                plan.now = due.at
                self._expire(due)
            plan.now = until
        self._dispatch(command)
        if self.draining and not self.finished and not self.sessions and not self.transports:
            self.finished = True
            plan.add(e.Finish())
        done, plan.effects = plan.effects, []
        return done

    # -- what a command means -------------------------------------------------------------

    def _dispatch(self, command: c.Command) -> None:
        match command:
            case c.Register():
                self._register(command)
            case c.PeerClosed() | c.PeerGone() | c.PeerFailed() | c.TransportAborted():
                self._transport_machine.ended(command)
            case c.CloseSent(number) | c.WriteFailed(number):
                self._transport_machine.nothing_more_to_write(number)
            case c.WriteStalled() | c.WindowFull() | c.AckDue() | c.ReadingPaused():
                self._transport_machine.needs_deadline(command)
            case c.Observed():
                self._transport_machine.observed(command)
            case c.Released(number):
                self._transport_machine.forget(number)
            case c.Kick(connection_id, life):
                self._kick(connection_id, life)
            case c.Expire(connection_id, life):
                self._end_window(self._session_table.living(connection_id, life))
            case c.KickUser(user):
                for theirs in self._session_table.of_user(user):
                    self._kick(theirs.connection_id)
            case c.EndAll():
                self._end_all()
            case c.SetDrain() | c.BuffersMeasured():
                self._capacity.handle(command)
            case c.Close(epoch):
                self._close(self.epochs.get(epoch))
            case c.JoinRoom(epoch) | c.LeaveRoom(epoch):
                self._room_table.handle(command, self.epochs.get(epoch))
            case c.HandlerFailed():
                self._handler_failed(command)
            case c.Acknowledged(number):
                self._acknowledged(number)
            case c.RequestMade(number, timeout):
                self.deadlines.arm(DeadlineKind.ANSWER_WANTED, number, self._plan.now + timeout)
            case c.RequestOver(number):
                self.deadlines.cancel(DeadlineKind.ANSWER_WANTED, number)
            case c.GapFound():
                self._gap_found(command)
            case c.Export() | c.Depart() | c.LeaveBehind() | c.Park() | c.Adopt() | c.AdoptAll():
                self._moves.handle(command, self.draining)
            case c.Shutdown():
                self._shutdown()
            case c.AbortAll():
                self._abort_all()
            case c.Tick():
                pass
            case _:
                assert_never(command)

    def _expire(self, due: Deadline) -> None:
        if due.kind is DeadlineKind.ANSWER_WANTED:
            self._plan.add(e.GiveUpRequest(due.owner))
        elif due.kind is DeadlineKind.BUDGET:
            self._capacity.budget.look()
        elif due.kind is not DeadlineKind.GRACE:
            self._transport_machine.fall_due(due)
        else:
            self._end_window(self.epochs.get(due.owner))

    def _end_window(self, session: SessionRecord | None) -> None:
        entry = self._enter(session, SessionEvent.EXPIRE)
        if session is not None and entry.outcome is Outcome.ENDED:
            self._session_table.expire(session)

    # -- a client comes in ------------------------------------------------------------------

    def _register(self, registration: c.Register) -> None:
        """A socket was upgraded and handed over: it gets its session, or the reason why not.

        The order of the steps is the argument: each may rely on what those before it have settled.
        """
        newcomer, transports = registration.transport, self._transport_machine
        # 1. The hub's time for close frames is over: the socket gets none (contract C8).
        if self.impatient:
            self._plan.count("upgrade_refused", 503, RefusalReason.HUB_CLOSE.value)
            transports.abort_newcomer(newcomer, "the time for close frames is over")
        # 2. The hub is shutting down: a session that began now would outlive it (contract A5).
        elif self.draining:
            transports.refuse(newcomer, refusals.SHUTTING_DOWN)
        # 3. The pre-check has refused it: the upgrade was only there to tell a browser so (contract A2).
        elif registration.refusal is not None:
            delay = self.rules.refusal_delay * (0.5 + registration.chance)
            transports.refuse(newcomer, RefusalByClose(registration.refusal), delay)
        else:
            holder = self._session_meant(registration)
            verdict = self._verdict_on(registration, holder)
            if holder is not None and verdict is not Verdict.GRANTED:
                self._deny(registration, holder, verdict)
            else:
                self._admit(registration, holder)

    def _session_meant(self, registration: c.Register) -> SessionRecord | None:
        """The session that the client can mean by its id, if there is one."""
        holder = self.sessions.get(registration.connection_id)
        # 4. A resume is for the very session that the pre-check saw (contract A5). Another one that has the
        # id by now is another client's (tests/races/test_expiry_during_upgrade.py).
        if registration.resume and holder is not None and holder.life != registration.seen:
            return None
        return holder

    def _verdict_on(self, registration: c.Register, holder: SessionRecord | None) -> Verdict:
        """Whether the client has shown what the session asks of it."""
        # A client that has hung up is not asked: its gap would end the session (contract A6).
        gone = registration.peer_already_gone
        if holder is None or gone:
            return Verdict.GRANTED
        if registration.resume:
            # 5. A resume must be of the session's user (contract A4b), bring the token or the nonce (A7, D1,
            # D3), be the latest dial (D3) and leave no gap (D1).
            room_is_right = registration.room_id in holder.rooms
            return judge(holder.credentials, registration.resume_request, room_is_right=room_is_right)
        # 6. A connect must be of the session's user, too. It may be an earlier dial of the client that has
        # the session by now (contract D3).
        return judge_connect(holder.credentials, registration.resume_request)

    def _admit(self, registration: c.Register, holder: SessionRecord | None) -> None:
        """Do what the table says of the session's state, if there is room and the peer is still there."""
        newcomer, transports = registration.transport, self._transport_machine
        entry = self._look_up(holder, self._asked_for(registration, holder))
        if entry.outcome is Outcome.TOO_LATE:
            self._refuse_resume(registration, registration.seen_room, refusals.SESSION_EXPIRED)
        elif entry.outcome is Outcome.REFUSED:
            transports.refuse(newcomer, refusals.IN_USE)
        elif registration.peer_already_gone:
            # It must take nothing over, and no session must make room for it (contract A6).
            transports.abort_newcomer(newcomer, "the newcomer has hung up already")
        elif (refusal := self._capacity.refusal(entry.outcome)) is not None:
            transports.refuse(newcomer, refusal)
        else:
            self._welcome(registration, holder, entry)

    def _asked_for(self, registration: c.Register, holder: SessionRecord | None) -> SessionEvent:
        if registration.resume:
            return SessionEvent.RESUME
        if holder is not None and not returns(holder.credentials, registration.resume_request):
            # A generated id is the hub's own: a client that brings it back gets nothing by it (contract A4).
            refuse = self.rules.refuse_duplicates or holder.credentials.generated
            return SessionEvent.CLAIM_OR_REFUSE if refuse else SessionEvent.CLAIM
        return SessionEvent.CONNECT_OR_REFUSE if self.rules.refuse_duplicates else SessionEvent.CONNECT

    def _welcome(self, registration: c.Register, holder: SessionRecord | None, entry: Transition) -> None:
        sessions = self._session_table
        if holder is None:
            sessions.open(registration)
        elif entry.outcome is Outcome.DISPLACED:
            error = DuplicateConnectionId(holder.connection_id)
            sessions.end(holder, CloseReason.DUPLICATE, error, close=DISPLACED)
            sessions.open(registration)
        else:
            if entry.outcome is Outcome.TAKEN_OVER:
                sessions.supersede(holder)
            sessions.resume(holder, registration)

    def _deny(self, registration: c.Register, holder: SessionRecord, verdict: Verdict) -> None:
        """Refuse a client that the session is not for, or a dial that comes too late."""
        newcomer, transports = registration.transport, self._transport_machine
        match verdict:
            case Verdict.NOT_YOURS:
                self._refuse_resume(registration, holder.room_id, refusals.SESSION_EXPIRED)
            case Verdict.GAP:
                first_available = registration.resume_request.first_available
                assert first_available is not None, "a gap has an end"
                self._end_with_gap(holder)
                self._refuse_resume(registration, holder.room_id, refusals.gap(first_available))
            case Verdict.FORBIDDEN:
                self._refuse_resume(registration, holder.room_id, refusals.WRONG_TOKEN)
            case Verdict.NOT_THE_USERS:
                self._refuse_resume(registration, holder.room_id, refusals.WRONG_USER)
            case Verdict.LATE_DIAL:
                # The older of two dials came in last: the session stays with the newer one.
                transports.refuse(newcomer, refusals.LATE_DIAL)
            case _:
                transports.refuse(newcomer, refusals.BEYOND)

    def _refuse_resume(self, registration: c.Register, room_id: str, refusal: RefusalByClose) -> None:
        """``room_id``: of the session that the client wanted."""
        self._plan.count("resume_attempt", room_id, registration.connection_id, False)
        self._transport_machine.refuse(registration.transport, refusal)

    # -- a transport ends, or a session does ------------------------------------------------

    def transport_lost(self, number: int, error: ResumeHubError, close: CloseFrame | None = None) -> None:
        """A transport is dead: its session is suspended, or ends where no client can resume it."""
        session = self._carried_by(number)
        may_return = self.rules.resume_window > 0 and can_come_back(session.credentials)
        event = SessionEvent.DROP if may_return else SessionEvent.DROP_FINAL
        entry = self._look_up(session, event)
        assert entry.outcome is not Outcome.IGNORED, "a session with a live transport is connected"
        if entry.outcome is Outcome.ENDED:
            failed = isinstance(error, HandlerError)
            reason = CloseReason.HANDLER_ERROR if failed else CloseReason.TRANSPORT_LOST
            self._session_table.end(session, reason, error, close=close, after_data=False)
        else:
            self._session_table.suspend(session, error, close, self._plan.now + self.rules.resume_window)

    def transport_left(self, number: int) -> None:
        """The client has closed with a code that says that it is done: its session ends."""
        session = self._carried_by(number)
        self._enter(session, SessionEvent.LEAVE)
        self._session_table.end(session, CloseReason.NORMAL, None, deliver=True)

    def heartbeat_failed(self, number: int) -> None:
        """A Ping was not answered; ``transport_lost`` follows."""
        session = self._carried_by(number)
        self._plan.count("heartbeat_failed", session.room_id, session.connection_id)

    def _carried_by(self, number: int) -> SessionRecord:
        session = self.session_of(number)
        assert session is not None, "a live transport carries a session"
        return session

    def _kick(self, connection_id: str, life: str = "") -> None:
        session = self._session_table.living(connection_id, life)
        entry = self._enter(session, SessionEvent.KICK)
        if entry.outcome is Outcome.NOT_FOUND:
            self._plan.add(e.NotFound(connection_id))
        elif session is not None:
            self._session_table.end(session, CloseReason.KICK, None, close=(CloseCode.NORMAL, "kicked"))

    def _close(self, session: SessionRecord | None) -> None:
        entry = self._enter(session, SessionEvent.CLOSE)
        if session is not None and entry.outcome is Outcome.ENDED:
            self._session_table.end(session, CloseReason.NORMAL, None, close=(CloseCode.NORMAL, ""))

    def _handler_failed(self, failure: c.HandlerFailed) -> None:
        session = self.epochs.get(failure.epoch)
        if failure.hook == "on_connect":
            entry = self._enter(session, SessionEvent.REFUSE_ENTRY)
            if session is not None and entry.outcome is Outcome.ENDED:
                self._session_table.refuse_entry(session, failure.error)
        elif session is None or session.transport is None or session.generation != failure.generation:
            # The transport that the handler ran for is gone. The next one must not pay for the error.
            self._enter(session, SessionEvent.LATE)
        else:
            self.transport_lost(session.transport, failure.error, close=HANDLER_FAILED)

    def _acknowledged(self, number: int) -> None:
        session = self.session_of(number)
        if session is None or session.credentials.tokens is None:
            self._enter(session, SessionEvent.LATE)
        else:
            self._session_table.acknowledged(session, session.credentials.tokens)

    def _gap_found(self, found: c.GapFound) -> None:
        session = self._session_table.living(found.connection_id, found.life)
        if session is None or session.generation != found.generation:
            self._enter(session, SessionEvent.LATE)
        else:
            self._end_with_gap(session)

    def _end_with_gap(self, session: SessionRecord) -> None:
        self._enter(session, SessionEvent.GAP)
        self._session_table.end_with_gap(session)

    def _shutdown(self) -> None:
        if self.draining:
            return self._plan.ignore("the hub is shutting down already")
        self.draining = True
        self._transport_machine.send_refusals()
        self._end_all()

    def _end_all(self) -> None:
        for session in list(self.sessions.values()):
            self._enter(session, SessionEvent.SHUTDOWN)
            error = HubClosed(session.connection_id)
            self._session_table.end(session, CloseReason.HUB_CLOSE, error, close=refusals.SHUTTING_DOWN.frame)

    def _abort_all(self) -> None:
        # Two threads may close the hub at once; the command of the one that waits no longer may come first.
        if not self.draining:
            self._shutdown()
        self.impatient = True
        for transport in list(self.transports.values()):
            self._transport_machine.abort(transport)

    # -- the table --------------------------------------------------------------------------

    def _look_up(self, session: SessionRecord | None, event: SessionEvent) -> Transition:
        """The table's entry; None, no session, counts as CLOSED."""
        return transition(State.CLOSED if session is None else session.state, event)

    def _enter(self, session: SessionRecord | None, event: SessionEvent) -> Transition:
        """The same; where nothing happens, the effects say why."""
        entry = self._look_up(session, event)
        if entry.outcome is Outcome.IGNORED:
            self._plan.ignore(f"{event.name}: {entry.because}")
        return entry
