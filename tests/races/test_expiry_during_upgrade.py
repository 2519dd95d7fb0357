"""A grace window that ends between the check of an upgrade and its arrival in the hub.

The order: a client asks to resume; the check finds its session and lets it in; *the session ends*; the
socket arrives. A hub that does not look again attaches it to nothing, or, worse, "gets or creates": the
client believes that it goes on where it was, and talks to an empty session, or to a stranger's.
Ours closes the socket with 4100 and leaves no trace but a failed resume attempt.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from resumehub.core import commands as c
from resumehub.core.machine import Machine
from resumehub.testing import connect
from tests.contract.peers import Ledger
from tests.core.fake_shell import Wrong
from tests.core.orders import play, play_all
from tests.races.stepped_hub import connect_with_gap
from tests.support import PATIENCE


class OpensInstead(Machine):
    """Get or create: where the session to be resumed is gone, a new one begins."""

    def _register(self, registration: c.Register) -> None:
        super()._register(
            replace(registration, resume=registration.resume and registration.connection_id in self.sessions)
        )


class ResumesWhoeverHoldsTheId(Machine):
    """Looks for the id, and not for the session that the check saw."""

    def _register(self, registration: c.Register) -> None:
        holder = self.sessions.get(registration.connection_id)
        super()._register(replace(registration, seen=holder.life if holder is not None else ""))


def test_get_or_create_begins_anew_in_silence():
    with pytest.raises(Wrong, match="a resume opens session 2 in silence"):
        play(["drop", "expire", "resume"], OpensInstead)


def test_going_by_the_id_resumes_a_stranger():
    with pytest.raises(Wrong, match="a stranger resumes session 2"):
        play(["drop", "expire", "connect", "resume"], ResumesWhoeverHoldsTheId)


def test_looking_again_is_right_in_every_order():
    words = ("drop", "expire", "connect", "kick", "resume", "second resume")
    assert play_all(permutations(words)) == 720


ENDS = {
    "its window ends": lambda one: one.clock.advance(30),
    "it is kicked": lambda one: one.hub.kick("u1"),
    "it is closed": lambda one: one.hub.get("u1").close(),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_resume_that_comes_too_late_is_closed_with_4100(stage, end):
    """No new session, no callback, and the metrics name the room that the client wanted back."""
    metrics = Ledger()
    one = stage(metrics=metrics)
    first = one.open()
    one.drop(first)

    late = connect_with_gap(one.hub, lambda: end(one), query="resume=true")
    one.clients.append(late)

    assert late.receive_close(PATIENCE) == (4100, "session expired")
    assert late.wait_for_eof(PATIENCE)
    assert one.hub.get("u1") is None
    assert one.hub.rooms() == []
    one.recorder.wait_for("disconnect")
    assert one.recorder.hooks() == ["connect", "drop", "disconnect"]
    assert metrics.of("resume_attempt") == [("lobby", "u1", False)]
    assert len(metrics.of("connection_opened")) == 1


def test_a_resume_that_comes_too_late_does_not_end_up_with_the_next_holder_of_the_id(stage):
    """The id was taken anew meanwhile: its holder keeps its transport and hears nothing of it."""
    one = stage()
    first = one.open()
    one.drop(first)
    holder = []

    def meanwhile() -> None:
        one.hub.kick("u1")
        holder.append(one.open(room="another"))

    late = connect_with_gap(one.hub, meanwhile, query="resume=true")
    one.clients.append(late)

    assert late.receive_close(PATIENCE) == (4100, "session expired")
    one.say("u1", "yours")
    assert "yours" in holder[0].receive(PATIENCE)
    assert one.hub.get("u1").room_id == "another"
    assert "restore" not in one.recorder.hooks()


def test_the_same_client_gets_410_when_it_asks_again(stage):
    """After 4100 a client that retries learns for good that it must begin anew."""
    one = stage()
    one.drop(one.open())
    late = connect_with_gap(one.hub, lambda: one.clock.advance(30), query="resume=true")
    one.clients.append(late)
    assert late.receive_close(PATIENCE) == (4100, "session expired")

    with pytest.raises(Exception, match="410"):
        connect(one.hub, "/?id=u1&resume=true")
    one.open()
    assert one.recorder.wait_for("connect", "u1", 2) is None
