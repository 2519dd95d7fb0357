"""The heap of deadlines: earliest first, one of a kind per owner, and no rubbish left in it."""

from __future__ import annotations

import random

import pytest

from resumehub.core.deadlines import Deadline, DeadlineKind, Deadlines

GRACE, PING, PONG = DeadlineKind.GRACE, DeadlineKind.PING, DeadlineKind.PONG


@pytest.fixture
def deadlines() -> Deadlines:
    return Deadlines()


def popped(deadlines: Deadlines, now: float) -> list[Deadline]:
    due = []
    while (one := deadlines.pop_due(now)) is not None:
        due.append(one)
    return due


def test_the_earliest_comes_first_whatever_the_order_of_arming(deadlines):
    deadlines.arm(GRACE, 1, 30.0)
    deadlines.arm(PING, 2, 10.0)
    deadlines.arm(PONG, 2, 20.0)
    assert deadlines.next_at() == 10.0
    assert popped(deadlines, 30.0) == [(10.0, PING, 2), (20.0, PONG, 2), (30.0, GRACE, 1)]


def test_of_two_at_the_same_time_the_one_armed_first_fires_first(deadlines):
    """A run can be repeated exactly."""
    for owner in (3, 1, 2):
        deadlines.arm(GRACE, owner, 5.0)
    assert [one.owner for one in popped(deadlines, 5.0)] == [3, 1, 2]


def test_a_deadline_is_due_at_its_very_time_and_not_before(deadlines):
    deadlines.arm(GRACE, 1, 30.0)
    assert deadlines.pop_due(29.999) is None
    assert deadlines.pop_due(30.0) == (30.0, GRACE, 1)


def test_it_fires_once(deadlines):
    deadlines.arm(GRACE, 1, 30.0)
    assert len(popped(deadlines, 99.0)) == 1
    assert deadlines.pop_due(99.0) is None
    assert deadlines.next_at() is None


@pytest.mark.parametrize("moved_to", [10.0, 50.0], ids=["earlier", "later"])
def test_arming_again_moves_it(deadlines, moved_to):
    deadlines.arm(GRACE, 1, 30.0)
    deadlines.arm(GRACE, 1, moved_to)
    assert deadlines.armed_at(GRACE, 1) == moved_to
    assert popped(deadlines, 99.0) == [(moved_to, GRACE, 1)]


def test_one_that_is_moved_to_its_old_time_goes_behind_those_of_that_time(deadlines):
    """Its place among equals is that of the last arming: the stale entry must not stand in for it."""
    deadlines.arm(GRACE, 1, 30.0)
    deadlines.arm(GRACE, 2, 30.0)
    deadlines.arm(GRACE, 1, 30.0)
    assert [one.owner for one in popped(deadlines, 30.0)] == [2, 1]


def test_a_cancelled_one_never_fires(deadlines):
    deadlines.arm(GRACE, 1, 30.0)
    deadlines.arm(PING, 1, 40.0)
    deadlines.cancel(GRACE, 1)
    assert deadlines.next_at() == 40.0
    assert deadlines.armed_at(GRACE, 1) is None
    assert popped(deadlines, 99.0) == [(40.0, PING, 1)]


def test_cancelling_what_is_not_armed_is_no_error(deadlines):
    deadlines.cancel(GRACE, 1)
    assert len(deadlines) == 0


def test_kinds_and_owners_are_kept_apart(deadlines):
    deadlines.arm(PING, 1, 10.0)
    deadlines.arm(PONG, 1, 11.0)
    deadlines.arm(PING, 2, 12.0)
    deadlines.cancel(PING, 1)
    assert (deadlines.armed_at(PONG, 1), deadlines.armed_at(PING, 2)) == (11.0, 12.0)
    assert len(deadlines) == 2


def test_a_session_that_resumes_all_day_does_not_fill_the_heap(deadlines):
    """Cancelled entries go, although nobody waits for their time to come."""
    deadlines.arm(PING, 7, 1.0)
    for step in range(10_000):
        deadlines.arm(GRACE, 1, 1000.0 + step)
        deadlines.cancel(GRACE, 1)
    assert len(deadlines._heap) < 200
    assert popped(deadlines, 1e9) == [(1.0, PING, 7)]


def test_a_heap_that_was_cleaned_up_is_still_in_order(deadlines):
    """Fifty owners, the last one armed due first; one that is moved again and again forces the cleaning."""
    for owner in range(50):
        deadlines.arm(PING, owner, 100.0 - owner)
    for step in range(1000):
        deadlines.arm(GRACE, 1, 1000.0 + step)
    assert [one.at for one in popped(deadlines, 100.0)] == [float(at) for at in range(51, 101)]


def test_it_agrees_with_a_plain_dictionary():
    """Any mix of arming, moving, cancelling and popping gives what a sorted list would give."""
    chance = random.Random(20)
    for _ in range(50):
        deadlines, model = Deadlines(), {}
        for serial in range(300):
            kind, owner, at = chance.choice([GRACE, PING]), chance.randrange(5), float(chance.randrange(20))
            match chance.randrange(4):
                case 0 | 1:
                    deadlines.arm(kind, owner, at)
                    model[kind, owner] = (at, serial)
                case 2:
                    deadlines.cancel(kind, owner)
                    model.pop((kind, owner), None)
                case _:
                    armed = ((when, n, *key) for key, (when, n) in model.items() if when <= at)
                    due = min(armed, default=None, key=by_time)
                    if due is not None:
                        del model[due[2], due[3]]
                    assert deadlines.pop_due(at) == (due and (due[0], due[2], due[3]))
            assert len(deadlines) == len(model)
            assert deadlines.next_at() == min((when for when, _ in model.values()), default=None)


def by_time(entry):
    return entry[:2]
