"""The scheduler: one thread at a time, in an order that can be written down."""

from __future__ import annotations

import threading

import pytest

from resumehub.testing import scheduler as kernel
from resumehub.testing.scheduler import Scheduler
from resumehub.testing.strategies import Random
from resumehub.testing.tasks import Deadlock, Livelock, OutOfControl, Task
from tests.support import PATIENCE
from tests.testing.toy_threads import Always, First, stage

# -- one at a time -----------------------------------------------------------------------------


def walker(scheduler: Scheduler, log: list[str], name: str, steps: int = 2):
    def walk() -> None:
        for number in range(steps):
            log.append(f"{name}{number}")
            scheduler.pause(f"take step {number + 1}")

    return walk


def test_without_a_switch_a_thread_goes_on_until_it_is_done() -> None:
    """So a schedule is read as the places where another thread came in between."""
    log: list[str] = []
    with stage(First()) as (scheduler, _):
        scheduler.spawn("a", walker(scheduler, log, "a"))
        scheduler.spawn("b", walker(scheduler, log, "b"))
        scheduler.run_until_idle()
    assert log == ["a0", "a1", "b0", "b1"]


def test_a_strategy_switches_where_it_likes() -> None:
    log: list[str] = []
    with stage(Always()) as (scheduler, _):
        for name in "abc":
            scheduler.spawn(name, walker(scheduler, log, name))
        scheduler.run_until_idle()
    assert log == ["c0", "b0", "c1", "b1", "a0", "a1"]  # "last of those who can": c, then b, then c …


def test_the_trace_says_who_did_what() -> None:
    with stage() as (scheduler, _):

        def bake() -> None:
            scheduler.did("bake")
            scheduler.pause("cut the cake")
            scheduler.did("cut it")

        scheduler.spawn("baker", bake)
        scheduler.did("order")
        scheduler.run_until_idle()
        assert list(map(str, scheduler.trace)) == [
            "the test: , order",
            "baker: start, bake",
            "baker: cut the cake, cut it",
        ]


def test_two_threads_of_one_name_can_be_told_apart() -> None:
    with stage() as (scheduler, _):
        names = [scheduler.spawn("reader of alice", int).name for _ in range(3)]
    assert names == ["reader of alice", "reader of alice (2)", "reader of alice (3)"]


def test_the_same_seed_gives_the_same_run() -> None:
    def trace(seed: int) -> list[str]:
        dice = Random(seed, 1)
        dice.begin()
        with stage(dice) as (scheduler, _):
            for name in "abc":
                scheduler.spawn(name, walker(scheduler, [], name, 4))
            scheduler.run_until_idle()
            return list(map(str, scheduler.trace))

    assert trace(7) == trace(7)
    assert len({tuple(trace(seed)) for seed in range(20)}) > 10


# -- the test drives ---------------------------------------------------------------------------


def test_a_thread_can_be_stepped_alone() -> None:
    log: list[str] = []
    with stage() as (scheduler, _):
        scheduler.spawn("a", walker(scheduler, log, "a"))
        b = scheduler.spawn("b", walker(scheduler, log, "b"))
        assert scheduler.step(b)
        assert (log, b.where) == (["b0"], "take step 1")
        assert scheduler.step(b)
        assert scheduler.step(b)
        assert not scheduler.step(b)  # it has ended
        assert log == ["b0", "b1"]


def test_a_step_without_a_name_is_whoever_is_next() -> None:
    log: list[str] = []
    with stage() as (scheduler, _):
        scheduler.spawn("a", walker(scheduler, log, "a", 1))
        assert scheduler.step()
        assert log == ["a0"]
        assert scheduler.step()
        assert not scheduler.step()


def test_a_thread_that_waits_is_not_chosen() -> None:
    log: list[str] = []
    with stage() as (scheduler, _):
        scheduler.spawn("waiter", lambda: (scheduler.pause("wait", lambda: "go" in log), log.append("gone")))
        scheduler.run_until_idle()
        assert log == []
        scheduler.spawn("other", lambda: log.append("go"))
        scheduler.run_until_idle()
    assert log == ["go", "gone"]


