"""Whether a session may go on in another process, and whether one from another process may go on here.

This is a part of the machine (``machine.py``), which hands it the commands of a move on the hub thread.
``sessions.py`` writes down what the machine knows of a session, as a ``DecisionState`` (``moving.py``). A
session leaves alone (``Export``), or with the whole hub: then all are written down first, and forgotten only
when the other process (``Depart``), or a file (``Park``), has them. A refusal is a ``NotMoved`` effect, and
the session stays where it is. Pure. Read next: ``sessions.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from ..errors import TransportLost
from ..reasons import CloseReason
from . import commands as c
from . import effects as e
from .moving import DecisionState
from .plan import Plan
from .records import SessionRecord
from .sessions import RESTARTING, SessionTable
from .states import Outcome, SessionEvent, State, Transition, transition
from .transports import TransportMachine


@dataclass(frozen=True, slots=True)
class Packed:
    """A session that may leave. ``epoch``, ``transport``: its numbers in this process."""

    epoch: int
    transport: int | None
    decisions: DecisionState


@dataclass(frozen=True, slots=True)
class Unmovable:
    """A session that can't leave, and why."""

    epoch: int
    because: str


class Moves:
    """The machine has one. Hub thread only; never blocks."""

    def __init__(self, plan: Plan, sessions: SessionTable, transports: TransportMachine) -> None:
        self._plan = plan
        self._session_table = sessions
        self._transports = transports

    def handle(self, command: c.Moving, draining: bool) -> None:
        """Decide a command of a move. ``draining``: whether the hub shuts down."""
        match command:
            case c.Export(connection_id, life):
                self._leave(command, self._session_table.living(connection_id, life))
            case c.Depart(epochs):
                for epoch in epochs:
                    if (session := self._session_table.by_epoch.get(epoch)) is not None:
                        self._session_table.depart(session)
            case c.LeaveBehind(epochs):
                for epoch in epochs:
                    if (session := self._session_table.by_epoch.get(epoch)) is not None:
                        error = TransportLost(*RESTARTING)
                        self._session_table.end(session, CloseReason.HUB_CLOSE, error, close=RESTARTING)
            case c.Park(epochs):
                for epoch in epochs:
                    if (session := self._session_table.by_epoch.get(epoch)) is not None:
                        self._session_table.park(session)
            case c.Adopt():
                self._arrive(command, draining)
            case c.AdoptAll(adoptions):
                for adopt in adoptions:
                    self._arrive(adopt, draining)
            case _:
                assert_never(command)

    def written_down(self) -> list[Packed | Unmovable]:
        """Each session as it would leave now. Nothing changes."""
        table = self._session_table
        return [self._packed(session) for session in table.by_epoch.values()]

    def _packed(self, session: SessionRecord) -> Packed | Unmovable:
        because = self._what_keeps(session)
        if because is not None:
            return Unmovable(session.epoch, because)
        return Packed(session.epoch, session.transport, self._session_table.write_down(session))

    def _what_keeps(self, session: SessionRecord) -> str | None:
        if session.transport is not None and self._transports.by_number[session.transport].close_sent:
            return "nothing can be written to its transport any more"
        return None

    def _leave(self, export: c.Export, session: SessionRecord | None) -> None:
        entry = _entry(session, SessionEvent.EXPORT)
        if session is None or entry.outcome is Outcome.NOT_MOVED:
            self._stays(export.connection_id, entry.because)
        elif (because := self._what_keeps(session)) is not None:
            self._stays(export.connection_id, because)
        else:
            self._session_table.hand_over(session)

    def _arrive(self, adopt: c.Adopt, draining: bool) -> None:
        connection_id = adopt.decisions.connection_id
        entry = _entry(self._session_table.by_id.get(connection_id), SessionEvent.ADOPT)
        if draining:
            self._stays(connection_id, "the hub is shutting down")
        elif entry.outcome is Outcome.NOT_MOVED:
            self._stays(connection_id, entry.because)
        else:
            self._session_table.take_over(adopt)

    def _stays(self, connection_id: str, because: str) -> None:
        self._plan.add(e.NotMoved(connection_id, because))


def _entry(session: SessionRecord | None, event: SessionEvent) -> Transition:
    return transition(State.CLOSED if session is None else session.state, event)
