"""A hub moves to another process while clients talk: nobody notices (F2, F6, F11).

Here two processes' worth of hubs are in one process, with a real link between them. How long a move takes is
measured by tools/bench; with processes of their own, tests/cluster/ plays it, too.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from typing import Any

import pytest

from resumehub import Connection, Hub, Message
from resumehub.cluster.moves.move_parts import HubMoved
from resumehub.outgoing.ledger import Ledger
from resumehub.runtime.system import SystemRuntime
from resumehub.stats import Stats
from resumehub.testing import connect
from tests.cluster.linked_hubs import LinkedHubs
from tests.cluster.two_hubs import payload
from tests.contract.peers import Gate
from tests.support import PATIENCE, Call, Progress

MOVES = 10


class Witness:
    """Both hubs' callbacks, as one story for each session: process, hook, and whether one was cut in two."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.stories: dict[str, list[tuple[int, str]]] = {}
        self.inside: Counter[str] = Counter()
        self.overlaps: list[str] = []
        self.gate = Gate()
        self._hubs = 0

    def make(self, runtime: SystemRuntime) -> Hub:
        hub = Hub(lambda request: ("lobby", request.args["id"]), _runtime=runtime)
        number, self._hubs = self._hubs, self._hubs + 1

        def note(hook: str) -> Any:
            def handler(connection: Connection, *more: object) -> None:
                with self.lock:
                    self.stories.setdefault(connection.id, []).append((number, hook))
                    self.inside[connection.id] += 1
                    if self.inside[connection.id] > 1:
                        self.overlaps.append(f"{connection.id}: {hook}")
                if hook == "on_message" and more[0].payload == "wait":  # type: ignore[attr-defined]
                    self.gate.hold()
                if hook == "on_message":
                    connection.send(more[0])  # type: ignore[arg-type]
                with self.lock:
                    self.inside[connection.id] -= 1

            return handler

        for hook in ("on_connect", "on_message", "on_transport_drop", "on_disconnect"):
            getattr(hub, hook)(note(hook))
        hub.on_adopt(note("on_adopt"))
        hub.on_release(note("on_release"))
        return hub


@pytest.mark.contract("F2")
def test_in_each_life_on_connect_and_on_disconnect_run_once_and_no_two_processes_at_a_time() -> None:
    """Clients talk while the hub moves there and back, one of them with a handler that is carried."""
    witness = Witness()
    two = LinkedHubs(witness.make)
    everybody = [connect(two.hub, f"/?id={number}") for number in range(4)]
    everybody[0].send('{"payload": "wait"}')
    witness.gate.wait_reached()
    assert isinstance(two.move(seconds=2.0), HubMoved)
    everybody[0].send('{"payload": "behind"}')
    witness.gate.open()
    assert [payload(everybody[0]) for _ in range(2)] == ["wait", "behind"]
    for _ in range(MOVES):
        for client in everybody:
            client.send('{"payload": 1}')
        assert isinstance(two.move(), HubMoved)
        assert [payload(client) for client in everybody] == [1] * 4
    for client in everybody:
        client.close()
    two.close()
    assert witness.overlaps == []
    for story in witness.stories.values():
        hooks = [hook for _, hook in story]
        assert (hooks.count("on_connect"), hooks.count("on_disconnect")) == (1, 1)
        assert (hooks[0], hooks[-1]) == ("on_connect", "on_disconnect")
        assert hooks.count("on_adopt") == hooks.count("on_release") == MOVES + 1
        for (before, hook), (behind, following) in pairwise(story):
            assert (before != behind) == (hook == "on_release"), story
            assert (hook == "on_release") == (following == "on_adopt"), story


