"""A grace window that ends while the resume is already in the hub's queue.

The order: the window ends at 30 s; the client is back at 29.9 s, and its resume waits in the queue of a
hub that is busy until after 30 s. A hub that goes by the time at which it gets to a command lets the
window end first, and a client that was in time is told that it was not, the more often the busier the
server is. Ours goes by the time at which the command was put.
"""

from __future__ import annotations

import pytest

from resumehub.core import commands as c
from resumehub.runtime.command_loop import CommandLoop
from tests.support import PATIENCE, Call, read


class GoesByItsOwnClock(CommandLoop):
    """Handles each command at the time at which it gets to it."""

    def _handle(self, command, at, reply):
        now = self._clock.monotonic()
        self._pass_time(at)
        while (due := self._machine.next_deadline()) is not None and due <= now:
            super()._handle(c.Tick(), due, None)
        super()._handle(command, now, reply)


def come_back_in_time(stepped):
    """u1 has dropped at 0 s and comes back at 29.9 s; a busy hub gets to it at 31 s."""
    one, hub = stepped()
    ws = one.open()
    one.drop(ws)
    one.say("u1", "for you")
    one.clock.advance(29.9)
    hub.hold()
    back = Call(lambda: one.resume(ws))
    hub.wait_until_queued(c.Register)
    one.clock._now = 31.0
    hub.let_go()
    return one, back.result()


def test_a_hub_that_goes_by_its_own_clock_lets_it_expire(stepped, monkeypatch):
    monkeypatch.setattr("resumehub.server.hub_loop.CommandLoop", GoesByItsOwnClock)
    _, ws = come_back_in_time(stepped)
    assert ws.receive_close(PATIENCE) == (4100, "session expired")


def test_a_resume_that_was_in_time_is_honoured_by_a_busy_hub(stepped):
    one, ws = come_back_in_time(stepped)
    assert read(ws) == ("n", "for you")
    one.recorder.wait_for("restore")
    assert one.recorder.hooks() == ["connect", "drop", "restore"]


def test_a_resume_that_came_at_the_end_of_the_window_is_late_however_quick_the_hub(stepped):
    """At 30.0 the window has ended; then it does not matter who is handled first."""
    one, hub = stepped()
    ws = one.open()
    one.drop(ws)
    hub.hold()
    time_passes = Call(lambda: one.clock.advance(30))
    hub.step(c.Tick)  # now it is 30.0, and nothing was told to the hub yet
    hub.wait_until_queued(c.Tick)
    hub.let_go()
    time_passes.result()
    assert one.hub.get("u1") is None
    with pytest.raises(Exception, match="410"):
        one.resume(ws)
