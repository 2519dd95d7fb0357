"""Time in the machine: it never goes back, and what was due before a command happens before it."""

from __future__ import annotations

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.machine import Machine, Rules
from tests.core.machine_driver import MachineDriver, callbacks, closes, counted, names, suspended


def test_a_window_that_ended_before_a_resume_was_sent_has_ended():
    """The hub is late and finds both at once: the earlier one goes first."""
    play = suspended()
    intent = play.seen()
    play.now = 31.0
    effects = play.register(**intent)
    assert callbacks(effects) == ["on_disconnect"]
    assert closes(effects) == [(2, 4100, "session expired", False)]


def test_a_window_that_ends_at_the_very_time_of_a_resume_has_ended():
    play = suspended()
    intent = play.seen()
    play.now = 30.0
    assert closes(play.register(**intent)) == [(2, 4100, "session expired", False)]


def test_a_resume_from_before_the_end_of_the_window_is_in_time():
    play = suspended()
    play.now = 29.999
    assert callbacks(play.resume()) == ["on_transport_restore"]


def test_deadlines_fire_in_their_order_and_each_at_its_own_time():
    """Two windows end while the hub is away; the durations are those of the ends, not of its return."""
    play = MachineDriver()
    for connection_id in ("u1", "u2"):
        play.register(connection_id)
        play.now += 5
        play.do(c.PeerGone(play.transports, reset=True))
    play.now = 1000.0
    effects = play.do(c.Tick())
    assert counted(effects, "connection_closed") == [
        ("connection_closed", "lobby", "u1", 35.0, "grace_expired"),
        ("connection_closed", "lobby", "u2", 35.0, "grace_expired"),
    ]


def test_a_command_behind_a_deadline_happens_at_its_own_time():
    """What was overdue fires at its time; the command that came with it does not, and counts from now."""
    play = suspended()
    play.register("u2")
    play.now = 40.0
    play.do(c.PeerGone(2, reset=True))
    assert play.session("u1") is None
    assert play.due(DeadlineKind.GRACE, owner=2) == 70.0


def test_time_never_goes_back():
    """A command that was stamped before another and queued behind it happens at the later time."""
    play = MachineDriver()
    play.now = 10.0
    play.register()
    play.now = 4.0
    play.do(c.PeerGone(1, reset=True))
    assert play.machine.now == 10.0
    assert play.due(DeadlineKind.GRACE) == 40.0


def test_an_observation_has_no_time_of_its_own():
    """It answers one deadline; others that are due are not its business, so they are not overtaken."""
    machine = Machine(Rules(ping_interval=None))
    machine.handle(c.Register(1, "u1", "lobby"), 0.0)
    machine.handle(c.Register(2, "u2", "lobby"), 0.0)
    machine.handle(c.WriteStalled(1), 0.0)
    machine.handle(c.PeerGone(2, reset=True), 0.0)
    seen = c.Observed(1, DeadlineKind.STALL, False, 0.0, 0.0, False, 0.0)
    assert names(machine.handle(seen, 500.0)) == []
    assert "EndSession" in names(machine.handle(c.Tick(), 500.0))


def test_nothing_happens_between_deadlines():
    play = suspended()
    assert play.do(c.Tick()) == []
    assert play.machine.next_deadline() == 30.0


def test_the_effects_of_one_command_are_not_given_again_with_the_next():
    play = MachineDriver()
    first = play.register()
    assert any(isinstance(effect, e.OpenSession) for effect in first)
    assert play.do(c.Tick()) == []


def test_a_hub_without_sessions_waits_for_nothing():
    play = suspended()
    play.wait(30)
    assert play.machine.next_deadline() is None
    assert len(play.machine.deadlines) == 0
