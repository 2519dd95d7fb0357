"""``explore``: every order of a scenario's threads, and a failure that can be read and played again."""

from __future__ import annotations

import os
import random
import re

import pytest

from resumehub import Message
from resumehub.testing import (
    PCT,
    Deadlock,
    Deepening,
    Exhaustive,
    Lab,
    Random,
    ScheduleFailed,
    Uncontrolled,
    explore,
)
from tests.testing.planted_bugs import PLANTED, Planted

# -- what there is to find ---------------------------------------------------------------------


def lost_update(lab: Lab) -> None:
    """Two threads add one, and each reads before the other has written."""
    count = [0]

    def add() -> None:
        before = count[0]
        lab.pause("write")
        count[0] = before + 1

    @lab.actor
    def one() -> None:
        add()

    @lab.actor
    def two() -> None:
        add()

    @lab.at_end
    def both_count() -> None:
        if count != [2]:
            raise AssertionError(f"the count is {count[0]}")


def drop_and_kick(lab: Lab) -> None:
    hub = lab.open()
    hub.on_disconnect(lambda connection, error: lab.note("disconnect"))
    alice = lab.dial("/?id=alice")
    lab.run_until_idle()

    @lab.actor
    def network() -> None:
        alice.drop()

    @lab.actor
    def kicker() -> None:
        hub.send("alice", Message("n", 1))
        hub.kick("alice")

    @lab.at_end
    def gone_once() -> None:
        assert lab.notes == ["disconnect"]


# -- planted bugs ------------------------------------------------------------------------------


