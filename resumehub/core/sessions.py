"""How sessions begin, are attached and detached, and end: the tables, and the effects of each.

The middle of the machine, between ``carriers.py`` (transports) and ``machine.py`` (what a command
means), from which it is inherited. It keeps the tables and turns a decision into effects, in the one
order that is right; it takes none. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..codes import CloseCode
from ..errors import HubClosed, ResumeHubError, TransportLost
from . import commands as c
from . import effects as e
from .carriers import Carriers
from .claims import opened
from .deadlines import DeadlineKind
from .session import Carrier, Phase, Session
from .states import Event, Outcome, State, Transition, transition


@dataclass(frozen=True, slots=True)
class Rules:
    """The options that decisions depend on; durations in seconds."""

    resume_window: float = 30.0
    ping_interval: float | None = 20.0
    write_timeout: float = 10.0
    max_sessions: int = 10_000
    refuse_duplicates: bool = False


class Sessions(Carriers):
    """The sessions of a hub, by id and by epoch, and its rooms. Hub thread only; never blocks."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules.write_timeout, rules.ping_interval)
        self.rules = rules
        self.sessions: dict[str, Session] = {}
        self.epochs: dict[int, Session] = {}
        self.rooms: dict[str, int] = {}
        self._last_epoch = 0

    def session_of(self, number: int) -> Session | None:
        """The session that the transport carries *now*; None for one that was superseded."""
        carrier = self.carriers.get(number)
        session = self.epochs.get(carrier.epoch) if carrier and carrier.epoch is not None else None
        return session if session is not None and session.transport == number else None

    def _look_up(self, session: Session | None, event: Event) -> Transition:
        return transition(_state(session), event)

    def _enter(self, session: Session | None, event: Event) -> Transition:
        """Look the transition up, and say so when nothing happens."""
        entry = self._look_up(session, event)
        if entry.outcome is Outcome.IGNORED:
            self._ignore(f"{event.name}: {entry.because}")
        return entry

    def _open(self, knock: c.Register) -> None:
        self._last_epoch += 1
        session = Session(
            epoch=self._last_epoch,
            connection_id=knock.connection_id,
            room_id=knock.room_id,
            opened_at=self.now,
            state=State.CONNECTED,
            transport=knock.transport,
            title=opened(knock.claim),
        )
        self.sessions[session.connection_id] = session
        self.epochs[session.epoch] = session
        self.rooms[session.room_id] = self.rooms.get(session.room_id, 0) + 1
        self._do(
            e.OpenSession(
                session.epoch, session.connection_id, session.room_id, knock.transport, session.title
            )
        )
        if self.rooms[session.room_id] == 1:
            self._count("room_created", session.room_id)
        self._count("connection_opened", session.room_id, session.connection_id)
        self._notify(session, "on_connect")
        self._attach(session)

    def _attach(self, session: Session, received: int | None = None) -> None:
        assert session.transport is not None, "a session is attached to a transport"
        self._new_carrier(session.transport, session.epoch, session.generation, Phase.LIVE)
        self._do(
            e.AttachTransport(session.transport, session.epoch, session.generation, session.title, received)
        )

    def _detach(self, session: Session, close: tuple[int, str] | None) -> None:
        assert session.transport is not None, "only an attached transport can be detached"
        self._do(e.DetachTransport(session.transport, session.epoch))
        if close is not None:
            self._send_close(self.carriers[session.transport], *close, after_data=False)

    def _end(
        self,
        session: Session,
        reason: str,
        error: ResumeHubError | None,
        *,
        close: tuple[int, str] | None = None,
        polite: bool = True,
        drop_reason: str = "closed",
        deliver: bool = False,
    ) -> None:
        """End the session; ``polite``: the close frame goes behind what was accepted for sending."""
        self.deadlines.cancel(DeadlineKind.GRACE, session.epoch)
        carrier = self.carriers[session.transport] if session.transport is not None else None
        flush = polite and close is not None and carrier is not None
        session.state = State.CLOSED
        session.transport = None
        del self.sessions[session.connection_id]
        del self.epochs[session.epoch]
        self._do(e.EndSession(session.epoch, flush, drop_reason, deliver, isinstance(error, HubClosed)))
        if carrier is not None and close is not None:
            # Behind EndSession: by the time the peer sees the close frame, the id is free.
            self._send_close(carrier, *close, after_data=polite)
        duration = self.now - session.opened_at
        self._count("connection_closed", session.room_id, session.connection_id, duration, reason)
        self.rooms[session.room_id] -= 1
        if not self.rooms[session.room_id]:
            del self.rooms[session.room_id]
            self._count("room_destroyed", session.room_id)
        self._notify(session, "on_disconnect", error)

    def _end_with_gap(self, session: Session) -> None:
        self._enter(session, Event.GAP)
        error = session.last_error if session.state is State.SUSPENDED else None
        self._end(
            session,
            "gap",
            error or TransportLost(CloseCode.SESSION_EXPIRED, "gap"),
            close=(CloseCode.SUPERSEDED, "superseded"),
            polite=False,
        )

    def _heartbeat_failed(self, carrier: Carrier) -> None:
        session = self.session_of(carrier.number)
        assert session is not None, "a live transport carries a session"
        self._count("heartbeat_failed", session.room_id, session.connection_id)

    def _notify(self, session: Session, hook: str, error: ResumeHubError | None = None) -> None:
        self._do(e.Notify(session.epoch, hook, session.generation, error))


def _state(session: Session | None) -> State:
    """Where it is in its life; CLOSED where there is none."""
    return State.CLOSED if session is None else session.state
