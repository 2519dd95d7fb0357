"""Which part a process plays in its cluster: it looks for a hub, is a worker, becomes the hub, gives it away.

A record lock on byte 0 of a file is the hub; one on byte 1 is the heir. **Whoever takes byte 0 holds byte
1.** So a process that polls can't slip in between the two ends of a move: the target has byte 1 before the
old process lets byte 0 go. A process that dies holds neither, since the kernel gives both back. So a free
byte 0 is what tells of a dead hub; the end of a link is a hint.

``step`` takes the state, an event, and returns the state behind it and what is to be done, in order. Each
deed answers with an event. A move commits with a message and then with byte 0: the old process never goes on
once the message is written, and the new one goes on when it has both. Pure. Called by ``cluster/member.py``,
on its thread; ``tests/core/test_membership_orders.py`` tries every order. Read next: ``stopping.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

HURRY: Final = 0.05
"""Seconds between two looks while something is under way: a stop, a move, the search for a hub."""

MOMENT: Final = 0.001
"""The first of them for the byte of a hub that moves to this process."""


class Role(Enum):
    """What a process is in its cluster."""

    IDLE = "has not started"
    LOOKING = "looks for a hub"
    HEIR = "is about to take the hub"
    ADOPTING = "has the hub, and takes what is parked"
    HUB = "holds the hub"
    WORKER = "has a link to the hub"
    RECEIVING = "takes a hub that moves, and holds it inert"
    TAKING = "has a hub whose move is committed, and waits for the lock"
    MOVING = "gives its hub to another process"
    PARKING = "writes its sessions down"
    GONE = "takes no part any more"


class Byte(Enum):
    """The two bytes of the lock."""

    HUB = 0
    HEIR = 1


class MemberEvent(Enum):
    """What has happened to the process, or what a deed has led to."""

    STARTED = "the process serves from now on"
    RETRY = "it is time to try again"
    LINKED = "a hub listens, and has greeted this process"
    NOBODY = "no hub listens"
    LINK_ENDED = "the link to the hub has been read to its end"
    TOOK = "the byte that was asked for is held"
    REFUSED = "another process holds the byte that was asked for"
    ADOPTED = "what was parked is here, or nothing was"
    OFFERED = "the hub would move to this process"
    COMMITTED = "the hub that moves has said that it is here now"
    CANCELLED = "the hub that moves has said that it stays"
    TOLD = "this process is told to stop"
    MOVE = "the hub is to move to another process"
    MOVED = "the message that commits a move is written"
    STAYED = "a move has failed, and the hub goes on here"
    PARK = "the hub is to be parked"
    PARKED = "the sessions are written down, or have ended"
    LEAVE = "this process takes no part any more"


class Deed(Enum):
    """What is to be done, in this process."""

    CONNECT = "connect to the hub: answers LINKED or NOBODY"
    TAKE_HEIR = "try to take byte 1: answers TOOK or REFUSED"
    TAKE_HUB = "try to take byte 0: answers TOOK or REFUSED"
    GIVE_HEIR = "let byte 1 go"
    GIVE_HUB = "let byte 0 go"
    WAIT = "answer RETRY in a moment"
    ADOPT = "take what is parked: answers ADOPTED"
    LISTEN = "begin to listen for links: the hub is here"
    HUSH = "stop listening, and end the links"
    ACCEPT = "tell the hub that moves that this process takes it"
    DECLINE = "tell the hub that moves that this process does not take it"
    DROP = "forget what came of a hub that did not move"
    GO = "go on with the hub that has moved here"
    MOVE_IT = "move the hub: answers MOVED or STAYED"
    PARK_IT = "park the hub: answers PARKED"
    UNLINK = "end the link to the hub"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a process stands. ``told``: to stop; it never takes a hub again. ``has_heir``, ``has_hub``: which
    bytes of the lock it holds."""

    role: Role = Role.IDLE
    told: bool = False
    has_heir: bool = False
    has_hub: bool = False


Step = tuple[Standing, tuple[Deed, ...]]


def step(at: Standing, event: MemberEvent) -> Step:
    """What a process is behind ``event``, and what it does. What says nothing new changes nothing."""
    match event:
        case MemberEvent.TOLD:
            return replace(at, told=True), ()
        case MemberEvent.LEAVE:
            return _leaves(at)
    match at.role:
        case Role.IDLE:
            return _looks(at) if event is MemberEvent.STARTED else (at, ())
        case Role.LOOKING | Role.HEIR:
            return _looking(at, event)
        case Role.WORKER | Role.RECEIVING | Role.TAKING:
            return _linked(at, event)
        case Role.ADOPTING | Role.HUB | Role.MOVING | Role.PARKING:
            return _with_the_hub(at, event)
        case Role.GONE:
            return at, ()


def _looks(at: Standing) -> Step:
    return replace(at, role=Role.LOOKING), (Deed.CONNECT,)