@pytest.mark.parametrize("bug", PLANTED.values(), ids=PLANTED)
def test_a_bug_is_found_that_the_order_without_switches_does_not_show(
    bug: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of each kind, planted in the real hub: found, and found again by the line that is printed."""
    bug.plant(monkeypatch)
    assert bug.explore(Deepening(0)).complete
    with pytest.raises(ScheduleFailed, match=bug.says) as failed:
        bug.explore(twice=False)
    assert failed.value.number <= 400

    with pytest.raises(ScheduleFailed, match=bug.says) as again:
        bug.explore(replay=failed.value.schedule)
    assert again.value.number == 1
    assert again.value.trace == failed.value.trace


@pytest.mark.parametrize("bug", PLANTED.values(), ids=PLANTED)
def test_the_hub_itself_has_none_of_them(bug: Planted) -> None:
    assert bug.explore(twice=False, max_schedules=300).schedules > 90


# -- how it fails ------------------------------------------------------------------------------


def test_a_failure_reads_as_a_story_and_can_be_played_again() -> None:
    with pytest.raises(ScheduleFailed) as failed:
        explore(lost_update)
    assert str(failed.value) == (
        "schedule 3 of lost_update fails: AssertionError: the count is 1\n"
        "with 1 switch, in this order:\n"
        "   1. one: start\n"
        "   2. two: start; write\n"
        "   3. one: write\n"
        "replay: explore(lost_update, replay='x01')  or  RESUMEHUB_SCHEDULE=x01"
    )
    assert isinstance(failed.value.__cause__, AssertionError)


def test_a_failure_is_as_short_as_it_gets() -> None:
    """Chance finds it with many switches; what is printed has one."""

    def busy(lab: Lab) -> None:
        lost_update(lab)

        @lab.actor
        def somebody_else() -> None:
            for _ in range(20):
                lab.pause()

    dice = Random(5, 1)
    with pytest.raises(ScheduleFailed, match="with 1 switch, in this order") as failed:
        explore(busy, dice)
    assert len(failed.value.schedule) < 5


def test_a_schedule_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESUMEHUB_SCHEDULE", "x")
    assert explore(lost_update).schedules == 1
    monkeypatch.setenv("RESUMEHUB_SCHEDULE", "x01")
    with pytest.raises(ScheduleFailed, match="the count is 1"):
        explore(lost_update)


def test_what_is_no_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="is no schedule"):
        explore(lost_update, replay="01")


def test_a_long_stretch_of_one_thread_is_told_in_short() -> None:
    def long(lab: Lab) -> None:
        @lab.actor
        def talker() -> None:
            for number in range(20):
                lab.pause(f"say {number}")
            raise ValueError("enough")

    with pytest.raises(ScheduleFailed, match=r"1\. talker: start; say 0; say 1; … 16 more …; say 18; say 19"):
        explore(long)


def test_a_deadlock_of_the_applications_own_locks_is_told_with_its_holders() -> None:
    """Two locks, taken in two orders: the oldest deadlock there is."""

    def crossing(lab: Lab) -> None:
        east, west = lab.threading.Lock(), lab.threading.Lock()

        @lab.actor
        def one() -> None:
            with east, west:
                pass

        @lab.actor
        def two() -> None:
            with west, east:
                pass

    with pytest.raises(ScheduleFailed) as failed:
        explore(crossing)
    assert isinstance(failed.value.__cause__, Deadlock)
    assert "one never ends: it is about to lock lock 2 of the application, which two holds" in str(
        failed.value
    )


def test_an_invariant_is_told_with_the_step_that_broke_it() -> None:
    def overdrawn(lab: Lab) -> None:
        account = [10]

        def draw() -> None:
            if account[0] >= 10:
                lab.pause("draw")
                account[0] -= 10

        @lab.actor
        def one() -> None:
            draw()

        @lab.actor
        def two() -> None:
            draw()

        @lab.invariant
        def solvent() -> str | None:
            return f"the account is at {account[0]}" if account[0] < 0 else None

    with pytest.raises(ScheduleFailed, match="AssertionError: the account is at -10\n") as failed:
        explore(overdrawn)
    assert str(failed.value.trace[-1]) == "one: draw"


@pytest.mark.parametrize("where", ["an actor", "the scene", "a handler", "the end"])
def test_pytests_own_failure_is_one_wherever_it_is(where: str) -> None:
    def failing(lab: Lab) -> None:
        def fail(*_: object) -> None:
            pytest.fail("not like this")

        hub = lab.open()
        if where == "the scene":
            fail()
        if where == "a handler":
            hub.on_connect(fail)
        lab.dial("/?id=alice")
        if where == "an actor":
            lab.actor(fail)
        if where == "the end":
            lab.at_end(fail)

    with pytest.raises(ScheduleFailed, match="not like this"):
        explore(failing)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, pytest.skip.Exception], ids=["Ctrl-C", "a skip"])
def test_what_is_no_failure_ends_the_exploration_as_it_is(stop: type[BaseException]) -> None:
    def scene(lab: Lab) -> None:
        raise stop("stop")

    with pytest.raises(stop):
        explore(scene)


# -- what it counts ----------------------------------------------------------------------------


def test_it_says_how_much_it_has_seen() -> None:
    done = explore(drop_and_kick, Deepening(1), twice=False)
    assert done.complete
    assert done.schedules > 10
    assert done.steps > 20 * done.schedules
    part = explore(drop_and_kick, Deepening(1), twice=False, max_schedules=5)
    assert (part.complete, part.schedules) == (False, 5)


def test_all_orders_of_a_small_scenario_are_run() -> None:
    """Two threads of two steps have six interleavings."""
    orders: set[tuple[str, ...]] = set()

    def scene(lab: Lab) -> None:
        log: list[str] = []

        def walk(name: str) -> None:
            for number in range(2):
                log.append(f"{name}{number}")
                lab.pause(f"step {number}")

        @lab.actor
        def one() -> None:
            walk("a")

        @lab.actor
        def two() -> None:
            walk("b")

        lab.at_end(lambda: orders.add(tuple(log)))

    explore(scene, Exhaustive(None))
    assert len(orders) == 6


def test_nothing_of_the_scene_or_of_the_closing_is_explored() -> None:
    """A scenario without actors has one order, however much happens in it."""

    def scene(lab: Lab) -> None:
        lab.open()
        for name in ("alice", "bob", "carol"):
            lab.dial(f"/?id={name}")
        lab.run_until_idle()

    assert explore(scene, Exhaustive(None)).schedules == 1


def test_a_strategy_can_be_used_again() -> None:
    """It is played from its beginning each time."""
    strategy = Random(1, 7)
    assert [explore(drop_and_kick, strategy).schedules for _ in range(2)] == [7, 7]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux says where threads may run")
def test_threads_are_kept_on_one_processor_for_as_long_as_it_takes() -> None:
    """Which doubles the speed, and is over when it is over."""
    before = os.sched_getaffinity(0)
    seen: list[int] = []

    def scene(lab: Lab) -> None:
        @lab.actor
        def looks() -> None:
            seen.append(len(os.sched_getaffinity(0)))
            assert len(seen) < 2

    with pytest.raises(Uncontrolled):
        explore(scene)
    assert set(seen) == {1}
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("everywhere", [False, True], ids=["at the hub's queue", "at every lock"])
@pytest.mark.parametrize(
    "strategy", [Deepening(1), Exhaustive(0), Random(1, 40), PCT(1, 40)], ids=lambda one: type(one).__name__
)
def test_every_schedule_of_the_hub_can_be_repeated(strategy: object, everywhere: bool) -> None:
    """Each is run twice, step by step the same: nothing in the hub escapes the lab's control."""
    done = explore(drop_and_kick, strategy, stop_at_locks=everywhere, max_schedules=60)
    assert done.schedules > 5


# -- what it cannot control --------------------------------------------------------------------


def test_chance_in_a_scenario_is_noticed() -> None:
    """A schedule that goes two ways would never fail twice; better to say so at once."""
    dice = random.Random(1)

    def gamble(lab: Lab) -> None:
        @lab.actor
        def gambler() -> None:
            lab.pause(f"bet on {dice.randrange(1000)}")

    with pytest.raises(
        Uncontrolled, match=r"went two ways at step 2: 'gambler: bet on \d+', then 'gambler: bet"
    ):
        explore(gamble)


def test_state_that_outlives_a_run_is_noticed_even_if_runs_are_not_repeated() -> None:
    runs: list[int] = []

    def scene(lab: Lab) -> None:
        runs.append(1)

        @lab.actor
        def one() -> None:
            lab.pause()

        def two() -> None:
            lab.pause()

        two.__name__ = f"two{'!' * (len(runs) // 3)}"
        lab.actor(two)

    with pytest.raises(
        Uncontrolled, match="of a schedule whose beginning was played before, one and two! can"
    ):
        explore(scene, Exhaustive(None), twice=False)


def test_a_failure_that_does_not_come_again_is_no_schedules_fault() -> None:
    runs: list[int] = []

    def flaky(lab: Lab) -> None:
        runs.append(1)
        assert len(runs) != 3

    with pytest.raises(
        Uncontrolled, match=re.escape("then 'the end (None)'") + "|" + re.escape("the end (Ass")
    ):
        explore(flaky, Random(1, 10), twice=False)
