"""Hypothesis's side: which commands there are, and that the hub and the model agree after each.

A rule is one command; it picks ids and rooms that are in use more often than not, since a command that
finds nobody is soon told. It can also be called by hand: a failure is printed as a script of such calls,
which runs as it stands (an example is in ``test_model.py``). The model is ``model.py``, the
hub ``real_hub.py``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import currently_in_test_context, note
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    precondition,
    rule,
)

from tests.model import real_hub
from tests.model.model import Model

IDS = ["ada", "bob", "cy"]
ROOMS = ["lobby", "attic"]
OTHERS = ["news", "garden"]
"""Rooms that are nobody's home, so that one more than ``Model.max_rooms`` can be joined."""

Joined = str | MultipleResults[str]


def sessions(state: HubAndModel) -> list[str]:
    return list(state.model.sessions)


def rooms(state: HubAndModel) -> list[str]:
    return list(state.model.view()["rooms"])


def suspended(state: HubAndModel) -> list[str]:
    return sorted(state.model.view()["suspended"])


def knocking(state: HubAndModel) -> list[str]:
    return [connection_id for connection_id, *_ in state.knocking.values()]


ROOM = st.sampled_from(ROOMS)
HELD = st.runner().flatmap(lambda state: st.sampled_from([*sessions(state) * 4, *IDS]))
AWAY = st.runner().flatmap(lambda state: st.sampled_from(suspended(state)))
WANTED = st.runner().flatmap(lambda state: st.sampled_from(knocking(state)))
OTHER = st.sampled_from([*ROOMS, *OTHERS])
USED = st.runner().flatmap(lambda state: st.sampled_from([*rooms(state) * 2, *ROOMS]))


def insist(what: str, hub: object, model: object) -> None:
    """Said in words, since a script that is run by itself has no help from pytest."""
    assert hub == model, f"{what}: the hub says {hub!r}, and the model {model!r}"


