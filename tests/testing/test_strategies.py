"""The strategies: all orders exactly once, chance that can be repeated, and schedules as text."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resumehub.testing.strategies import (
    PCT,
    Deepening,
    Exhaustive,
    Exploration,
    Random,
    Replay,
    Uncontrolled,
    decode,
    encode,
)

# -- a world without threads -------------------------------------------------------------------


def run(exploration: Exploration, steps: dict[str, int]) -> tuple[str, ...]:
    """One schedule of threads that never wait, of so many steps each: who ran, step by step."""
    left, last, order = dict(steps), None, []
    while any(left.values()):
        able = [name for name in left if left[name]]
        able.sort(key=lambda name: name != last)
        last = able[exploration.choose(able)] if len(able) > 1 else able[0]
        left[last] -= 1
        order.append(last)
    return tuple(order)


def orders(exploration: Exploration, steps: dict[str, int]) -> list[tuple[str, ...]]:
    seen = []
    while exploration.begin():
        seen.append(run(exploration, steps))
    return seen


def brute_force(steps: dict[str, int]) -> set[tuple[str, ...]]:
    left = {name: count for name, count in steps.items() if count}
    if not left:
        return {()}
    return {(name, *rest) for name in left for rest in brute_force(left | {name: left[name] - 1})}


def preemptions(order: tuple[str, ...]) -> int:
    """How often another thread came although the thread before could have gone on."""
    return sum(a != b and a in order[place:] for place, (a, b) in enumerate(pairwise(order), 1))


WORLDS = [{"a": 1}, {"a": 3, "b": 3}, {"a": 1, "b": 2, "c": 3}, {"a": 2, "b": 2, "c": 2}, {"a": 6, "b": 1}]
NAMES = ["one thread", "two alike", "three that differ", "three alike", "a long one and a short one"]

# -- exhaustive --------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", WORLDS, ids=NAMES)
def test_every_order_is_visited_exactly_once(steps: dict[str, int]) -> None:
    """As many as there are, which mathematics knows, and the very same ones."""
    seen = orders(Exhaustive(None), steps)
    count = factorial(sum(steps.values()))
    for each in steps.values():
        count //= factorial(each)
    assert len(seen) == len(set(seen)) == count
    assert set(seen) == brute_force(steps)


@pytest.mark.parametrize("bound", [0, 1, 2, 3])
@pytest.mark.parametrize("steps", WORLDS, ids=NAMES)
def test_a_bound_leaves_out_the_orders_with_more_preemptions_and_no_others(
    steps: dict[str, int], bound: int
) -> None:
    seen = orders(Exhaustive(bound), steps)
    assert len(seen) == len(set(seen))
    assert set(seen) == {order for order in brute_force(steps) if preemptions(order) <= bound}


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), st.integers(1, 3), min_size=1), st.integers(0, 2))
def test_bounds_hold_in_any_world(steps: dict[str, int], bound: int) -> None:
    seen = orders(Exhaustive(bound), steps)
    assert sorted(seen) == sorted(order for order in brute_force(steps) if preemptions(order) <= bound)


def test_the_first_order_has_no_switch() -> None:
    exploration = Exhaustive(None)
    exploration.begin()
    assert run(exploration, {"a": 2, "b": 2}) == ("a", "a", "b", "b")
    assert set(exploration.taken) == {0}


def test_switches_can_be_bounded_whatever_their_kind() -> None:
    """For big scenarios, in which the choices behind threads that wait are too many already."""
    steps = {"a": 2, "b": 2, "c": 2}
    for bound in range(4):
        exploration, seen = Exhaustive(None, switches=bound), []
        while exploration.begin():
            seen.append(run(exploration, steps))
            assert sum(map(bool, exploration.taken)) <= bound
        assert len(seen) == len(set(seen))
    full, within = Exhaustive(None), set()
    while full.begin():
        order = run(full, steps)
        if sum(map(bool, full.taken)) <= 3:
            within.add(order)
    assert set(seen) == within


def test_deepening_begins_with_the_simplest() -> None:
    steps = {"a": 3, "b": 3}
    exploration, seen, switches = Deepening(2), [], []
    while exploration.begin():
        seen.append(run(exploration, steps))
        switches.append(sum(map(bool, exploration.taken)))
    for bound in (0, 1):
        simpler = orders(Exhaustive(None, switches=bound), steps)
        assert set(seen[: switches.index(bound + 1)]) >= set(simpler)
    assert set(seen) == set(orders(Exhaustive(None, switches=2), steps))


def test_a_scenario_that_does_not_repeat_itself_is_noticed() -> None:
    """The beginning of each schedule was played before, and must go the same way."""
    exploration = Exhaustive(None)
    exploration.begin()
    exploration.choose(["a", "b"])
    exploration.choose(["a", "b"])
    exploration.begin()
    with pytest.raises(Uncontrolled, match=r"at choice 1 .* a and c can go on; before it was a and b"):
        exploration.choose(["a", "c"])


# -- chance ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Random, PCT], ids=["random", "PCT"])
def test_chance_can_be_repeated(make: Callable[..., Exploration]) -> None:
    steps = {"a": 5, "b": 5, "c": 5}
    assert orders(make(1, 50), steps) == orders(make(1, 50), steps)
    assert orders(make(1, 50), steps) != orders(make(2, 50), steps)
    assert len(orders(make(1, 50), steps)) == 50
    assert len(set(orders(make(1, 50), steps))) > 10


def test_pct_finds_what_needs_one_order_of_a_few_steps_sooner_than_chance() -> None:
    """Once b has begun a must do its many steps before b's last: each throw of the dice is against it."""
    steps = {"a": 30, "b": 2}

    def hit(order: tuple[str, ...]) -> bool:
        return order[0] == "b" and order[-1] == "b"

    lucky = sum(map(hit, orders(PCT(1, 400, depth=2, length=32), steps)))
    dice = sum(map(hit, orders(Random(1, 400), steps)))
    assert lucky >= 2
    assert dice == 0


