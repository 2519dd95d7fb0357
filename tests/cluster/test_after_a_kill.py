"""F8: from the kill of a hub to the next one no wait of the design is longer than it says, in any order.

The pure rules of ``core/cluster/membership.py`` are played in every order of three workers of a hub that is
dead: the one that becomes the hub has waited for nothing but better kinds. What each wait takes is added up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from resumehub.cluster import member_loop
from resumehub.core.cluster.membership import Deed, MemberEvent, Role, Standing, step


@dataclass(frozen=True)
class Worker:
    """A process; what it is about to do, and how often it has waited."""

    at: Standing
    deeds: tuple[Deed, ...]
    waits: int = 0


@dataclass(frozen=True)
class World:
    """The workers; who holds byte 1 and byte 0, and whether the hub listens."""

    workers: tuple[Worker, ...]
    heir: int | None = None
    hub: int | None = None
    listens: bool = False

    def behind(self, number: int) -> World:
        """The next deed of a worker, with its answer."""
        one = self.workers[number]
        deed, world = one.deeds[0], self
        answer: MemberEvent | None = None
        match deed:
            case Deed.CONNECT:
                answer = MemberEvent.LINKED if self.listens else MemberEvent.NOBODY
            case Deed.TAKE_HEIR | Deed.TAKE_HUB if self.hub is not None:
                answer = MemberEvent.REFUSED
            case Deed.TAKE_HEIR:
                answer = MemberEvent.TOOK if self.heir is None else MemberEvent.REFUSED
                world = replace(self, heir=number if self.heir is None else self.heir)
            case Deed.TAKE_HUB:
                answer, world = MemberEvent.TOOK, replace(self, hub=number)
            case Deed.GIVE_HEIR:
                world = replace(self, heir=None)
            case Deed.WAIT:
                answer, one = MemberEvent.RETRY, replace(one, waits=one.waits + 1)
            case Deed.ADOPT:
                answer = MemberEvent.ADOPTED
            case Deed.LISTEN:
                world = replace(self, listens=True)
        at, more = step(one.at, answer) if answer is not None else (one.at, ())
        workers = list(world.workers)
        workers[number] = replace(one, at=at, deeds=(*one.deeds[1:], *more))
        return replace(world, workers=tuple(workers))


@pytest.mark.contract("F8")
def test_who_becomes_the_hub_has_waited_for_nobody() -> None:
    """Those that wait are the others; each of them finds the hub at its next look once it listens."""
    at, deeds = step(Standing(Role.WORKER), MemberEvent.LINK_ENDED)
    worlds, seen, ends = [World((Worker(at, deeds),) * 3)], set[World](), 0
    while worlds:
        world = worlds.pop()
        if world in seen:
            continue
        seen.add(world)
        if world.hub is not None:
            assert world.workers[world.hub].waits == 0
        if world.listens:
            ends += 1
            for number, one in enumerate(world.workers):
                assert turns_until_linked(world, number) <= len(one.deeds) + 2
            continue
        # Somebody who waits may do so as often as it likes: twice is enough to see it in each place.
        worlds += [
            world.behind(number)
            for number, one in enumerate(world.workers)
            if one.deeds and not (one.deeds[0] is Deed.WAIT and one.waits == 2)
        ]
    assert ends > 10


def turns_until_linked(world: World, number: int) -> int:
    """So many deeds of its own until a worker has the hub, or a link to it."""
    turns = 0
    while world.workers[number].at.role not in (Role.HUB, Role.WORKER):
        world, turns = world.behind(number), turns + 1
    return turns


@pytest.mark.contract("F8")
def test_the_waits_of_the_design_are_less_than_two_seconds() -> None:
    """For better kinds, for the next look of the others, and for the next tick of each."""
    waits = max(member_loop._DELAYS.values()) + member_loop.HURRY + member_loop.TICK
    assert waits <= 0.5
