"""A session leaves one machine and goes on in another: what is known of it goes along, and no more."""

from __future__ import annotations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.moving import DecisionState, ErrorState
from resumehub.errors import HandlerError, HeartbeatTimeout, HubClosed, ResumeHubError, TransportLost
from tests.core.machine_driver import PING, WINDOW, MachineDriver

APART = 500.0
"""Seconds between the clocks of the two machines."""


def handed_over(driver: MachineDriver) -> DecisionState:
    """What is left of u1, and of its transport, once it has gone; no callback and no close frame."""
    effects = driver.do(c.Export("u1", "life 1"))
    [hand_over] = [effect for effect in effects if not isinstance(effect, e.Count)]
    assert isinstance(hand_over, e.HandOver)
    assert driver.state() == "CLOSED"
    assert hand_over.transport not in driver.machine.transports
    assert driver.machine.next_deadline() is None
    return hand_over.decisions


def elsewhere(driver: MachineDriver) -> MachineDriver:
    """Another machine, whose clock is another."""
    other = MachineDriver(ping_interval=PING)
    other.now = driver.now + APART
    other.transports = 41
    return other


def taken_over(driver: MachineDriver, decisions: DecisionState) -> e.TakeOver:
    number = 41 if decisions.connected else None
    effects = driver.do(c.Adopt(7, number, decisions))
    [take_over] = [effect for effect in effects if not isinstance(effect, e.Count)]
    assert isinstance(take_over, e.TakeOver)
    assert (take_over.arrival, take_over.transport) == (7, number)
    return take_over


def test_a_connected_session_goes_on_with_its_deadlines() -> None:
    driver = MachineDriver(ping_interval=PING)
    driver.register()
    driver.wait(PING - 3)
    other = elsewhere(driver)
    taken_over(other, handed_over(driver))
    assert other.state() == "CONNECTED"
    assert other.due(DeadlineKind.PING, 41) == other.now + 3
    assert other.due(DeadlineKind.FIRST_PING, 41) is None, "it is no newcomer here"
    assert other.session().opened_at == other.now - (PING - 3)
    other.do(c.PeerGone(41, reset=True))
    assert other.state() == "SUSPENDED"


def test_a_suspended_session_ends_when_its_window_does() -> None:
    driver = MachineDriver()
    driver.register()
    driver.do(c.PeerGone(1, reset=True))
    driver.wait(WINDOW - 1)
    other = elsewhere(driver)
    taken_over(other, handed_over(driver))
    assert other.state() == "SUSPENDED"
    effects = other.wait(1)
    [end] = [effect for effect in effects if isinstance(effect, e.Notify)]
    assert (end.hook, repr(end.error)) == ("on_disconnect", repr(TransportLost()))


def test_a_resume_is_for_the_life_and_not_for_the_process() -> None:
    """The pre-check saw it in the old process; the registration comes to the new one."""
    driver = MachineDriver()
    driver.register()
    seen = driver.seen()
    other = elsewhere(driver)
    taken_over(other, handed_over(driver))
    other.register(**seen)
    assert other.session().generation == 2


def test_a_report_of_its_old_transport_decides_nothing_here() -> None:
    driver = MachineDriver()
    driver.register()
    handed_over(driver)
    effects = driver.do(c.PeerGone(1, reset=True), c.Released(1), c.HandlerFailed(1, 1, "on_message", None))
    assert {type(effect) for effect in effects} == {e.Ignored}


def test_another_session_of_that_id_stays() -> None:
    driver = MachineDriver()
    driver.register()
    driver.do(c.Kick("u1"))
    driver.register()
    [effect] = driver.do(c.Export("u1", "life 1"))
    assert effect == e.NotMoved("u1", "the session has ended already")
    assert driver.state() == "CONNECTED"


def test_a_transport_that_cannot_be_written_keeps_it_here() -> None:
    driver = MachineDriver()
    driver.register()
    driver.do(c.WriteFailed(1))
    [effect] = driver.do(c.Export("u1", "life 1"))
    assert effect == e.NotMoved("u1", "nothing can be written to its transport any more")


def test_a_hub_that_shuts_down_takes_none() -> None:
    driver = MachineDriver()
    driver.register()
    decisions = handed_over(driver)
    other = elsewhere(driver)
    other.do(c.Shutdown())
    [effect] = other.do(c.Adopt(7, 41, decisions))
    assert effect == e.NotMoved("u1", "the hub is shutting down")


def test_rooms_are_counted_where_they_are() -> None:
    driver = MachineDriver()
    driver.register()
    effects = driver.do(c.Export("u1", "life 1"))
    assert e.Count("room_destroyed", ("lobby",)) in effects
    other = elsewhere(driver)
    [hand_over] = [effect for effect in effects if isinstance(effect, e.HandOver)]
    assert e.Count("room_created", ("lobby",)) in other.do(c.Adopt(7, 41, hand_over.decisions))


def test_a_session_takes_its_rooms_along() -> None:
    driver = MachineDriver()
    driver.register()
    driver.do(c.JoinRoom(1, "u1", "news"))
    driver.do(c.JoinRoom(1, "u1", "sports"))
    driver.do(c.LeaveRoom(1, "news"))
    other = elsewhere(driver)
    decisions = handed_over(driver)
    taken_over(other, decisions)
    assert driver.machine.rooms == {}
    assert other.session().rooms == decisions.rooms == ("lobby", "sports")
    assert other.machine.rooms == {"lobby": 1, "sports": 1}


@pytest.mark.parametrize(
    "error", [TransportLost(4000, "why not"), HeartbeatTimeout(), HandlerError("on_message")], ids=repr
)
def test_an_error_is_the_same_elsewhere(error: ResumeHubError) -> None:
    state = ErrorState.of(error)
    assert state is not None
    assert repr(state.make()) == repr(error)


def test_an_error_that_means_nothing_elsewhere_stays_here() -> None:
    assert ErrorState.of(HubClosed("u1")) is None
    assert ErrorState.of(None) is None
    with pytest.raises(ValueError, match="no error is called 'Unheard'"):
        ErrorState("Unheard").make()


def test_a_parked_session_is_forgotten_and_its_transport_is_closed_with_1012() -> None:
    """No callback runs for it, its id is free, and the close handshake goes on."""
    driver = MachineDriver(ping_interval=PING)
    driver.register()
    session = driver.session()
    assert session is not None
    number, epoch = 1, session.epoch
    effects = [one for one in driver.do(c.Park((epoch,))) if not isinstance(one, e.Count)]
    assert effects == [
        e.DetachTransport(number, epoch),
        e.SendClose(number, 1012, "service restart", False),
        e.GoneElsewhere(epoch, None),
    ]
    assert driver.state() == "CLOSED"
    assert driver.do(c.PeerClosed(number, 1012, "service restart"))
    assert e.AbortTransport(number) in driver.do(c.CloseSent(number))
    driver.do(c.Shutdown())
    assert e.Finish() in driver.do(c.Released(number))


def test_a_parked_session_that_is_suspended_is_just_forgotten() -> None:
    """Its window does not end here."""
    driver = MachineDriver(ping_interval=PING)
    driver.register()
    driver.do(c.PeerGone(1, reset=True))
    driver.do(c.Released(1))
    session = driver.session()
    assert session is not None
    effects = driver.do(c.Park((session.epoch,)))
    assert [one for one in effects if not isinstance(one, e.Count)] == [e.GoneElsewhere(session.epoch, None)]
    assert driver.machine.next_deadline() is None
    assert driver.do(c.Park((session.epoch,))) == []
