"""What threads do between the freeze of a hub and the end of its move: wholly behind it, here or there."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from resumehub import Connection, Hub, Message
from resumehub.clock import now
from resumehub.cluster.door import Door
from resumehub.errors import ConnectionClosed, ConnectionNotFound
from resumehub.runtime.system import SystemRuntime
from resumehub.session.elsewhere import Elsewhere, Seal
from resumehub.session.serial_queue import SerialQueue
from resumehub.session.session import Session
from resumehub.testing import connect
from tests.cluster.two_hubs import TwoHubs, echo, payload
from tests.contract.peers import Gate
from tests.support import PATIENCE, Call


def chat(runtime: SystemRuntime) -> Hub:
    hub = Hub(lambda request: ("lobby", request.args["id"]), _runtime=runtime)
    hub.on_message(echo)
    return hub


class Frozen:
    """Alice and Bob in a room, and everything frozen. ``end``: the move is committed, or given up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, commit: bool) -> None:
        self.waits = threading.Event()
        wait, enter = Seal.wait, Door.enter

        def wait_and_tell(seal: Seal) -> Elsewhere | None:
            self.waits.set()
            return wait(seal)

        def enter_and_tell(door: Door) -> bool:
            if door.is_shut:
                self.waits.set()
            return enter(door)

        monkeypatch.setattr(Seal, "wait", wait_and_tell)
        monkeypatch.setattr(Door, "enter", enter_and_tell)
        self.two = TwoHubs(chat)
        self.alice, self.bob = (connect(self.two.hub, f"/?id={name}") for name in ("alice", "bob"))
        handle = self.two.hub.get("alice")
        assert handle is not None
        self.handle: Connection = handle
        self.departure = self.two.departure()
        self.departure.release(0.0)
        self.two.freeze(self.departure)
        self.arrival = self.two.hold(self.departure)
        self.commit = commit

    def during(self, what: Callable[[], object]) -> Call[Any]:
        """Something that a thread does now; it has come to where it waits for the end of the move."""
        self.waits.clear()
        call = Call(what)
        assert self.waits.wait(PATIENCE), "it does not wait"
        return call

    def end(self) -> None:
        if self.commit:
            self.two.go(self.departure, self.arrival)
        else:
            self.two.thaw(self.departure, self.arrival)

    def close(self) -> None:
        for client in (self.alice, self.bob):
            client.sock.close()
        self.two.close()


@pytest.fixture(params=[True, False], ids=["commit", "thaw"])
def frozen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    here = Frozen(monkeypatch, commit=request.param)
    yield here
    here.close()


def test_a_send_through_a_handle(frozen: Frozen) -> None:
    sending = frozen.during(lambda: frozen.handle.send(Message("n", 1)))
    frozen.end()
    sending.result()
    assert payload(frozen.alice) == 1


def test_a_broadcast(frozen: Frozen) -> None:
    telling = frozen.during(lambda: frozen.two.broadcast("lobby", Message("n", 1)))
    frozen.end()
    telling.result()
    assert [payload(client) for client in (frozen.alice, frozen.bob)] == [1, 1]


def test_a_close_behind_a_send(frozen: Frozen) -> None:
    def send_and_close() -> None:
        frozen.handle.send(Message("n", 1))
        frozen.handle.close()

    closing = frozen.during(send_and_close)
    frozen.end()
    closing.result()
    assert payload(frozen.alice) == 1
    assert frozen.alice.receive_close() == (1000, "")
    with pytest.raises(ConnectionClosed):
        frozen.handle.send(Message("n", 2))


def test_a_kick(frozen: Frozen) -> None:
    kicking = frozen.during(lambda: frozen.two.call(lambda hub: hub.kick("alice")))
    frozen.end()
    kicking.result()
    assert frozen.alice.receive_close() == (1000, "kicked")
    with pytest.raises(ConnectionNotFound):
        frozen.two.hub.kick("alice")


def test_a_join_and_a_leave(frozen: Frozen) -> None:
    def join_and_leave() -> None:
        frozen.handle.join("news")
        frozen.handle.join("more")
        frozen.handle.leave("more")

    joining = frozen.during(join_and_leave)
    frozen.end()
    joining.result()
    assert frozen.two.hub.rooms() == ["lobby", "news"]
    assert frozen.handle.rooms == ("lobby", "news")
    assert all(not hub.count("more") for hub in frozen.two.hubs)


