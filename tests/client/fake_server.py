"""A server that does what the test says, over real sockets, in the test's own thread.

The client has threads of its own, so a test reads as a conversation: accept, answer, read, send, hang up.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from resumehub.client import connect
from resumehub.testing import FakeClock
from resumehub.testing.wire import OPCODES, WireFrame, server_frame
from tests.support import PATIENCE

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

HELLO: dict[str, Any] = {
    "connection_id": "ada",
    "token": "token-1",
    "resumed": False,
    "received": 0,
    "replay_from": 1,
    "window": {"messages": 8, "bytes": 4096},
    "resume_window": 30.0,
    "ping_interval": 20.0,
    "max_message_size": 1000,
}


class FakeServer:
    """Listens on a port of its own. ``client`` makes clients of it; all is closed behind ``with``.

    ``connect``: makes them; each kind of client is to do the same.
    """

    def __init__(self, connect: Callable[..., Any] = connect) -> None:
        self._connect = connect
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}/ws"
        self.clock = FakeClock()
        self._open: list[Peer] = []
        self._clients: list[Any] = []

    def client(self, query: str = "", **options: Any) -> Any:
        """A client whose clock is the test's, and whose pauses are none."""
        options = {"clock": self.clock, "random": lambda: 0.0} | options
        self._clients.append(self._connect(self.url + query, **options))
        return self._clients[-1]

    def accept(self) -> Peer:
        """The next dial, with its request read."""
        sock, _ = self.listener.accept()
        sock.settimeout(PATIENCE)
        self._open.append(Peer(sock))
        return self._open[-1]

    def welcome(self, **fields: Any) -> Peer:
        """The next dial, answered with 101 and ``$hello``; the acknowledgement that must follow is read."""
        peer = self.accept()
        peer.switch("resumehub.v1")
        peer.hello(**fields)
        said = peer.read()
        assert said == ("$ack", {"received": fields.get("replay_from", 1) - 1}), said
        return peer

    def no_dial(self) -> bool:
        """Whether no dial waits to be accepted."""
        self.listener.settimeout(0.0)
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return True
        finally:
            self.listener.settimeout(PATIENCE)
        return False

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *exc: object) -> None:
        for peer in self._open:
            peer.vanish()
        for client in self._clients:
            client.close(timeout=0.0)
        self.listener.close()


class Peer:
    """The server's end of one transport."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._data = b""
        while b"\r\n\r\n" not in self._data:
            more = sock.recv(65536)
            assert more, f"the client hung up behind {self._data!r}"
            self._data += more
        head, self._data = self._data.split(b"\r\n\r\n", 1)
        first, *rest = head.decode("latin-1").split("\r\n")
        self.target = first.split(" ")[1]
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)
        }
        self.query = {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}
        self.offered = [name.strip() for name in self.headers.get("sec-websocket-protocol", "").split(",")]

    # -- the handshake ----------------------------------------------------------------------

    def switch(self, protocol: str | None = None) -> None:
        """101."""
        key = self.headers["sec-websocket-key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        lines.append(f"Sec-WebSocket-Accept: {accept}")
        if protocol is not None:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        self.raw("\r\n".join([*lines, "", ""]).encode())

    def refuse(self, status: int, body: str = "", **headers: str) -> None:
        """Another status, and the end."""
        lines = [f"HTTP/1.1 {status} No", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.raw("\r\n".join([*lines, "", body]).encode())
        self.vanish()

    def hello(self, **fields: Any) -> None:
        self.send("$hello", HELLO | fields)

    # -- frames -----------------------------------------------------------------------------

    def raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send(self, event: str, payload: Any = None) -> None:
        """A message."""
        self.say(event=event, payload=payload)

    def say(self, **fields: Any) -> None:
        """A message with these fields: a request, an answer."""
        self.raw(server_frame("text", json.dumps(fields).encode()))

    def close(self, code: int, reason: str = "") -> None:
        """A close frame."""
        self.raw(server_frame("close", struct.pack("!H", code) + reason.encode()))

    def frame(self) -> WireFrame:
        """The client's next frame."""
        while (found := first_frame(self._data)) is None:
            more = self.sock.recv(65536)
            assert more, f"the client hung up behind {self._data!r}"
            self._data += more
        result, self._data = found
        return result

    def read(self) -> tuple[str, Any]:
        """The client's next message."""
        said = json.loads(self.frame().payload)
        return said.get("event", ""), said.get("payload")

    def message(self) -> dict[str, Any]:
        """The client's next message, with all its fields."""
        said: dict[str, Any] = json.loads(self.frame().payload)
        return said

    def read_until_end(self) -> list[WireFrame]:
        """The frames that still come, until the client hangs up."""
        try:
            while more := self.sock.recv(65536):
                self._data += more
        except ConnectionError:
            pass
        frames = []
        while (found := first_frame(self._data)) is not None:
            frames.append(found[0])
            self._data = found[1]
        return frames

    def vanish(self) -> None:
        """Hang up without a close frame."""
        self.sock.close()


def first_frame(data: bytes) -> tuple[WireFrame, bytes] | None:
    """A client's frame at the beginning of ``data``, and the rest; None if it is not all there.

    Raises: AssertionError for what a client may not send: no mask, fragments (ours makes none).
    """
    if len(data) < 2:
        return None
    assert data[0] & 0xF0 == 0x80, f"a fragment, or reserved bits: {data[:2].hex()}"
    assert data[1] & 0x80, "a client masks (RFC 6455 §5.3)"
    short = data[1] & 0x7F
    start = 2 + {126: 2, 127: 8}.get(short, 0)
    size = int.from_bytes(data[2:start]) if start > 2 else short
    if len(data) < start + 4 + size:
        return None
    mask, body = data[start : start + 4], data[start + 4 : start + 4 + size]
    kind = next(name for name, number in OPCODES.items() if number == data[0] & 0x0F)
    payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))
    return WireFrame(kind, payload), data[start + 4 + size :]
