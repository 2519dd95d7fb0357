"""Small things for the tests of the lab: threads that do next to nothing, and all their orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from resumehub.testing.controlled import ControlledRuntime
from resumehub.testing.scheduler import Scheduler
from resumehub.testing.strategies import Exhaustive, Exploration


class First:
    """The strategy without a switch."""

    def choose(self, names: list[str]) -> int:
        return 0


class Always:
    """The strategy that takes the last of those who can go on: a switch wherever there can be one."""

    def choose(self, names: list[str]) -> int:
        return len(names) - 1


@contextmanager
def stage(
    strategy: object = None, *, stop_at_locks: bool = True
) -> Iterator[tuple[Scheduler, ControlledRuntime]]:
    """A scheduler with its door; nothing is left of them behind it."""
    scheduler = Scheduler(strategy or First())
    try:
        yield scheduler, ControlledRuntime(scheduler, stop_at_locks=stop_at_locks)
    finally:
        scheduler.abandon()


Scene = Callable[[Scheduler, ControlledRuntime], Callable[[], object]]


def outcomes(scene: Scene, exploration: Exploration | None = None) -> list[object]:
    """Play a scene in every order: it spawns threads and gives a function that says what came of it."""
    exploration = exploration or Exhaustive(None)
    seen = []
    while exploration.begin():
        with stage(exploration) as (scheduler, runtime):
            result = scene(scheduler, runtime)
            scheduler.run_until_idle()
            assert not scheduler.tasks, f"a thread never ends:\n{scheduler.positions()}"
            seen.append(result())
    return seen
