"""A hub moves while one thread sends through a handle and another broadcasts: nothing is lost or doubled.

Two hubs are in one lab, and a session on a wire of its own (tests/moving/world.py). The mover releases,
freezes, writes down, commits and adopts; or gives up in the end. In every order that is tried the client is
told each message once, those of one thread in order. The naive variant has no seal: a send between the freeze
and the commit goes into an outbox that was written down before.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from resumehub import Hub, Message
from resumehub.clock import now
from resumehub.cluster.door import Door
from resumehub.core import commands as c
from resumehub.core.resume import ResumeRequest
from resumehub.server.hub_arrival import HubArrival
from resumehub.server.hub_departure import HubDeparture
from resumehub.session.session import Session
from resumehub.testing import Lab, explore
from resumehub.testing.explorer import ScheduleFailed
from resumehub.testing.strategies import PCT, Deepening, Random
from resumehub.transport.websocket import WebSocketTransport
from tests.cluster.two_hubs import InOtherHub
from tests.moving.world import Wire, WireEnd


def told(wire: Wire) -> list[object]:
    """The payloads of the frames that the client was told: all of them are short."""
    data, payloads = bytes(wire.told), []
    while data:
        size = data[1]
        if data[0] == 0x81:
            payloads.append(json.loads(data[2 : 2 + size])["payload"])
        data = data[2 + size :]
    return payloads


class Scene:
    """Two hubs with a door each; Alice is in the first one."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.hubs = [lab.open(), Hub(_runtime=lab.runtime, clock=lab.clock)]
        self.doors = [Door(lab.runtime, here=number == 0) for number in range(2)]
        self.wire = Wire(lab.runtime, None)
        self.arrived = lab.runtime.event("the sessions to arrive")
        for hub in self.hubs:
            hub.runner.start()
        self.hubs[0].runner.register(
            WebSocketTransport(WireEnd(self.wire), 1000),
            c.Register(
                0,
                "alice",
                "lobby",
                life="a life",
                resume=False,
                seen="",
                seen_room="lobby",
                resume_request=ResumeRequest(),
            ),
            data=None,
            handshake_response=b"",
        )
        lab.run_until_idle()

    def broadcast(self, number: int) -> None:
        while True:
            for door, hub in zip(self.doors, self.hubs, strict=True):
                if door.enter():
                    hub.broadcast("lobby", Message("n", number))
                    door.leave()
                    return

    def move(self, *, commit: bool) -> None:
        old, new = (hub.runner.loop for hub in self.hubs)
        assert old is not None
        assert new is not None
        departure = HubDeparture(old, self.lab.runtime)
        departure.release(now() + 60)
        self.doors[0].freeze()
        departure.freeze()
        arrival = HubArrival(new, self.lab.runtime)
        for one in departure.leaving():
            stream = WireEnd(self.wire) if one.transport is not None else None
            arrival.hold(one.state, stream, carried=one.carried)
        if not commit:
            arrival.drop()
            departure.thaw()
            self.doors[0].thaw()
            return
        departure.commit(InOtherHub(lambda: self.hubs[1], self.arrived), arrival.last_word)
        assert arrival.adopt() == 1
        self.arrived.set()
        self.doors[1].arrived()
        self.doors[0].gone()

    def close(self) -> None:
        assert self.hubs[1].close(60.0).complete


def a_move_beside_sends(lab: Lab, *, commit: bool) -> None:
    scene = Scene(lab)
    handle = scene.hubs[0].get("alice")
    assert handle is not None

    @lab.actor
    def mover() -> None:
        scene.move(commit=commit)

    @lab.actor
    def sender() -> None:
        handle.send(Message("n", 1))
        handle.send(Message("n", 2))

    @lab.actor
    def shouter() -> None:
        scene.broadcast(3)
        scene.broadcast(4)

    @lab.at_end
    def each_came_once() -> None:
        payloads = told(scene.wire)
        scene.close()
        assert sorted(payloads) == [1, 2, 3, 4], payloads  # type: ignore[type-var]
        assert payloads.index(1) < payloads.index(2)
        assert payloads.index(3) < payloads.index(4)


def committed(lab: Lab) -> None:
    a_move_beside_sends(lab, commit=True)


def given_up(lab: Lab) -> None:
    a_move_beside_sends(lab, commit=False)


@pytest.mark.parametrize("scenario", [committed, given_up])
def test_each_message_arrives_once_whatever_the_order(scenario: Callable[[Lab], None]) -> None:
    explore(scenario, Deepening(), max_schedules=40)
    explore(scenario, PCT(seed=14, count=25), stop_at_locks=True)
    explore(scenario, Random(seed=14, count=25), stop_at_locks=True)


def test_without_the_seal_a_send_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_open(self: Session) -> None:
        if self.outbox.refusal is not None:
            raise self.outbox.refusal

    monkeypatch.setattr(Session, "check_open", check_open)
    with pytest.raises(ScheduleFailed):
        explore(committed, PCT(seed=1, count=300), stop_at_locks=True)
