"""Who gives way when the buffers of all sessions hold more than ``buffer_budget`` bytes together.

Each session's buffers are bounded, but a hub may have ten thousand of them. The budget bounds the sum: what
waits for clients, what is kept for those that count what they get, and what clients have sent and no handler
has begun with. It is looked at once a second, ten times as often from half of it on, so that no message is
slower for it; until the next look the sum may be larger, within the bounds of each session.

**The order** in which sessions give way, until the rest is within the budget:

1. Suspended ones, the longest first, of those that hold anything. Each ends as if its window were over: what
   waits for it is counted as expired, and its client is told so when it comes back.
2. Connected ones, those that hold the most, down to one common level. First their history goes, which only a
   client asks for that counts and has lost its connection. Then they lose their oldest messages that have not
   begun, as if a broadcast needed the room: a v1 client is told which (``$missed``), a resume that
   counts finds a gap.
3. Nothing else: what a v1 client has to acknowledge, requests and their answers, and what handlers will get.
   Each of these has a bound of its own in every session.

This is a part of the machine (``machine.py``). Hub thread only. Pure. Read next: ``capacity.py``, which does
the same for the number of sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from . import commands as c
from . import effects as e
from .deadlines import DeadlineKind, Deadlines
from .plan import Plan
from .records import Rules
from .sessions import SessionTable
from .states import Outcome, SessionEvent, State, transition

LOOK: Final = 1.0
"""Seconds between two looks at all buffers."""

SOON: Final = 0.1
"""The same while they hold half of the budget or more."""

_HUB: Final = 0  # the owner of the deadline


class BufferBudget:
    """The machine has one. Hub thread only; never blocks."""

    def __init__(self, rules: Rules, plan: Plan, deadlines: Deadlines, sessions: SessionTable) -> None:
        self._budget = rules.buffer_budget
        self._plan = plan
        self._deadlines = deadlines
        self._session_table = sessions
        sessions.when_entered(self._watch)

    def _watch(self) -> None:
        """There is a session: look at its buffers soon."""
        if self._budget is not None and self._deadlines.armed_at(DeadlineKind.BUDGET, _HUB) is None:
            self._deadlines.arm(DeadlineKind.BUDGET, _HUB, self._plan.now + LOOK)

    def look(self) -> None:
        """The deadline has come. Next: ``measured``, with what was found."""
        if self._session_table.by_id:
            self._plan.add(e.MeasureBuffers())

    def measured(self, found: c.BuffersMeasured) -> None:
        """So much is held: let sessions give way, if it is too much."""
        assert self._budget is not None, "nobody asks without a budget"
        pause = LOOK if 2 * found.total < self._budget else SOON
        self._deadlines.arm(DeadlineKind.BUDGET, _HUB, self._plan.now + pause)
        over = found.total - self._budget
        if over > 0:
            self._plan.add(e.WarnOverBudget(found.total, self._budget))
            over = self._end_suspended(over, {one.epoch: one for one in found.held})
        if over > 0:
            self._shed(over, found.held)

    def _end_suspended(self, over: int, held: dict[int, c.Held]) -> int:
        """End suspended sessions until ``over`` bytes are free; return how many still are to be."""
        for session in self._session_table.longest_suspended_first():
            if over <= 0:
                break
            if session.epoch in held:
                entry = transition(session.state, SessionEvent.GIVE_WAY)
                assert entry.outcome is Outcome.ENDED, "only a suspended session gives way"
                self._session_table.expire(session)
                over -= held[session.epoch].waiting + held[session.epoch].parked
        return over

    def _shed(self, over: int, held: Sequence[c.Held]) -> None:
        """Let connected sessions drop what is above one level, so that ``over`` bytes are free."""
        epochs = self._session_table.by_epoch
        most = [
            one
            for one in sorted(held, key=lambda one: (-one.waiting, one.epoch))
            if one.epoch in epochs and epochs[one.epoch].state is State.CONNECTED
        ]
        level = common_level([one.waiting for one in most], over)
        for one in most:
            if one.waiting > level:
                self._plan.add(e.ShedFrames(one.epoch, level))


def common_level(sizes: Sequence[int], over: int) -> int:
    """The level to which the largest of ``sizes`` must come down, so that their sum is ``over`` smaller.

    ``sizes``: largest first. 0 where even that would not do.
    """
    above = 0  # bytes of those that come down
    for number, size in enumerate(sizes, start=1):
        above += size
        following = sizes[number] if number < len(sizes) else 0
        if above - number * following >= over:
            return max(0, (above - over) // number)
    return 0
