"""``FreezegunClock``: a test that ticks freezegun's time ticks the hub's deadlines with it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import api, freeze_time

from resumehub.testing import FreezegunClock
from tests.support import Call
from tests.testing.fake_timeline import Agenda

NOON = datetime(2024, 5, 17, 12, 0, 0)


def seconds_after(start: datetime, agenda: Agenda) -> list[tuple[float, float]]:
    """Each deadline with what datetime.now() said when it fired, in seconds from ``start``."""
    return [(due, (now - start).total_seconds()) for _, due, _, now in agenda.log]


# -- moving frozen time ------------------------------------------------------------------------


def test_a_tick_fires_each_deadline_at_its_own_time() -> None:
    """A handler that asks for the date is told the date at which its deadline was due."""
    with freeze_time(NOON) as frozen:
        clock = FreezegunClock()
        agenda = Agenda(clock, 30, 10, 20.5)
        frozen.tick(timedelta(seconds=60))
        assert seconds_after(NOON, agenda) == [(10, 10), (20.5, 20.5), (30, 30)]
        assert agenda.times() == [(10, 10), (20.5, 20.5), (30, 30)]
        assert datetime.now() == NOON + timedelta(seconds=60)
        assert clock.monotonic() == 60


@pytest.mark.parametrize(
    "target",
    [NOON + timedelta(seconds=60), "2024-05-17 12:01:00", (NOON + timedelta(seconds=60)).replace(tzinfo=UTC)],
    ids=["a datetime", "a string", "a datetime with a time zone"],
)
def test_move_to_does_the_same(target: Any) -> None:
    with freeze_time(NOON) as frozen:
        agenda = Agenda(FreezegunClock(), 10, 30)
        frozen.move_to(target)
        assert seconds_after(NOON, agenda) == [(10, 10), (30, 30)]
        assert datetime.now() == NOON + timedelta(seconds=60)


@pytest.mark.parametrize("delta", [30, 30.0, timedelta(seconds=30)], ids=["an int", "a float", "a timedelta"])
def test_a_deadline_at_the_very_end_fires_and_one_beyond_it_does_not(delta: Any) -> None:
    with freeze_time(NOON) as frozen:
        agenda = Agenda(FreezegunClock(), 30, 30.001)
        frozen.tick(delta)
        assert seconds_after(NOON, agenda) == [(30, 30)]


@pytest.mark.parametrize("microsecond", [0, 1, 123_457, 999_999])
def test_fractions_of_a_second_do_not_get_in_the_way(microsecond: int) -> None:
    """Whatever the time of day: 30 seconds later is when a deadline of 30 seconds is due."""
    start = NOON.replace(microsecond=microsecond)
    with freeze_time(start) as frozen:
        clock = FreezegunClock()
        frozen.tick(0.1)
        begun = clock.monotonic()
        agenda = Agenda(clock, begun + 29.999_999, begun + 30, begun + 30.000_001)
        frozen.tick(30)
        assert [due - begun for due, _ in agenda.times()] == pytest.approx([29.999_999, 30])


def test_a_deadline_between_two_microseconds_fires_at_the_nearest() -> None:
    """A date has no more than microseconds; the clock says the deadline's own time all the same."""
    with freeze_time(NOON) as frozen:
        clock = FreezegunClock()
        agenda = Agenda(clock, 1 / 3, 2 / 3, 1 + 1e-10)
        frozen.tick(0.5)
        frozen.tick(0.166_667)
        frozen.tick(0.333_333)
        assert agenda.times() == [(1 / 3, 1 / 3), (2 / 3, pytest.approx(2 / 3)), (1 + 1e-10, 1 + 1e-10)]
        assert seconds_after(NOON, agenda) == [(1 / 3, 0.333_333), (2 / 3, 0.666_667), (1 + 1e-10, 1)]
        assert clock.monotonic() == 1 + 1e-10


