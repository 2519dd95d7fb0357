"""Two hubs in one process, between which all sessions move, and an application that finds them by doors.

``TwoHubs.move`` does what two processes do, without a link: each session is written down and read again, and
its socket is duplicated.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from resumehub import Connection, Hub, Message
from resumehub.cluster.door import Door
from resumehub.errors import ConnectionClosed
from resumehub.message import Frame
from resumehub.runtime.system import SystemRuntime
from resumehub.server.hub_arrival import HubArrival
from resumehub.server.hub_departure import HubDeparture
from resumehub.server.hub_loop import HubLoop
from resumehub.session import orders
from resumehub.session.elsewhere import SeenElsewhere
from resumehub.session.session import Session
from resumehub.session.session_state import decode, encode
from resumehub.testing import WebSocketClient, connect
from resumehub.transport.sockets import PlainSocket
from tests.support import PATIENCE


class InOtherHub:
    """An ``Elsewhere`` for sessions that are in the other hub: no link, but the same look by id and life.

    ``arrived``: set once they are there.
    """

    def __init__(self, find: Callable[[], Hub], arrived: threading.Event) -> None:
        self._find = find
        self._arrived = arrived

    def _session(self, connection_id: str, life: str) -> Session:
        assert self._arrived.wait(PATIENCE), "the sessions do not come"
        session = self._find().runner.registry().sessions.get(connection_id)
        if session is None or session.life != life:
            raise ConnectionClosed(connection_id)
        return session

    def send(self, connection_id: str, life: str, frame: Frame) -> None:
        self._session(connection_id, life).send_frame(frame)

    def close(self, connection_id: str, life: str) -> None:
        orders.close(self._session(connection_id, life))

    def join(self, connection_id: str, life: str, room_id: str) -> None:
        orders.join(self._session(connection_id, life), room_id)

    def leave(self, connection_id: str, life: str, room_id: str) -> None:
        orders.leave(self._session(connection_id, life), room_id)

    def request(self, connection_id: str, life: str, event: str, payload: Any, timeout: float | None) -> Any:
        return orders.request(self._session(connection_id, life), event, payload, timeout)

    def answer(
        self, connection_id: str, life: str, request_id: str, frame: Frame, beyond: int, any_size: bool
    ) -> bool:
        session = self._session(connection_id, life)
        found = [one for one in session.client_requests.all() if one.id == request_id]
        if not found:
            raise RuntimeError("this request is answered already")
        request = found[0]

        def accept() -> bool:
            fits = session.outbox.put_kept(frame, beyond, any_size=any_size)
            return fits and session.client_requests.settle(request)

        return session.put_kept(frame, accept)

    def wait_closed(self, connection_id: str, life: str, timeout: float | None) -> bool:
        try:
            return orders.wait_closed(self._session(connection_id, life), timeout)
        except ConnectionClosed:
            return True

    def undelivered(self, connection_id: str, life: str) -> Sequence[Frame]:
        session = self._session(connection_id, life)
        with session.outbox.lock:
            return session.outbox.undelivered()

    def look(self, connection_id: str, life: str) -> SeenElsewhere | None:
        with contextlib.suppress(ConnectionClosed):
            session = self._session(connection_id, life)
            return SeenElsewhere(orders.rooms(session), orders.is_suspended(session))
        return None


class TwoHubs:
    """The sessions are in ``hub``; ``move`` takes them to the other one, which is ``hub`` then."""

    def __init__(self, make: Callable[[SystemRuntime], Hub], *, share: bool = True) -> None:
        self.runtimes = [SystemRuntime(share=share) for _ in range(2)]
        self.hubs = [make(runtime) for runtime in self.runtimes]
        self.doors = [Door(runtime, here=number == 0) for number, runtime in enumerate(self.runtimes)]
        for hub in self.hubs:
            hub.runner.start()
        self.carried: list[HubArrival] = []

    @property
    def hub(self) -> Hub:
        return self.hubs[0]

    def call(self, what: Callable[[Hub], object]) -> None:
        """A call of the application: in the hub that has the sessions, wholly before a move or behind it."""
        while True:
            for door, hub in list(zip(self.doors, self.hubs, strict=True)):
                if door.enter():
                    try:
                        what(hub)
                        return
                    finally:
                        door.leave()

    def broadcast(self, room_id: str, message: Message) -> None:
        self.call(lambda hub: hub.broadcast(room_id, message))

    def loop(self, number: int) -> HubLoop:
        loop = self.hubs[number].runner.loop
        assert loop is not None
        return loop

    def departure(self) -> HubDeparture:
        return HubDeparture(self.loop(0), self.runtimes[0])

    def move(self, release: float = 0.0) -> HubDeparture:
        """``release``: real seconds for the handlers that run."""
        departure = self.departure()
        departure.release(release)
        self.freeze(departure)
        self.go(departure, self.hold(departure))
        return departure

    def freeze(self, departure: HubDeparture) -> None:
        assert self.doors[0].freeze()
        departure.freeze()

    def hold(self, departure: HubDeparture) -> HubArrival:
        """The other hub gets everything, and holds it inert."""
        arrival = HubArrival(self.loop(1), self.runtimes[1])
        for one in departure.leaving():
            stream = None
            if one.transport is not None:
                sock = one.transport.pollable
                assert sock is not None
                stream = PlainSocket(sock.dup(), self.runtimes[1], movable=True)
            arrival.hold(decode(encode(one.state)), stream, carried=one.carried)
        history = self.loop(0).registry.history
        if history is not None:
            arrival.hold_history(history.export())
        return arrival

    def go(self, departure: HubDeparture, arrival: HubArrival) -> None:
        """The move is committed."""
        target, arrived = self.hubs[1], threading.Event()
        departure.commit(InOtherHub(lambda: target, arrived), arrival.last_word)
        count = len(arrival)
        assert arrival.adopt() == count
        arrived.set()
        self.carried.append(arrival)
        old, new = self.doors
        self.hubs.reverse()
        self.runtimes.reverse()
        self.doors.reverse()
        new.arrived()
        old.gone()

    def thaw(self, departure: HubDeparture, arrival: HubArrival | None = None) -> None:
        """The move is given up."""
        if arrival is not None:
            arrival.drop()
        departure.thaw()
        self.doors[0].thaw()

    def close(self) -> None:
        for hub in self.hubs:
            report = hub.close(PATIENCE)
            assert report.complete, report.stuck


def echo(connection: Connection, message: Message) -> None:
    connection.send(message)


class HasHub(Protocol):
    """Two hubs or two processes: the one that serves now."""

    @property
    def hub(self) -> Hub: ...


def clients(two: HasHub, count: int, *, first: int = 0) -> list[WebSocketClient]:
    """So many clients of the hub, with ids from ``first`` on."""
    return [connect(two.hub, f"/?id={number}") for number in range(first, first + count)]


def payload(client: WebSocketClient) -> object:
    """What the next message to the client carries."""
    return json.loads(client.receive(PATIENCE))["payload"]
