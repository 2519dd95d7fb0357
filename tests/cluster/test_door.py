"""The door of a hub: a call is wholly before a move, or wholly behind it."""

from __future__ import annotations

from resumehub.cluster.door import Door
from resumehub.runtime.base import Event
from resumehub.runtime.system import SystemRuntime


def in_thread(run: object, *args: object) -> Event:
    """Start ``run`` in a thread; return what is set once it has returned."""
    done = SystemRuntime().event()

    def work() -> None:
        run(*args)  # type: ignore[operator]
        done.set()

    SystemRuntime().spawn("test", work)
    return done


def test_a_caller_is_let_in_where_the_hub_is_and_sent_away_elsewhere() -> None:
    door = Door(SystemRuntime())
    assert not door.enter()
    door.arrived()
    assert door.enter()
    door.leave()


def test_a_freeze_waits_for_those_inside_and_holds_up_those_who_come() -> None:
    door, seen = Door(SystemRuntime(), here=True), list[bool]()
    assert door.enter()
    frozen = in_thread(door.freeze)
    while not door.is_shut:
        pass
    late = in_thread(lambda: seen.append(door.enter()))
    assert not frozen.is_set()
    assert not late.is_set()
    door.leave()
    assert frozen.wait(10)
    assert seen == []
    door.gone()
    assert late.wait(10)
    assert seen == [False]


def test_after_a_thaw_those_who_waited_are_let_in() -> None:
    door, seen = Door(SystemRuntime(), here=True), list[bool]()
    assert door.freeze()
    late = in_thread(lambda: seen.append(door.enter()))
    door.thaw()
    assert late.wait(10)
    assert seen == [True]


def test_a_thread_that_is_inside_may_call_again_while_the_door_is_shut() -> None:
    door = Door(SystemRuntime(), here=True)
    assert door.enter()
    frozen = in_thread(door.freeze)
    while not door.is_shut:
        pass
    assert door.enter()
    door.leave()
    door.leave()
    assert frozen.wait(10)


def test_a_freeze_that_takes_too_long_leaves_the_door_open() -> None:
    door = Door(SystemRuntime(), here=True)
    assert door.enter()
    assert not door.freeze(0.0)
    assert not door.is_shut
    assert door.enter()
    door.leave()
    door.leave()
    assert door.freeze(0.0)


def test_a_thread_that_may_not_wait_is_told_that_a_freeze_is_under_way() -> None:
    door = Door(SystemRuntime(), here=True)
    assert door.enter_nowait()
    door.leave()
    assert door.freeze()
    assert not door.enter_nowait()
    door.gone()
    assert not door.enter_nowait()
