"""Two or three processes of a cluster, their lock, links and messages, as one value: every order is played.

A process does one deed at a time, and reads a message only when it has nothing to do. It can be killed at any
moment: the kernel gives its bytes back, and its links end behind what it wrote. Used by
``test_membership_orders.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from resumehub.core.cluster.membership import Deed, MemberEvent, Role, Standing, may_leave, step

OFFER, COMMIT, CANCEL, END = "offer", "commit", "cancel", "end"
TRANSIT = -1


@dataclass(frozen=True)
class Process:
    """One of them. ``link``: to which other one. ``target``: to whom it moves its hub. ``holds``: what came
    of a hub that moves here, and is inert. ``inbox``: what the hub has written on the link."""

    at: Standing
    todo: tuple[Deed, ...] = ()
    waits: bool = False
    alive: bool = True
    listens: bool = False
    link: int | None = None
    inbox: tuple[str, ...] = ()
    target: int | None = None
    accepted: bool = False
    holds: bool = False


@dataclass(frozen=True)
class World:
    """All there is. ``live``: which process has the sessions alive; TRANSIT: a committed move has them."""

    processes: tuple[Process, ...]
    hub_byte: int | None = None
    heir_byte: int | None = None
    live: int | None = None
    parked: bool = False
    kills: int = 0
    tolds: int = 0
    moves: int = 0
    parks: int = 0


def beginning(count: int, *, kills: int, tolds: int, moves: int, parks: int) -> World:
    """``count`` processes that have just started, and how often each misfortune may come."""
    at, todo = step(Standing(), MemberEvent.STARTED)
    one = Process(at, todo)
    return World((one,) * count, kills=kills, tolds=tolds, moves=moves, parks=parks)


def turns(world: World) -> Iterator[tuple[str, World]]:
    """Everything that can happen next, each with the world behind it."""
    for number, process in enumerate(world.processes):
        if not process.alive:
            continue
        if (done := turn(world, number)) is not None:
            yield done
        yield from _choices(world, number)


def turn(world: World, number: int) -> tuple[str, World] | None:
    """What process ``number`` does next by itself: a deed, a message, or another try; None: nothing."""
    process = world.processes[number]
    if process.todo:
        deed = process.todo[0]
        rest = _with(world, number, todo=process.todo[1:])
        return f"{number} {deed.name}", _do(rest, number, deed)
    if process.inbox:
        return f"{number} reads {process.inbox[0]}", _read(world, number)
    if process.at.role is Role.MOVING and process.target is not None:
        mover = _go_on_with_the_move(world, number)
        return None if mover is None else (f"{number} goes on with its move", mover)
    if process.waits:
        return f"{number} tries again", _event(_with(world, number, waits=False), number, MemberEvent.RETRY)
    if process.at.told and process.at.role in (Role.WORKER, Role.LOOKING):
        return f"{number} leaves", _event(world, number, MemberEvent.LEAVE)
    return None


def _choices(world: World, number: int) -> Iterator[tuple[str, World]]:
    process = world.processes[number]
    if world.kills:
        yield f"{number} is killed", _kill(replace(world, kills=world.kills - 1), number)
    if world.tolds and not process.at.told and process.at.role is not Role.GONE:
        told = replace(world, tolds=world.tolds - 1)
        yield f"{number} is told to stop", _event(told, number, MemberEvent.TOLD)
    if process.todo:
        return
    if process.at.role is Role.HUB:
        for target, other in enumerate(world.processes):
            if world.moves and other.alive and other.link == number:
                moving = _with(replace(world, moves=world.moves - 1), number, target=target, accepted=False)
                yield f"{number} moves to {target}", _event(moving, number, MemberEvent.MOVE)
        if world.parks:
            parking = replace(world, parks=world.parks - 1)
            yield f"{number} parks", _event(parking, number, MemberEvent.PARK)
    if process.at.role is Role.MOVING and process.target is not None:
        yield f"{number} gives its move up", _give_up(world, number)
    if may_leave(process.at) and process.at.told and process.at.role is Role.HUB and world.live != number:
        yield f"{number} leaves", _event(world, number, MemberEvent.LEAVE)


def _do(world: World, number: int, deed: Deed) -> World:
    process = world.processes[number]
    match deed:
        case Deed.CONNECT:
            hub = next((at for at, one in enumerate(world.processes) if one.alive and one.listens), None)
            if hub is None or hub == number:
                return _event(world, number, MemberEvent.NOBODY)
            return _event(_with(world, number, link=hub, inbox=()), number, MemberEvent.LINKED)
        case Deed.TAKE_HEIR:
            if world.heir_byte is not None:
                return _event(world, number, MemberEvent.REFUSED)
            return _event(replace(world, heir_byte=number), number, MemberEvent.TOOK)
        case Deed.TAKE_HUB:
            if world.hub_byte is not None:
                return _event(world, number, MemberEvent.REFUSED)
            assert world.heir_byte == number, "whoever takes byte 0 holds byte 1"
            return _event(replace(world, hub_byte=number), number, MemberEvent.TOOK)
        case Deed.GIVE_HEIR:
            assert world.heir_byte == number
            return replace(world, heir_byte=None)
        case Deed.GIVE_HUB:
            assert world.hub_byte == number
            return replace(world, hub_byte=None)
        case Deed.WAIT:
            return _with(world, number, waits=True)
        case Deed.ADOPT:
            assert world.live is None, "sessions are alive twice"
            return _event(replace(world, live=number, parked=False), number, MemberEvent.ADOPTED)
        case Deed.LISTEN:
            assert not any(one.alive and one.listens for one in world.processes), "two hubs listen"
            return _with(world, number, listens=True)
        case Deed.HUSH:
            return _hush(world, number)
        case Deed.ACCEPT:
            return _with(_answer(world, process.link, number, accepted=True), number, holds=True)
        case Deed.DECLINE:
            return _answer(world, process.link, number, accepted=False)
        case Deed.DROP:
            return _with(world, number, holds=False)
        case Deed.GO:
            assert world.live == TRANSIT, "only a committed hub goes on"
            assert process.holds
            return replace(_with(world, number, holds=False), live=number)
        case Deed.MOVE_IT:
            target = process.target
            assert target is not None
            if world.processes[target].link != number or not world.processes[target].alive:
                return _event(_with(world, number, target=None), number, MemberEvent.STAYED)
            return _write(world, target, OFFER)
        case Deed.PARK_IT:
            assert world.live == number
            return _event(replace(world, live=None, parked=True), number, MemberEvent.PARKED)
        case Deed.UNLINK:
            return _unlink(world, number)


def _read(world: World, number: int) -> World:
    process = world.processes[number]
    first, rest = process.inbox[0], process.inbox[1:]
    world = _with(world, number, inbox=rest)
    match first:
        case "offer":
            return _event(world, number, MemberEvent.OFFERED)
        case "commit":
            return _event(world, number, MemberEvent.COMMITTED)
        case "cancel":
            return _event(world, number, MemberEvent.CANCELLED)
    return _event(_with(world, number, link=None), number, MemberEvent.LINK_ENDED)


def _go_on_with_the_move(world: World, number: int) -> World | None:
    process = world.processes[number]
    target = process.target
    assert target is not None
    if world.processes[target].link != number or not world.processes[target].alive:
        return _event(_with(world, number, target=None), number, MemberEvent.STAYED)
    if not process.accepted:
        return None
    world = replace(_write(world, target, COMMIT), live=TRANSIT)
    return _event(_with(world, number, target=None), number, MemberEvent.MOVED)


def _give_up(world: World, number: int) -> World:
    target = world.processes[number].target
    assert target is not None
    if world.processes[target].link == number:
        world = _write(world, target, CANCEL)
    return _event(_with(world, number, target=None, accepted=False), number, MemberEvent.STAYED)


def _answer(world: World, hub: int | None, target: int, *, accepted: bool) -> World:
    # A late answer to a move that was given up has the number of that move, and counts for nothing.
    offered = CANCEL not in world.processes[target].inbox
    if hub is None or world.processes[hub].target != target or not offered:
        return world
    if accepted:
        return _with(world, hub, accepted=True)
    return _event(_with(world, hub, target=None), hub, MemberEvent.STAYED)


def _hush(world: World, number: int) -> World:
    world = _with(world, number, listens=False)
    for other, process in enumerate(world.processes):
        if process.alive and process.link == number and END not in process.inbox:
            world = _write(world, other, END)
    return world


def _unlink(world: World, number: int) -> World:
    return _with(world, number, link=None, inbox=())


def _kill(world: World, number: int) -> World:
    world = _hush(world, number)
    holder = world.processes[number]
    lost = world.live == number or (
        world.live == TRANSIT
        and (holder.at.role is Role.TAKING or COMMIT in holder.inbox or Deed.GO in holder.todo)
    )
    return replace(
        _with(
            world, number, alive=False, todo=(), inbox=(), link=None, waits=False, holds=False, target=None
        ),
        hub_byte=None if world.hub_byte == number else world.hub_byte,
        heir_byte=None if world.heir_byte == number else world.heir_byte,
        live=None if lost else world.live,
    )


def _write(world: World, number: int, message: str) -> World:
    return _with(world, number, inbox=(*world.processes[number].inbox, message))


def _event(world: World, number: int, event: MemberEvent) -> World:
    process = world.processes[number]
    at, deeds = step(process.at, event)
    return _with(world, number, at=at, todo=(*deeds, *process.todo))


def _with(world: World, number: int, **changes: object) -> World:
    changed = list(world.processes)
    changed[number] = replace(changed[number], **changes)  # type: ignore[arg-type]
    return replace(world, processes=tuple(changed))
