"""A kick and the end of the grace window at the same moment.

The order: a session is suspended; its window ends and the application kicks it, one a moment before the
other. A hub whose timer holds the session itself (``Timer(30, session.expire)``) ends it twice, since a
timer that has already begun to run cannot be cancelled: on_disconnect runs twice, the room is counted down
twice. Ours looks the session up when the deadline fires: whoever comes second finds nothing to end.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from resumehub import ConnectionNotFound
from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import Deadline, DeadlineKind
from resumehub.core.machine import Machine, Rules
from resumehub.core.records import SessionRecord
from resumehub.core.sessions import SessionTable
from tests.contract.peers import Ledger
from tests.core.fake_shell import Wrong
from tests.core.orders import play, play_all
from tests.support import Call


class LeavesTheTimer(SessionTable):
    def end(self, session: SessionRecord, *arguments: object, **more: object) -> None:  # type: ignore[override]
        at = self._deadlines.armed_at(DeadlineKind.GRACE, session.epoch)
        super().end(session, *arguments, **more)  # type: ignore[arg-type]
        if at is not None:
            self._deadlines.arm(DeadlineKind.GRACE, session.epoch, at)


class TimersHoldTheSession(Machine):
    """The end of a window ends the session that it was armed for, ended or not."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules, sessions=LeavesTheTimer)

    def _expire(self, due: Deadline) -> None:
        if due.kind is DeadlineKind.GRACE and due.owner not in self.epochs:
            self._plan.add(e.Notify(due.owner, "on_disconnect", 0))
        else:
            super()._expire(due)


@pytest.mark.parametrize("end", ["kick", "close"])
def test_a_timer_that_holds_the_session_ends_it_twice(end):
    with pytest.raises(Wrong, match="on_disconnect on_disconnect"):
        play(["drop", end, "expire"], TimersHoldTheSession)


def test_a_deadline_that_looks_the_session_up_is_right_in_every_order():
    words = ("drop", "expire", "kick", "close", "connect", "resume")
    assert play_all(permutations(words)) == 720


@pytest.mark.parametrize("first", ["kick", "expiry"])
def test_on_disconnect_runs_once(stepped, first):
    """Both are in the hub's queue at 30 s. The kick says truly whether it was the one."""
    metrics = Ledger()
    one, hub = stepped(metrics=metrics)
    one.drop(one.open())
    one.clock.advance(29.9)
    hub.hold()
    if first == "expiry":
        one.clock._now = 30.0
    kick = Call(lambda: one.hub.kick("u1"))
    hub.wait_until_queued(c.Kick)
    one.clock._now = 30.0
    hub.let_go()

    if first == "kick":
        kick.result()
    else:
        with pytest.raises(ConnectionNotFound):
            kick.result()
    one.recorder.wait_for("disconnect")
    one.clock.advance(100)
    assert one.recorder.hooks() == ["connect", "drop", "disconnect"]
    [(*_, reason)] = metrics.of("connection_closed")
    assert reason == ("kick" if first == "kick" else "grace_expired")
    assert metrics.of("room_destroyed") == [("lobby",)]