def test_a_request_to_the_client(frozen: Frozen) -> None:
    asking = frozen.during(lambda: frozen.handle.request("how are you?"))
    frozen.end()
    question = json.loads(frozen.alice.receive(PATIENCE))
    frozen.alice.send(json.dumps({"event": "how are you?", "payload": "fine", "re": question["id"]}))
    assert asking.result() == "fine"


def test_what_the_client_says_meanwhile(frozen: Frozen) -> None:
    frozen.alice.send('{"payload": 1}')
    frozen.alice.ping(b"?")
    frozen.end()
    assert payload(frozen.alice) == 1
    assert frozen.alice.wait_for_pong()


def test_a_client_that_hangs_up_meanwhile(frozen: Frozen) -> None:
    dropped = threading.Event()
    for hub in frozen.two.hubs:
        hub.on_transport_drop(lambda connection, error: dropped.set())
    frozen.alice.sock.close()
    frozen.end()
    assert dropped.wait(PATIENCE)
    assert frozen.two.hub.stats().suspended == 1


def test_without_the_seal_a_send_would_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The naive variant: the frame is accepted by an outbox that has been written down already."""

    def check_open(self: Session) -> None:
        if self.outbox.refusal is not None:
            raise self.outbox.refusal

    monkeypatch.setattr(Session, "check_open", check_open)
    here = Frozen(monkeypatch, commit=True)
    here.handle.send(Message("n", "lost"))
    here.end()
    here.two.broadcast("lobby", Message("n", "behind"))
    assert payload(here.alice) == "behind"
    here.close()


# -- releases ---------------------------------------------------------------------------


class Told:
    """Hooks of both hubs, written down; on_release of Bob waits at a gate."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.story: list[tuple[str, ...]] = []
        self.hubs = 0

    def make(self, runtime: SystemRuntime) -> Hub:
        hub, name = chat(runtime), "ab"[self.hubs]
        self.hubs += 1

        def release(connection: Connection) -> None:
            self.story.append((name, "release", connection.id))
            if connection.id == "bob":
                self.gate.hold()

        hub.on_release(release)
        hub.on_start(lambda hub: self.story.append((name, "start")))
        hub.on_stop(lambda hub: self.story.append((name, "stop")))
        hub.on_adopt(lambda connection: self.story.append((name, "adopt", connection.id)))
        hub.on_message(lambda connection, message: self.story.append((name, "message", connection.id)))
        return hub


def test_a_move_that_fails_after_half_of_the_releases() -> None:
    """Those that were released are adopted here again, and what was parked is handled; nobody notices."""
    told = Told()
    two = TwoHubs(told.make)
    alice, bob = (connect(two.hub, f"/?id={name}") for name in ("alice", "bob"))
    departure = two.departure()
    assert not departure.release(0.0)
    told.gate.wait_reached()
    for client in (alice, bob):
        client.send('{"payload": 1}')
    two.freeze(departure)
    two.thaw(departure, two.hold(departure))
    assert payload(alice) == 1
    told.gate.open()
    assert payload(bob) == 1
    answering = [Call(client.receive_close) for client in (alice, bob)]
    two.close()
    assert [call.result()[0] for call in answering] == [1001, 1001]
    for client in (alice, bob):
        client.sock.close()
    mine = [what[1:] for what in told.story if what[-1] == "alice"]
    assert mine == [("release", "alice"), ("adopt", "alice"), ("message", "alice")]
    his = [what[1:] for what in told.story if what[-1] == "bob"]
    assert his == [("release", "bob"), ("adopt", "bob"), ("message", "bob")]
    hub = [what[1] for what in told.story if what[0] == "a" and len(what) == 2]
    assert hub[:3] == ["start", "stop", "start"]


