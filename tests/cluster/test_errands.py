"""The member's second thread: each errand ends with an event, and a line that says why and how long."""

from __future__ import annotations

import logging
import os
from types import SimpleNamespace
from typing import Any

import pytest

from resumehub import Counters
from resumehub.cluster.errands import AdoptErrand, Errands, MoveErrand, ParkErrand
from resumehub.cluster.folder import Folder
from resumehub.cluster.hub_news import HubNews
from resumehub.cluster.movers import Adopted, Carriage
from resumehub.core.cluster.membership import MemberEvent
from resumehub.runtime.system import SystemRuntime


class Carrier:
    """Moves, parks and adopts as the test says: a Carriage, or an exception to raise."""

    is_needed = False

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)

    def _next(self) -> Carriage:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        assert isinstance(outcome, Carriage)
        return outcome

    def move(self, link: Any, hub_life: str, until: float) -> Carriage:
        return self._next()

    def park(self, folder: Folder, until: float) -> Carriage:
        return self._next()

    def adopt(self, folder: Folder) -> Carriage:
        return self._next()

    def go(self) -> Adopted:
        return Adopted()

    def drop(self) -> None: ...


LINK: Any = SimpleNamespace(peer=SimpleNamespace(pid=77))
MOVE = MoveErrand(LINK, "life", 0.0, "the worker that held it is told to stop")


HERE = os.getpid()


def run(
    carrier: Carrier,
    *errands: Any,
    may_try_again: bool = False,
    counters: Counters | None = None,
    news: HubNews | None = None,
) -> list[MemberEvent]:
    told: list[MemberEvent] = []
    counters = counters or Counters()

    def post(event: MemberEvent) -> None:
        told.append(event)
        if len(told) == len(errands):
            found.end()

    folder = Folder("/var/lib/chat")
    news = news or HubNews(folder.path, lambda method, *arguments: getattr(counters, method)(*arguments))
    found = Errands(carrier, carrier, folder, SystemRuntime(), news, post, lambda: may_try_again)
    for errand in errands:
        found.send_on(errand)
    found.run()
    return told


def test_a_move_says_whence_where_to_why_and_how_long(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    counters = Counters()
    done = Carriage(moved=5, carried=2, ended=1, release=0.25, freeze=0.125)

    assert run(Carrier(done), MOVE, counters=counters) == [MemberEvent.MOVED]
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert f"from process {HERE} to 77 in " in caplog.text
    assert "(release 0.250 s, freeze 0.125 s)" in caplog.text
    assert "because the worker that held it is told to stop: 5 sessions, of which 2 have" in caplog.text
    assert "; 1 ended" in caplog.text
    sums = counters.snapshot()
    assert (sums["hub_moves_out"], sums["sessions_carried"]) == (1, 2)
    assert (sums["hub_release_seconds"], sums["hub_freeze_seconds"]) == (0.25, 0.125)


def test_a_move_that_fails_leaves_the_hub_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters()

    assert run(Carrier(Carriage(why="the link has ended")), MOVE, counters=counters) == [MemberEvent.STAYED]
    assert f"stays in process {HERE}" in caplog.text
    assert "the link has ended" in caplog.text
    assert (counters.snapshot()["hub_moves_failed"], counters.snapshot()["hub_moves_out"]) == (1, 0)


def test_a_move_that_fails_again_and_again_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """It is tried twice a second. Another reason is told at once."""
    full, gone = Carriage(why="it has no room"), Carriage(why="the link has ended")
    run(Carrier(full, full, full, gone), MOVE, MOVE, MOVE, MOVE)

    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [("no room" in line, "has ended" in line) for line in warned] == [(True, False), (False, True)]


def test_the_second_move_within_a_minute_is_warned_of_with_both_causes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run(Carrier(Carriage(), Carriage()), MOVE, MOVE)

    assert "has moved 2 times within a minute: the worker" in caplog.text


def test_the_moves_before_are_known_in_the_next_process(caplog: pytest.LogCaptureFixture) -> None:
    """Each process gives it away once, and yet it moves from one to the next."""
    first, second, third = (HubNews("/var/lib/chat", lambda *_: None) for _ in range(3))
    first.moves("a request holds the worker")
    second.adopt(first.export())
    assert "within a minute" not in caplog.text
    run(Carrier(Carriage()), MOVE, news=second)
    assert "has moved 2 times within a minute: a request holds the worker; the worker that" in caplog.text
    second.moves("it is told to stop")
    third.adopt(second.export())
    run(Carrier(Carriage()), MOVE, news=third)
    assert "has moved 4 times within a minute" in caplog.text


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'[["a", "b"]]', b'[[1.0, "b", 2]]', b"\xff"])
def test_damaged_times_of_moves_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        HubNews("/var/lib/chat", lambda *_: None).adopt(data)


def test_a_parking_and_one_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Of one that fails the line is an ERROR, and says that sessions end."""
    caplog.set_level(logging.INFO)
    counters = Counters()
    order = ParkErrand(0.0, "the program ends")
    run(Carrier(Carriage(parked=3, ended=1)), order, counters=counters)
    run(Carrier(Carriage(ended=4, why="the disk is full")), order, counters=counters)

    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]
    parked, failed = (record.getMessage() for record in caplog.records)
    assert "3 sessions parked, 1 ended" in parked
    assert "could not be parked: the disk is full; 4 sessions end" in failed
    assert counters.snapshot()["sessions_parked"] == 3


def test_a_hub_that_comes_says_whence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    counters = Counters()
    news = HubNews("/var/lib/chat", lambda method, *arguments: getattr(counters, method)(*arguments))
    news.taken(Carriage(parked=3, ended=1), 0.5, 66)
    news.moved_in(Adopted(5, 77, 0.25))

    taken, moved = (record.getMessage() for record in caplog.records)
    assert f"process {HERE} holds the hub of /var/lib/chat now" in taken
    assert "which no process held after process 66; 3 parked sessions go on, and 1 have ended" in taken
    assert "come from process 77 with 5 sessions; adoption took 0.250 s" in moved
    sums = counters.snapshot()
    assert (sums["hub_takeovers"], sums["hub_takeover_seconds"]) == (1, 0.5)
    assert (sums["sessions_adopted"], sums["sessions_not_adopted"]) == (3, 1)
    assert (sums["hub_moves_in"], sums["hub_adoption_seconds"]) == (1, 0.25)


def test_what_raises_ends_as_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    carrier = Carrier(ValueError(), ValueError())

    assert run(carrier, MOVE, ParkErrand(0.0, "")) == [MemberEvent.STAYED, MemberEvent.PARKED]
    assert caplog.text.count("please report this") == 2


def test_a_hub_that_could_not_start_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    """Without a thread it would listen, and serve nobody."""
    carrier = Carrier(RuntimeError("can't start new thread"), Carriage())

    assert run(carrier, AdoptErrand(), may_try_again=True) == [MemberEvent.ADOPTED]
