"""The clients that count: one of ``resumehub.client``, one of the library ``websockets``, what they heard.

Each sends numbers of its own and takes down those that come. Any thread may have it send; what comes is taken
on threads of the client's. Read next: ``counting.py``, which makes a crowd and a verdict of them.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import defaultdict
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any, Protocol

from websockets.exceptions import ConnectionClosed as WebsocketsClosed
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as dial_theirs

from resumehub import ConnectionClosed, Message, SendBufferFull
from resumehub.client import State, connect
from tests.cluster.harness import Cluster
from tests.cluster.journal import pad

BACKOFF = (0.01, 0.1)


class Heard:
    """What has come to one client: numbers by sender, and when the echoes came."""

    def __init__(self, name: str, life: int) -> None:
        self.name, self.life = name, life
        self.lanes: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.damaged: list[str] = []
        self.others: list[Message] = []
        self.gap = 0.0
        self._last_echo = 0.0
        self._lock = threading.Lock()

    def take(self, message: Message) -> None:
        """Take down what has come."""
        with self._lock:
            match message.event, message.payload:
                case "echo", [self.life, int(n), str(padding)] if padding == pad(n):
                    self._take_echo(n, time.monotonic())
                case ("broadcast" | "send") as how, [str(sender), int(n), str(padding)] if padding == pad(n):
                    self.lanes[how, sender].append(n)
                case "held", _:
                    self.others.append(message)
                case _:
                    self.damaged.append(repr(message))

    def _take_echo(self, n: int, now: float) -> None:
        self.lanes["echo", ""].append(n)
        if self._last_echo:
            self.gap = max(self.gap, now - self._last_echo)
        self._last_echo = now

    def begin_again(self) -> None:
        """From here on, gaps count anew: the load begins, or nobody has sent for a while."""
        with self._lock:
            self.gap = self._last_echo = 0.0

    @property
    def echoes(self) -> int:
        """How many echoes have come."""
        with self._lock:
            return len(self.lanes["echo", ""])

    @property
    def received(self) -> int:
        """How many numbers have come in all."""
        with self._lock:
            return sum(map(len, self.lanes.values()))


class Counted(Protocol):
    """What a crowd and a verdict ask of a client. ``kind``: in a report's words.

    ``refused``: how often it was told to come again before it was connected; ``dials``: how often it has
    dialled since. ``doubtful``: its numbers of which it does not know whether they have arrived.
    """

    kind: str
    room: str
    name: str
    life: int

    @property
    def heard(self) -> Heard: ...
    @property
    def sent(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def dials(self) -> int: ...
    @property
    def ended(self) -> bool: ...
    @property
    def why(self) -> str: ...
    @property
    def doubtful(self) -> set[int]: ...
    def say(self, message: Message | None = None) -> None: ...
    def hush(self) -> None: ...
    def wait_connected(self) -> None: ...
    def close(self) -> None: ...


class Ours:
    """A client of ``resumehub.client``. ``opener``: gives its sockets, for a dial at a certain worker."""

    kind = "resumehub.client"

    def __init__(
        self, cluster: Cluster, name: str, life: int = 1, *, room: str = "all", opener: Any = None
    ) -> None:
        self.room = room
        self.heard = Heard(name, life)
        self.name, self.life, self.sent, self._first = name, life, 0, 1
        self.refused = 0
        self.client = connect(
            cluster.url(name, room=room),
            on_message=lambda client, message: self.heard.take(message),
            backoff=BACKOFF,
            _opener=opener,
        )

    def say(self, message: Message | None = None) -> None:
        """Send the next number, or this message; nothing, if there is no room or the session has ended."""
        with suppress(SendBufferFull, ConnectionClosed):
            self.client.send(message or _number(self.life, self.sent + 1))
            self.sent += message is None

    def wait_connected(self) -> None:
        """Wait until it is connected; from here on, its dials count."""
        assert self.client.wait_connected(20.0), f"{self.name} has no connection"
        self._first = self.client.stats().dials
        self.refused = self._first - 1

    def hush(self) -> None:
        """It sends when it is told to."""

    @property
    def ended(self) -> bool:
        return self.client.state in (State.EXPIRED, State.CLOSED)

    @property
    def why(self) -> str:
        """How it has ended; "" while it lives."""
        return repr(self.client.error) if self.ended else ""

    @property
    def dials(self) -> int:
        """How often it has dialled since it was connected."""
        return self.client.stats().dials - self._first

    @property
    def doubtful(self) -> set[int]:
        """What was handed back as in doubt."""
        return {message.payload[1] for message in self.client.in_doubt if message.event == "up"}

    def close(self) -> None:
        self.client.close()


class Theirs:
    """A client of ``websockets``, as people write one. ``sock``: its socket, connected already."""

    kind = "websockets"

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        life: int = 1,
        *,
        room: str = "all",
        sock: socket.socket | None = None,
    ) -> None:
        self.room = room
        self.heard = Heard(name, life)
        self.name, self.life, self.sent, self.dials = name, life, 0, 0
        self.why = ""
        self.refused = 0
        self.doubtful: set[int] = set()
        self._leaving = False
        self._stack = ExitStack()
        self._ws = self._dial(cluster, sock)
        self._thread = threading.Thread(target=self._listen, name=f"client {name}", daemon=True)
        self._thread.start()

    def _dial(self, cluster: Cluster, sock: socket.socket | None) -> ClientConnection:
        """Connect. A 503 is a doubt of the server's, and tried again, as its Retry-After says."""
        never = threading.Event()
        for _ in range(20):
            try:
                return self._stack.enter_context(self._dialling(cluster, sock))
            except InvalidStatus as refused:
                if refused.response.status_code != 503 or sock is not None:
                    raise
                self.refused += 1
            never.wait(0.25)
        raise AssertionError(f"{self.name} is told 503 all the time")

    def _dialling(
        self, cluster: Cluster, sock: socket.socket | None
    ) -> AbstractContextManager[ClientConnection]:
        return dial_theirs(
            cluster.url(self.name, room=self.room),
            sock=sock,
            proxy=None,
            compression=None,
            ping_interval=None,
            close_timeout=2.0,
        )

    def say(self, message: Message | None = None) -> None:
        """Send the next number, or this message; nothing, if the connection has ended."""
        with suppress(WebsocketsClosed):
            one = message or _number(self.life, self.sent + 1)
            self._ws.send(json.dumps({"event": one.event, "payload": one.payload}))
            self.sent += message is None

    def wait_connected(self) -> None:
        """It is connected from the start."""

    def hush(self) -> None:
        """It sends when it is told to."""

    @property
    def ended(self) -> bool:
        return not self._leaving and bool(self.why)

    def _listen(self) -> None:
        try:
            for text in self._ws:
                said = json.loads(text)
                self.heard.take(Message(said["event"], said.get("payload")))
        except WebsocketsClosed:
            pass
        self.why = f"{self._ws.close_code} {self._ws.close_reason}"

    def close(self) -> None:
        self._leaving = True
        self._stack.close()
        self._thread.join(20.0)


def _number(life: int, n: int) -> Message:
    return Message("up", [life, n, pad(n)])
