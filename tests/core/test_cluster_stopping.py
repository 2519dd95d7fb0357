"""Where a hub goes, and what a process does that is told to stop."""

from __future__ import annotations

from typing import Any

import pytest

from resumehub.core.cluster.stopping import (
    Candidate,
    Kind,
    MoveRate,
    StopPlan,
    Surroundings,
    better_kind,
    choose_target,
    plan_stop,
)


def candidate(number: int, kind: Kind = Kind.THREADS, **but: Any) -> Candidate:
    values: dict[str, Any] = {"master": 7, "master_started": 1.0, "started": float(number), "room": 100}
    return Candidate(number, kind, **{**values, **but})


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([], None),
        ([candidate(1), candidate(2)], 2),
        ([candidate(1), candidate(2, Kind.SYNC)], 1),
        ([candidate(1), candidate(2, Kind.SYNC), candidate(3, Kind.HUB_ALONE)], 3),
        ([candidate(1, master_started=2.0), candidate(2)], 1),
        ([candidate(1), candidate(2, ready=False)], 1),
        ([candidate(1), candidate(2, room=49)], 1),
        ([candidate(1, room=0)], None),
        ([candidate(1, master=8), candidate(2, master=9)], 1),
    ],
    ids=[
        "nobody",
        "the youngest",
        "threads before youth",
        "a process for the hub alone first",
        "the youngest server before the youngest process",
        "not one that is not ready",
        "not one without room for all",
        "nobody has room",
        "not one whose server stops",
    ],
)
def test_the_hub_goes_to(candidates: list[Candidate], chosen: int | None) -> None:
    found = choose_target(candidates, 50, stopping_master=9)

    assert (found.number if found is not None else None) == chosen


def test_a_hub_moves_to_a_better_kind_and_never_to_a_younger_one() -> None:
    assert better_kind(Kind.THREADS, [candidate(9)], 0) is None
    found = better_kind(Kind.SYNC, [candidate(1), candidate(2, Kind.SYNC)], 0)
    assert found is not None
    assert found.number == 1


NOW: dict[str, Any] = {
    "since": 0.1,
    "until": 28.0,
    "time_to_park": 3.0,
    "sessions": 10,
    "target": False,
    "around": Surroundings(full_stop=False, coming=0),
}


@pytest.mark.parametrize(
    ("but", "verdict"),
    [
        ({"sessions": 0}, StopPlan.LEAVE),
        ({"target": True}, StopPlan.MOVE),
        ({"target": True, "around": Surroundings(full_stop=True, coming=0)}, StopPlan.MOVE),
        ({"around": Surroundings(full_stop=True, coming=0)}, StopPlan.PARK),
        ({"around": Surroundings(full_stop=True, coming=0), "here_for": 0.9}, StopPlan.WAIT),
        ({"around": Surroundings(full_stop=True, coming=None)}, StopPlan.PARK),
        ({"around": Surroundings(full_stop=False, coming=1), "since": 20.0, "until": 8.0}, StopPlan.WAIT),
        ({"around": Surroundings(full_stop=True, coming=1)}, StopPlan.WAIT),
        ({"around": Surroundings(full_stop=False, coming=1), "since": 25.1, "until": 2.9}, StopPlan.PARK),
        ({"target": True, "since": 25.1, "until": 2.9}, StopPlan.PARK),
        ({"target": True, "since": 25.1, "until": 2.9, "sessions": 0}, StopPlan.LEAVE),
        ({}, StopPlan.WAIT),
        ({"since": 5.0, "until": 23.0, "alone_for": 1.1}, StopPlan.PARK),
        ({"since": 5.0, "until": 23.0, "alone_for": 0.9}, StopPlan.WAIT),
        ({"since": 5.0, "until": 23.0, "alone_for": 1.1, "leaving": 1}, StopPlan.WAIT),
        ({"leaving": 1, "around": Surroundings(full_stop=True, coming=0)}, StopPlan.PARK),
        ({"leaving": 1, "around": Surroundings(), "since": 7.1, "until": 20.9}, StopPlan.PARK),
        ({"around": Surroundings(), "since": 6.0, "until": 22.0}, StopPlan.WAIT),
        ({"around": Surroundings(), "since": 7.1, "until": 20.9}, StopPlan.PARK),
    ],
    ids=[
        "nothing to keep: leave",
        "a target: move",
        "a target of another server in a full stop: move",
        "a full stop: park",
        "the hub has just come: its workers follow",
        "a full stop, children unseen: park",
        "somebody is coming: wait",
        "the server stops, a new server is coming: wait",
        "only the time to park is left: park",
        "a target, and only the time to park is left: park",
        "a target that comes so late, and nothing to keep: leave",
        "alone: wait for a moment",
        "alone for a second: park",
        "somebody has just left, and is replaced in a moment: wait",
        "another worker stops, too, and is replaced: wait",
        "another worker stops, too, in a full stop: park",
        "another worker stops, too, and nothing can be seen: park after a quarter of the time",
        "nothing can be seen: wait",
        "nothing could be seen for a quarter of the time: park",
    ],
)
def test_a_process_that_is_told_to_stop(but: dict[str, Any], verdict: StopPlan) -> None:
    assert plan_stop(**{**NOW, **but}) is verdict


def test_two_moves_within_a_minute_are_too_many() -> None:
    rate = MoveRate()

    assert not rate.moved(0.0, "one")
    assert not rate.moved(61.0, "two")
    assert list(rate.moved(100.0, "three")) == ["two", "three"]
    assert not rate.moved(200.0, "four")
