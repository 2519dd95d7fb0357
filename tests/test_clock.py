"""The system's clock: the real one, also where a test has frozen the date."""

from __future__ import annotations

import time

import pytest
from freezegun import freeze_time

from resumehub import SystemClock
from tests.support import PATIENCE, Recorder, from_query
from tests.testing.fake_timeline import Agenda


def test_time_goes_on_and_never_back() -> None:
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(1000)]
    assert readings == sorted(readings)
    while clock.monotonic() == readings[0]:
        pass  # it does move


def test_all_clocks_of_a_process_agree() -> None:
    """A deadline may be measured by one and waited for by another."""
    first = SystemClock().monotonic()
    second = SystemClock().monotonic()
    assert 0 <= second - first < PATIENCE
    assert isinstance(first, float)


def test_a_hub_waits_as_long_as_it_is_to_the_deadline() -> None:
    clock = SystemClock()
    assert clock.real_wait(None) is None
    assert clock.real_wait(clock.monotonic() - 5) == 0.0
    assert 3600 - PATIENCE < clock.real_wait(clock.monotonic() + 3600) <= 3600


@pytest.mark.parametrize("tick", [False, True], ids=["frozen", "ticking"])
def test_it_ignores_freezegun(tick: bool) -> None:
    """Deadlines must not stand still, or all fire at once, because a test looks at the calendar."""
    clock = SystemClock()
    before = clock.monotonic()
    with freeze_time("1999-12-31 23:59:59", tick=tick) as frozen:
        assert 0 <= clock.monotonic() - before < PATIENCE
        frozen.tick(1e6)
        frozen.move_to("2042-01-01")
        assert 0 <= clock.monotonic() - before < PATIENCE
        first = clock.monotonic()
        while clock.monotonic() == first:
            pass  # nor does it stand still
        assert SystemClock().monotonic() >= first
    assert 0 <= clock.monotonic() - before < PATIENCE


def test_it_steps_nobody() -> None:
    """Real time needs no help."""
    clock = SystemClock()
    agenda = Agenda(clock, clock.monotonic() - 1)
    clock.unfollow(agenda)
    assert agenda.log == []


def test_a_hub_on_it_works_while_the_date_is_frozen(stage) -> None:
    """Its deadlines are real: a session with a tiny grace window expires."""
    with freeze_time("1999-12-31"):
        s = stage(from_query, clock=SystemClock(), resume_window=0.01)
        s.open().drop()
        assert isinstance(s.recorder, Recorder)
        s.recorder.wait_for("disconnect")
        assert time.time() == 946598400.0
