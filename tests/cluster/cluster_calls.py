"""The kinds of calls, and what their clients see of each: what ``tests/cluster/call_table.py`` plays.

A row has a session of its own. ``do`` is the call, on a thread of the caller; ``help`` is what the client
does for it to be answered; ``effect`` says at the end how often it was done, or that its session is over;
None where it changes nothing.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from resumehub import Connection, Hub, Message
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import TransportClosed, UpgradeRefused, WebSocketClient, connect
from tests.cluster.whole_cluster import WholeCluster
from tests.contract.v1_client import offer
from tests.support import PATIENCE, text, with_users

LOST = "lost with the session"
EARLY = "said of a session that goes on"


class Handled:
    """What handlers have got, of all processes, by the session's id."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ids: list[str] = []

    def make(self, runtime: SystemRuntime) -> Hub:
        """The application, in one process."""
        hub = Hub(with_users, _runtime=runtime, refusal_delay=0.0)

        @hub.on_message
        def on_message(connection: Connection, message: Message) -> str:
            with self._changed:
                self._ids.append(connection.id)
                self._changed.notify_all()
            return "fine"

        return hub

    def wait_for(self, connection_id: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: connection_id in self._ids, PATIENCE)

    def count(self, connection_id: str) -> int:
        return self._ids.count(connection_id)


class Client:
    """A client of ``resumehub.v1``, or a plain one: it comes back, and sends again what was not handled."""

    def __init__(self, cluster: WholeCluster, name: str, *, room: str = "lobby", v1: bool = True) -> None:
        self.cluster = cluster
        self.name = name
        self.v1 = v1
        self.url = f"/?id={name}&user={name}&room={room}"
        self.sent: list[str] = []
        self.got: list[dict[str, Any]] = []
        self.received = 0
        self.over = False
        self.closed_with = 0
        self.ws: WebSocketClient = connect(cluster.hub, self.url, subprotocols=offer() if v1 else ())
        cluster.clients.append(self)
        self.hello: dict[str, Any] = self.next() if v1 else {}

    def next(self) -> dict[str, Any]:
        """The next message; the data messages are kept."""
        message: dict[str, Any] = json.loads(self.ws.receive(PATIENCE))
        if message.get("event", "").startswith("$"):
            return message.get("payload") or {}
        self.received += 1
        self.got.append(message)
        return message

    def say(self, text: str) -> None:
        self.sent.append(text)
        self.ws.send(text)

    def read_to_the_end(self) -> None:
        """Its connection is lost, or about to be."""
        try:
            while not self.closed_with:
                self.next()
        except TransportClosed as closed:
            self.closed_with = closed.code
            self.ws.sock.close()

    def come_back(self) -> None:
        """The same; then resume, if the session is there."""
        self.read_to_the_end()
        self.resume()

    def resume(self) -> None:
        """On a new connection, if the session is there."""
        token = offer(self.hello["token"]) if self.v1 else ()
        received = f"&received={self.received}" if self.v1 else ""
        try:
            self.ws = connect(self.cluster.hub, f"{self.url}&resume=true{received}", subprotocols=token)
        except UpgradeRefused as refusal:
            self.over = refusal.status == 410
            if not self.over:
                raise
            return
        self.closed_with = 0
        if self.v1:
            self.hello = self.next()
            for one in self.sent[self.hello["received"] :]:
                self.ws.send(one)

    def count(self, event: str) -> int:
        """How many messages of an event have come, in all."""
        self.ws.ping(b"all?")
        assert self.ws.wait_for_pong()
        while self.ws.has_message():
            self.next()
        return sum(message.get("event") == event for message in self.got)


class Row:
    """One kind of call."""

    #: As the page has it.
    name = ""
    #: Whether the client has to do something before the call is answered; whether the client is the caller.
    asks = by_client = False
    #: Whether it is answered only once something has happened (``finish``) behind the event.
    waits = False
    v1 = True

    def __init__(self, cluster: WholeCluster) -> None:
        self.cluster = cluster
        self.id = type(self).__name__
        self.client = Client(cluster, self.id, room=self.id, v1=self.v1)
        self.clients = [self.client]
        handle = cluster.caller.get(self.id)
        assert handle is not None
        self.handle: Connection = handle

    def do(self) -> object:
        raise NotImplementedError

    def help(self) -> None:
        """What the client does meanwhile."""

    def is_told(self) -> bool:
        """Where the client calls: whether the hub says that it has it."""
        raise NotImplementedError

    def finish(self) -> None:
        """What a call that waits has waited for."""

    def effect(self) -> object:
        """How often it was done; ``LOST``."""
        return LOST if self.client.over else self.client.count("n")

    def now(self) -> Connection | None:
        """The session's connection in the hub."""
        return self.cluster.hub.get(self.id)