# -- schedules as text -------------------------------------------------------------------------


@given(st.lists(st.integers(0, 60)))
def test_a_schedule_survives_being_written_down(choices: list[int]) -> None:
    """But for the zeros at its end, which say nothing."""
    while choices and choices[-1] == 0:
        choices.pop()
    text = encode(choices)
    assert decode(text) == choices
    assert encode([*choices, 0, 0]) == text
    assert text.startswith("x")
    assert text.isprintable()
    assert " " not in text


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ([], "x"),
        ([0, 0], "x"),
        ([1], "x1"),
        ([0, 0, 0, 2], "x0002"),
        ([0] * 17 + [1, 35, 36], "x.17.1z_36_"),
    ],
    ids=["nothing", "no switch", "one switch", "a few zeros", "many zeros and large numbers"],
)
def test_a_schedule_is_short(choices: list[int], text: str) -> None:
    assert encode(choices) == text


@pytest.mark.parametrize("text", ["", "12", "y1", "x1-", "x.a.", "x.3", "x__", "x..", "xé", "x.9999999."])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no schedule"):
        decode(text)


@given(st.lists(st.integers(0, 5), max_size=12))
def test_any_schedule_can_be_played(choices: list[int]) -> None:
    """Even one from another scenario: a choice too large is the last one, and after its end no switch."""
    replay = Replay(encode(choices))
    assert replay.begin()
    order = run(replay, {"a": 3, "b": 2, "c": 1})
    assert sorted(order) == list("aaabbc")
    assert not replay.begin()


def test_what_was_taken_plays_the_same_order_again() -> None:
    dice = Random(3, 20)
    while dice.begin():
        order = run(dice, {"a": 4, "b": 4, "c": 2})
        replay = Replay(encode(dice.taken))
        replay.begin()
        assert run(replay, {"a": 4, "b": 4, "c": 2}) == order
