"""A hub thread that is late: the process was stopped, or the machine had no time for it.

The orders: a Ping and the deadline of its answer fall due while the hub is away, so it sends the one and
looks for the other in one go; and the hub wakes for the end of a grace window just as a resume that was
in time is put into its queue. A hub that takes its own absence for somebody else's silence drops all its
healthy peers at once after every pause, and their sessions with them.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from resumehub.core import commands as c
from resumehub.core.machine import Machine, Rules
from resumehub.core.records import TransportState
from resumehub.core.transports import TransportMachine
from resumehub.runtime.command_loop import CommandLoop
from resumehub.testing import FakeClock
from tests.contract.peers import heard_all
from tests.core.machine_driver import PING, TIMEOUT, MachineDriver
from tests.support import PATIENCE, Call


class StoppedClock(FakeClock):
    """A clock that can also jump, as time does for a process that was stopped meanwhile."""

    def jump(self, seconds: float) -> None:
        self._now += seconds


class LooksAtTheDueTime(TransportMachine):
    def _pong_overdue(self, transport: TransportState, seen: c.Observed) -> None:
        super()._pong_overdue(transport, replace(seen, pinged_at=self._plan.now - TIMEOUT))


class CountsFromTheDueTime(Machine):
    """Gives the peer its time from when the Ping was due, and not from when it was sent."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules, transports=LooksAtTheDueTime)


class LooksAtTheClock(CommandLoop):
    """Lets a deadline fire when its own wait is over, whatever has been put before it."""

    def put(self, command, reply=None):
        if isinstance(command, c.Tick) and reply is None:
            self._pass_time(self._clock.monotonic())
            return True
        return super().put(command, reply)


@pytest.mark.parametrize(("machine", "alive"), [(CountsFromTheDueTime, False), (Machine, True)])
def test_a_ping_that_was_sent_late_is_given_its_time(machine, alive):
    """After 300 s the hub is back; the peer has not had a chance to answer what was not sent."""
    play = MachineDriver(machine, ping_interval=PING)
    play.blocked = False
    play.register()
    play.now = 300.0
    play.do(c.Tick())
    assert (play.state() == "CONNECTED") is alive


def test_a_healthy_peer_survives_a_process_that_was_stopped_for_long(stage):
    clock = StoppedClock()
    one = stage(clock=clock)
    ws = one.open()
    one.recorder.wait_for("connect")

    clock.jump(300)
    one.hub.runner.loop._commands.settle()

    assert one.hub.get("u1").suspended is False
    assert ws.wait_for_ping(timeout=PATIENCE)
    one.say("u1", "still there")
    assert "still there" in ws.receive(PATIENCE)


def test_a_silent_peer_is_still_given_up_after_such_a_pause(stage):
    """It gets the usual time, and not for ever."""
    clock = StoppedClock()
    one = stage(clock=clock)
    ws = one.open()
    one.recorder.wait_for("connect")
    heard_all(ws)  # it is no newcomer, which would be pinged sooner
    clock.jump(300)
    clock.advance(9.9)
    assert one.hub.get("u1").suspended is False
    clock.advance(0.1)
    assert one.hub.get("u1").suspended is True
    assert ws.wait_for_ping(timeout=PATIENCE)


def resume_put_just_before_the_end(stepped):
    """The hub's wait for 30 s is over just before a resume is put, and it looks at the clock just after."""
    one, hub = stepped()
    ws = one.open()
    one.drop(ws)
    one.clock.advance(29.9)
    hub.hold()
    again = Call(lambda: one.resume(ws))
    hub.wait_until_queued(c.Register)
    one.clock._now = 30.0
    hub.time_out()
    hub.let_go()
    return one, again.result()


def test_a_hub_that_looks_at_the_clock_first_lets_it_expire(stepped, monkeypatch):
    monkeypatch.setattr("resumehub.server.hub_loop.CommandLoop", LooksAtTheClock)
    _, ws = resume_put_just_before_the_end(stepped)
    assert ws.receive_close(PATIENCE) == (4100, "session expired")


def test_a_resume_that_was_put_before_the_end_comes_before_it(stepped):
    one, _ = resume_put_just_before_the_end(stepped)
    one.recorder.wait_for("restore")
    assert one.recorder.hooks() == ["connect", "drop", "restore"]
