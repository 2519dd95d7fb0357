"""A hub on a ``FreezegunClock``: its deadlines, its metrics and its messages in frozen time."""

from __future__ import annotations

from datetime import datetime

import pytest
from freezegun import freeze_time

from resumehub import NoopMetrics
from resumehub.testing import FreezegunClock
from tests.support import PATIENCE, Call, read

NOON = datetime(2024, 5, 17, 12, 0, 0)


class Dates(NoopMetrics):
    """Asks for the date on the hub thread, as a collector with time stamps would."""

    def __init__(self) -> None:
        self.closed: list[tuple[str, datetime]] = []

    def connection_closed(self, room_id: str, connection_id: str, duration: float, reason: str) -> None:
        self.closed.append((reason, datetime.now()))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_grace_window_ends_when_freezegun_says_so(stage, when: str) -> None:
    """Whether time was frozen before or after the session began."""
    dates = Dates()
    freeze = freeze_time(NOON)
    frozen = freeze.start() if when == "before" else None
    try:
        s = stage(clock=FreezegunClock(), metrics=dates, resume_window=3600, ping_interval=None)
        ws = s.open()
        frozen = frozen or freeze.start()
        s.drop(ws)
        frozen.tick(3500)
        assert s.hub.get("u1") is not None
        frozen.tick(200)
        assert s.hub.get("u1") is None
        ((reason, at),) = dates.closed
        assert reason == "grace_expired"
        assert (at - NOON).total_seconds() == pytest.approx(3600, abs=60)
    finally:
        freeze.stop()


def test_a_heartbeat_follows_freezegun(stage) -> None:
    with freeze_time(NOON) as frozen:
        s = stage(clock=FreezegunClock(), ping_interval=20, write_timeout=10)
        ws = s.open()
        for count, seconds in ((1, 10), (2, 20), (3, 20)):  # a newcomer that says nothing is pinged early
            frozen.tick(seconds)
            assert ws.wait_for_ping(count, PATIENCE)
            ws.ping()  # when that is answered, the hub has heard the answer to its own
            assert ws.wait_for_pong(count, PATIENCE)


def test_a_collector_may_ask_for_the_date_while_time_ticks_with_each_look(stage) -> None:
    """It does so on the hub thread, which must not wait for itself to handle the step."""
    with freeze_time(NOON, auto_tick_seconds=1):
        dates = Dates()
        s = stage(clock=FreezegunClock(), metrics=dates, ping_interval=None)
        s.open()
        Call(lambda: s.hub.kick("u1")).result()
        assert [reason for reason, _ in dates.closed] == ["kick"]


def test_a_message_is_heard_in_frozen_time(stage) -> None:
    """Nothing but deadlines goes by the clock."""
    with freeze_time(NOON):
        s = stage(clock=FreezegunClock())
        ws = s.open()
        s.say("u1", "hello")
        assert read(ws) == ("n", "hello")
