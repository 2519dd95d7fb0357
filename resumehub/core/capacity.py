"""Whether a client may have a session now: not in a drained hub; in a full one, a suspended one makes room.

A session that waits for a client that may never come back is worth less than one whose client is here.
Otherwise one client that connects and hangs up again and again would fill the hub with suspended sessions,
and lock out all others for a whole window, without a single open connection.

This is a part of the machine (``machine.py``), which asks it on the hub thread. A resume needs no new place;
a displacement neither, since a session ends for it. Pure. Read next: ``drain.py``, ``sessions.py``.
"""

from __future__ import annotations

from . import commands as c
from . import effects as e
from . import refusals
from .budget import BufferBudget
from .deadlines import Deadlines
from .drain import Drain
from .plan import Plan
from .records import Rules
from .refusals import RefusalByClose
from .sessions import SessionTable
from .states import Outcome, SessionEvent, transition


class Capacity:
    """The machine has one. Hub thread only; never blocks. ``drain``: who is refused at present.

    ``budget``: whether all buffers hold too much.
    """

    def __init__(self, rules: Rules, plan: Plan, deadlines: Deadlines, sessions: SessionTable) -> None:
        self._rules = rules
        self._plan = plan
        self._session_table = sessions
        self.drain = Drain.NONE
        self.budget = BufferBudget(rules, plan, deadlines, sessions)

    def handle(self, command: c.SetDrain | c.BuffersMeasured) -> None:
        """What the application has ordered, or what was found of the buffers."""
        if isinstance(command, c.SetDrain):
            self.set_drain(command)
        else:
            self.budget.measured(command)

    def set_drain(self, order: c.SetDrain) -> None:
        """From now on refuse those, and nobody else."""
        if order.drain is self.drain:
            return self._plan.ignore("the hub refuses just these already")
        self.drain = order.drain
        self._plan.add(e.DrainChanged(order.drain, order.told))

    def refusal(self, outcome: Outcome) -> RefusalByClose | None:
        """Why a client is refused for whom the table says ``outcome``; None: it is let in.

        A session may have ended then, to make room.
        """
        if self.drain.refuses(outcome):
            return refusals.DRAINING
        return refusals.FULL if outcome is Outcome.OPENED and not self.make_room() else None

    def make_room(self) -> bool:
        """Whether one more session may begin now. In a full hub the longest suspended one ends for it.

        One for one: a hub that holds too many sessions, since some have come from another process, does not
        end them all for a single new one.
        """
        table = self._session_table
        if len(table.by_id) < self._rules.max_sessions:
            return True
        longest = table.longest_suspended() if self._rules.suspended_give_way else None
        if longest is None:
            return False
        entry = transition(longest.state, SessionEvent.GIVE_WAY)
        assert entry.outcome is Outcome.ENDED, "only a suspended session makes room"
        self._plan.add(e.WarnFull())
        table.expire(longest)
        return True
