"""A client that has sent too much is not read for a while, as the machine decides it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.invariants import broken
from resumehub.core.records import Phase
from resumehub.core.resume import ResumeRequest
from tests.core.machine_driver import MachineDriver, closes, names


def paused(**rules: object) -> MachineDriver:
    """u1, whose client may send again in second 2."""
    play = MachineDriver(**rules)
    play.register()
    play.do(c.ReadingPaused(1, 2.0))
    play.effects.clear()
    return play


def test_it_is_read_again_at_its_time():
    play = MachineDriver()
    play.register()
    assert play.do(c.ReadingPaused(1, 2.0)) == [e.NotePause(1, 2.0)]
    assert play.wait(1.9) == []
    assert play.wait(0.1) == [e.ReadOn(1)]
    assert play.wait(100) == []


def test_where_the_time_is_over_already_it_is_read_at_once():
    play = MachineDriver()
    play.register()
    play.wait(5)
    assert play.do(c.ReadingPaused(1, 2.0)) + play.wait(0) == [e.NotePause(1, 0.0), e.ReadOn(1)]


@pytest.mark.parametrize(
    "command",
    [c.Kick("u1"), c.Close(1), c.Shutdown(), c.PeerFailed(1, 1002, "")],
    ids=lambda one: type(one).__name__,
)
def test_a_close_frame_ends_the_pause(command):
    """The answer to it is behind what the client has sent too much."""
    play = paused()
    effects = play.do(command)
    assert e.ReadOn(1) in effects
    assert play.due(DeadlineKind.PAUSE) is None


def test_so_does_a_takeover():
    play = paused()
    effects = play.resume()
    assert e.ReadOn(1) in effects
    assert closes(effects) == [(1, 4101, "superseded", False)]


def test_a_transport_that_is_given_up_needs_no_word():
    """``AbortTransport`` wakes its reader."""
    play = paused()
    assert "ReadOn" not in names(play.do(c.TransportAborted(1)))
    assert play.wait(10) == []


@pytest.mark.parametrize("end", [c.Kick("u1"), c.TransportAborted(1)], ids=["closing", "aborted"])
def test_a_pause_that_is_reported_too_late_is_over(end):
    """The reader paused when the hub thread had already decided: it must not wait for ever."""
    play = MachineDriver()
    play.register()
    play.do(end)
    assert "ReadOn" in names(play.do(c.ReadingPaused(1, 2.0)))
    assert play.due(DeadlineKind.PAUSE) is None


def test_one_of_an_unknown_transport_is_ignored():
    play = MachineDriver()
    assert names(play.do(c.ReadingPaused(7, 2.0))) == []
    assert play.wait(10) == []


def test_it_does_not_go_along_to_another_process():
    """There its reader begins anew. A release that does not know the deadline can read the state."""
    play = paused()
    play.do(c.Export("u1", play.session().life))
    [left] = [effect for effect in play.effects if isinstance(effect, e.HandOver)]
    assert DeadlineKind.PAUSE not in [one.kind for one in left.decisions.time_left]
    assert play.wait(10) == []


def test_nobody_waits_for_the_pong_or_the_ack_of_a_client_that_is_not_read():
    play = MachineDriver(ping_interval=20.0, stall_timeout=12.0)
    play.register(resume_request=ResumeRequest(v1=True, fresh_token="one"))
    play.blocked, play.full_since, play.heard = False, 0.0, False
    play.do(c.WindowFull(1), c.ReadingPaused(1, 200.0))
    play.reading_since, play.reads_on_since = None, float("inf")
    play.wait(190)
    assert play.state() == "CONNECTED"


def test_the_invariants_see_a_transport_that_closes_and_is_not_read():
    play = paused()
    play.do(c.Kick("u1"))
    play.machine.deadlines.arm(DeadlineKind.PAUSE, 1, 99.0)
    assert any("not read" in sentence for sentence in broken(play.machine))


def pause(play: MachineDriver, paused: set[int]) -> None:
    """The reader of the newest transport pauses; it waits from before its report on."""
    paused.add(play.transports)
    play.do(c.ReadingPaused(play.transports, play.now + 2.0))


def come_back(play: MachineDriver) -> None:
    if play.session() is not None:
        play.resume()


EVENTS: dict[str, Callable[[MachineDriver, set[int]], object]] = {
    "pause": pause,
    "pause again": pause,
    "come back": lambda play, paused: come_back(play),
    "drop": lambda play, paused: play.do(c.PeerGone(play.transports, reset=True)),
    "break the protocol": lambda play, paused: play.do(c.PeerFailed(1, 1002, "")),
    "kick": lambda play, paused: play.do(c.Kick("u1")),
    "wait": lambda play, paused: play.wait(3),
    "wait long": lambda play, paused: play.wait(40),
}


@pytest.mark.parametrize("first", EVENTS)
def test_in_every_order_only_a_living_transport_is_not_read_and_only_for_its_time(first):
    """A reader that waits on any other one would wait for ever: its socket would never be closed."""
    for rest in permutations([name for name in EVENTS if name != first], 3):
        play, paused = MachineDriver(), set[int]()
        play.register()
        for name in (first, *rest):
            before = len(play.effects)
            EVENTS[name](play, paused)
            for effect in play.effects[before:]:
                if isinstance(effect, e.ReadOn | e.AbortTransport):
                    paused.discard(effect.transport)
            for number in paused:
                assert play.due(DeadlineKind.PAUSE, number) is not None, (first, *rest)
                assert play.transport(number).phase is Phase.LIVE, (first, *rest)