class Send(Row):
    name = "`send`, to a client of `resumehub.v1`"

    def do(self) -> object:
        self.cluster.caller.send(self.id, Message("n"))
        return None


class SendPlain(Row):
    name = "`send`, to a plain client"
    v1 = False

    do = Send.do


class Broadcast(Row):
    name = "`broadcast`"

    def __init__(self, cluster: WholeCluster) -> None:
        super().__init__(cluster)
        self.clients.append(Client(cluster, "second", room=self.id))

    def do(self) -> object:
        self.cluster.caller.broadcast(self.id, Message("n"))
        return None

    def effect(self) -> object:
        found = {LOST if client.over else client.count("n") for client in self.clients}
        return found.pop() if len(found) == 1 else found


class SendToUser(Row):
    name = "`send_to_user`"

    def do(self) -> object:
        assert self.cluster.caller.send_to_user(self.id, Message("n")) == 1
        return None


class Kick(Row):
    name = "`kick`, `kick_user`"

    def do(self) -> object:
        self.cluster.caller.kick(self.id)
        return None

    def effect(self) -> object:
        if self.now() is not None:
            return 0
        self.client.read_to_the_end()
        return 1 if self.client.closed_with == 1000 else LOST


class Close(Kick):
    name = "`connection.close`"

    def do(self) -> object:
        self.handle.close()
        return None


class Join(Row):
    name = "`connection.join`"

    def do(self) -> object:
        self.handle.join("more")
        return None

    def effect(self) -> object:
        connection = self.now()
        return LOST if connection is None else int("more" in connection.rooms)


class Leave(Row):
    name = "`connection.leave`"

    def __init__(self, cluster: WholeCluster) -> None:
        super().__init__(cluster)
        self.handle.join("less")

    def do(self) -> object:
        self.handle.leave("less")
        return None

    def effect(self) -> object:
        connection = self.now()
        return LOST if connection is None else int("less" not in connection.rooms)


class Request(Row):
    name = "`connection.request`"
    asks = True

    def do(self) -> object:
        assert self.handle.request("n", timeout=None) == "fine"
        return None

    def help(self) -> None:
        asked = self.client.next()
        self.client.say(json.dumps({"re": asked["id"], "payload": "fine"}))


class OpenRequest(Request):
    name = "`connection.request`, to which the client says nothing yet"
    asks, waits = False, True

    def help(self) -> None:
        """It is asked."""
        self.client.next()

    def finish(self) -> None:
        self.client.say(json.dumps({"re": self.client.got[0]["id"], "payload": "fine"}))


class WaitClosed(Row):
    name = "`connection.wait_closed`"
    waits = True

    def __init__(self, cluster: WholeCluster) -> None:
        super().__init__(cluster)
        self.finished = self.returned = self.early = False

    def do(self) -> object:
        try:
            assert self.handle.wait_closed()
            self.early = not self.finished
        finally:
            self.returned = True
        return None

    def help(self) -> None:
        """It waits."""
        while not self.cluster.holders[0].server.waits():
            self.cluster.hub.get(self.id)

    def finish(self) -> None:
        self.finished = True
        self.cluster.hub.kick(self.id)
        while not self.returned:
            self.cluster.holders[0].server.tick()

    def effect(self) -> object:
        return EARLY if self.early else None


class Look(Row):
    name = "`get`, `connections`, `ids`, `rooms`, `count`"

    def do(self) -> object:
        assert self.cluster.caller.count(self.id) == 1
        return None

    def effect(self) -> object:
        return None


class Publish(Row):
    name = "a call of a `Publisher`"

    def do(self) -> object:
        self.cluster.publisher.broadcast(self.id, Message("n"))
        return None


class ClientMessage(Row):
    name = "a message of a client of `resumehub.v1`"
    by_client = True

    def do(self) -> object:
        self.client.say(text("said", self.id))
        return None

    def help(self) -> None:
        """Wait until its handler has begun."""
        self.cluster.handled.wait_for(self.id)

    def effect(self) -> object:
        return LOST if self.client.over else self.cluster.handled.count(self.id)

    def is_told(self) -> bool:
        """See ``Row``. (It would say so without a new connection in a second.)"""
        self.client.count("")  # whatever has come is read
        self.client.ws.drop()
        self.client.resume()
        return int(self.client.hello["received"]) == 1


class ClientRequest(ClientMessage):
    name = "a request of such a client"

    def do(self) -> object:
        self.client.say(json.dumps({"event": "asked", "payload": self.id, "id": "one"}))
        return None

    def is_told(self) -> bool:
        while not any(message.get("re") == "one" for message in self.client.got):
            self.client.next()
        return True


ROWS: tuple[type[Row], ...] = (
    *(Send, SendPlain, Broadcast, SendToUser, Kick, Close, Join, Leave, Request, OpenRequest),
    *(WaitClosed, Look, Publish),
    *(ClientMessage, ClientRequest),
)
