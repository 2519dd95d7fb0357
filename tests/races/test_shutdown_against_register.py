"""A socket that arrives while the hub shuts down, or after it has.

The order: a request passes the check; the hub is told to close; the socket arrives, at any point of the
shutdown or when the hub's thread has already left. A hub that does not look opens a session that no thread
will ever end, and ``close`` never completes; one that has left keeps the socket in a queue that no thread
reads, and the client waits for ever. Ours sends it away with 1001 while it can, and otherwise hangs up.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from resumehub import HubClosed
from resumehub.core import commands as c
from resumehub.core.machine import Machine
from resumehub.runtime.command_loop import CommandLoop
from resumehub.testing import TransportClosed, UpgradeRefused
from tests.core.fake_shell import Wrong
from tests.core.orders import play, play_all
from tests.races.stepped_hub import connect_with_gap
from tests.support import PATIENCE, Call


class LetsThemIn(Machine):
    """Does not look whether the hub is shutting down."""

    def _register(self, registration: c.Register) -> None:
        draining, self.draining = self.draining, False
        super()._register(registration)
        self.draining = draining


def test_letting_them_in_never_ends():
    with pytest.raises(Wrong, match="the hub does not finish"):
        play(["drop", "connect", "shutdown", "connect"], LetsThemIn)


def test_sending_them_away_ends_in_every_order():
    words = ("shutdown", "connect", "resume", "drop", "released", "abort all")
    assert play_all(permutations(words)) == 720


def arrive_behind_a_close(one, hub):
    """A request passes the check; the hub is told to close; the socket arrives. All of it is queued."""
    closes = []

    def meanwhile() -> None:
        closes.append(Call(one.hub.close))
        hub.wait_until_queued(c.Shutdown)

    arriving = Call(lambda: connect_with_gap(one.hub, meanwhile))
    hub.wait_until_queued(c.Register)
    return arriving, closes


def test_one_that_arrives_while_others_say_good_bye_gets_1001(stepped):
    """The hub is draining: a silent peer holds it up."""
    one, hub = stepped()
    one.open("silent")
    one.recorder.wait_for("connect")
    hub.hold()
    arriving, closes = arrive_behind_a_close(one, hub)
    hub.let_go()

    with arriving.result() as ws:
        assert ws.receive_close(PATIENCE) == (1001, "server shutting down")
    one.clients[0].sock.close()
    assert closes[0].result().complete
    assert one.recorder.hooks("u1") == []


def test_one_that_is_queued_behind_the_last_word_is_hung_up_on(stepped):
    """Nothing holds the hub up, so it has left before it gets to the newcomer."""
    one, hub = stepped()
    one.hub.runner.start()
    hub.hold()
    arriving, closes = arrive_behind_a_close(one, hub)
    hub.let_go()

    with pytest.raises(TransportClosed, match="1006"):
        arriving.result()
    assert closes[0].result().complete


def test_one_that_arrives_when_the_hub_has_left_is_hung_up_on(stage):
    one = stage()
    reports = []
    with pytest.raises(TransportClosed, match="1006"):
        connect_with_gap(one.hub, lambda: reports.append(one.hub.close(PATIENCE)))
    assert reports[0].complete


class ForgetsTheDoor(CommandLoop):
    """Puts commands into the queue without looking whether the hub's thread is there to take them."""

    def put(self, command, reply=None):
        if self._left and isinstance(command, c.Register):
            return True
        return super().put(command, reply)


def test_a_queue_that_nobody_reads_would_keep_it_waiting(stage, monkeypatch):
    """What the door is for: without it the newcomer's socket stays open, and says nothing."""
    monkeypatch.setattr("resumehub.server.hub_loop.CommandLoop", ForgetsTheDoor)
    one = stage()
    with pytest.raises(Exception, match="no 101 within"):
        connect_with_gap(one.hub, lambda: one.hub.close(PATIENCE), timeout=0.01)
    [forgotten] = one.hub.runner.loop.transports
    forgotten.transport.release()


def test_one_that_arrives_when_the_hub_has_lost_patience_is_hung_up_on(stepped):
    """A silent newcomer must not keep a hub that has given up on everybody else."""
    one, hub = stepped()
    one.open("silent")
    one.recorder.wait_for("connect")
    hub.hold()
    arriving = Call(lambda: connect_with_gap(one.hub, lambda: one.hub.close(0)))
    hub.wait_until_queued(c.Shutdown, c.AbortAll, c.Register)
    hub.let_go()

    with pytest.raises(TransportClosed, match="1006"):
        arriving.result()
    assert one.hub.close(PATIENCE).complete


def test_whoever_asks_after_that_is_told_by_the_check(stage):
    one = stage()
    one.open()
    one.clients[0].sock.close()
    assert one.hub.close(PATIENCE).complete
    with pytest.raises(UpgradeRefused, match="503"):
        one.open()
    with pytest.raises(HubClosed):
        one.hub.kick("u1")
