"""What a membership costs: joining and leaving do not grow with the room, and memory stays below 300 bytes.

The machine and the registry are the real ones, the sessions are stand-ins without sockets. Nothing is timed.
Three counts stand for the work of one command: the bytecodes that run, which a loop in Python adds to; the
looks at other sessions, which a search inside a list or a dict adds to; and the bytes that are allocated
meanwhile, which a copy adds to.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.machine import Machine, Rules
from resumehub.core.resume import Credentials
from resumehub.runtime.system import SystemRuntime
from resumehub.server import registry as registry_module
from resumehub.server.registry import SessionRegistry
from resumehub.server.room import Room

LARGE = 2_000
MEMBERSHIPS = 25_000
MAX_ROOMS = 64
RUNTIME = SystemRuntime()


class Looks:
    """How often a session or its number was compared."""

    count = 0


class Epoch(int):
    """A session's number in the registry; a comparison is counted."""

    __hash__ = int.__hash__

    def __eq__(self, other: object) -> bool:
        Looks.count += 1
        return int.__eq__(self, other)


@dataclass(slots=True)
class StandIn:
    """What the registry reads of a session, and writes to it."""

    epoch: int
    connection_id: str
    room_id: str
    credentials: Credentials
    rooms: tuple[str, ...]
    is_suspended: bool = False

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        Looks.count += 1
        return self is other


class World:
    """The machine's decisions, and what the registry makes of them. Sessions are numbered from 1 on."""

    def __init__(self, sessions: int) -> None:
        self.machine = Machine(Rules(ping_interval=None, max_sessions=sessions, max_rooms=MAX_ROOMS))
        self.registry = SessionRegistry(RUNTIME)
        self.sessions: dict[int, StandIn] = {}
        for number in range(1, sessions + 1):
            self.do(c.Register(number, f"u{number}", "home", life=str(number)))

    def do(self, command: c.Command) -> None:
        for effect in self.machine.handle(command, 0.0):
            match effect:
                case e.OpenSession():
                    who = effect.connection_id, effect.room_id, effect.credentials
                    session = StandIn(Epoch(effect.epoch), *who, rooms=(effect.room_id,))
                    self.sessions[effect.epoch] = session
                    self.registry.enter(session)  # type: ignore[arg-type]
                case e.AddMember(epoch, room_id):
                    self.registry.join(self.sessions[epoch], room_id)  # type: ignore[arg-type]
                case e.RemoveMember(epoch, room_id):
                    self.registry.part(self.sessions[epoch], room_id)  # type: ignore[arg-type]
                case e.NotJoined():
                    raise AssertionError(f"{effect}")

    def join(self, number: int, room_id: str) -> None:
        self.do(c.JoinRoom(number, f"u{number}", room_id))

    def leave(self, number: int, room_id: str) -> None:
        self.do(c.LeaveRoom(number, room_id))

    def fill(self, room_id: str, members: int) -> None:
        for number in range(1, members + 1):
            self.join(number, room_id)


@dataclass(frozen=True)
class Work:
    """What was counted while one thing was done."""

    bytecodes: int
    looks: int
    bytes: int


def work_of(do: Callable[[], None]) -> Work:
    """The work of a deed that leaves things as it found them: done once before it is counted."""
    do()
    gc.collect()
    bytecodes = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal bytecodes
        if frame.f_code.co_filename == __file__ and "__eq__" in frame.f_code.co_name:
            return None  # they have a count of their own
        frame.f_trace_opcodes = True
        bytecodes += event == "opcode"
        return count

    Looks.count = 0
    tracemalloc.start()
    begun = tracemalloc.get_traced_memory()[0]
    do()
    peak, looks = tracemalloc.get_traced_memory()[1] - begun, Looks.count
    tracemalloc.stop()
    before = sys.gettrace()
    sys.settrace(count)
    try:
        do()
    finally:
        sys.settrace(before)
    return Work(bytecodes, looks, peak)


def join_and_leave(world: World, room_id: str, who: int) -> Work:
    """The work of the member ``who``, who leaves and joins again: the other members stay."""

    def deed() -> None:
        world.leave(who, room_id)
        world.join(who, room_id)

    return work_of(deed)


def grows(small: Work, large: Work) -> list[str]:
    """What one of the two takes more of. 2 KiB of memory are no copy of ten thousand members."""
    grown = ["bytecodes"] if large.bytecodes != small.bytecodes else []
    grown += ["looks"] if large.looks > small.looks + 2 else []
    return grown + (["bytes"] if large.bytes > small.bytes + 2048 else [])


def crowded(members: int = LARGE) -> World:
    """All sessions are in a large room; two, one in the middle and the last one in a small room as well."""
    world = World(members)
    world.fill("large", members)
    for who in (1, 2, members // 2, members):
        world.join(who, "small")
    return world


def growth(world: World, who: int) -> list[str]:
    """What it takes more of to leave the large room and join it again than the small one."""
    return grows(join_and_leave(world, "small", who), join_and_leave(world, "large", who))


@pytest.mark.contract("E1")
def test_joining_and_leaving_cost_as_much_in_a_large_room_as_in_a_small_one() -> None:
    world = crowded()
    assert [growth(world, who) for who in (1, 2, LARGE // 2, LARGE)] == [[]] * 4


def test_the_counts_see_a_room_that_searches_its_members(monkeypatch: pytest.MonkeyPatch) -> None:
    class Searching(Room):
        __slots__ = ("listed",)

        def __init__(self, runtime: Any, room_id: str) -> None:
            super().__init__(runtime, room_id)
            self.listed: list[Any] = []

        def add(self, session: Any) -> None:
            self.listed.append(session)

        def remove(self, session: Any) -> bool:
            self.listed.remove(session)
            return not self.listed

    monkeypatch.setattr(registry_module, "Room", Searching)
    assert growth(crowded(), LARGE) == ["looks"]


def test_the_counts_see_a_room_that_copies_its_members_or_loops_over_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Copying(Room):
        __slots__ = ()

        def add(self, session: Any) -> None:
            self._members = self._members | {session.epoch: session}

    class Looping(Room):
        __slots__ = ()

        def remove(self, session: Any) -> bool:
            for _ in self._members:
                pass
            return super().remove(session)

    found = []
    for room in (Copying, Looping):
        with monkeypatch.context() as patched:
            patched.setattr(registry_module, "Room", room)
            found.append(growth(crowded(600), 300))
    assert found == [["bytes"], ["bytecodes"]]


@pytest.mark.contract("E1")
def test_a_membership_takes_at_most_300_bytes() -> None:
    """One room of ten thousand, and sessions in 64 rooms each: a hundred thousand memberships.

    Each name of a room is a text of its own, as it is when clients send them. Measured: 125 bytes.
    """
    world = World(LARGE)
    busy = (MEMBERSHIPS - LARGE) // (MAX_ROOMS - 2)
    gc.collect()
    tracemalloc.start()
    begun = tracemalloc.get_traced_memory()[0]
    world.fill("large", LARGE)
    for number in range(1, busy + 1):
        for room in range(MAX_ROOMS - 2):
            world.join(number, f"room-{room}")
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - begun
    tracemalloc.stop()
    memberships = sum(world.machine.rooms.values()) - LARGE  # without the home room
    assert abs(memberships - MEMBERSHIPS) < MAX_ROOMS
    assert max(len(session.rooms) for session in world.sessions.values()) == MAX_ROOMS
    assert taken / memberships <= 300
