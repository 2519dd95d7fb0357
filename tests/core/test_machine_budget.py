"""Who gives way when all buffers together hold too much, as the machine decides it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.budget import LOOK, SOON, common_level
from resumehub.core.deadlines import DeadlineKind
from tests.core.machine_driver import MachineDriver

BUDGET = 1000


class Buffers:
    """A machine with a budget, and what each session holds."""

    def __init__(self, **rules: Any) -> None:
        self.play = MachineDriver(buffer_budget=BUDGET, **rules)
        self.waiting: dict[int, int] = {}
        self.parked: dict[int, int] = {}

    def session(self, waiting: int, parked: int = 0, *, suspended: bool = False) -> int:
        """One more session, which holds so much; returns its epoch."""
        play = self.play
        play.register(f"u{play.transports + 1}")
        epoch = max(play.machine.epochs)
        self.waiting[epoch], self.parked[epoch] = waiting, parked
        if suspended:
            play.do(c.PeerGone(play.transports, reset=True))
        return epoch

    def look(self, seconds: float = LOOK) -> list[e.Effect]:
        """Let the next look come, and answer it; returns what is to be done then."""
        asked = self.play.wait(seconds)
        if e.MeasureBuffers() not in asked:
            return []
        held = tuple(
            c.Held(epoch, self.waiting[epoch], self.parked[epoch])
            for epoch in self.play.machine.epochs
            if self.waiting[epoch] or self.parked[epoch]
        )
        return self.play.do(c.BuffersMeasured(sum(one.waiting + one.parked for one in held), held))


def ended(effects: list[e.Effect]) -> list[int]:
    return [effect.epoch for effect in effects if isinstance(effect, e.EndSession)]


def shed(effects: list[e.Effect]) -> list[tuple[int, int]]:
    return [(effect.epoch, effect.size) for effect in effects if isinstance(effect, e.ShedFrames)]


def test_within_the_budget_nothing_happens():
    buffers = Buffers()
    buffers.session(300)
    buffers.session(300, suspended=True)
    assert buffers.look() == []


def test_the_longest_suspended_ends_first_and_no_more_than_must():
    buffers = Buffers()
    buffers.session(500)
    first = buffers.session(300, suspended=True)
    buffers.play.wait(0.1)
    buffers.session(300, suspended=True)

    effects = buffers.look()

    assert ended(effects) == [first]
    [end] = [effect for effect in effects if isinstance(effect, e.EndSession)]
    assert end.drop_reason.value == "expired"
    assert e.WarnOverBudget(1100, BUDGET) in effects
    assert shed(effects) == []


def test_one_that_holds_nothing_stays_however_long_it_is_suspended():
    buffers = Buffers()
    buffers.session(0, suspended=True)
    buffers.session(500)
    last = buffers.session(700, suspended=True)
    assert ended(buffers.look()) == [last]


def test_what_waits_for_handlers_counts():
    buffers = Buffers()
    buffers.session(0, parked=600)
    last = buffers.session(100, parked=400, suspended=True)
    assert ended(buffers.look()) == [last]


def test_then_connected_ones_that_hold_the_most_come_down_to_one_level():
    buffers = Buffers()
    large, small, larger = buffers.session(600), buffers.session(100), buffers.session(700)
    effects = buffers.look()
    assert shed(effects) == [(larger, 450), (large, 450)]
    assert ended(effects) == []
    assert small in buffers.play.machine.epochs


def test_they_lose_only_what_the_suspended_ones_did_not_free():
    buffers = Buffers()
    gone = buffers.session(200, suspended=True)
    slow = buffers.session(1100)
    effects = buffers.look()
    assert (ended(effects), shed(effects)) == ([gone], [(slow, 1000)])


def test_a_hub_that_is_half_full_is_looked_at_more_often():
    buffers = Buffers()
    buffers.session(500)
    buffers.look()
    assert buffers.play.due(DeadlineKind.BUDGET, 0) == LOOK + SOON
    buffers.waiting[1] = 499
    buffers.look(SOON)
    assert buffers.play.due(DeadlineKind.BUDGET, 0) == LOOK + SOON + LOOK


def test_without_a_session_and_without_a_budget_nobody_looks():
    assert Buffers().play.due(DeadlineKind.BUDGET, 0) is None
    play = MachineDriver()
    play.register()
    assert play.due(DeadlineKind.BUDGET, 0) is None
    buffers = Buffers()
    buffers.session(10)
    buffers.play.do(c.Kick("u1"))
    assert buffers.look() == []
    assert buffers.play.due(DeadlineKind.BUDGET, 0) is None
    buffers.session(10)
    assert buffers.play.due(DeadlineKind.BUDGET, 0) is not None


def test_a_session_that_has_ended_meanwhile_is_not_asked_to_give_way():
    buffers = Buffers()
    buffers.session(10)
    buffers.play.wait(LOOK)
    found = c.BuffersMeasured(5000, (c.Held(1, 10, 0), c.Held(99, 4990, 0)))
    assert shed(buffers.play.do(found)) == [(1, 0)]


@pytest.mark.parametrize("seed", range(20))
def test_the_level_frees_what_is_wanted_and_hardly_more(seed):
    chance = random.Random(seed)
    sizes = sorted((chance.randrange(1, 1000) for _ in range(chance.randrange(1, 12))), reverse=True)
    over = chance.randrange(1, sum(sizes) + 1)
    level = common_level(sizes, over)
    freed = sum(max(0, size - level) for size in sizes)
    assert freed >= over
    assert sum(max(0, size - level - 1) for size in sizes) < over


def test_a_level_that_would_not_do_is_none():
    assert common_level([5, 3], 100) == 0
    assert common_level([], 100) == 0
