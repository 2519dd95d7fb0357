"""The system has no more threads to give, at the worst moment.

The orders: a socket has been handed over and no thread can be started to read it, to write its close frame,
to run its callbacks, or to read in place of a reader that is stuck. A hub that does not catch the error
keeps a session that no thread serves, or a socket that no thread closes. Ours gives that one transport up.
"""

from __future__ import annotations

import contextlib

import pytest

from resumehub.runtime.system import SystemRuntime
from resumehub.testing import TransportClosed, UpgradeRefused
from tests.contract.peers import Gate
from tests.support import PATIENCE, read, text


class ShortOfThreads(SystemRuntime):
    """Refuses to start threads of some roles, so many times each."""

    def __init__(self, **refusals: int) -> None:
        self.refusals = refusals

    def spawn(self, name, run, *, daemon=True):
        role = name.split("-")[-2]
        if self.refusals.get(role, 0) > 0:
            self.refusals[role] -= 1
            raise RuntimeError("can't start new thread")
        return super().spawn(name, run, daemon=daemon)


@pytest.mark.parametrize("refusals", [1, 2], ids=["but to close it", "not even to close it"])
def test_nobody_to_read_a_new_connection_costs_its_transport(stage, refusals):
    """The session is suspended like after any drop; its callbacks run; its client comes back."""
    runtime = ShortOfThreads(reader=refusals)
    one = stage(_runtime=runtime)
    with pytest.raises(TransportClosed, match="1006"):
        one.open()
    one.recorder.wait_for("drop")
    assert one.recorder.hooks() == ["connect", "drop"]

    again = one.open()
    one.recorder.wait_for("restore")
    one.say("u1", "welcome back")
    assert read(again) == ("n", "welcome back")


@pytest.mark.parametrize("refusals", [1, 2], ids=["but to close it", "not even to close it"])
def test_nobody_to_read_one_that_is_to_be_refused_costs_nothing_else(stage, refusals):
    """It may or may not get the close frame that it came for; its socket goes, and the others stay."""
    runtime = ShortOfThreads()
    one = stage(_runtime=runtime, on_duplicate="reject")
    ws = one.open()
    one.recorder.wait_for("connect")
    runtime.refusals["reader"] = refusals
    with contextlib.suppress(TransportClosed):
        assert one.open(query="&reject=close").receive_close(PATIENCE)[0] in (4409, 1006)
    one.say("u1", "still here")
    assert read(ws) == ("n", "still here")


def test_nobody_to_write_a_close_frame_costs_the_close_frame(stage):
    """The session ends as it should; the peer sees the connection end, and the id is free."""
    runtime = ShortOfThreads(writer=1)
    one = stage(_runtime=runtime)
    ws = one.open()
    one.recorder.wait_for("connect")
    one.hub.kick("u1")
    assert ws.receive_close(PATIENCE) == (1006, "")
    assert one.recorder.wait_for("disconnect") is None
    one.open()


def test_nobody_to_run_callbacks_makes_them_wait_for_the_next_who_can(stage):
    runtime = ShortOfThreads(callbacks=1)
    one = stage(_runtime=runtime, resume_window=30)
    one.open("u1").drop()
    second = one.open("u2")
    one.recorder.wait_for("connect", "u2")
    one.drop(second, "u2")
    one.recorder.wait_for("drop", "u1")


def test_nobody_to_stand_in_for_a_stuck_reader_costs_the_transport(stage):
    """Its pings would go unanswered, and its end unseen, for as long as the handler takes."""
    runtime = ShortOfThreads()
    one = stage(_runtime=runtime)
    stuck = Gate()
    one.hub.on_message(stuck.hold)
    ws = one.open()
    one.recorder.wait_for("connect")
    runtime.refusals["reader"] = 1
    ws.send(text("n", 1))
    stuck.wait_reached()

    assert ws.wait_for_eof(PATIENCE)
    assert one.hub.get("u1").suspended
    stuck.open()
    one.recorder.wait_for("drop")
    one.resume(ws)
    one.recorder.wait_for("restore")
    assert one.recorder.hooks() == ["connect", "message", "drop", "restore"]


@pytest.mark.parametrize("role", ["hub", "watcher"])
def test_a_hub_that_cannot_start_answers_503_and_tries_again(stage, role):
    """Nothing is left behind by the attempt."""
    one = stage(_runtime=ShortOfThreads(**{role: 1}))
    with pytest.raises(UpgradeRefused) as refused:
        one.open()
    assert refused.value.status == 503
    assert refused.value.header("Retry-After")
    one.open()
    one.recorder.wait_for("connect")
