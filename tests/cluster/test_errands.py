"""The member's second thread: each errand ends with an event, and a line that says why and how long."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from resumehub.cluster.errands import AdoptErrand, Errands, MoveErrand, ParkErrand
from resumehub.cluster.folder import Folder
from resumehub.cluster.movers import Carriage
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

    def go(self) -> None: ...
    def drop(self) -> None: ...


LINK: Any = SimpleNamespace(peer=SimpleNamespace(pid=77))
MOVE = MoveErrand(LINK, "life", 0.0, "the worker that held it is told to stop")


def run(carrier: Carrier, *errands: Any, may_try_again: bool = False) -> list[MemberEvent]:
    told: list[MemberEvent] = []

    def post(event: MemberEvent) -> None:
        told.append(event)
        if len(told) == len(errands):
            found.end()

    folder = Folder("/var/lib/chat")
    found = Errands(carrier, carrier, folder, SystemRuntime(), 66, post, lambda: may_try_again)
    for errand in errands:
        found.send_on(errand)
    found.run()
    return told


def test_a_move_says_whence_where_to_why_and_how_long(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    assert run(Carrier(Carriage(moved=5, carried=2)), MOVE) == [MemberEvent.MOVED]
    assert "from process 66 to 77 in 0.0" in caplog.text
    assert "because the worker that held it is told to stop: 5 sessions" in caplog.text


def test_a_move_that_fails_leaves_the_hub_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    assert run(Carrier(Carriage(why="the link has ended")), MOVE) == [MemberEvent.STAYED]
    assert "stays in process 66" in caplog.text
    assert "the link has ended" in caplog.text


def test_the_second_move_within_a_minute_is_warned_of_with_both_causes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run(Carrier(Carriage(), Carriage()), MOVE, MOVE)

    assert "has left this process 2 times within a minute: the worker" in caplog.text


def test_what_raises_ends_as_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    carrier = Carrier(ValueError(), ValueError())

    assert run(carrier, MOVE, ParkErrand(0.0, "")) == [MemberEvent.STAYED, MemberEvent.PARKED]
    assert caplog.text.count("please report this") == 2


def test_a_hub_that_could_not_start_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    """Without a thread it would listen, and serve nobody."""
    carrier = Carrier(RuntimeError("can't start new thread"), Carriage())

    assert run(carrier, AdoptErrand(), may_try_again=True) == [MemberEvent.ADOPTED]