def test_the_test_waits_by_letting_the_others_run() -> None:
    log: list[str] = []
    with stage() as (scheduler, _):
        scheduler.spawn("a", walker(scheduler, log, "a", 5))
        scheduler.pause("wait for two", lambda: len(log) == 2)
        assert log == ["a0", "a1"]


def test_time_passes_for_a_thread_only_when_the_test_says_so() -> None:
    """A wait with a timeout ends early by ``expire`` and by nothing else."""
    results: list[bool] = []
    with stage() as (scheduler, _):
        waiter = scheduler.spawn("waiter", lambda: results.append(scheduler.pause("wait", bool, timed=True)))
        patient = scheduler.spawn("patient", lambda: scheduler.pause("wait", bool))
        scheduler.run_until_idle()
        assert results == []
        scheduler.expire(waiter)
        scheduler.run_until_idle()
        assert results == [False]
        with pytest.raises(AssertionError, match="patient does not wait with a timeout"):
            scheduler.expire(patient)


def test_a_place_can_be_held_for_those_who_come_and_those_who_are_there() -> None:
    log: list[str] = []
    with stage() as (scheduler, _):
        a = scheduler.spawn("a", walker(scheduler, log, "a"))
        scheduler.step(a)
        with scheduler.hold("*: take step 1") as hold:
            b = scheduler.spawn("b", walker(scheduler, log, "b"))
            scheduler.run_until_idle()
            assert hold.caught == [a, b]
            assert scheduler.positions() == (
                "  a: take step 1 (held by the test)\n  b: take step 1 (held by the test)"
            )
        scheduler.run_until_idle()
    assert log == ["a0", "b0", "b1", "a1"]  # b was the last to run, so it goes on


def test_a_name_with_stars_can_be_held_literally() -> None:
    with stage() as (scheduler, _):
        scheduler.spawn("request of /?id=*[x]", int)
        scheduler.spawn("request of /?id=yx", int)
        hold = scheduler.hold(f"{kernel.literally('request of /?id=*[x]')}: start")
        scheduler.run_until_idle()
        assert [task.name for task in hold.caught] == ["request of /?id=*[x]"]


# -- what can go wrong -------------------------------------------------------------------------


def test_a_deadlock_says_who_waits_for_what() -> None:
    with stage() as (scheduler, runtime):
        one, two = runtime.lock("the door"), runtime.lock("the window")

        def alice() -> None:
            with one:
                scheduler.pause("look out")
                two.acquire()

        def bob() -> None:
            with two:
                scheduler.pause("go out")
                one.acquire()

        a = scheduler.spawn("alice", alice)
        b = scheduler.spawn("bob", bob)
        for task in (a, b, a, b, a, b):
            scheduler.step(task)
        with pytest.raises(Deadlock) as caught:
            scheduler.pause("see alice home", lambda: a.done)
    assert str(caught.value) == (
        "the test is about to see alice home, and no thread can go on. The threads:\n"
        "  alice: lock the window, which bob holds\n"
        "  bob: lock the door, which alice holds"
    )


def test_a_run_that_never_ends_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "MAX_STEPS", 50)

    def spin() -> None:
        while True:
            scheduler.pause("turn")

    with stage() as (scheduler, _):
        scheduler.spawn("spinner", spin)
        with pytest.raises(Livelock, match=r"within 50 steps; the last were\n  spinner: turn\n"):
            scheduler.run_until_idle()


def test_an_exception_ends_the_run_and_reaches_the_test() -> None:
    log: list[str] = []
    with stage() as (scheduler, _):
        scheduler.spawn("a", lambda: 1 / 0)
        scheduler.spawn("b", lambda: log.append("b"))
        with pytest.raises(ZeroDivisionError):
            scheduler.run_until_idle()
        assert log == []