class Talker:
    """A client that says numbers and hears each of them once, in order; plain, or one of ``resumehub.v1``."""

    def __init__(self, two: LinkedHubs, name: str, v1: bool) -> None:
        self.client = connect(two.hub, f"/?id={name}", subprotocols=["resumehub.v1"] if v1 else [])
        self.v1 = v1
        self.pings = 0
        if v1:
            assert self._read()["event"] == "$hello"

    def _read(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.client.receive(PATIENCE))
        return message

    def talk(self, stop: threading.Event, note: Callable[[], None]) -> int:
        number = 0
        while not stop.is_set():
            self.client.send(json.dumps({"event": "n", "payload": number}))
            if number % 5 == 0:
                self.client.ping(b"?")
                self.pings += 1
            while (message := self._read())["event"].startswith("$"):
                assert message["event"] == "$ack", message
            assert message["payload"] == number
            number += 1
            note()
            if self.v1 and number % 3 == 0:
                self.client.send(json.dumps({"event": "$ack", "payload": {"received": number}}))
        assert self.client.wait_for_pong(self.pings)
        return number


@pytest.mark.contract("F6")
@pytest.mark.parametrize("v1", [False, True], ids=["plain", "resumehub.v1"])
def test_a_move_is_invisible_to_clients(v1: bool) -> None:
    """Ten moves under traffic both ways: no close frame, nothing lost or repeated, and each Ping answered."""

    def make(runtime: SystemRuntime) -> Hub:
        hub = Hub(lambda request: ("lobby", request.args["id"]), _runtime=runtime)
        hub.on_message(lambda connection, message: connection.send(message))
        return hub

    two, stop = LinkedHubs(make), threading.Event()
    everybody, progress = [Talker(two, f"{number}", v1) for number in range(4)], Progress(4)
    talking = [
        Call(lambda n=n, one=one: one.talk(stop, lambda: progress.note(n))) for n, one in enumerate(everybody)
    ]
    for _ in range(MOVES):
        progress.wait()
        assert isinstance(two.move(), HubMoved)
    stop.set()
    assert all(call.result() for call in talking)
    for one in everybody:
        assert one.client.closed is None
        one.client.close()
    two.close()


@pytest.mark.contract("F6")
def test_a_move_at_any_byte_of_a_message_loses_and_repeats_none() -> None:
    """The client's frames arrive in two parts, with a move in between, at every place."""

    def make(runtime: SystemRuntime) -> Hub:
        hub = Hub(lambda request: ("lobby", request.args["id"]), _runtime=runtime)
        hub.on_message(lambda connection, message: connection.send(message))
        return hub

    two = LinkedHubs(make)
    with connect(two.hub, "/?id=alice") as alice:
        text = b'{"payload":"\xc3\xa4"}'
        frame = bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text
        for cut in range(1, len(frame)):
            alice.send_raw(frame[:cut])
            assert isinstance(two.move(), HubMoved)
            alice.send_raw(frame[cut:])
            assert payload(alice) == "ä"
    two.close()


def total(stats: list[Stats]) -> tuple[Ledger, int]:
    sums = Ledger()
    for one in stats:
        sums.add(Ledger(**{field.name: getattr(one, field.name) for field in fields(Ledger)}))
    return sums, sum(one.held for one in stats)


@pytest.mark.contract("F11")
def test_the_sums_of_frames_travel_with_their_sessions() -> None:
    """Over both processes every frame that was accepted is in one column once, whatever moves and ends."""

    def make(runtime: SystemRuntime) -> Hub:
        return Hub(lambda request: ("lobby", request.args["id"]), _runtime=runtime)

    two, chance, accepted = LinkedHubs(make), random.Random(1), 0
    everybody = [connect(two.hub, f"/?id={number}") for number in range(5)]
    while everybody:
        two.hub.broadcast("lobby", Message("n", 1))
        accepted += len(everybody)
        assert [payload(client) for client in everybody] == [1] * len(everybody)
        if chance.random() < 0.7:
            assert isinstance(two.move(), HubMoved)
        else:
            everybody.pop().close()
            while two.hub.count("lobby") > len(everybody):
                two.processes[0].runtime.event().wait(0.001)
        sums, held = total([process.hub.stats() for process in two.processes])
        assert sums.accepted == accepted
        assert sums.accepted == sums.settled + held
    two.close()
