"""A v1 client whose window is full: it has ``stall_timeout`` to acknowledge, as the machine decides it."""

from __future__ import annotations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.resume import ResumeRequest
from resumehub.protocol.control_messages import NO_ACK
from tests.core.machine_driver import INF, TIMEOUT, WINDOW, MachineDriver, closes, names

STALL = 12.0


def full(**rules: object) -> MachineDriver:
    """A v1 session whose window is full since second 5; its client takes what it is sent."""
    play = MachineDriver(**({"stall_timeout": STALL} | rules))
    play.register(resume_request=ResumeRequest(v1=True, fresh_token="one"))
    play.blocked = False
    play.wait(5)
    play.full_since = 5.0
    play.do(c.WindowFull(1))
    play.effects.clear()
    return play


def test_it_loses_its_transport_and_is_told_why():
    play = full()
    assert play.wait(STALL - 0.1) == []

    effects = play.wait(0.1)

    assert names(effects) == ["Inspect", "DetachTransport", "SendClose", "Notify"]
    assert closes(effects) == [(1, 1008, NO_ACK, False)]
    [drop] = [effect for effect in effects if isinstance(effect, e.Notify)]
    assert (drop.error.code, drop.error.reason) == (1008, NO_ACK)


def test_its_session_waits_for_it_as_for_any_other():
    play = full()
    play.wait(STALL)
    assert play.state() == "SUSPENDED"
    play.wait(WINDOW - 0.1)
    play.resume(resume_request=ResumeRequest(v1=True, token="one", fresh_token="two", received=7))
    assert play.state() == "CONNECTED"


def test_where_no_client_can_come_back_the_session_ends():
    play = full(resume_window=0.0)
    play.wait(STALL)
    assert play.state() == "CLOSED"


def test_one_that_has_acknowledged_keeps_it():
    play = full()
    play.wait(11)
    play.full_since = None
    play.wait(1000)
    assert play.state() == "CONNECTED"
    assert play.due(DeadlineKind.WINDOW) is None


def test_one_that_acknowledges_now_and_then_keeps_it_also_if_it_is_always_full_again():
    """A slow client is not a silent one: the time is counted from the last acknowledgement."""
    play = full()
    for second in range(16, 100, 11):
        play.full_since = float(second)
        play.wait(11)
    assert play.state() == "CONNECTED"
    play.wait(STALL)
    assert play.state() == "SUSPENDED"


def test_a_second_report_gives_it_no_less_and_an_old_one_no_more():
    play = full()
    play.wait(STALL)
    play.resume(resume_request=ResumeRequest(v1=True, token="one", fresh_token="two", received=7))
    play.full_since = None
    play.do(c.WindowFull(1))
    play.wait(1000)
    assert play.state() == "CONNECTED"


@pytest.mark.parametrize("held_up", ["bytes wait for it", "nobody reads what it says"])
def test_one_that_cannot_have_been_heard_is_given_time(held_up):
    """The window has not arrived, or its $ack is in the kernel, behind messages that wait for a handler."""
    play = full()
    if held_up == "bytes wait for it":
        play.blocked = True
    else:
        play.reads_on_since = INF
    play.wait(100)
    assert play.state() == "CONNECTED"
    play.blocked, play.reads_on_since = False, 103.0
    play.wait(STALL - 2.1)
    assert play.state() == "CONNECTED"
    play.wait(10)
    assert play.state() == "SUSPENDED"


def test_the_time_begins_when_it_has_taken_the_last_byte():
    play = full()
    play.took_at = 10.0
    play.wait(STALL)
    assert play.state() == "CONNECTED"
    play.wait(5)
    assert play.state() == "SUSPENDED"


def test_a_hub_thread_that_was_away_takes_its_own_absence_for_nobodys_silence():
    """After a pause of the process the $ack is in the kernel's buffer: no thread has had time to read it."""
    play = full()
    play.now = 300.0
    play.do(c.Tick())
    assert play.state() == "CONNECTED"
    play.wait(STALL - 0.1)
    assert play.state() == "CONNECTED"
    play.wait(0.1)
    assert play.state() == "SUSPENDED"


@pytest.mark.parametrize("end", [c.Kick("u1"), c.PeerGone(1, reset=True), c.PeerClosed(1, 1001, "")])
def test_no_deadline_outlives_its_transport(end):
    play = full()
    play.do(end)
    assert play.due(DeadlineKind.WINDOW) is None
    effects = play.do(c.WindowFull(1))
    assert play.due(DeadlineKind.WINDOW) is None
    assert [type(effect) for effect in effects] == [e.Ignored]


def test_its_close_frame_has_the_usual_time():
    play = full()
    play.wait(STALL)
    play.blocked, play.took_at = True, -INF
    effects = play.wait(2 * TIMEOUT)
    assert names(effects) == ["Inspect", "DiscardUnsent", "Inspect", "AbortTransport"]
