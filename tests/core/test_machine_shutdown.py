"""The end of the hub: everybody is told, nobody is let in, and the last transport turns off the light."""

from __future__ import annotations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from tests.core.machine_driver import MachineDriver, aborted, callbacks, closes, counted, ignored, names


def test_every_session_ends_with_1001():
    """Those in the room as well as those who are away; what was sent before still goes out."""
    play = MachineDriver()
    play.register("here")
    play.register("away")
    play.do(c.PeerGone(2, reset=True))
    effects = play.do(c.Shutdown())
    assert closes(effects) == [(1, 1001, "server shutting down", True)]
    assert callbacks(effects) == ["on_disconnect", "on_disconnect"]
    assert [count[-1] for count in counted(effects, "connection_closed")] == ["hub_close", "hub_close"]
    assert [effect.flush for effect in effects if isinstance(effect, e.EndSession)] == [True, False]
    assert play.machine.sessions == {}


def test_it_is_over_when_the_last_transport_is_released():
    play = MachineDriver()
    play.register("u1")
    play.register("u2")
    play.do(c.Shutdown(), c.CloseSent(1), c.PeerClosed(1, 1001, ""), c.Released(1))
    assert not play.machine.finished
    play.do(c.CloseSent(2), c.PeerClosed(2, 1001, ""))
    assert names(play.do(c.Released(2))) == ["Finish"]


def test_a_hub_with_nobody_in_it_is_over_at_once():
    assert names(MachineDriver().do(c.Shutdown())) == ["Finish"]


def test_it_is_over_once():
    play = MachineDriver()
    play.do(c.Shutdown())
    assert names(play.do(c.Shutdown(), c.Tick(), c.AbortAll())) == []


def test_a_second_shutdown_is_ignored():
    play = MachineDriver()
    play.register()
    play.do(c.Shutdown())
    assert ignored(play.do(c.Shutdown())) == ["the hub is shutting down already"]


@pytest.mark.parametrize(
    "registration",
    [{}, {"resume": True, "seen": "life 1"}, {"refusal": (4403, "forbidden")}],
    ids=["a new client", "a resume", "one that was refused before"],
)
def test_whoever_comes_now_is_sent_away_with_1001(registration):
    play = MachineDriver()
    play.register()
    play.do(c.Shutdown())
    effects = play.register("u1", **registration)
    assert names(effects) == ["AdmitToRefuse", "SendClose"]
    assert closes(effects) == [(2, 1001, "server shutting down", False)]
    assert callbacks(effects) == []


def test_whoever_was_sent_away_is_waited_for_too():
    """Otherwise its socket would be left behind."""
    play = MachineDriver()
    play.register()
    play.do(c.Shutdown())
    play.register("u2")
    play.do(c.TransportAborted(1), c.Released(1))
    assert not play.machine.finished
    play.do(c.TransportAborted(2))
    assert names(play.do(c.Released(2))) == ["Finish"]


class TestTheTimeForPolitenessIsOver:
    def test_every_transport_is_dropped(self):
        play = MachineDriver()
        play.register("u1")
        play.register("u2")
        play.do(c.Shutdown())
        assert aborted(play.do(c.AbortAll())) == [1, 2]
        assert names(play.do(c.Released(1), c.Released(2))) == ["Finish"]

    def test_for_whoever_comes_even_later_too(self):
        """A silent newcomer must not keep a hub that has given up on everybody else."""
        play = MachineDriver()
        play.register()
        play.do(c.Shutdown(), c.AbortAll())
        effects = play.register("u2")
        assert aborted(effects) == [2]
        assert closes(effects) == []
        assert names(play.do(c.Released(1), c.Released(2)))[-1] == "Finish"

    def test_even_if_nobody_was_told_before(self):
        """Two threads close the hub, and the impatient one's order comes first: the sessions end as well."""
        play = MachineDriver()
        play.register()
        effects = play.do(c.AbortAll())
        assert callbacks(effects) == ["on_disconnect"]
        assert aborted(effects) == [1]
        assert names(play.do(c.Shutdown(), c.Released(1))) == ["Finish"]
