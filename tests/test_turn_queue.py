"""Whose turn is next: those that go on behind those whose input comes, and neither is forgotten."""

from __future__ import annotations

import pytest

from resumehub.incoming.turn_queue import TurnQueue


class Task:
    """A transport's; ``number``: its descriptor's."""

    in_hand = False

    def __init__(self, number: int) -> None:
        self.number = number


class Watching:
    """A poller that watches anything."""

    def watch(self, number: int) -> None:
        pass

    def unwatch(self, number: int) -> None:
        pass


@pytest.fixture
def queue() -> TurnQueue:
    """Tasks 1, 2 and 3 are watched, and have no input."""
    queue = TurnQueue(Watching(), lambda: None, lambda: None)
    for number in (1, 2, 3):
        queue.hand_back(Task(number))
    return queue


def take(queue: TurnQueue, *, goes_on: bool = False) -> int:
    """One turn: a thread takes the next task and hands it back; which one it was."""
    task = queue.ready.popleft()
    if goes_on:
        queue.recall(task.number)
    queue.hand_back(task)
    return task.number


def test_a_task_that_goes_on_does_so_behind_a_look_for_input(queue):
    queue.have_input([1])
    take(queue, goes_on=True)
    assert queue.goes_on
    assert not queue.ready, "first the poller is asked"

    queue.have_input([2])
    assert [take(queue), take(queue)] == [2, 1]
    assert not queue.goes_on


def test_each_look_lets_one_of_those_go_on_whatever_comes(queue):
    """Others with input all the time keep no task from its turns."""
    queue.have_input([1])
    take(queue, goes_on=True)
    turns = []
    for _ in range(3):
        queue.have_input([2, 3])
        turns.append([take(queue), take(queue), take(queue, goes_on=True)])

    assert turns == [[2, 3, 1]] * 3


def test_those_that_go_on_take_turns(queue):
    queue.have_input([1, 2, 3])
    for _ in range(3):
        take(queue, goes_on=True)
    turns = []
    for _ in range(6):
        queue.have_input([])
        turns.append(take(queue, goes_on=True))

    assert turns == [1, 2, 3, 1, 2, 3]


def test_a_task_that_goes_on_is_work_and_is_in_one_hand_only(queue):
    queue.have_input([1])
    take(queue, goes_on=True)
    for number in (2, 3):
        queue.forget(number)

    assert queue.has_work()
    assert not queue.forget(1, if_idle=True), "it is not idle"
    queue.have_input([1])
    assert [take(queue)] == [1]
    assert not queue.ready, "its input is not a second turn beside it"
