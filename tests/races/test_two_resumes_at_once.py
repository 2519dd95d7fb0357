"""Two resumes of one session at the same moment: an impatient client, or two tabs of one user.

The order: both pass the check while the session is suspended; both arrive in the hub. A hub that does not
look at the state again, since "it was suspended a moment ago", attaches both: messages go to one, to
the other or to both, and the first to die suspends the session of the other. Ours lets the last one have
it, closes the first with 4101, and the handlers hear of it as of any takeover.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from resumehub.core import commands as c
from resumehub.core.machine import Machine
from resumehub.core.records import SessionRecord
from resumehub.core.states import Outcome, SessionEvent, State, Transition
from resumehub.testing import TransportClosed
from tests.core.fake_shell import Wrong
from tests.core.orders import play, play_all
from tests.support import PATIENCE, Call, read


class TrustsTheCheck(Machine):
    """The check has seen it suspended, so it is resumed, whatever it is by now."""

    def _look_up(self, session: SessionRecord | None, event: SessionEvent) -> Transition:
        entry = super()._look_up(session, event)
        if entry.outcome is Outcome.TAKEN_OVER:
            return Transition(Outcome.RESUMED, State.CONNECTED, "it was suspended a moment ago")
        return entry


def test_trusting_the_check_attaches_two_transports():
    with pytest.raises(Wrong, match="session 1 can't be attached"):
        play(["drop", "resume", "second resume"], TrustsTheCheck)


def test_looking_again_is_right_in_every_order():
    words = ("drop", "resume", "second resume", "newest drops", "send", "on_message fails")
    assert play_all(permutations(words)) == 720


def test_the_last_one_has_the_session_and_the_first_is_told(stepped):
    """Both are answered 101; whoever comes second wins, and no message is lost or doubled."""
    one, hub = stepped()
    ws = one.open()
    one.drop(ws)
    one.say("u1", 1)
    hub.hold()
    first = Call(lambda: one.resume(ws))
    hub.wait_until_queued(c.Register)
    second = Call(lambda: one.resume(ws))
    hub.wait_until_queued(c.Register, count=2)

    hub.step(c.Register)
    loser = first.result()
    assert read(loser) == ("n", 1)
    hub.let_go()
    winner = second.result()
    one.recorder.wait_for("restore", count=2)
    one.say("u1", 2)

    assert loser.receive_close(PATIENCE) == (4101, "superseded")
    assert read(winner) == ("n", 2)
    assert one.recorder.hooks() == ["connect", "drop", "restore", "drop", "restore"]
    assert [str(detail) for hook, _, detail in one.recorder.events if hook == "drop"][1] == "None"
    assert len(one.hub.connections("lobby")) == 1


def test_what_nobody_has_read_goes_to_the_last_one(stepped):
    """The first resume is superseded before its reader has written anything: all goes to the second."""
    one, hub = stepped()
    ws = one.open()
    one.drop(ws)
    one.say("u1", *range(20))
    hub.hold()
    resumes = []
    for count in (1, 2):
        resumes.append(Call(lambda: one.resume(ws)))
        hub.wait_until_queued(c.Register, count=count)
    hub.let_go()

    loser, winner = (call.result() for call in resumes)
    got = read_to_the_end(loser)
    while len(got) < 20:
        got.append(read(winner)[1])
    assert loser.closed == (4101, "superseded")
    assert got == list(range(20))
    one.recorder.wait_for("restore", count=2)


def read_to_the_end(ws) -> list[int]:
    got = []
    try:
        while True:
            got.append(read(ws)[1])
    except TransportClosed:
        return got
