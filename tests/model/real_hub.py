"""The real hub behind the model's words: in the lab, or on threads as they run in life.

Both have the same commands as ``model.Model`` and the same ``view``. ``settle`` returns when everything has
come to rest: the lab knows when that is; on free threads it is when what the model expects has happened (and
what it does not expect shows sooner or later, at the latest when the hub is closed).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from resumehub import Connection, ConnectionNotFound, Hub, Message, SendBufferFull
from resumehub.testing import (
    FakeClock,
    Knock,
    Lab,
    NothingReceived,
    TransportClosed,
    UpgradeRefused,
    WebSocketClient,
)
from resumehub.testing import connect as dial
from tests.model.model import Model
from tests.support import PATIENCE, Call, from_query, read, text


def url_of(connection_id: str, room: str, resume: bool) -> str:
    return f"/?id={connection_id}&room={room}" + ("&resume=true" if resume else "")


class Real(ABC):
    """What both have in common: the application, and clients that read after each step."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.sockets: dict[str, WebSocketClient] = {}
        self.read: dict[str, list[int]] = {}
        self.dropped: set[str] = set()
        self.callbacks: dict[str, list[str]] = {}
        self.changed = threading.Condition()
        hub.on_connect(lambda connection: self._note(connection.id, "connect"))
        hub.on_join(lambda connection, room, why: self._note(connection.id, f"joins {room}: {why}"))
        hub.on_leave(lambda connection, room, why: self._note(connection.id, f"leaves {room}: {why}"))
        hub.on_message(lambda connection, said: self._note(connection.id, f"message {said.payload}"))
        hub.on_transport_drop(lambda connection, error: self._note(connection.id, f"drop {error}"))
        hub.on_transport_restore(lambda connection: self._note(connection.id, "restore"))
        hub.on_disconnect(lambda connection, error: self._note(connection.id, f"disconnect {error}"))

    def view(self) -> dict[str, Any]:
        """All that can be seen from outside."""
        members = {room: self.hub.connections(room) for room in self.hub.rooms()}
        everybody = {connection for connections in members.values() for connection in connections}
        assert {room: self.hub.count(room) for room in members} == {r: len(m) for r, m in members.items()}
        return {
            "rooms": {room: [one.id for one in connections] for room, connections in members.items()},
            "joined": {one.id: list(one.rooms) for one in everybody},
            "suspended": {one.id for one in everybody if one.suspended},
            "read": self.read,
            "closed": {name: socket.closed for name, socket in self.sockets.items()},
            "callbacks": self.callbacks,
        }

    # -- what differs -----------------------------------------------------------------------

    @abstractmethod
    def connect(self, name: str, url: str) -> int:
        """A client comes; the status of the answer."""

    @abstractmethod
    def knock(self, name: str, url: str) -> int:
        """Its request is checked, and its socket has not arrived yet."""

    @abstractmethod
    def arrive(self, name: str) -> None:
        """Now it does."""

    @abstractmethod
    def advance(self, seconds: float) -> None: ...

    @abstractmethod
    def settle(self, expected: Model) -> None:
        """Wait until everything has come to rest, and every client has read what came."""

    @abstractmethod
    def close_hub(self) -> None: ...

    @abstractmethod
    def finish(self) -> None:
        """After the last comparison: let who still knocks arrive, and see that nothing of the hub is left."""

    @abstractmethod
    def leave_no_trace(self) -> None:
        """In the end, whether something failed or not."""

    # -- the clients ------------------------------------------------------------------------

    def drop(self, name: str) -> None:
        self.dropped.add(name)
        self.sockets[name].drop()

    def leave(self, name: str, code: int) -> None:
        if self.sockets[name].closed is None:
            self.sockets[name].send_close(code)

    def say(self, name: str, number: int) -> None:
        if self.sockets[name].closed is None:
            self.sockets[name].send(text("n", number))

    def _joined(self, name: str, socket: WebSocketClient) -> None:
        self.sockets[name] = socket
        self.read[name] = []

    def _listening(self) -> dict[str, WebSocketClient]:
        return {name: socket for name, socket in self.sockets.items() if name not in self.dropped}

    def _read_what_came(self) -> None:
        for name, socket in self._listening().items():
            socket.read_nowait()
            while socket.has_message():
                self.read[name].append(read(socket)[1])

    # -- the application --------------------------------------------------------------------

    def send(self, connection_id: str, number: int) -> str:
        try:
            self.hub.send(connection_id, Message("n", number))
        except (ConnectionNotFound, SendBufferFull) as error:
            return type(error).__name__
        return "sent"

    def broadcast(self, rooms: list[str], number: int, exclude: list[str]) -> None:
        self.hub.broadcast(rooms, Message("n", number), exclude)

    def join(self, connection_id: str, room: str) -> str:
        return self._in_room(connection_id, lambda connection: connection.join(room), "joined")

    def leave_room(self, connection_id: str, room: str) -> str:
        return self._in_room(connection_id, lambda connection: connection.leave(room), "left")

    def _in_room(self, connection_id: str, act: Callable[[Connection], None], done: str) -> str:
        connection = self.hub.get(connection_id)
        if connection is None:
            return "no session"
        try:
            act(connection)
        except ValueError as error:
            return type(error).__name__
        return done

    def kick(self, connection_id: str) -> str:
        try:
            self.hub.kick(connection_id)
        except ConnectionNotFound as error:
            return type(error).__name__
        return "kicked"

    def close(self, connection_id: str) -> str:
        connection = self.hub.get(connection_id)
        if connection is None:
            return "no session"
        connection.close()
        return "closed"

    def _note(self, connection_id: str, what: str) -> None:
        with self.changed:
            self.callbacks.setdefault(connection_id, []).append(what)
            self.changed.notify_all()


