"""What most tests need: a hub that records its callbacks, and waits that end when something happens."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug import Request

from resumehub import Admission, Connection, Hub, Message
from resumehub.testing import FakeClock, WebSocketClient, connect

#: A hang guard in real seconds, never a measure of anything.
PATIENCE = 20.0


class Recorder:
    """Records every callback of a hub as (hook, connection id, detail), and waits for them."""

    def __init__(self, hub: Hub) -> None:
        self.events: list[tuple[str, str, Any]] = []
        self.connections: list[Connection] = []
        self._changed = threading.Condition()
        hub.on_connect(self._connected)
        hub.on_message(lambda connection, message: self.note("message", connection.id, message))
        hub.on_transport_drop(lambda connection, error: self.note("drop", connection.id, error))
        hub.on_transport_restore(lambda connection: self.note("restore", connection.id, None))
        hub.on_disconnect(lambda connection, error: self.note("disconnect", connection.id, error))

    def _connected(self, connection: Connection) -> None:
        self.connections.append(connection)
        self.note("connect", connection.id, None)

    def note(self, hook: str, connection_id: str, detail: Any) -> None:
        with self._changed:
            self.events.append((hook, connection_id, detail))
            self._changed.notify_all()

    def wait_for(self, hook: str, connection_id: str | None = None, count: int = 1) -> Any:
        """Wait until ``hook`` has run ``count`` times (for that id); give the detail of the last."""

        def matching() -> list[Any]:
            return [d for h, i, d in self.events if h == hook and connection_id in (None, i)]

        with self._changed:
            if not self._changed.wait_for(lambda: len(matching()) >= count, PATIENCE):
                raise AssertionError(f"{hook} of {connection_id} did not happen {count} times: {self.events}")
            return matching()[count - 1]

    def hooks(self, connection_id: str | None = None) -> list[str]:
        """The hooks that have run, in order."""
        with self._changed:
            return [h for h, i, _ in self.events if connection_id in (None, i)]


def from_query(request: Request) -> tuple[str, str | None]:
    """The usual ``connect`` of tests: room and id from the query."""
    return request.args.get("room", "lobby"), request.args.get("id")


def with_users(request: Request) -> Admission:
    """The same, and the user: it believes what the query says."""
    args = request.args
    return Admission(args.get("room", "lobby"), args.get("id"), user=args.get("user"))


def text(event: str, payload: Any = None) -> str:
    """A message as the client sends it."""
    return json.dumps({"event": event, "payload": payload})


def read(ws: WebSocketClient) -> tuple[str, Any]:
    """The next message as (event, payload)."""
    message = json.loads(ws.receive(PATIENCE))
    return message.get("event", ""), message.get("payload")


class Stage:
    """A hub on a fake clock with its recorder and its clients; closed, completely, by the fixture."""

    def __init__(self, connect_function: Callable[..., Any] = from_query, **options: Any) -> None:
        self.clock = options.pop("clock", None) or FakeClock()
        options.setdefault("refusal_delay", 0.0)  # a fake clock stands still until a test moves it
        self.hub = Hub(connect_function, clock=self.clock, **options)
        #: The collector that the test gave, if it gave one.
        self.metrics: Any = options.get("metrics")
        self.recorder = Recorder(self.hub)
        self.clients: list[WebSocketClient] = []

    def open(
        self, connection_id: str = "u1", room: str = "lobby", query: str = "", **how: Any
    ) -> WebSocketClient:
        """A new client; raises ``UpgradeRefused`` where it is refused."""
        ws = connect(self.hub, f"/?room={room}&id={connection_id}{query}", **how)
        self.clients.append(ws)
        return ws

    def resume(self, ws: WebSocketClient, **query: str) -> WebSocketClient:
        """The same client again, with ``resume=true``."""
        again = ws.resume(**query)
        self.clients.append(again)
        return again

    def drop(self, ws: WebSocketClient, connection_id: str = "u1", count: int = 1) -> Connection:
        """Cut a client off and wait until on_transport_drop has run ``count`` times in all."""
        connection = self.hub.get(connection_id)
        assert connection is not None, f"{connection_id} has no session"
        ws.drop()
        self.recorder.wait_for("drop", connection_id, count)
        return connection

    def say(self, connection_id: str, *payloads: Any, event: str = "n") -> None:
        """Send one message for each payload."""
        for payload in payloads:
            self.hub.send(connection_id, Message(event, payload))

    def leave(self) -> None:
        """Close everything; a hub that cannot is a failure."""
        for ws in self.clients:
            ws.sock.close()
        report = self.hub.close(PATIENCE)
        assert report.complete, report.stuck


@pytest.fixture
def stage():
    """Make any number of ``Stage``s; all are closed after the test."""
    made: list[Stage] = []

    def make(*arguments: Any, **options: Any) -> Stage:
        made.append(Stage(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.leave()


class Call:
    """A function that runs in a thread of its own, for what blocks. Ask for its ``result``."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="call", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:
            self._error = error

    def is_under_way(self) -> bool:
        """Whether it has not returned, after a moment."""
        self._thread.join(0.005)
        return self._thread.is_alive()

    def is_this_thread(self) -> bool:
        """Whether the caller is that function, or what it calls."""
        return threading.current_thread() is self._thread

    def result(self) -> Any:
        """Wait until it has returned; give what it gave, or raise what it raised."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), f"{self._function} does not return"
        if self._error is not None:
            raise self._error
        return self._result


class Progress:
    """What some threads have got done. A test that disturbs them again and again waits for each in between:
    on a busy machine they would otherwise come to nothing for as long as it goes on.
    """

    def __init__(self, threads: int) -> None:
        self._done = [threading.Semaphore(0) for _ in range(threads)]

    def note(self, thread: int) -> None:
        """Thread number ``thread`` has done something once more."""
        self._done[thread].release()

    def wait(self) -> None:
        """Return when each of them has done something since this was called."""
        for done in self._done:
            while done.acquire(blocking=False):
                """What was done before."""
        for done in self._done:
            assert done.acquire(timeout=PATIENCE)