class HubAndModel(RuleBasedStateMachine):
    """Every rule does the same to both, and compares."""

    world: ClassVar[type[real_hub.Real]]

    clients = Bundle("clients")
    knocks = Bundle("knocks")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.real: real_hub.Real | None = None
        self.agreed = True
        self.names = self.numbers = 0
        self.knocking: dict[str, tuple[str, str, bool, int | None]] = {}
        """Whose socket has not arrived yet: id, room, whether it is a resume, and of which session."""
        if currently_in_test_context():
            note(f"from {type(self).__module__} import {type(self).__name__}")

    @initialize(
        resume_window=st.sampled_from([30, 30, 30, 0]),
        on_duplicate=st.sampled_from(["replace", "replace", "reject"]),
        max_sessions=st.sampled_from([3, 2]),
        on_full=st.sampled_from(["expire", "refuse"]),
    )
    def open_hub(self, **options: Any) -> None:
        self.model = Model(**options)
        bounds = {"send_buffer": self.model.send_buffer, "max_rooms": self.model.max_rooms}
        self.real = self.world(**bounds, **options)
        self.agree()

    # -- clients ----------------------------------------------------------------------------

    @rule(target=clients, connection_id=st.sampled_from(IDS), room=ROOM)
    def connect(self, connection_id: str, room: str) -> Joined:
        return self.dial(connection_id, room, resume=False)

    @precondition(sessions)
    @rule(target=clients, connection_id=HELD, room=ROOM)
    def resume(self, connection_id: str, room: str) -> Joined:
        """The room of a resume is ignored."""
        return self.dial(connection_id, room, resume=True)

    @precondition(suspended)
    @rule(target=clients, connection_id=AWAY)
    def come_back(self, connection_id: str) -> Joined:
        return self.dial(connection_id, "lobby", resume=True)

    def dial(self, connection_id: str, room: str, resume: bool) -> Joined:
        name = self.new_name()
        status, seen = self.model.check(connection_id, resume)
        if status == 101:
            self.model.arrive(name, connection_id, room, resume, seen)
        insist("status", self.real.connect(name, real_hub.url_of(connection_id, room, resume)), status)
        self.agree()
        return name if status == 101 else multiple()

    @precondition(sessions)
    @rule(target=knocks, connection_id=HELD, room=ROOM, resume=st.booleans())
    def knock(self, connection_id: str, room: str, resume: bool) -> Joined:
        """A request that is checked, and whose socket does not arrive at once."""
        name = self.new_name()
        status, seen = self.model.check(connection_id, resume)
        if status == 101:
            self.knocking[name] = connection_id, room, resume, seen
        insist("status", self.real.knock(name, real_hub.url_of(connection_id, room, resume)), status)
        self.agree()
        return name if status == 101 else multiple()

    @precondition(knocking)
    @rule(target=clients, connection_id=WANTED)
    def change_hands(self, connection_id: str) -> Joined:
        """Whoever has the id that somebody knocks for is kicked, and another takes it."""
        self.kick(connection_id)
        return self.connect(connection_id, "lobby")

    @rule(target=clients, name=consumes(knocks))
    def arrive(self, name: str) -> str:
        self.model.arrive(name, *self.knocking.pop(name))
        self.real.arrive(name)
        self.agree()
        return name

    @rule(name=consumes(clients))
    def drop(self, name: str) -> None:
        self.model.drop(name)
        self.real.drop(name)
        self.agree()

    @rule(name=consumes(clients), code=st.sampled_from([1001, 1000]))
    def leave(self, name: str, code: int) -> None:
        self.model.leave(name, code)
        self.real.leave(name, code)
        self.agree()

    @rule(name=clients)
    def say(self, name: str) -> None:
        self.model.say(name, number := self.new_number())
        self.real.say(name, number)
        self.agree()

    # -- the application --------------------------------------------------------------------

    @precondition(sessions)
    @rule(connection_id=HELD)
    def send(self, connection_id: str) -> None:
        expected = self.model.send(connection_id, number := self.new_number())
        insist("send", self.real.send(connection_id, number), expected)
        self.agree()

    @precondition(suspended)
    @rule(connection_id=AWAY)
    def fill(self, connection_id: str) -> None:
        """Send to a session that nobody reads, until its buffer is full."""
        while self.model.send(connection_id, number := self.new_number()) == "sent":
            insist("send", self.real.send(connection_id, number), "sent")
        insist("send", self.real.send(connection_id, number), "SendBufferFull")
        self.agree()

    @precondition(sessions)
    @rule(rooms=st.lists(USED, min_size=1, max_size=3), exclude=st.lists(HELD, max_size=1))
    def broadcast(self, rooms: list[str], exclude: list[str]) -> None:
        self.model.broadcast(rooms, number := self.new_number(), exclude)
        self.real.broadcast(rooms, number, exclude)
        self.agree()

    @precondition(sessions)
    @rule(connection_id=HELD, room=OTHER)
    def join(self, connection_id: str, room: str) -> None:
        insist("join", self.real.join(connection_id, room), self.model.join(connection_id, room))
        self.agree()

    @precondition(sessions)
    @rule(connection_id=HELD, room=USED)
    def leave_room(self, connection_id: str, room: str) -> None:
        left = self.model.leave_room(connection_id, room)
        insist("leave", self.real.leave_room(connection_id, room), left)
        self.agree()

    @precondition(suspended)
    @rule(connection_id=AWAY)
    def overflow(self, connection_id: str) -> None:
        """Broadcast to a session that nobody reads, until it has lost the first two."""
        room = self.model.sessions[connection_id].room
        for _ in range(self.model.send_buffer + 2):
            self.broadcast([room], [])

    @precondition(sessions)
    @rule(connection_id=HELD)
    def kick(self, connection_id: str) -> None:
        insist("kick", self.real.kick(connection_id), self.model.kick(connection_id))
        self.agree()

    @precondition(sessions)
    @rule(connection_id=HELD)
    def close(self, connection_id: str) -> None:
        insist("close", self.real.close(connection_id), self.model.close(connection_id))
        self.agree()

    @precondition(suspended)
    @rule(seconds=st.sampled_from([30, 29, 10, 1]))
    def advance(self, seconds: int) -> None:
        self.model.advance(seconds)
        self.real.advance(seconds)
        self.agree()

    # -- comparing --------------------------------------------------------------------------

    def agree(self) -> None:
        self.agreed = False
        self.real.settle(self.model)
        hub, model = self.real.view(), self.model.view()
        for part in ("closed", "read", "callbacks", "rooms"):
            for name in {**model[part], **hub[part]}:
                insist(f"{part}, {name}", hub[part].get(name), model[part].get(name))
        insist("suspended", hub["suspended"], model["suspended"])
        self.agreed = True

    def teardown(self) -> None:
        """Close the hub, and compare for the last time, unless something has failed before."""
        if self.real is None:
            return
        try:
            if self.agreed:
                self.model.close_hub()
                self.real.close_hub()
                self.agree()
                self.real.finish()
        finally:
            self.real.leave_no_trace()

    def new_name(self) -> str:
        self.names += 1
        return f"client {self.names}"

    def new_number(self) -> int:
        self.numbers += 1
        return self.numbers


class InTheLab(HubAndModel):
    world = real_hub.InTheLab


class OnThreads(HubAndModel):
    world = real_hub.OnThreads