def test_many_small_ticks_are_one_large_one() -> None:
    with freeze_time(NOON) as frozen:
        agenda = Agenda(FreezegunClock(), 1, 2)
        for _ in range(10):
            frozen.tick(0.1)
        assert seconds_after(NOON, agenda) == [(1, 1)]


def test_a_deadline_that_another_one_sets_fires_in_the_same_tick() -> None:
    class Heart(Agenda):
        def fired(self, due: float) -> None:
            self.deadlines += [due + 20] if due < 80 else []

    with freeze_time(NOON) as frozen:
        heart = Heart(FreezegunClock(), 20)
        frozen.tick(65)
        assert seconds_after(NOON, heart) == [(20, 20), (40, 40), (60, 60)]


def test_two_clocks_are_stepped_together() -> None:
    """A hub and, say, a second one of another test fixture: one frozen time, one order."""
    with freeze_time(NOON) as frozen:
        log: list[tuple] = []
        a = Agenda(FreezegunClock(), 1, 4, 5, name="a", log=log)
        b = Agenda(FreezegunClock(), 2, 3, 5, name="b", log=log)
        frozen.tick(10)
        assert a.deadlines == b.deadlines == []
        assert [name + str(due) for name, due, *_ in log] == ["a1", "b2", "b3", "a4", "a5", "b5"]


def test_nobody_sees_the_time_jump_ahead_and_back() -> None:
    """While a tick goes from deadline to deadline other threads read the time, too."""
    seen: list[datetime] = []

    class Watched(api.FrozenDateTimeFactory):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if self is frozen and name == "time_to_freeze":
                seen.append(value)

    with freeze_time(NOON) as frozen:
        frozen.__class__ = Watched
        agenda = Agenda(FreezegunClock(), 10, 20)
        frozen.tick(30)
        assert len(agenda.log) == 2
        frozen.move_to(NOON + timedelta(seconds=60))
        assert seen == sorted(seen)
        assert seen[-1] == NOON + timedelta(seconds=60)


def test_threads_that_tick_at_the_same_time_tick_one_after_the_other() -> None:
    """A handler that ticks while the test does: no second is lost between them."""
    ticks: list[Call] = []

    class Ticking(Agenda):
        def fired(self, due: float) -> None:
            ticks.append(Call(lambda: frozen.tick(1)))

    with freeze_time(NOON) as frozen:
        clock = FreezegunClock()
        agenda = Ticking(clock, *range(1, 51))
        frozen.tick(100)
        for tick in ticks:
            tick.result()
        assert len(agenda.log) == 50
        assert clock.monotonic() == 150
        assert datetime.now() == NOON + timedelta(seconds=150)


# -- back --------------------------------------------------------------------------------------


def test_time_never_goes_back_here() -> None:
    with freeze_time(NOON) as frozen:
        clock = FreezegunClock()
        agenda = Agenda(clock, 15)
        frozen.tick(10)
        frozen.move_to(NOON - timedelta(days=1))
        assert clock.monotonic() == 10
        assert datetime.now() == NOON - timedelta(days=1)
        assert agenda.log == []


def test_after_a_move_back_time_goes_on_from_there() -> None:
    """The calendar was set back; the seconds that pass from then on pass for the hub as well."""
    with freeze_time(NOON) as frozen:
        clock = FreezegunClock()
        frozen.tick(10)
        frozen.move_to(NOON - timedelta(days=1))
        agenda = Agenda(clock, 15)
        frozen.tick(5)
        assert clock.monotonic() == 15
        assert seconds_after(NOON - timedelta(days=1), agenda) == [(15, 5)]


# -- freezes that begin and end ----------------------------------------------------------------


def test_without_a_freeze_it_runs_like_any_clock() -> None:
    clock = FreezegunClock()
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)
    assert 0 <= readings[0] <= readings[-1] < 60
    assert clock.real_wait(None) is None
    assert clock.real_wait(-1) == 0
    assert 0 < clock.real_wait(1e6) < 60