def _looking(at: Standing, event: MemberEvent) -> Step:
    match at.role, event:
        case Role.LOOKING, MemberEvent.RETRY:
            return at, (Deed.CONNECT,)
        case Role.LOOKING, MemberEvent.LINKED:
            return replace(at, role=Role.WORKER), ()
        case Role.LOOKING, MemberEvent.NOBODY:
            # Who has been told to stop would have to give the hub away again at once.
            return at, (Deed.WAIT,) if at.told else (Deed.TAKE_HEIR,)
        case Role.LOOKING, MemberEvent.REFUSED:
            return at, (Deed.WAIT,)
        case Role.LOOKING, MemberEvent.TOOK:
            return replace(at, role=Role.HEIR, has_heir=True), (Deed.TAKE_HUB,)
        case Role.HEIR, MemberEvent.REFUSED:
            return replace(at, role=Role.LOOKING, has_heir=False), (Deed.GIVE_HEIR, Deed.WAIT)
        case Role.HEIR, MemberEvent.TOOK:
            held = replace(at, role=Role.ADOPTING, has_hub=True, has_heir=False)
            return held, (Deed.GIVE_HEIR, Deed.ADOPT)
    return at, ()


def _linked(at: Standing, event: MemberEvent) -> Step:
    match at.role, event:
        case Role.WORKER, MemberEvent.LINK_ENDED:
            return _looks(at)
        case Role.WORKER, MemberEvent.OFFERED:
            return (at, (Deed.DECLINE,)) if at.told else (at, (Deed.TAKE_HEIR,))
        case Role.WORKER, MemberEvent.REFUSED:
            return at, (Deed.DECLINE,)
        case Role.WORKER, MemberEvent.TOOK:
            return replace(at, role=Role.RECEIVING, has_heir=True), (Deed.ACCEPT,)
        case Role.RECEIVING, MemberEvent.CANCELLED:
            return replace(at, role=Role.WORKER, has_heir=False), (Deed.DROP, Deed.GIVE_HEIR)
        case Role.RECEIVING, MemberEvent.LINK_ENDED:
            # The hub has died before the commit: it ends with its process, and this one has byte 1 already.
            return replace(at, role=Role.HEIR), (Deed.DROP, Deed.TAKE_HUB)
        case Role.RECEIVING, MemberEvent.COMMITTED:
            return replace(at, role=Role.TAKING), (Deed.TAKE_HUB,)
        case Role.TAKING, MemberEvent.REFUSED:
            return at, (Deed.WAIT,)  # the old process has not let go yet; it may be stopped
        case Role.TAKING, MemberEvent.RETRY:
            return at, (Deed.TAKE_HUB,)
        case Role.TAKING, MemberEvent.TOOK:
            held = replace(at, role=Role.HUB, has_hub=True, has_heir=False)
            return held, (Deed.GIVE_HEIR, Deed.GO, Deed.LISTEN)
    return at, ()


def _with_the_hub(at: Standing, event: MemberEvent) -> Step:
    match at.role, event:
        case Role.ADOPTING, MemberEvent.ADOPTED:
            return replace(at, role=Role.HUB), (Deed.LISTEN,)
        case Role.HUB, MemberEvent.MOVE:
            return replace(at, role=Role.MOVING), (Deed.MOVE_IT,)
        case Role.HUB, MemberEvent.PARK:
            return replace(at, role=Role.PARKING), (Deed.PARK_IT,)
        case Role.MOVING, MemberEvent.STAYED:
            return replace(at, role=Role.HUB), ()
        case Role.MOVING, MemberEvent.MOVED:
            # It is a worker from now on: what still runs here goes on over a link to the new hub.
            gave = replace(at, role=Role.LOOKING, has_hub=False)
            return gave, (Deed.HUSH, Deed.GIVE_HUB, Deed.CONNECT)
        case Role.PARKING, MemberEvent.PARKED:
            return replace(at, role=Role.GONE, has_hub=False), (Deed.HUSH, Deed.GIVE_HUB)
    return at, ()


def pause(at: Standing, waited: float) -> float:
    """Seconds until the byte of the hub is looked at again. ``waited``: since the first look.

    Where a hub moves to, the byte is free a moment behind the commit, and clients wait for that.
    """
    return min(HURRY, max(MOMENT, waited)) if at.role is Role.TAKING else HURRY


def may_leave(at: Standing) -> bool:
    """Whether ``LEAVE`` costs no session: nothing is on its way to this process or from it."""
    return at.role not in _UNDER_WAY


_UNDER_WAY = (Role.ADOPTING, Role.RECEIVING, Role.TAKING, Role.MOVING, Role.PARKING)


def _leaves(at: Standing) -> Step:
    assert may_leave(at), f"a process that {at.role.value} is not done"
    deeds: list[Deed] = []
    if at.role is Role.HUB:
        deeds += [Deed.HUSH, Deed.GIVE_HUB]
    if at.role is Role.WORKER:
        deeds.append(Deed.UNLINK)
    if at.has_heir:
        deeds.append(Deed.GIVE_HEIR)
    return Standing(Role.GONE, at.told), tuple(deeds)
