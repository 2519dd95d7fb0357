"""The other side of an endurance run: clients that count, orders to the server, and both accounts compared.

A scene has one ``Bench`` for itself. What it opens there is closed at the scene's end. ``Bench.expect`` and
``until`` raise AssertionError, which is the scene's failure. ``account_faults`` is the oracle of one session.
The thread of ``endure_run.py``; what comes in is counted on the clients' threads. Read next:
``endure_scenes.py``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed as WebSocketClosed
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as dial_plainly

from resumehub import ConnectionClosed, Message, SendBufferFull
from resumehub.client import Client, connect
from tests.contract.raw_client import HANDSHAKE, Wire, head
from tests.contract.raw_client import Client as RawPeer
from tests.integration.servers import ServerProcess

from .proxy import HOST
from .rows import Row, write

PATIENCE = 20.0
"""Seconds in which whatever must happen has happened; a hang guard."""

_NEVER = threading.Event()
_MUTE = logging.getLogger("resumehub.soak.endure")
_MUTE.disabled = True


def until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until it holds. Raises: AssertionError."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, f"waited for {what}, in vain"
        _NEVER.wait(0.01)


def account_faults(
    name: str, sent: int, account: dict[str, Any], down: Row, *, lossless: tuple[bool, bool]
) -> list[str]:
    """What is wrong with one session's account, in sentences. ``sent``: numbers that its client has sent;
    ``account``: the server's; ``down``: what came to the client; ``lossless``: up, and down.
    """
    found = []
    ways = (("up", sent, account["up"], lossless[0]), ("down", account["sent"], down.summary(), lossless[1]))
    for way, went_in, row, all_of_it in ways:
        lost = row["missing"] + max(0, went_in - row["last"])
        for number, what in (
            (lost if all_of_it else 0, "lost"),
            (row["duplicated"], "doubled"),
            (row["reordered"], "in the wrong order"),
            (row["foreign"], "damaged or astray"),
            (max(0, row["last"] - went_in), "from nowhere"),
        ):
            if number:
                found.append(f"{name}: {number} of {went_in} messages {way} {what}")
    calls = Counter(account["calls"])
    if (calls["connect"], calls["disconnect"]) != (1, 1):
        found.append(f"{name}: on_connect {calls['connect']}, on_disconnect {calls['disconnect']}")
    if calls["drop"] - calls["restore"] not in (0, 1):
        found.append(f"{name}: {calls['drop']} drops, {calls['restore']} restores")
    return found


class Peer:
    """``resumehub.client`` in one session. ``rows``: what has come, by the name that is in it.

    ``slow``: seconds that its handler takes for a message.
    """

    def __init__(
        self, url: str, name: str, *, plain: bool = False, slow: float = 0.0, **options: Any
    ) -> None:
        self.name, self.plain = name, plain
        #: Where the next dial goes.
        self.url = url
        self.rows: dict[str, Row] = {name: Row(name)}
        self.sent = self.missed = self.history = 0
        self.calls: Counter[str] = Counter()
        self.slow = slow
        self.error: BaseException | None = None
        self.client: Client = connect(
            lambda: self.url,
            plain=plain,
            on_message=self._hear,
            on_missed=self._miss,
            on_transport_drop=lambda client, error: self.calls.update(["drop"]),
            on_transport_restore=lambda client: self.calls.update(["restore"]),
            on_session_expired=lambda client, error: self.calls.update(["expired"]),
            on_disconnect=self._end,
            on_rejected=lambda client, message, error: self.calls.update(["rejected"]),
            **{"backoff": (0.02, 0.1), "open_timeout": 2.0, "heartbeat_margin": 1.0, **options},
        )

    def _hear(self, client: Client, message: Message) -> Any:
        if self.slow:
            _NEVER.wait(self.slow)
        self.calls["message"] += 1
        match message:
            case Message(id=str(), event="echo"):
                return {"of": message.payload}
            case Message(id=str(), event="never"):
                with contextlib.suppress(ConnectionClosed):  # the session may be over already
                    message.defer()
            case Message(event="n", payload=[str(of), int(), float(), str()]):
                self.history += message.history
                self.rows.setdefault(of, Row(of)).take(message, time.monotonic())
        return None

    def _miss(self, client: Client, first: int, last: int) -> None:
        self.missed += last - first + 1

    def _end(self, client: Client, error: BaseException | None) -> None:
        self.error = error
        self.calls["disconnect"] += 1

    def take_name(self, name: str) -> None:
        """The id that the hub has made; before anything has come."""
        self.name = name
        self.rows = {name: Row(name)}

    def total(self, of: str) -> int:
        """How many of a row have come, or are known to be missed."""
        return (self.rows[of].received if of in self.rows else 0) + self.missed

    @property
    def row(self) -> Row:
        return self.rows[self.name]

    def say(self, count: int) -> None:
        """Send the next numbers; waits for room."""
        for _ in range(count):
            until(self._say, "room in the send buffer")

    def _say(self) -> bool:
        try:
            self.client.send(write(self.name, self.sent + 1, time.monotonic()))
        except SendBufferFull:
            return False
        self.sent += 1
        return True

    def wait_back(self, times: int) -> None:
        """Until its connection was restored so often."""
        until(lambda: self.calls["restore"] >= times, f"{self.name} to be back")

    def order(self, count: int) -> None:
        """Have the server send as many numbers."""
        self.client.send(Message("say", count))

    def wait_for(self, count: int, of: str = "") -> None:
        """Until so many numbers have come to it, and all of its own have arrived."""
        row = self.rows.setdefault(of or self.name, Row(of or self.name))
        until(
            lambda: row.received >= count,
            f"{count} messages of {row.name} to {self.name}, not {row.received}",
        )
        until(lambda: not self.client.stats().waiting, f"the acknowledgements of {self.name}")


class Bench:
    """What a scene works with. ``server``: the process; ``random``: the scene's own.

    ``tally`` adds up what was done in the whole run.
    """

    def __init__(self, server: ServerProcess, number: int, seed: int, tally: Counter[str]) -> None:
        self.server, self.number, self.tally = server, number, tally
        self.random = random.Random(f"{seed}/{number}")
        #: All names that it has given.
        self.names: list[str] = []
        self._stack = ExitStack()
        self._peers: list[tuple[str, Peer]] = []

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # -- the server -------------------------------------------------------------------------

    def get(self, path: str, **args: object) -> Any:
        """GET a path that answers with JSON."""
        status, body = self.server.get(f"{path}?{urlencode(args)}" if args else path)
        assert status == 200, f"{path} was answered with {status}: {body!r}"
        return json.loads(body)

    def do(self, hub: str, what: str, **args: object) -> Any:
        """Have the server do something to a hub; what it gives, or the name of what it raises."""
        answer = self.get(f"/{hub}/do/{what}", **args)
        return answer["raised"] if "raised" in answer else answer["did"]

    def stats(self, hub: str) -> dict[str, Any]:
        """``hub.stats()``, and the collector's ``sums``."""
        stats: dict[str, Any] = self.do(hub, "stats")
        return stats

    def pause(self, seconds: float) -> None:
        _NEVER.wait(seconds)

    def wait_suspended(self, hub: str, count: int) -> None:
        until(lambda: self.stats(hub)["suspended"] == count, f"{count} suspended sessions of {hub}")

    def wait_empty(self, hub: str) -> None:
        until(lambda: not self.stats(hub)["sessions"], f"the sessions of {hub} to end")

    def name(self) -> str:
        """A name that nobody had before."""
        self.names.append(f"s{self.number}-{len(self.names) + 1}")
        return self.names[-1]

    # -- clients ----------------------------------------------------------------------------

    def url(self, hub: str, *, port: int = 0, scheme: str = "ws", **args: object) -> str:
        return f"{scheme}://{HOST}:{port or self.server.port}/{hub}/ws?{urlencode(args)}"

    def peer(self, hub: str, *, port: int = 0, client: dict[str, Any] | None = None, **args: Any) -> Peer:
        """A client of ours, connected. ``client``: arguments of ``Peer``; ``args`` go into the URL."""
        name = args.setdefault("name", self.name())
        peer = Peer(self.url(hub, port=port, **args), name, **(client or {}))
        self._stack.callback(peer.client.close, timeout=0.0)
        self._peers.append((hub, peer))
        assert peer.client.wait_connected(PATIENCE), f"{name} did not connect"
        if not name:
            peer.take_name(peer.client.connection_id)
        self.tally["clients of ours"] += 1
        return peer

    def dial(self, hub: str, *, compression: str | None = None, **args: Any) -> ClientConnection:
        """A client of the library ``websockets``. Raises: InvalidStatus."""
        args.setdefault("name", self.name())
        dialled = dial_plainly(
            self.url(hub, **args),
            compression=compression,
            proxy=None,
            open_timeout=PATIENCE,
            ping_interval=None,
            close_timeout=1.0,
            max_size=None,
            logger=_MUTE,
        )
        ws = self._stack.enter_context(dialled)
        self.tally["clients of websockets"] += 1
        return ws

    def refused(self, hub: str, **args: Any) -> int:
        """The status of a refusal; 101 if there is none."""
        try:
            self.dial(hub, **args).close()
        except InvalidStatus as refused:
            return refused.response.status_code
        return 101

    def closed(self, ws: ClientConnection) -> tuple[int | None, str]:
        """Read to the end; the close code and its reason."""
        with contextlib.suppress(WebSocketClosed):
            while True:
                ws.recv(timeout=PATIENCE)
        return ws.close_code, ws.close_reason or ""

    def wire(self, *, small: bool = False) -> Wire:
        """A bare TCP connection. ``small``: with as little room for input as may be had."""
        sock = socket.socket()
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(PATIENCE)
        sock.connect((HOST, self.server.port))
        wire = Wire(self.server.port, sock)
        self._stack.callback(wire.sock.close)
        self.tally["raw clients"] += 1
        return wire

    def raw(self, hub: str, *, small: bool = False, **args: Any) -> RawPeer:
        """A peer that answers nothing by itself."""
        args.setdefault("name", self.name())
        target = "/" + self.url(hub, **args).split("/", 3)[3]
        return self.wire(small=small).send(head("GET", target, HANDSHAKE)).websocket()

    # -- the end ----------------------------------------------------------------------------

    def settle(self) -> None:
        """Let all clients of ours leave, and compare their accounts. Raises: AssertionError."""
        for _, peer in self._peers:
            peer.client.close()
        found = []
        for hub, peer in self._peers:
            accounts: list[dict[str, Any]] = []

            def ended(hub: str = hub, name: str = peer.name, into: list[dict[str, Any]] = accounts) -> bool:
                into += self.get(f"/{hub}/account", name=name)
                return bool(into)

            until(ended, f"the end of {peer.name} at the server")
            assert len(accounts) == 1, f"{peer.name} had {len(accounts)} sessions"
            # Who only counts can't know what of his own has arrived when a connection dies.
            lossless = (not peer.plain or not accounts[0]["calls"].get("drop"), not peer.missed)
            found += account_faults(peer.name, peer.sent, accounts[0], peer.row, lossless=lossless)
            if (stats := peer.client.stats()).callback_errors:
                found.append(f"{peer.name}: {stats}")
            self.tally["messages up"] += accounts[0]["up"]["received"]
            self.tally["messages down"] += sum(row.received for row in peer.rows.values())
            self.tally["drops"] += accounts[0]["calls"].get("drop", 0)
            self.tally["resumes"] += accounts[0]["calls"].get("restore", 0)
        self._peers.clear()
        assert not found, "; ".join(found)


def expect(found: object, wanted: object, what: str) -> None:
    """Raises: AssertionError unless they are equal."""
    assert found == wanted, f"{what}: {found!r}, and not {wanted!r}"
