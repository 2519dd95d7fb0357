"""One hub after the other in one process, on one folder and one real server: each is parked, the next adopts.

``Restarts`` is the server and its hubs; ``Counting`` is a client of ``resumehub.client`` that counts, and
``Listening`` a plain one of ``websockets``, which comes back as people write it.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed as WebsocketsClosed
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect as dial
from werkzeug.wrappers import Response

from resumehub import Connection, Hub, Message
from resumehub.client import connect
from resumehub.clock import now
from resumehub.cluster.door import Door
from resumehub.cluster.folder import Folder
from resumehub.cluster.parking.disk import Disk
from resumehub.cluster.parking.parking import AdoptReport, ParkReport, adopt, park
from resumehub.errors import ConnectionNotFound
from resumehub.runtime.system import SystemRuntime
from resumehub.session.elsewhere import SeenElsewhere
from tests.contract.hub_servers import Server
from tests.support import PATIENCE, from_query

LATER = Response("starting", 503, {"Retry-After": "0"})


class Nowhere:
    """An ``Elsewhere`` where no process holds the hub."""

    def _gone(self, connection_id: str, life: str, *_: Any) -> Any:
        raise ConnectionNotFound(connection_id)

    send = close = join = leave = request = answer = wait_closed = undelivered = _gone

    def look(self, connection_id: str, life: str) -> SeenElsewhere | None:
        return None


class Restarts:
    """See the module. ``handled``: id → the numbers that handlers got, of all hubs, in order."""

    def __init__(self, folder: Folder, **options: Any) -> None:
        self._folder = folder
        self._options = options
        self._changed = threading.Condition()
        self.handled: dict[str, list[int]] = defaultdict(list)
        #: Number of the hub, hook, id (or ""), error.
        self.hooks: list[tuple[int, str, str, str]] = []
        self.hub: Hub | None = None
        self.door = Door(SystemRuntime())
        self.number = 0
        self.said = 0
        self.server = Server(self._answer)

    def url(self, connection_id: str, **query: str) -> str:
        query = {"room": "lobby", "id": connection_id, **query}
        return f"ws://127.0.0.1:{self.server.port}/?{urlencode(query)}"

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        hub = self.hub
        return hub.wsgi_app(environ, start_response) if hub is not None else LATER(environ, start_response)

    # -- hubs -------------------------------------------------------------------------------

    def start(self, disk: Disk | None = None) -> AdoptReport:
        """A process begins: it adopts what is parked, and then serves."""
        self.number += 1
        hub = Hub(from_query, _runtime=SystemRuntime(reuse=True, share=True), **self._options)
        self._listen(hub, self.number)
        report = adopt(hub.runner, self._folder, disk=disk)
        self.door = Door(hub.runner.runtime, here=True)
        self.hub = hub
        return report

    def stop(self, seconds: float = 10.0, *, disk: Disk | None = None, **how: Any) -> ParkReport:
        """It is told to stop, with so many real seconds."""
        hub, self.hub = self.hub, None
        assert hub is not None
        how = {"park_bytes": 1 << 30, **how}
        report = park(
            hub.runner,
            self._folder,
            until=now() + seconds,
            elsewhere=Nowhere(),
            door=self.door,
            disk=disk,
            **how,
        )
        assert hub.close(5.0).complete
        return report

    def _listen(self, hub: Hub, number: int) -> None:
        def note(hook: str, connection: Connection | None = None, error: object = "") -> None:
            with self._changed:
                said = repr(error) if isinstance(error, Exception) else ""
                self.hooks.append((number, hook, connection.id if connection is not None else "", said))
                self._changed.notify_all()

        hub.on_start(lambda _: note("start"))
        hub.on_stop(lambda _: note("stop"))
        hub.on_adopt(lambda connection: note("adopt", connection))
        hub.on_release(lambda connection: note("release", connection))
        hub.on_connect(lambda connection: note("connect", connection))
        hub.on_transport_drop(lambda connection, error: note("drop", connection, error))
        hub.on_transport_restore(lambda connection: note("restore", connection))
        hub.on_disconnect(lambda connection, error: note("disconnect", connection, error))

        @hub.on_message
        def on_message(connection: Connection, message: Message) -> None:
            with self._changed:
                self.handled[connection.id].append(message.payload)
                self._changed.notify_all()
            connection.send(Message("echo", message.payload))

    def broadcast(self) -> None:
        """The application says the next number to all, wherever the hub is; nothing if it is nowhere."""
        door, hub = self.door, self.hub
        if hub is not None and door.enter():
            try:
                self.said += 1
                hub.broadcast("lobby", Message("said", self.said))
            finally:
                door.leave()

    # -- looking ----------------------------------------------------------------------------

    def hooks_of(self, connection_id: str) -> list[tuple[int, str, str]]:
        """The callbacks of one session in all hubs, in order, each with its error."""
        with self._changed:
            return [(number, hook, error) for number, hook, one, error in self.hooks if one == connection_id]

    def wait_for(self, number: int, hook: str, connection_id: str = "") -> None:
        """Wait until a hub has called a hook."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: any(one[:3] == (number, hook, connection_id) for one in self.hooks), PATIENCE
            ), f"{hook} of {connection_id!r} in hub {number} has not come: {self.hooks[-20:]}"

    def close(self) -> None:
        """No hub goes on, and nobody is waited for."""
        if self.hub is not None:
            self.hub.close(5.0)
        self.server.close()