class InTheLab(Real):
    """One thread at a time: when nobody can go on, everything that will happen has happened."""

    def __init__(self, **options: Any) -> None:
        self.lab = Lab(stop_at_locks=False, share=True)
        super().__init__(self.lab.open(ping_interval=None, **options))
        self.knocks: dict[str, Knock] = {}

    def connect(self, name: str, url: str) -> int:
        try:
            self._joined(name, self.lab.dial(url).ws)
        except UpgradeRefused as refused:
            return refused.status
        return 101

    def knock(self, name: str, url: str) -> int:
        try:
            self.knocks[name] = self.lab.knock(url)
        except UpgradeRefused as refused:
            return refused.status
        return 101

    def arrive(self, name: str) -> None:
        self._joined(name, self.knocks.pop(name).go_on().ws)

    def advance(self, seconds: float) -> None:
        self.lab.advance(seconds)

    def settle(self, expected: Model) -> None:
        self.lab.run_until_idle()
        self._read_what_came()
        self.lab.run_until_idle()  # what the answers to close frames lead to

    def close_hub(self) -> None:
        assert self.hub.close(PATIENCE).complete

    def finish(self) -> None:
        self.lab.finish()

    def leave_no_trace(self) -> None:
        self.lab.abandon()


class OnThreads(Real):
    """Threads as they run in life: each wait is for something that the model says will happen."""

    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock()
        super().__init__(Hub(from_query, clock=self.clock, ping_interval=None, **options))
        self.waiting: dict[str, Gap] = {}
        self.closing: Call | None = None

    def connect(self, name: str, url: str) -> int:
        try:
            self._joined(name, dial(self.hub, url))
        except UpgradeRefused as refused:
            return refused.status
        return 101

    def knock(self, name: str, url: str) -> int:
        gap = Gap(self.hub, url)
        if gap.status == 101:
            self.waiting[name] = gap
        return gap.status

    def arrive(self, name: str) -> None:
        self._joined(name, self.waiting.pop(name).go_on())

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def settle(self, expected: Model) -> None:
        with suppress(NothingReceived):  # one wait in vain is enough: the comparison will tell
            for name in self._listening():
                self._wait_for_what_is_due(name, expected)
            with self.changed:
                self.changed.wait_for(partial(self._called_back, expected.callbacks), PATIENCE)
            self.clock.advance(0)  # the hub has handled all that was queued by then
            self._read_what_came()

    def _wait_for_what_is_due(self, name: str, expected: Model) -> None:
        socket, client = self.sockets[name], expected.clients[name]
        with suppress(TransportClosed):  # before its time
            while len(self.read[name]) < len(client.read):
                self.read[name].append(read(socket)[1])
        if client.closed is not None:
            socket.receive_close(PATIENCE)

    def _called_back(self, expected: dict[str, list[str]]) -> bool:
        return all(len(self.callbacks.get(who, [])) >= len(notes) for who, notes in expected.items())

    def close_hub(self) -> None:
        # On the side, since it waits for the clients, who read while everything settles.
        self.closing = Call(partial(self.hub.close, PATIENCE))

    def finish(self) -> None:
        for gap in self.waiting.values():
            gap.go_away()
        assert self.closing is not None, "close_hub comes first"
        assert self.closing.result().complete

    def leave_no_trace(self) -> None:
        for gap in self.waiting.values():
            gap.go_away()
        for socket in self.sockets.values():
            socket.sock.close()
        self.hub.close(PATIENCE)


class Gap:
    """A request on a thread of its own that stands between its check and its socket's arrival."""

    def __init__(self, hub: Hub, url: str) -> None:
        self._hub = hub
        self._checked = threading.Event()
        self._let_in = threading.Event()
        self.status = 0
        self._request = Call(partial(dial, self._app, url))
        assert self._checked.wait(PATIENCE)
        if self.status != 101:
            try:
                self._request.result()
            except UpgradeRefused as refused:
                self.status = refused.status

    def _app(self, environ: dict[str, Any], start_response: Any) -> Any:
        arguments = environ["QUERY_STRING"].split("&")
        wanted = dict(argument.split("=") for argument in arguments)
        response = self._hub.upgrade(environ, wanted["room"], wanted["id"])
        self.status = response.status_code
        self._checked.set()
        if self.status == 101:
            assert self._let_in.wait(PATIENCE)
        return response(environ, start_response)

    def go_on(self) -> WebSocketClient:
        self._let_in.set()
        client: WebSocketClient = self._request.result()
        return client

    def go_away(self) -> None:
        """Its socket arrives at a hub that may be closed by now, and whatever it gets is let go."""
        with suppress(TransportClosed):
            self.go_on().sock.close()
