"""A client of ``resumehub.v1`` as a test plays it: it counts and says what it is told to, and nothing else.

It acknowledges only on request, so that a test decides what the server knows. ``dial`` opens a session,
``Speaker.resume`` comes back to it. docs/reference/lossless.md is what it speaks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug import Request

from resumehub.testing import UpgradeRefused, WebSocketClient, connect
from tests.contract.peers import heard_all
from tests.support import PATIENCE, Stage, from_query, read, text

V1 = "resumehub.v1"

PLAIN_GET = dict.fromkeys(("Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key"))
"""Headers that make a preflight of a handshake."""


def offer(token: str | None = None) -> list[str]:
    """The subprotocols that a v1 client offers."""
    return [V1] if token is None else [V1, f"resumehub.token.{token}"]


class Speaker:
    """One connection of a v1 client. ``received`` is the number of the last message that it has handled."""

    def __init__(self, s: Stage, ws: WebSocketClient) -> None:
        self.s = s
        self.ws = ws
        event, self.hello = self.read_raw()
        assert event == "$hello", f"the first message is {event!r}"
        self.token: str = self.hello["token"]
        self.received: int = self.hello["replay_from"] - 1

    def read_raw(self) -> tuple[str, Any]:
        """The next message as (event, payload), whatever it is; nothing is counted."""
        return read(self.ws)

    def read(self) -> tuple[str, Any]:
        """The next message; data, and what will never come, is counted as handled."""
        event, payload = self.read_raw()
        if event == "$missed":
            assert payload["from"] == self.received + 1, f"{payload} behind message {self.received}"
            self.received = payload["to"]
        elif not event.startswith("$"):
            self.received += 1
        return event, payload

    def take(self, count: int) -> list[Any]:
        """The payloads of the next ``count`` messages, which must be data."""
        messages = [self.read() for _ in range(count)]
        assert not any(event.startswith("$") for event, _ in messages), messages
        return [payload for _, payload in messages]

    def say(self, *payloads: Any) -> None:
        """Send a message for each payload, all at once."""
        for payload in payloads:
            self.ws.send(text("n", payload))

    def ack(self, received: Any = None) -> None:
        """Acknowledge what was handled, or any other number."""
        number = self.received if received is None else received
        self.ws.send(text("$ack", {"received": number}))

    def ack_for_sure(self, received: Any = None) -> None:
        """The same; when this returns the server has dealt with it, the hub included."""
        self.ack(received)
        heard_all(self.ws)
        self.s.clock.advance(0)

    def nothing_came(self) -> bool:
        """Whether the server has sent nothing but answers to pings by now."""
        heard_all(self.ws)
        return not self.ws.has_message()

    def drop(self, connection_id: str = "u1") -> None:
        """Lose the connection, and see the session suspended."""
        before = self.s.recorder.hooks(connection_id).count("drop")
        self.s.drop(self.ws, connection_id, before + 1)

    def resume(self, **how: Any) -> Speaker:
        """Come back with what this client knows; see ``again``."""
        known = {"token": self.token, "received": self.received}
        return Speaker(self.s, again(self.s, self.hello["connection_id"], **(known | how)))


def dial(s: Stage, connection_id: str = "u1", query: str = "", **how: Any) -> Speaker:
    """A new v1 session: its ``$hello`` is read, its on_connect has started."""
    speaker = Speaker(s, s.open(connection_id, query=query, subprotocols=offer(), **how))
    s.recorder.wait_for("connect", speaker.hello["connection_id"])
    return speaker


def again(
    s: Stage,
    connection_id: str = "u1",
    *,
    token: str | None = None,
    received: int | None = None,
    query: str = "",
    **how: Any,
) -> WebSocketClient:
    """A v1 dial with resume intent; raises what ``connect`` raises."""
    number = "" if received is None else f"&received={received}"
    return s.open(connection_id, query=f"&resume=true{number}{query}", subprotocols=offer(token), **how)


def refused(attempt: Callable[[], object]) -> int:
    """The status with which a dial is refused."""
    try:
        attempt()
    except UpgradeRefused as refusal:
        return refusal.status
    raise AssertionError("it was let in")


def late(
    s: Stage, query: str, meanwhile: Callable[[], object], subprotocols: Iterable[str] = ()
) -> WebSocketClient:
    """A dial during which ``meanwhile`` happens: the check is over, and the socket not handed over."""

    def view(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        response = s.hub.upgrade(environ, *from_query(Request(environ)))
        meanwhile()
        return response(environ, start_response)

    s.clients.append(connect(view, f"/?room=lobby&{query}", subprotocols=subprotocols))
    return s.clients[-1]


def preflight(s: Stage, query: str, subprotocols: Iterable[str] = ()) -> int:
    """The status that a plain GET gets."""
    headers: dict[str, str | None] = dict(PLAIN_GET)
    if subprotocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
    return refused(lambda: s.open(query=query, headers=headers))


def raw(event: str, payload: str) -> str:
    """A message whose payload is JSON by hand."""
    return f'{{"event": {json.dumps(event)}, "payload": {payload}}}'


def closing(speaker: Speaker) -> tuple[int, str]:
    """The code and reason with which the server ends this connection."""
    return speaker.ws.receive_close(PATIENCE)
