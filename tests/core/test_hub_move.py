"""A hub moves: all orders of what two processes and the kernel do, each process killed at each step.

The world has two processes, a link with a queue in each direction, and the hub's lock. A search goes through
every order of steps from the beginning to the end, and looks at the world in each state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from resumehub.core.cluster import hub_move
from resumehub.core.cluster.hub_move import (
    SourceAction,
    SourceEvent,
    SourceStage,
    TargetAction,
    TargetEvent,
    TargetStage,
    source_step,
    target_step,
)

S, T = SourceStage, TargetStage


@dataclass(frozen=True)
class World:
    """``there``, ``back``: messages on their way to the target and to the source. ``lock``: who has it."""

    source: SourceStage = S.OFFERED
    target: TargetStage = T.HOLDING
    there: tuple[str, ...] = ()
    back: tuple[str, ...] = ("accept",)
    lock: str = "source"
    source_lives: bool = True
    target_lives: bool = True
    link: bool = True
    #: Whether each end has read the link to its end.
    source_knows: bool = False
    target_knows: bool = False
    #: Whether a process was killed that had the sessions.
    hub_killed: bool = False
    #: How often something goes wrong in this order, at most twice.
    mishaps: int = 0

    @property
    def source_serves(self) -> bool:
        return self.source_lives and self.source not in (S.GONE,)

    @property
    def target_serves(self) -> bool:
        return self.target_lives and self.target is T.RUNNING


def for_source(world: World, event: SourceEvent) -> World:
    step = source_step(world.source, event)
    world = replace(world, source=step.to)
    match step.action:
        case SourceAction.SEND_AHEAD:
            return send(world, "ahead")
        case SourceAction.RELEASE:
            return for_source(world, SourceEvent.RELEASED)
        case SourceAction.FREEZE_AND_SEND:
            return send(world, "everything")
        case SourceAction.WRITE_COMMIT:
            # Whether it is written is known only afterwards: ``steps`` has the two ends of it.
            return world
        case SourceAction.THAW:
            return send(world, "give up")
        case _:
            return world


def for_target(world: World, event: TargetEvent) -> World:
    step = target_step(world.target, event)
    world = replace(world, target=step.to)
    if step.action is TargetAction.SAY_HELD:
        return replace(world, back=(*world.back, "held")) if world.link else world
    if step.action is TargetAction.DROP:
        lock = "" if world.lock == "target" else world.lock
        return replace(world, lock=lock, back=(*world.back, "dropped") if world.link else world.back)
    return world


def send(world: World, message: str) -> World:
    return replace(world, there=(*world.there, message)) if world.link else world


TO_SOURCE = {
    "accept": SourceEvent.ACCEPTED,
    "built": SourceEvent.BUILT,
    "held": SourceEvent.HELD,
    "dropped": SourceEvent.REFUSED,
}
TO_TARGET = {
    "everything": TargetEvent.ALL_HERE,
    "commit": TargetEvent.COMMIT,
    "give up": TargetEvent.FAILED,
}


def steps(world: World) -> Iterator[tuple[str, World]]:
    """All that can happen next."""
    if world.source_lives:
        if world.back:
            message, *rest = world.back
            yield f"source reads {message}", for_source(replace(world, back=tuple(rest)), TO_SOURCE[message])
        elif not world.link and not world.source_knows:
            yield "source reads the end", for_source(replace(world, source_knows=True), SourceEvent.FAILED)
        if world.source is S.COMMITTING:
            if world.link:
                yield "commit is written", for_source(send(world, "commit"), SourceEvent.WRITTEN)
            else:
                yield "commit can't be written", for_source(world, SourceEvent.FAILED)
        if world.source is S.GONE and world.lock == "source":
            yield "source lets the lock go", replace(world, lock="")
    if world.target_lives:
        if world.there and world.there[0] == "ahead":
            # It is no event: it is built while the target holds what comes, and answered.
            answers = ("built",) if world.link and world.target is T.HOLDING else ()
            back = (*world.back, *answers)
            yield "target builds what went ahead", replace(world, there=world.there[1:], back=back)
        elif world.there:
            message, *rest = world.there
            event = TO_TARGET[message]
            yield f"target reads {message}", for_target(replace(world, there=tuple(rest)), event)
        elif not world.link and not world.target_knows:
            yield (
                "target reads the end",
                for_target(replace(world, target_knows=True), TargetEvent.LINK_ENDED),
            )
        if world.target is T.COMMITTED and world.lock == "":
            yield "target locks", for_target(replace(world, lock="target"), TargetEvent.LOCKED)
    if world.mishaps < 2:
        yield from mishaps(replace(world, mishaps=world.mishaps + 1))


def mishaps(world: World) -> Iterator[tuple[str, World]]:
    if world.source_lives:
        lock = "" if world.lock == "source" else world.lock
        killed = replace(world, source_lives=False, link=False, lock=lock, back=())
        yield "source is killed", replace(killed, hub_killed=world.hub_killed or world.source_serves)
        if world.source not in (S.GONE, S.STAYED):
            yield "source runs out of time", for_source(world, SourceEvent.FAILED)
    if world.target_lives:
        lock = "" if world.lock == "target" else world.lock
        killed = replace(world, target_lives=False, link=False, lock=lock, there=())
        yield "target is killed", replace(killed, hub_killed=world.hub_killed or world.source is S.GONE)
    if world.link:
        yield "the link breaks", replace(world, link=False)


def explore(check: Callable[[World], str | None]) -> tuple[int, list[str]]:
    """Every state that can be reached; and the steps to the first one in which ``check`` finds a problem."""
    begin = World()
    came: dict[World, tuple[World, str] | None] = {begin: None}
    left = [begin]
    while left:
        world = left.pop()
        if (problem := check(world)) is not None:
            story, at = [problem], came[world]
            while at is not None:
                story.insert(0, at[1])
                at = came[at[0]]
            return len(came), story
        for told, following in steps(world):
            if following not in came:
                came[following] = (world, told)
                left.append(following)
    return len(came), []


def problem_of(world: World) -> str | None:
    if world.source_serves and world.target_serves:
        return "two processes have the sessions"
    if world.target is T.RUNNING and world.source is not S.GONE:
        return "two processes have the sessions, or had"
    if any(True for _ in steps(replace(world, mishaps=2))):
        return None  # it goes on
    if world.mishaps == 0 and not world.target_serves:
        return "nothing went wrong, and the hub has not moved"
    if not (world.source_serves or world.target_serves or world.hub_killed):
        return "nobody was killed who had the sessions, and they are lost"
    return None


def test_the_hub_is_in_one_process_whatever_happens() -> None:
    states, story = explore(problem_of)
    assert not story, "\n".join(story)
    assert states > 150, "the search has gone through the whole move"


def test_a_target_killed_before_the_commit_costs_nothing() -> None:
    def check(world: World) -> str | None:
        harmless = not world.target_lives and world.source_lives and world.source is not S.GONE
        return "the source has forgotten them" if harmless and not world.source_serves else None

    assert explore(check)[1] == []


@pytest.mark.parametrize(
    ("table", "key", "value", "problem"),
    [
        (
            "SOURCE",
            (S.SENDING, SourceEvent.HELD),
            hub_move.SourceStep(SourceAction.DEPART, S.GONE),
            "lost",
        ),
        (
            "TARGET",
            (T.HELD, TargetEvent.LINK_ENDED),
            hub_move.TargetStep(TargetAction.ADOPT, T.RUNNING),
            "two processes",
        ),
        (
            "SOURCE",
            (S.COMMITTING, SourceEvent.WRITTEN),
            hub_move.SourceStep(SourceAction.THAW, S.STAYED),
            "two processes",
        ),
        (
            "TARGET",
            (T.COMMITTED, TargetEvent.LINK_ENDED),
            hub_move.TargetStep(TargetAction.DROP, T.DROPPED),
            "lost",
        ),
    ],
    ids=["no commit", "goes on without commit", "goes on after the commit", "drops after the commit"],
)
def test_each_guard_is_needed(
    monkeypatch: pytest.MonkeyPatch, table: str, key: object, value: object, problem: str
) -> None:
    """A naive table goes wrong in some order."""
    monkeypatch.setitem(getattr(hub_move, table), key, value)
    assert problem in explore(problem_of)[1][-1]
