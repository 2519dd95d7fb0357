"""Broadcasts of handlers are written together while their thread has more in hand. On free threads."""

from __future__ import annotations

import threading

import pytest

from resumehub import Message, NoopMetrics
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import WebSocketClient
from resumehub.testing.wire import client_frame
from resumehub.trace import Trace
from tests.contract.peers import Gate
from tests.support import read, text

NEVER = 10_000.0


@pytest.fixture(autouse=True)
def nothing_is_slow(monkeypatch):
    monkeypatch.setattr("resumehub.incoming.leader_followers.SLOW", NEVER)


@pytest.fixture
def no_time(monkeypatch):
    """Nothing is held back for too long, and no deputy looks."""
    monkeypatch.setattr("resumehub.outgoing.cork.LONGEST", NEVER)
    monkeypatch.setattr("resumehub.incoming.leader_followers.LOOK", NEVER)


class Room:
    """Three clients, and a handler that tells everybody what it hears."""

    def __init__(self, stage, **options) -> None:
        self.trace = Trace()
        self.one = stage(trace=self.trace, _runtime=SystemRuntime(share=True), **options)
        self.hub = self.one.hub
        self.hub.on_message(self.hear)
        self.clients = [self.one.open(f"u{number}") for number in range(3)]
        self.one.recorder.wait_for("connect", count=3)
        self.meanwhile = lambda message: None

    def hear(self, connection, message) -> None:
        self.hub.broadcast("lobby", message)
        self.meanwhile(message)

    def say_at_once(self, numbers: range) -> None:
        """The first client says so much in one piece of input."""
        frames = [client_frame("text", text("n", number).encode()) for number in numbers]
        self.clients[0].send_raw(b"".join(frames))

    def written(self) -> list[int]:
        """How many frames went out together, each time; the 101s are no frames. Ends the server.

        A receiver has a frame before its writer has noted it, and the threads note all before they end.
        """
        self.one.leave()
        return [record["frames"] for record in self.trace.records() if record.get("frames")]


def heard(ws: WebSocketClient, count: int) -> list[int]:
    return [read(ws)[1] for _ in range(count)]


@pytest.mark.usefixtures("no_time")
def test_what_is_said_at_once_is_written_at_once(stage):
    """Five broadcasts cost each receiver one system call, and come in order."""
    room = Room(stage)
    room.say_at_once(range(5))
    for ws in room.clients:
        assert heard(ws, 5) == list(range(5))
    assert room.written() == [5, 5, 5]


@pytest.mark.usefixtures("no_time")
def test_a_broadcast_with_nothing_behind_it_goes_out_at_once(stage):
    room = Room(stage)
    for number in range(2):
        room.say_at_once(range(number, number + 1))
        for ws in room.clients:
            assert heard(ws, 1) == [number]
    assert room.written() == [1] * 6


@pytest.mark.usefixtures("no_time")
def test_a_message_of_ones_own_stays_behind_what_is_held_back(stage):
    """And takes it along."""
    room = Room(stage)
    room.meanwhile = lambda message: room.hub.send("u1", Message("n", message.payload + 10))
    room.say_at_once(range(2))
    assert heard(room.clients[1], 4) == [0, 10, 1, 11]
    assert heard(room.clients[2], 2) == [0, 1]


@pytest.mark.usefixtures("no_time")
def test_others_broadcasts_keep_the_order_of_the_room(stage):
    """Another thread's comes in between; everybody hears the same."""
    room = Room(stage)

    def another(message: Message) -> None:
        thread = threading.Thread(
            target=room.hub.broadcast, args=("lobby", Message("n", message.payload + 10))
        )
        thread.start()
        thread.join()

    room.meanwhile = another
    room.say_at_once(range(3))
    for ws in room.clients:
        assert heard(ws, 6) == [0, 10, 1, 11, 2, 12]


def test_nothing_is_held_back_for_longer_than_five_milliseconds(stage, monkeypatch):
    """Here it is no time at all: each callback ends with all of it written."""
    monkeypatch.setattr("resumehub.outgoing.cork.LONGEST", -1.0)
    monkeypatch.setattr("resumehub.incoming.leader_followers.LOOK", NEVER)
    room = Room(stage)
    room.say_at_once(range(3))
    for ws in room.clients:
        assert heard(ws, 3) == [0, 1, 2]
    assert room.written() == [1] * 9


def test_a_handler_that_blocks_holds_nothing_back(stage):
    """Its deputy writes what its broadcasts left."""
    room, gate = Room(stage), Gate()
    room.meanwhile = lambda message: gate.hold() if message.payload == 1 else None
    room.say_at_once(range(3))
    gate.wait_reached()
    for ws in room.clients:
        assert heard(ws, 2) == [0, 1]
    gate.open()
    for ws in room.clients:
        assert heard(ws, 1) == [2]


class Drops(NoopMetrics):
    def __init__(self) -> None:
        self.count = 0

    def message_dropped(self, room_id, connection_id, reason) -> None:
        self.count += 1


@pytest.mark.usefixtures("no_time")
def test_nothing_is_dropped_for_want_of_room_that_the_network_has(stage):
    """Four messages fit, twenty come, and all receivers read."""
    drops = Drops()
    room = Room(stage, send_buffer=4, metrics=drops)
    room.say_at_once(range(20))
    for ws in room.clients:
        assert heard(ws, 20) == list(range(20))
    assert drops.count == 0


@pytest.mark.usefixtures("no_time")
def test_a_leave_behind_it_waits_until_it_is_written(stage):
    """Kicked in the handler that spoke: the close frame never overtakes."""
    room = Room(stage)
    room.meanwhile = lambda message: room.hub.kick("u2") if message.payload == 0 else None
    room.say_at_once(range(2))
    assert heard(room.clients[2], 1) == [0]
    assert room.clients[2].receive_close() == (1000, "kicked")
    assert heard(room.clients[1], 2) == [0, 1]