def test_what_looks_on_can_end_the_run() -> None:
    def look(task: Task) -> None:
        assert task.where != "take step 2", f"{task.name} went too far"

    with stage() as (scheduler, _):
        scheduler.after_step = look
        scheduler.spawn("a", walker(scheduler, [], "a", 3))
        with pytest.raises(AssertionError, match="a went too far"):
            scheduler.run_until_idle()


def test_a_thread_that_waits_elsewhere_is_named_with_its_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not just hang the test."""
    monkeypatch.setattr(kernel, "PATIENCE", 0.2)
    elsewhere = threading.Event()

    def wait_elsewhere() -> None:
        elsewhere.wait()

    with stage() as (scheduler, _):
        scheduler.spawn("stray", wait_elsewhere)
        with pytest.raises(OutOfControl) as caught:
            scheduler.run_until_idle()
        elsewhere.set()
    assert "stray has not come to a stop" in str(caught.value)
    assert "in wait_elsewhere" in str(caught.value)


def test_a_stranger_is_told_how_to_be_one_of_the_threads() -> None:
    errors: list[Exception] = []
    with stage() as (scheduler, runtime):
        lock = runtime.lock()

        def use() -> None:
            try:
                lock.acquire()
            except OutOfControl as error:
                errors.append(error)

        stranger = threading.Thread(target=use, name="stranger")
        stranger.start()
        stranger.join()
    assert "'stranger' uses the hub, and the lab does not control it" in str(errors[0])
    assert "@lab.actor" in str(errors[0])


# -- the end -----------------------------------------------------------------------------------


def test_nothing_is_left_of_a_run_that_is_given_up() -> None:
    """Wherever the threads are: not begun, waiting, held, holding a lock, done."""
    cleaned: list[str] = []
    with stage() as (scheduler, runtime):
        lock, event = runtime.lock(), runtime.event()
        changed = runtime.condition(lock)

        def keep() -> None:
            try:
                with lock:
                    changed.wait()
            finally:
                cleaned.append("keeper")

        tasks = [
            scheduler.spawn("done", int),
            scheduler.spawn("keeper", keep),
            scheduler.spawn("waiter", event.wait),
            scheduler.spawn("held", lambda: scheduler.pause("go")),
        ]
        scheduler.hold("held: go")
        scheduler.run_until_idle()
        tasks.append(scheduler.spawn("not begun", lambda: cleaned.append("begun")))
    assert cleaned == ["keeper"]
    for task in tasks[:-1]:
        task.thread.join(PATIENCE)  # one that is done may need a moment more
    assert not any(task.thread.is_alive() for task in tasks)


def test_a_thread_cannot_outlive_its_run_by_catching_exceptions() -> None:
    with stage() as (scheduler, _):

        def stubborn() -> None:
            while True:
                try:
                    scheduler.pause("go on")
                except Exception:
                    pass

        task = scheduler.spawn("stubborn", stubborn)
        scheduler.step(task)
    assert not task.thread.is_alive()


def test_nobody_can_be_waited_for_when_the_run_is_over() -> None:
    with stage() as (scheduler, _):
        pass
    with pytest.raises(AssertionError, match="the run is over"):
        scheduler.pause("wait", bool)


def test_a_run_can_be_part_of_another() -> None:
    """A thread under control may drive a scheduler of its own: to the outer one that is one step."""
    log: list[str] = []
    with stage() as (outer, _):

        def play() -> None:
            with stage() as (inner, _):
                inner.spawn("x", walker(inner, log, "x"))
                inner.run_until_idle()

        outer.spawn("player", play)
        outer.run_until_idle()
    assert log == ["x0", "x1"]
    assert len(outer.trace) == 1


def test_whoever_dumps_the_stacks_sees_where_everybody_is() -> None:
    """The position is in the thread's name, which pytest-timeout prints."""
    with stage() as (scheduler, runtime):
        task = scheduler.spawn("waiter", runtime.event("the bus").wait)
        scheduler.run_until_idle()
        assert task.thread.name == "lab: waiter: wait for the bus"
