"""``FakeClock``: time passes when a test says so, and every deadline in it fires at its own time."""

from __future__ import annotations

import math
import sys
import threading

import pytest

from resumehub import Connection, HeartbeatTimeout, Hub, Message, NoopMetrics
from resumehub.testing import FakeClock, connect
from tests.support import PATIENCE, Call, from_query, read, text
from tests.testing.fake_timeline import Agenda


class Closings(NoopMetrics):
    """Notes which sessions have ended, how long they lived and when that was; on the hub thread."""

    def __init__(self, clock: FakeClock, log: list[tuple]) -> None:
        self._clock = clock
        self._log = log

    def connection_closed(self, room_id: str, connection_id: str, duration: float, reason: str) -> None:
        self._log.append((connection_id, duration, self._clock.monotonic(), reason))


# -- the clock itself --------------------------------------------------------------------------


def test_it_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(start=100)
    assert [clock.monotonic(), clock.monotonic()] == [100.0, 100.0]
    clock.advance(2.5)
    assert clock.monotonic() == 102.5


@pytest.mark.parametrize("seconds", [-1, -0.001, math.inf, -math.inf, math.nan])
def test_it_cannot_be_moved_back_or_for_ever(seconds: float) -> None:
    clock = FakeClock()
    with pytest.raises(ValueError, match="0 or more seconds"):
        clock.advance(seconds)
    assert clock.monotonic() == 0.0


def test_a_hub_on_it_sleeps_until_it_is_woken() -> None:
    """However near the deadline is: real time means nothing here."""
    assert FakeClock().real_wait(0.0) is None
    assert FakeClock().real_wait(None) is None


# -- stepping ----------------------------------------------------------------------------------


def test_each_deadline_fires_at_its_own_time() -> None:
    """And not all of them at the end, however far the clock is moved at once."""
    clock = FakeClock()
    agenda = Agenda(clock, 30, 5, 10.5)
    clock.advance(100)
    assert agenda.times() == [(5, 5.0), (10.5, 10.5), (30, 30.0)]
    assert clock.monotonic() == 100.0


def test_a_deadline_at_the_very_end_fires_and_one_beyond_it_does_not() -> None:
    clock = FakeClock()
    agenda = Agenda(clock, 10, 10.001)
    clock.advance(10)
    assert agenda.times() == [(10, 10.0)]


def test_what_is_due_already_fires_without_time_passing() -> None:
    clock = FakeClock(start=7)
    agenda = Agenda(clock, 7)
    clock.advance(0)
    assert agenda.times() == [(7, 7.0)]


def test_a_deadline_that_another_one_sets_fires_in_the_same_move() -> None:
    """A heartbeat: each beat sets the next."""

    class Heart(Agenda):
        def fired(self, due: float) -> None:
            self.deadlines += [due + 20] if due < 80 else []

    clock = FakeClock()
    heart = Heart(clock, 20)
    clock.advance(65)
    assert heart.times() == [(20, 20.0), (40, 40.0), (60, 60.0)]


def test_the_deadlines_of_several_hubs_fire_in_the_order_of_time() -> None:
    clock = FakeClock()
    log: list[tuple] = []
    Agenda(clock, 1, 4, 5, name="a", log=log)
    Agenda(clock, 2, 3, 5, name="b", log=log)
    clock.advance(10)
    assert [name + str(due) for name, due, *_ in log] == ["a1", "b2", "b3", "a4", "a5", "b5"]
    assert all(due == at for _, due, at, _ in log)


def test_many_small_steps_are_one_large_one() -> None:
    """Ten times a tenth of a second is a second, whatever binary fractions make of it."""
    clock = FakeClock()
    agenda = Agenda(clock, 1, 2)
    for _ in range(10):
        clock.advance(0.1)
    assert [due for due, _ in agenda.times()] == [1]
    before = clock.monotonic()
    clock.advance(0)
    assert clock.monotonic() >= before


def test_a_timeline_that_has_left_is_left_alone() -> None:
    clock = FakeClock()
    agenda = Agenda(clock, 5)
    clock.unfollow(agenda)
    clock.unfollow(agenda)
    clock.advance(10)
    assert agenda.log == []


