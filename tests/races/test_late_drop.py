"""The report of a dead transport that comes after the client has resumed on another one.

The order: a connection is cut; the client notices first and comes back; *then* our reader notices, and
reports the death of "the connection of u1". A hub that goes by the id, or by the session, believes it:
it suspends a session that is well and alive on its new transport, and half a minute later it ends it.
Ours compares the transport (its number, and with it the generation) before it looks at anything else.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from resumehub.core import commands as c
from resumehub.core.machine import Machine
from resumehub.core.records import SessionRecord
from tests.core.fake_shell import Wrong
from tests.core.machine_driver import MachineDriver, callbacks
from tests.core.orders import play, play_all
from tests.support import Call, read


class BelievesEverybody(Machine):
    """Takes the report of any transport for one about its session's present transport."""

    def session_of(self, number: int) -> SessionRecord | None:
        transport = self.transports.get(number)
        return self.epochs.get(transport.epoch or 0) if transport else None

    def _dispatch(self, command: c.Command) -> None:
        if not isinstance(command, c.EndReport):
            super()._dispatch(command)
            return
        session = self.session_of(command.transport)
        if session is not None and session.transport is not None:
            self._transport_machine._ended_alive(self.transports[command.transport], command)


@pytest.mark.parametrize(("machine", "state"), [(BelievesEverybody, "SUSPENDED"), (Machine, "CONNECTED")])
def test_a_late_drop_suspends_a_session_only_if_everybody_is_believed(machine, state):
    play = MachineDriver(machine)
    play.register()
    play.resume()
    play.machine.handle(c.PeerGone(1, reset=True), 0.0)
    assert play.state() == state


def test_believing_everybody_leaves_the_new_transport_without_its_session():
    with pytest.raises(Wrong, match=r"the transports \[2\] were never aborted"):
        play(["resume", "drop"], BelievesEverybody)


def test_comparing_the_transport_is_right_in_every_order():
    words = ("drop", "leave", "resume", "second resume", "newest drops", "writing fails")
    assert play_all(permutations(words)) == 720


def test_a_drop_that_is_reported_twice_is_told_once():
    """A writer that fails, a reader that reads the end, a deadline: the first one counts."""
    play = MachineDriver()
    play.register()
    reports = [c.WriteFailed(1), c.PeerGone(1, reset=True), c.TransportAborted(1), c.PeerGone(1, reset=False)]
    assert callbacks(play.do(*reports)) == ["on_transport_drop"]


@pytest.mark.parametrize("death", ["drop", "leave"])
def test_a_session_stays_with_its_new_transport(stepped, death):
    """The old connection's end, even a proper leave, is in the queue behind the resume."""
    one, hub = stepped(ping_interval=None)
    old = one.open()
    one.recorder.wait_for("connect")
    hub.hold()
    again = Call(lambda: one.resume(old))
    hub.wait_until_queued(c.Register)
    if death == "leave":
        old.send_close(1000)
        hub.wait_until_queued(c.PeerClosed)
    else:
        old.drop()
        hub.wait_until_queued(c.PeerGone)
    hub.let_go()

    new = again.result()
    one.recorder.wait_for("restore")
    one.clock.advance(60)
    one.say("u1", "still here")
    assert read(new) == ("n", "still here")
    assert one.recorder.hooks() == ["connect", "drop", "restore"]
    assert one.recorder.wait_for("drop") is None, "a takeover's drop has no error"
    assert not one.hub.get("u1").suspended
    assert not new.closed