def test_a_slow_handler_beside_many_sessions_holds_nobody_up() -> None:
    """One handler of a minute: its session is carried, all others are released and go on at once."""
    gate = Gate()

    def make(runtime: SystemRuntime) -> Hub:
        hub = Hub(lambda request: ("lobby", request.args["id"]), _runtime=runtime)

        @hub.on_message
        def on_message(connection: Connection, message: Message) -> None:
            if message.payload == "slow":
                gate.hold()
            connection.send(message)

        return hub

    two = TwoHubs(make)
    everybody = [connect(two.hub, f"/?id={number}") for number in range(30)]
    everybody[0].send('{"payload": "slow"}')
    gate.wait_reached()
    everybody[0].send('{"payload": "behind"}')
    departure = two.move()
    assert (departure.sessions, departure.carried) == (30, 1)
    for client in everybody[1:]:
        client.send('{"payload": "quick"}')
    assert {payload(client) for client in everybody[1:]} == {"quick"}
    two.hub.send("0", Message("n", "to the carried one"))
    assert payload(everybody[0]) == "to the carried one"
    gate.open()
    assert [payload(everybody[0]) for _ in range(2)] == ["slow", "behind"]
    for client in everybody:
        client.close()
    two.close()


def test_a_seal_that_was_opened_lets_everybody_through() -> None:
    seal = Seal(SystemRuntime().event())
    seal.open(None)
    assert seal.wait() is None


def test_while_a_slow_handler_is_waited_for_others_are_handled() -> None:
    """Its session is released first, and has the time; the messages of others do not wait for it."""
    gate, handled = Gate(), threading.Event()

    def make(runtime: SystemRuntime) -> Hub:
        hub = Hub(lambda request: ("lobby", request.args["id"]), _runtime=runtime)

        @hub.on_message
        def on_message(connection: Connection, message: Message) -> None:
            if message.payload == "slow":
                gate.hold()
            if message.payload == "quick":
                handled.set()
            connection.send(message)

        return hub

    two = TwoHubs(make)
    alice, bob = (connect(two.hub, f"/?id={name}") for name in ("alice", "bob"))
    alice.send('{"payload": "slow"}')
    gate.wait_reached()
    departure = two.departure()
    releasing = Call(lambda: departure.release(now() + PATIENCE, 0.1))
    bob.send('{"payload": "quick"}')
    assert handled.wait(PATIENCE), "his handler ran while the hub waited for the slow one"
    gate.open()
    assert releasing.result()
    two.freeze(departure)
    assert departure.carried == 0
    two.go(departure, two.hold(departure))
    assert [payload(client) for client in (alice, bob)] == ["slow", "quick"]
    for client in (alice, bob):
        client.close()
    two.close()


def test_who_was_just_busy_when_a_move_began_does_not_wait_for_a_slow_handler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bob's handler runs when the move begins, and returns at once; his next message is handled before it."""
    slow, short = Gate(), Gate()
    handled = threading.Event()

    def make(runtime: SystemRuntime) -> Hub:
        hub = Hub(lambda request: ("lobby", request.args["id"]), _runtime=runtime)

        @hub.on_message
        def on_message(connection: Connection, message: Message) -> None:
            match message.payload:
                case "slow":
                    slow.hold()
                case "short":
                    short.hold()
                case "next":
                    handled.set()
            connection.send(message)

        return hub

    two = TwoHubs(make)
    alice, bob = (connect(two.hub, f"/?id={name}") for name in ("alice", "bob"))
    alice.send('{"payload": "slow"}')
    bob.send('{"payload": "short"}')
    slow.wait_reached()
    short.wait_reached()
    when_returned = SerialQueue.when_returned

    def let_him_return(queue: SerialQueue, tell: Callable[[], None]) -> bool:
        """Each session is looked at once; his handler returns while the move waits for those that run."""
        runs = when_returned(queue, tell)
        if runs and queue is two.loop(0).registry.sessions["bob"].serial_queue:
            short.open()
            assert payload(bob) == "short"
        return runs

    monkeypatch.setattr(SerialQueue, "when_returned", let_him_return)
    departure = two.departure()
    releasing = Call(lambda: departure.release(now() + PATIENCE, 0.1))
    while not departure._releases:
        assert releasing.is_under_way()
    bob.send('{"payload": "next"}')
    assert handled.wait(PATIENCE)
    slow.open()
    assert releasing.result()
    two.freeze(departure)
    assert departure.carried == 0
    two.go(departure, two.hold(departure))
    assert (payload(alice), payload(bob)) == ("slow", "next")
    for client in (alice, bob):
        client.close()
    two.close()