def test_a_timeline_may_leave_while_it_is_stepped() -> None:
    """As a hub does whose last session expires while it is shutting down."""

    class Leaving(Agenda):
        def fired(self, due: float) -> None:
            clock.unfollow(self)

    clock = FakeClock()
    leaving, staying = Leaving(clock, 1, 2), Agenda(clock, 3)
    clock.advance(10)
    assert leaving.times() == [(1, 1.0)]
    assert staying.times() == [(3, 3.0)]


def test_threads_that_move_it_move_it_one_after_the_other() -> None:
    """No second is lost between them, and no deadline fires twice."""
    clock = FakeClock()
    agenda = Agenda(clock, *range(1, 201))

    def move() -> None:
        for _ in range(50):
            clock.advance(1)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for moving in [Call(move) for _ in range(4)]:
            moving.result()
    finally:
        sys.setswitchinterval(interval)
    assert agenda.times() == [(at, float(at)) for at in range(1, 201)]


# -- hubs --------------------------------------------------------------------------------------


def test_a_whole_life_passes_in_one_move() -> None:
    """A silent client: pinged at 10, given up at 20, its session expired at 50, nobody waiting."""
    clock, log = FakeClock(), []
    drops: list[tuple] = []
    hub = Hub(from_query, clock=clock, metrics=Closings(clock, log))
    dropped = threading.Event()

    @hub.on_transport_drop
    def drop(connection: Connection, error: Exception | None) -> None:
        drops.append((connection.id, type(error)))
        dropped.set()

    with hub, connect(hub, "/?id=u1"):
        clock.advance(1000)
        assert log == [("u1", 50.0, 50.0, "grace_expired")]
        assert dropped.wait(PATIENCE)
    assert drops == [("u1", HeartbeatTimeout)]


def test_hubs_that_share_a_clock_are_stepped_together() -> None:
    """The shorter grace window ends first, although its hub came second."""
    clock, log = FakeClock(), []
    with (
        Hub(
            from_query, clock=clock, resume_window=50, ping_interval=None, metrics=Closings(clock, log)
        ) as slow,
        Hub(
            from_query, clock=clock, resume_window=5, ping_interval=None, metrics=Closings(clock, log)
        ) as quick,
    ):
        for hub, name in ((slow, "slow"), (quick, "quick")):
            gone = threading.Event()
            hub.on_transport_drop(lambda connection, error, gone=gone: gone.set())
            connect(hub, f"/?id={name}").drop()
            assert gone.wait(PATIENCE)
        clock.advance(50)
    assert log == [("quick", 5.0, 5.0, "grace_expired"), ("slow", 50.0, 50.0, "grace_expired")]


def test_what_was_queued_is_handled_before_time_moves_on(stage) -> None:
    """A session whose drop the hub has only just been told of is not an hour older for it."""
    s = stage(resume_window=30)
    for name in ("u1", "u2"):
        s.open(name)
        s.hub.cut(name)
    s.clock.advance(29)
    assert all(s.hub.get(name) for name in ("u1", "u2"))
    s.clock.advance(1)
    assert not any(s.hub.get(name) for name in ("u1", "u2"))


def test_a_callback_may_move_the_clock(stage) -> None:
    """A handler under test that waits for nothing but time."""
    s = stage(resume_window=30)
    s.drop(s.open("absent"), "absent")

    @s.hub.on_message
    def wait(connection: Connection, message: Message) -> None:
        s.clock.advance(message.payload)
        connection.send(Message("waited", s.hub.get("absent") is None))

    ws = s.open("u1")
    ws.send(text("", 29))
    assert read(ws) == ("waited", False)
    ws.send(text("", 1))
    assert read(ws) == ("waited", True)


def test_a_closed_hub_no_longer_holds_the_clock_up() -> None:
    clock = FakeClock()
    hub = Hub(from_query, clock=clock)
    connect(hub, "/?id=u1").sock.close()
    assert hub.close(PATIENCE).complete
    clock.advance(1000)
    assert clock.monotonic() == 1000.0
