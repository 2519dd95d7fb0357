"""Whether a session may go on in another process, and whether one from another process may go on here.

This is a part of the machine (``machine.py``), which hands it ``Export`` and ``Adopt`` on the hub thread.
``sessions.py`` writes down what the machine knows of a session, as a ``DecisionState`` (``moving.py``). A
refusal is a ``NotMoved`` effect, and the session stays where it is. Pure. Read next: ``sessions.py``.
"""

from __future__ import annotations

from . import commands as c
from . import effects as e
from .plan import Plan
from .records import SessionRecord
from .sessions import SessionTable
from .states import Outcome, Transition
from .transports import TransportMachine


class Moves:
    """The machine has one. Hub thread only; never blocks."""

    def __init__(self, plan: Plan, sessions: SessionTable, transports: TransportMachine) -> None:
        self._plan = plan
        self._session_table = sessions
        self._transports = transports

    def leave(self, export: c.Export, session: SessionRecord | None, entry: Transition) -> None:
        """Forget the session, which goes on elsewhere; ``entry``: what the table says of an EXPORT."""
        if session is None or entry.outcome is Outcome.NOT_MOVED:
            self._stays(export.connection_id, entry.because)
        elif session.transport is not None and self._transports.by_number[session.transport].close_sent:
            self._stays(export.connection_id, "nothing can be written to its transport any more")
        else:
            self._session_table.hand_over(session)

    def arrive(self, adopt: c.Adopt, entry: Transition, draining: bool) -> None:
        """Go on with a session of another process; ``entry``: what the table says of an ADOPT."""
        if draining:
            self._stays(adopt.decisions.connection_id, "the hub is shutting down")
        elif entry.outcome is Outcome.NOT_MOVED:
            self._stays(adopt.decisions.connection_id, entry.because)
        else:
            self._session_table.take_over(adopt)

    def _stays(self, connection_id: str, because: str) -> None:
        self._plan.add(e.NotMoved(connection_id, because))
