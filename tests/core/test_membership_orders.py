"""Two and three processes of a cluster in every order, each killed or told to stop at any step.

Two hubs never live at one time (``membership_world.py`` asserts it at each deed), and from every state there
is one hub again within a bounded number of steps, which all processes that go on are linked to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

import pytest

from resumehub.core.cluster.membership import Deed, MemberEvent, Role, Standing, Step, may_leave, step
from tests.core import membership_world
from tests.core.membership_world import World, beginning, turn, turns

BOUND = 60
"""So many turns of each process at most, until there is one hub again."""


@pytest.mark.parametrize(
    ("count", "bounds", "at_least"),
    [
        (2, {"kills": 1, "tolds": 1, "moves": 2, "parks": 1}, 5_000),
        (3, {"kills": 1, "tolds": 0, "moves": 1, "parks": 0}, 10_000),
    ],
    ids=["two processes", "three processes"],
)
def test_there_are_never_two_hubs_and_soon_one(count: int, bounds: dict[str, int], at_least: int) -> None:
    seen = explore(beginning(count, **bounds))

    assert len(seen) > at_least, "the exploration has stopped early"
    settle_all(seen)


def explore(first: World) -> dict[World, tuple[World, str] | None]:
    """Every world that can be reached, each with the one before it."""
    seen: dict[World, tuple[World, str] | None] = {first: None}
    queue = deque([first])
    while queue:
        world = queue.popleft()
        try:
            for said, following in turns(world):
                if following not in seen:
                    seen[following] = (world, said)
                    queue.append(following)
        except AssertionError as error:
            error.add_note("; ".join(story(seen, world)))
            raise
    return seen


def story(seen: dict[World, tuple[World, str] | None], world: World) -> list[str]:
    told: list[str] = []
    while (before := seen[world]) is not None:
        world, said = before
        told.append(said)
    return told[::-1]


def settle_all(worlds: Iterable[World]) -> None:
    for world in worlds:
        settle(world)


def settle(world: World) -> None:
    """Nothing bad happens any more: everybody does what it has to do, one after the other."""
    for _ in range(BOUND):
        moved = False
        for number, process in enumerate(world.processes):
            if process.alive and (done := turn(world, number)) is not None:
                world, moved = done[1], True
        if not moved or is_settled(world):
            break
    going_on = [
        one for one in world.processes if one.alive and not one.at.told and one.at.role is not Role.GONE
    ]
    if going_on:
        assert is_settled(world), world


def is_settled(world: World) -> bool:
    going_on = [
        one for one in world.processes if one.alive and not one.at.told and one.at.role is not Role.GONE
    ]
    hubs = [
        n for n, one in enumerate(world.processes) if one.alive and one.at.role is Role.HUB and one.listens
    ]
    if len(hubs) != 1 or world.live != hubs[0]:
        return False
    return all(one.at.role is Role.HUB or one.link == hubs[0] for one in going_on)


@pytest.mark.parametrize("role", [Role.ADOPTING, Role.RECEIVING, Role.TAKING, Role.MOVING, Role.PARKING])
def test_nobody_leaves_with_sessions_on_their_way(role: Role) -> None:
    assert not may_leave(Standing(role))
    with pytest.raises(AssertionError):
        step(Standing(role), MemberEvent.LEAVE)


def test_who_is_told_to_stop_takes_no_hub() -> None:
    at, deeds = step(Standing(Role.LOOKING, told=True), MemberEvent.NOBODY)

    assert at.role is Role.LOOKING
    assert [deed.name for deed in deeds] == ["WAIT"]


def test_an_event_that_says_nothing_new_changes_nothing() -> None:
    """Each role knows what it waits for; all else may come late."""
    for role in Role:
        at = Standing(role)
        changing = {event for event in MemberEvent if step_or_none(at, event) not in ((at, ()), None)}
        assert MemberEvent.TOLD in changing
        assert len(changing) < len(MemberEvent) - 3, role


def step_or_none(at: Standing, event: MemberEvent) -> object:
    try:
        return step(at, event)
    except AssertionError:
        return None


def hurried(at: Standing, event: MemberEvent) -> Step:
    """A target that goes on with the commit, and does not wait for byte 0."""
    if at.role is Role.RECEIVING and event is MemberEvent.COMMITTED:
        return replace(at, role=Role.HUB, has_heir=False), (Deed.GIVE_HEIR, Deed.GO, Deed.LISTEN)
    return step(at, event)


def forgetful(at: Standing, event: MemberEvent) -> Step:
    """An old process that goes on when its target is lost, although the commit is written."""
    if at.role is Role.MOVING and event is MemberEvent.MOVED:
        return replace(at, role=Role.HUB), ()
    return step(at, event)


def early(at: Standing, event: MemberEvent) -> Step:
    """An heir that gives byte 1 back before it has byte 0."""
    if at.role is Role.RECEIVING and event is MemberEvent.COMMITTED:
        return replace(at, role=Role.TAKING, has_heir=False), (Deed.GIVE_HEIR, Deed.WAIT)
    return step(at, event)


def resigned(at: Standing, event: MemberEvent) -> Step:
    """A worker that does not look for another hub when its hub is dead."""
    if at.role is Role.WORKER and event is MemberEvent.LINK_ENDED:
        return at, ()
    return step(at, event)


@pytest.mark.parametrize("naive", [hurried, forgetful, early, resigned])
def test_each_of_these_rules_is_needed(naive: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership_world, "step", naive)

    with pytest.raises(AssertionError):
        settle_all(explore(beginning(3, kills=1, tolds=0, moves=1, parks=0)))
