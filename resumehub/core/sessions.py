"""How sessions begin, are resumed, suspended and ended: the table of sessions, and the effects of each.

The machine (``machine.py``) decides and calls this; here a decision becomes effects, in the one order that
is right. This module decides nothing, and knows of transports only how to attach one and how to have a close
frame sent (``transports.py``). Hub thread only. Pure. Read next: ``effects.py``, ``records.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..codes import CloseCode
from ..errors import HubClosed, ResumeHubError, TransportLost
from ..reasons import CloseReason, DropReason
from . import commands as c
from . import effects as e
from .deadlines import WRITTEN_DOWN, DeadlineKind, Deadlines
from .moving import DecisionState, ErrorState, TimeLeft
from .plan import Plan
from .records import CloseFrame, SessionRecord
from .resume import Tokens, attached, opened
from .rooms import RoomTable
from .states import State
from .transports import TransportMachine

SUPERSEDED: CloseFrame = (CloseCode.SUPERSEDED, "superseded")
DISPLACED: CloseFrame = (CloseCode.NORMAL, "duplicate connection id")
HANDLER_FAILED: CloseFrame = (CloseCode.HANDLER_ERROR, "handler error")
RESTARTING: CloseFrame = (CloseCode.SERVICE_RESTART, "service restart")


class SessionTable:
    """The sessions of a hub, by id and by epoch.

    ``by_id`` and ``by_epoch`` are to be looked at: only this class changes them. Hub thread only; never
    blocks.
    """

    def __init__(
        self, plan: Plan, deadlines: Deadlines, transports: TransportMachine, rooms: RoomTable
    ) -> None:
        self.by_id: dict[str, SessionRecord] = {}
        self.by_epoch: dict[int, SessionRecord] = {}
        self._by_user: dict[str, dict[int, SessionRecord]] = {}
        self._rooms = rooms
        self._plan = plan
        self._deadlines = deadlines
        self._transports = transports
        self._last_epoch = 0
        # The same as the GRACE deadlines, but nothing else: the first of them is found at once.
        self._windows = Deadlines()
        self._entered: Callable[[], None] | None = None

    def when_entered(self, then: Callable[[], None]) -> None:
        """Have ``then`` called whenever a session has begun, or come from another process."""
        self._entered = then

    def of_user(self, user: str) -> list[SessionRecord]:
        """The sessions of one user, in the order in which they began here."""
        return list(self._by_user.get(user, {}).values())

    def living(self, connection_id: str, life: str) -> SessionRecord | None:
        """The session of that life; None where it has ended, though another one may have its id by now.

        ``life`` "": whichever has the id.
        """
        session = self.by_id.get(connection_id)
        return session if session is not None and life in ("", session.life) else None

    def open(self, registration: c.Register) -> None:
        """Begin a session on the transport that was just registered."""
        plan = self._plan
        self._last_epoch += 1
        session = SessionRecord(
            epoch=self._last_epoch,
            life=registration.life,
            connection_id=registration.connection_id,
            room_id=registration.room_id,
            opened_at=plan.now,
            state=State.CONNECTED,
            transport=registration.transport,
            credentials=opened(registration.resume_request, generated=registration.generated),
        )
        self._enter(session)
        plan.add(
            e.OpenSession(
                session.epoch,
                session.connection_id,
                session.room_id,
                registration.transport,
                session.credentials,
                session.life,
            )
        )
        self._rooms.add(session.rooms)
        plan.count("connection_opened", session.room_id, session.connection_id)
        self._notify(session, "on_connect")
        self._rooms.begin(session)
        self._attach(session)

    def supersede(self, session: SessionRecord) -> None:
        """Take the session off a transport that still looks alive; ``resume`` must follow."""
        self._detach(session, close=SUPERSEDED)
        self._plan.count("transport_superseded", session.room_id, session.connection_id)
        self._notify(session, "on_transport_drop")

    def resume(self, session: SessionRecord, registration: c.Register) -> None:
        """Let a session that is on no transport go on with the one that was just registered."""
        request = registration.resume_request
        self._end_grace(session)
        session.state = State.CONNECTED
        session.credentials = attached(session.credentials, request)
        session.generation += 1
        session.transport = registration.transport
        self._plan.count("resume_attempt", session.room_id, session.connection_id, True)
        # Queued before the reader starts: a message must not be handled before the restore.
        self._notify(session, "on_transport_restore")
        self._attach(session, request.received if registration.resume else None)

    def acknowledged(self, session: SessionRecord, tokens: Tokens) -> None:
        """Its client has used the newest of its tokens: that one is proven (contract D3)."""
        session.credentials = replace(session.credentials, tokens=tokens.acknowledged())
        self._plan.add(e.UpdateCredentials(session.epoch, session.credentials))

    def suspend(
        self, session: SessionRecord, error: ResumeHubError, close: CloseFrame | None, until: float
    ) -> None:
        """Take the session off its lost transport; start its grace window, which ends at ``until``."""
        self._detach(session, close)
        session.state = State.SUSPENDED
        session.transport = None
        session.last_error = error
        self._begin_grace(session, until)
        self._notify(session, "on_transport_drop", error)

    def end(
        self,
        session: SessionRecord,
        reason: CloseReason,
        error: ResumeHubError | None,
        *,
        close: CloseFrame | None = None,
        after_data: bool = True,
        drop_reason: DropReason = DropReason.CLOSED,
        deliver: bool = False,
    ) -> None:
        """Take the session out of the tables and free its id.

        ``close``: the close frame for its transport, if it has one; ``after_data``: that goes behind what was
        accepted for sending. ``drop_reason`` and ``deliver``: see ``EndSession``.
        """
        plan = self._plan
        self._end_grace(session)
        transport = self._transports.by_number[session.transport] if session.transport is not None else None
        flush = after_data and close is not None and transport is not None
        session.state = State.CLOSED
        session.transport = None
        self._remove(session)
        plan.add(e.EndSession(session.epoch, flush, drop_reason, deliver, isinstance(error, HubClosed)))
        if transport is not None and close is not None:
            # Behind EndSession: by the time the peer sees the close frame, the id is free.
            self._transports.send_close(transport, *close, after_data=after_data)
        duration = plan.now - session.opened_at
        plan.count("connection_closed", session.room_id, session.connection_id, duration, reason.value)
        self._rooms.remove(session.rooms)
        self._rooms.end(session, reason)
        self._notify(session, "on_disconnect", error)

    def expire(self, session: SessionRecord) -> None:
        """End a suspended session: no client has come back to it. What waits for one is ``expired``."""
        error, drop_reason = session.last_error, DropReason.EXPIRED
        self.end(session, CloseReason.GRACE_EXPIRED, error, drop_reason=drop_reason)

    def end_with_gap(self, session: SessionRecord) -> None:
        """End a session whose client wants messages that are no longer there (contract D1)."""
        lost = session.last_error if session.state is State.SUSPENDED else None
        error = lost or TransportLost(CloseCode.SESSION_EXPIRED, "gap")
        self.end(session, CloseReason.GAP, error, close=SUPERSEDED, after_data=False)

    def refuse_entry(self, session: SessionRecord, error: ResumeHubError) -> None:
        """End a session whose on_connect has raised (contract B4)."""
        self.end(session, CloseReason.HANDLER_ERROR, error, close=HANDLER_FAILED, after_data=False)

    def write_down(self, session: SessionRecord) -> DecisionState:
        """What is known of a session, for another process. Nothing changes."""
        return DecisionState(
            life=session.life,
            connection_id=session.connection_id,
            room_id=session.room_id,
            rooms=session.rooms,
            age=self._plan.now - session.opened_at,
            connected=session.state is State.CONNECTED,
            credentials=session.credentials,
            generation=session.generation,
            last_error=ErrorState.of(session.last_error),
            time_left=self._time_left(session),
        )

    def hand_over(self, session: SessionRecord) -> None:
        """Forget a session that goes on in another process, and its transport; write down what is known."""
        decisions = self.write_down(session)
        self._plan.add(e.HandOver(session.epoch, session.transport, decisions))
        self._forget(session)

    def depart(self, session: SessionRecord) -> None:
        """Forget a session that was written down before, and its transport."""
        self._plan.add(e.GoneElsewhere(session.epoch, session.transport))
        self._forget(session)

    def park(self, session: SessionRecord) -> None:
        """The same where nobody goes on with its transport: that is closed, and the client comes back."""
        if session.transport is not None:
            self._detach(session, close=RESTARTING)
            session.state, session.transport = State.SUSPENDED, None
        self.depart(session)

    def _forget(self, session: SessionRecord) -> None:
        self._plan.count("connection_moved_out", session.room_id, session.connection_id)
        self._end_grace(session)
        self._remove(session)
        if session.transport is not None:
            self._transports.forget(session.transport)
        self._rooms.remove(session.rooms)

    def take_over(self, adopt: c.Adopt) -> None:
        """Go on with a session of another process, as if it had been here all the time."""
        decisions, now = adopt.decisions, self._plan.now
        self._last_epoch += 1
        session = SessionRecord(
            epoch=self._last_epoch,
            life=decisions.life,
            connection_id=decisions.connection_id,
            room_id=decisions.room_id,
            opened_at=now - decisions.age,
            state=State.CONNECTED if decisions.connected else State.SUSPENDED,
            transport=adopt.transport,
            credentials=decisions.credentials,
            generation=decisions.generation,
            last_error=decisions.last_error.make() if decisions.last_error is not None else None,
            rooms=decisions.rooms,
        )
        self._enter(session)
        if adopt.transport is not None:
            self._transports.add(adopt.transport, session.epoch, session.generation)
        for due in decisions.time_left:
            if due.kind is DeadlineKind.GRACE:
                self._begin_grace(session, now + due.left)
                continue
            assert adopt.transport is not None, "a suspended session has no deadline but its window's end"
            self._deadlines.arm(due.kind, adopt.transport, now + due.left)
        self._plan.add(e.TakeOver(session.epoch, adopt.arrival, adopt.transport, decisions, adopt.carried))
        self._plan.count("connection_moved_in", session.room_id, session.connection_id)
        self._rooms.add(session.rooms)

    def longest_suspended(self) -> SessionRecord | None:
        """The suspended session whose window ends first; None if no session is suspended."""
        epoch = self._windows.next_owner()
        return self.by_epoch[epoch] if epoch is not None else None

    def longest_suspended_first(self) -> list[SessionRecord]:
        """All suspended sessions, in the order in which their windows end."""
        return [self.by_epoch[epoch] for epoch in self._windows.owners()]

    # -- steps of the above -----------------------------------------------------------------

    def _begin_grace(self, session: SessionRecord, until: float) -> None:
        for deadlines in (self._deadlines, self._windows):
            deadlines.arm(DeadlineKind.GRACE, session.epoch, until)

    def _end_grace(self, session: SessionRecord) -> None:
        for deadlines in (self._deadlines, self._windows):
            deadlines.cancel(DeadlineKind.GRACE, session.epoch)

    @property
    def suspended(self) -> int:
        """How many sessions are suspended."""
        return len(self._windows)

    def _enter(self, session: SessionRecord) -> None:
        self.by_id[session.connection_id] = session
        self.by_epoch[session.epoch] = session
        if (user := session.credentials.user) is not None:
            self._by_user.setdefault(user, {})[session.epoch] = session
        if self._entered is not None:
            self._entered()

    def _remove(self, session: SessionRecord) -> None:
        del self.by_id[session.connection_id]
        del self.by_epoch[session.epoch]
        if (user := session.credentials.user) is not None:
            del self._by_user[user][session.epoch]
            if not self._by_user[user]:
                del self._by_user[user]

    def _time_left(self, session: SessionRecord) -> tuple[TimeLeft, ...]:
        if session.transport is None:
            armed = self._deadlines.armed([DeadlineKind.GRACE], session.epoch)
        else:
            armed = self._deadlines.armed(WRITTEN_DOWN, session.transport)
        return tuple(TimeLeft(due.kind, due.at - self._plan.now) for due in armed)

    def _attach(self, session: SessionRecord, received: int | None = None) -> None:
        assert session.transport is not None, "a session is attached to a transport"
        self._transports.add_newcomer(session.transport, session.epoch, session.generation)
        self._plan.add(
            e.AttachTransport(
                session.transport, session.epoch, session.generation, session.credentials, received
            )
        )

    def _detach(self, session: SessionRecord, close: CloseFrame | None) -> None:
        assert session.transport is not None, "only an attached transport can be detached"
        self._plan.add(e.DetachTransport(session.transport, session.epoch))
        if close is not None:
            self._transports.send_close(
                self._transports.by_number[session.transport], *close, after_data=False
            )

    def _notify(self, session: SessionRecord, hook: str, error: ResumeHubError | None = None) -> None:
        self._plan.add(e.Notify(session.epoch, hook, session.generation, error))
