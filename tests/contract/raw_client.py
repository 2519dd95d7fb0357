"""Raw bytes to a server and back: what the tests of the upgrade speak.

A ``Wire`` is a TCP client that sends what it is told, byte for byte, and reads one ``Reply``. Behind
a 101 it becomes a ``Client``, which speaks WebSocket and has no manners either.
"""

from __future__ import annotations

import json
import socket
import struct
from collections import deque
from dataclasses import dataclass
from typing import Any, Self

from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Pong, TextMessage
from wsproto.frame_protocol import FrameProtocol

from tests.support import PATIENCE

# RFC 6455 §1.3 gives this key with the answer to it.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

HANDSHAKE: dict[str, str | bytes | None] = {
    "Host": "chat.test",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}

PLAIN: dict[str, str | bytes | None] = dict.fromkeys(HANDSHAKE) | {"Host": "chat.test"}
"""Headers that make a handshake an ordinary GET."""

Headers = dict[str, str | bytes | None]


@dataclass
class Reply:
    """A response as it came over the wire; behind a 101, ``body`` is what came with it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header that must not be there twice; None if it is not there."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def problem(self) -> dict[str, Any]:
        """The body, which must be problem+json that agrees with the status, and not be cached."""
        assert self.header("Content-Type") == "application/problem+json"
        assert self.header("Cache-Control") == "no-store"
        problem: dict[str, Any] = json.loads(self.body)
        assert problem["status"] == self.status
        return problem


class Wire:
    """A TCP client without manners: it sends the bytes that it is given."""

    def __init__(self, port: int, sock: socket.socket | None = None) -> None:
        self.sock = sock or socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._read = b""

    def send(self, data: bytes) -> Self:
        self.sock.sendall(data)
        return self

    def reply(self, method: str = "GET") -> Reply:
        """Read one response to ``method``; of a 101 the head, and no byte more than came with it."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        reply = Reply(int(first.split()[1]), headers, b"")
        length = int(reply.header("Content-Length") or 0) if reply.status != 101 and method != "HEAD" else 0
        while len(self._read) < length:
            self._more()
        reply.body, self._read = self._read, b""
        return reply

    def websocket(self) -> Client:
        """Read a 101, then speak WebSocket."""
        reply = self.reply()
        assert reply.status == 101, f"{reply.status} {reply.body!r}"
        return Client(self.sock, reply)

    def _more(self) -> None:
        data = self.sock.recv(65536)
        assert data, f"the server hung up after {self._read!r}"
        self._read += data


class Client:
    """The client's end of a WebSocket. Answers nothing by itself: neither pings nor a close frame."""

    def __init__(self, sock: socket.socket, reply: Reply) -> None:
        self.sock = sock
        self.reply = reply
        self._parser = Connection(ConnectionType.CLIENT)
        self._events = deque[Any]()
        self._take(reply.body)

    def send(self, text: str) -> None:
        self.sock.sendall(masked(text))

    def read(self) -> tuple[str, Any]:
        """The next message as (event, payload)."""
        event = self._next()
        assert isinstance(event, TextMessage), f"no message but {event}"
        message = json.loads(event.data)
        return message.get("event", ""), message.get("payload")

    def closed(self) -> tuple[int, str]:
        """The code and the reason of the close frame, which must be the next that comes."""
        event = self._next()
        assert isinstance(event, CloseConnection), f"no close frame but {event}"
        return int(event.code), event.reason or ""

    def ping(self) -> None:
        """Send a Ping, and read its Pong, which must be the next that comes."""
        self.sock.sendall(FrameProtocol(True, []).ping(b"?"))
        event = self._next()
        assert isinstance(event, Pong), f"no Pong but {event}"

    def leave(self) -> None:
        """Say good-bye (or answer the server's) with 1000, and read to the end."""
        self.sock.sendall(FrameProtocol(True, []).close(1000))
        self.wait_for_end()

    def wait_for_end(self) -> None:
        """Read until the server ends TCP, too."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionError:
            pass

    def drop(self) -> None:
        """Vanish without a close frame: the kernel sends RST and not FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _next(self) -> Any:
        while not self._events:
            data = self.sock.recv(65536)
            assert data, "the server hung up"
            self._take(data)
        return self._events.popleft()

    def _take(self, data: bytes) -> None:
        if data:
            self._parser.receive_data(data)
            self._events.extend(self._parser.events())


def masked(text: str) -> bytes:
    """A text frame as clients send them."""
    return bytes(FrameProtocol(True, []).send_data(text))


def head(method: str, target: str, headers: Headers) -> bytes:
    """A request head; a value of bytes goes out as it is."""
    lines = [f"{method} {target} HTTP/1.1".encode()]
    for name, value in headers.items():
        if value is not None:
            lines.append(
                name.encode() + b": " + (value if isinstance(value, bytes) else value.encode("latin-1"))
            )
    return b"\r\n".join(lines) + b"\r\n\r\n"
