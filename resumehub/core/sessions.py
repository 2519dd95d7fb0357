"""How sessions begin, are attached and detached, and end: the tables, and the effects of each.

The middle of the machine, between ``transports.py`` (transports) and ``machine.py`` (what a command
means), from which it is inherited. It keeps the tables and turns a decision into effects, in the one
order that is right; it takes none. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..codes import CloseCode
from ..errors import HubClosed, ResumeHubError, TransportLost
from ..reasons import CloseReason, DropReason
from . import commands as c
from . import effects as e
from .deadlines import DeadlineKind
from .records import Phase, SessionRecord, TransportState
from .resume import opened
from .states import Outcome, SessionEvent, State, Transition, transition
from .transports import Transports


@dataclass(frozen=True, slots=True)
class Rules:
    """The options that decisions depend on; durations in seconds."""

    resume_window: float = 30.0
    ping_interval: float | None = 20.0
    write_timeout: float = 10.0
    max_sessions: int = 10_000
    refuse_duplicates: bool = False


class Sessions(Transports):
    """The sessions of a hub, by id and by epoch, and its rooms. Hub thread only; never blocks."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules.write_timeout, rules.ping_interval)
        self.rules = rules
        self.sessions: dict[str, SessionRecord] = {}
        self.epochs: dict[int, SessionRecord] = {}
        self.rooms: dict[str, int] = {}
        self._last_epoch = 0

    def session_of(self, number: int) -> SessionRecord | None:
        """The session that the transport carries *now*; None for one that was superseded."""
        transport = self.transports.get(number)
        session = self.epochs.get(transport.epoch) if transport and transport.epoch is not None else None
        return session if session is not None and session.transport == number else None

    def _look_up(self, session: SessionRecord | None, event: SessionEvent) -> Transition:
        return transition(_state(session), event)

    def _enter(self, session: SessionRecord | None, event: SessionEvent) -> Transition:
        """Look the transition up, and say so when nothing happens."""
        entry = self._look_up(session, event)
        if entry.outcome is Outcome.IGNORED:
            self._ignore(f"{event.name}: {entry.because}")
        return entry

    def _open(self, registration: c.Register) -> None:
        self._last_epoch += 1
        session = SessionRecord(
            epoch=self._last_epoch,
            connection_id=registration.connection_id,
            room_id=registration.room_id,
            opened_at=self.now,
            state=State.CONNECTED,
            transport=registration.transport,
            credentials=opened(registration.resume_request),
        )
        self.sessions[session.connection_id] = session
        self.epochs[session.epoch] = session
        self.rooms[session.room_id] = self.rooms.get(session.room_id, 0) + 1
        self._do(
            e.OpenSession(
                session.epoch,
                session.connection_id,
                session.room_id,
                registration.transport,
                session.credentials,
            )
        )
        if self.rooms[session.room_id] == 1:
            self._count("room_created", session.room_id)
        self._count("connection_opened", session.room_id, session.connection_id)
        self._notify(session, "on_connect")
        self._attach(session)

    def _attach(self, session: SessionRecord, received: int | None = None) -> None:
        assert session.transport is not None, "a session is attached to a transport"
        self._new_transport(session.transport, session.epoch, session.generation, Phase.LIVE)
        self._do(
            e.AttachTransport(
                session.transport, session.epoch, session.generation, session.credentials, received
            )
        )

    def _detach(self, session: SessionRecord, close: tuple[int, str] | None) -> None:
        assert session.transport is not None, "only an attached transport can be detached"
        self._do(e.DetachTransport(session.transport, session.epoch))
        if close is not None:
            self._send_close(self.transports[session.transport], *close, after_data=False)

    def _end(
        self,
        session: SessionRecord,
        reason: CloseReason,
        error: ResumeHubError | None,
        *,
        close: tuple[int, str] | None = None,
        polite: bool = True,
        drop_reason: DropReason = DropReason.CLOSED,
        deliver: bool = False,
    ) -> None:
        """End the session; ``polite``: the close frame goes behind what was accepted for sending."""
        self.deadlines.cancel(DeadlineKind.GRACE, session.epoch)
        transport = self.transports[session.transport] if session.transport is not None else None
        flush = polite and close is not None and transport is not None
        session.state = State.CLOSED
        session.transport = None
        del self.sessions[session.connection_id]
        del self.epochs[session.epoch]
        self._do(e.EndSession(session.epoch, flush, drop_reason, deliver, isinstance(error, HubClosed)))
        if transport is not None and close is not None:
            # Behind EndSession: by the time the peer sees the close frame, the id is free.
            self._send_close(transport, *close, after_data=polite)
        duration = self.now - session.opened_at
        self._count("connection_closed", session.room_id, session.connection_id, duration, reason.value)
        self.rooms[session.room_id] -= 1
        if not self.rooms[session.room_id]:
            del self.rooms[session.room_id]
            self._count("room_destroyed", session.room_id)
        self._notify(session, "on_disconnect", error)

    def _end_with_gap(self, session: SessionRecord) -> None:
        self._enter(session, SessionEvent.GAP)
        error = session.last_error if session.state is State.SUSPENDED else None
        self._end(
            session,
            CloseReason.GAP,
            error or TransportLost(CloseCode.SESSION_EXPIRED, "gap"),
            close=(CloseCode.SUPERSEDED, "superseded"),
            polite=False,
        )

    def _heartbeat_failed(self, transport: TransportState) -> None:
        session = self.session_of(transport.number)
        assert session is not None, "a live transport carries a session"
        self._count("heartbeat_failed", session.room_id, session.connection_id)

    def _notify(self, session: SessionRecord, hook: str, error: ResumeHubError | None = None) -> None:
        self._do(e.Notify(session.epoch, hook, session.generation, error))


def _state(session: SessionRecord | None) -> State:
    """Where it is in its life; CLOSED where there is none."""
    return State.CLOSED if session is None else session.state