def test_a_freeze_far_away_costs_no_time() -> None:
    """Neither where it begins nor where it ends."""
    clock = FreezegunClock()
    before = clock.monotonic()
    with freeze_time("1984-01-01") as frozen:
        assert 0 <= clock.monotonic() - before < 60
        began = clock.monotonic()
        frozen.tick(3600)
        assert clock.monotonic() - began == pytest.approx(3600)
    assert clock.monotonic() - before == pytest.approx(3600, abs=60)


def test_a_tick_right_after_the_freeze_began_counts() -> None:
    """The clock need not have been looked at in between."""
    clock = FreezegunClock()
    agenda = Agenda(clock, clock.monotonic() + 1000)
    with freeze_time(NOON) as frozen:
        frozen.tick(2000)
        ((_, _, at, now),) = agenda.log
        assert at == pytest.approx(1000, abs=60)
        assert (now - NOON).total_seconds() == pytest.approx(1000, abs=60)


def test_a_freeze_within_a_freeze_costs_no_time_and_ticks_count() -> None:
    with freeze_time(NOON) as outer:
        clock = FreezegunClock()
        agenda = Agenda(clock, 10, 20, 30)
        outer.tick(5)
        with freeze_time("1999-12-31") as inner:
            assert clock.monotonic() == 5
            inner.tick(10)
            assert clock.monotonic() == 15
            outer.tick(100)  # nobody's time while the inner one is on
            assert clock.monotonic() == 15
        assert clock.monotonic() == 15
        outer.tick(10)
        assert clock.monotonic() == 25
        assert agenda.times() == [(10, 10), (20, 20)]


def test_a_freeze_may_end_while_the_time_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub reads the time on a thread of its own, whatever the test does meanwhile."""

    class Vanishing(list):
        """Empty as soon as somebody has seen that it is not."""

        def __len__(self) -> int:
            self.clear()
            return 1

    clock = FreezegunClock()
    monkeypatch.setattr(api, "freeze_factories", Vanishing([api.FrozenDateTimeFactory(NOON)]))
    assert clock.monotonic() < 60


def test_a_clock_that_is_gone_is_not_stepped() -> None:
    with freeze_time(NOON) as frozen:
        clock = FreezegunClock()
        agenda = Agenda(clock, 5)
        clock.unfollow(agenda)
        clock.unfollow(agenda)
        frozen.tick(10)
        assert agenda.log == []


# -- freezes that tick by themselves -----------------------------------------------------------


def test_time_that_ticks_by_itself_can_be_ticked_as_well() -> None:
    with freeze_time(NOON, tick=True) as frozen:
        clock = FreezegunClock()
        agenda = Agenda(clock, 1000)
        frozen.tick(2000)
        assert [due for due, _ in agenda.times()] == [1000]
        assert clock.monotonic() == pytest.approx(2000, abs=60)


def test_a_hub_notices_time_that_ticks_by_itself() -> None:
    """It has to look, since nobody tells it."""
    with freeze_time(NOON, tick=True):
        clock = FreezegunClock()
        assert clock.real_wait(clock.monotonic() + 3600) <= 0.1
        first = clock.monotonic()
        while clock.monotonic() == first:
            pass


def test_automatic_ticks_count() -> None:
    """Each look at the date is a step, and looking at the clock is none."""
    with freeze_time(NOON, auto_tick_seconds=15) as frozen:
        clock = FreezegunClock()
        before = clock.monotonic()
        assert clock.monotonic() == before
        datetime.now()
        datetime.now()
        assert clock.monotonic() == before + 30
        agenda = Agenda(clock, before + 100)
        frozen.tick(200)
        assert [due for due, _ in agenda.times()] == [before + 100]


def test_without_freezegun_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "freezegun", None)
    with pytest.raises(ImportError, match=r"resumehub\[testing\]"):
        FreezegunClock()