class Counting:
    """A client of ours: it sends numbers, and takes down the echoes and what is said to all."""

    def __init__(self, world: Restarts, connection_id: str) -> None:
        self.id = connection_id
        self.sent = 0
        self.echoes: list[int] = []
        self.heard: list[int] = []
        self.drops: list[int] = []
        self.client = connect(
            world.url(connection_id),
            on_message=self._take,
            on_transport_drop=lambda client, error: self.drops.append(getattr(error, "code", 0)),
            backoff=(0.02, 1.0),
        )

    def _take(self, client: Any, message: Message) -> None:
        (self.echoes if message.event == "echo" else self.heard).append(message.payload)

    def wait_back(self, drops: int) -> None:
        """Wait until it has lost so many connections, and has another one."""
        until(lambda: len(self.drops) >= drops)
        assert self.client.wait_connected(PATIENCE)

    def say(self) -> None:
        """Send the next number."""
        self.sent += 1
        self.client.send(Message("count", self.sent))

    def is_settled(self, said: int) -> bool:
        """Whether it has the echo of all that it sent, and what was said last."""
        return self.echoes[-1:] == [self.sent] and self.heard[-1:] == [said]

    def close(self) -> None:
        self.client.close(timeout=PATIENCE)


_SHORTEST, _LONGEST = 0.05, 1.0
"""Seconds between two dials of a plain client that finds nobody."""


class Listening:
    """A plain client: it listens, and comes back by its id when its connection ends."""

    def __init__(self, world: Restarts, connection_id: str) -> None:
        self.id = connection_id
        self.heard: list[int] = []
        self.drops: list[int] = []
        self.refused: list[int] = []
        self._world = world
        self._done = threading.Event()
        self.connected = threading.Event()
        self._socket: Any = None
        self._thread = threading.Thread(target=self._run, name=f"plain {connection_id}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        again, pause = False, _SHORTEST
        while not self._done.is_set():
            try:
                query = {"resume": "true"} if again else {}
                with dial(self._world.url(self.id, **query), compression=None) as self._socket:
                    again, pause = True, _SHORTEST
                    self.connected.set()
                    for text in self._socket:
                        self.heard.append(json.loads(text)["payload"])
                self.connected.clear()
                self.drops.append(self._socket.close_code)
            except WebsocketsClosed as closed:
                self.connected.clear()
                self.drops.append(closed.rcvd.code if closed.rcvd is not None else 1006)
            except InvalidHandshake as refusal:
                self.refused.append(getattr(getattr(refusal, "response", None), "status_code", 0))
                pause = self._rest(pause)
            except OSError:
                pause = self._rest(pause)

    def _rest(self, pause: float) -> float:
        """Wait so many seconds; return how many the next time: a server must be able to start."""
        self._done.wait(pause)
        return min(2 * pause, _LONGEST)

    def wait_back(self, drops: int) -> None:
        """Wait until it has lost so many connections, and has another one."""
        until(lambda: len(self.drops) >= drops)
        assert self.connected.wait(PATIENCE)

    def is_settled(self, said: int) -> bool:
        """Whether it has what was said last."""
        return self.heard[-1:] == [said]

    def close(self) -> None:
        self._done.set()
        if self._socket is not None:
            self._socket.close()
        self._thread.join(PATIENCE)


def until(done: Callable[[], bool]) -> None:
    """Look again and again until it is so."""
    give_up = now() + 2 * PATIENCE
    pause = threading.Event()
    while not done():
        assert now() < give_up, "it has not come"
        pause.wait(0.01)


def settle(clients: Iterable[Counting | Listening], said: int) -> None:
    """Wait until each client has all that it waits for."""
    for client in clients:
        until(lambda client=client: client.is_settled(said))  # type: ignore[misc]
