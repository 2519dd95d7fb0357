"""A WebSocket client that hides nothing: each answer as it came, each wait bounded. Standard library only.

Used by ``survey.py``.
"""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any

HOST = "127.0.0.1"
PATIENCE = 5.0
"""Seconds in which a server has to answer. One that takes longer hangs."""

HANDSHAKE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
)
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


@dataclass(frozen=True)
class Answer:
    """``status`` is 0 where none came: ``text`` then says what happened instead."""

    status: int
    text: str


class Connection:
    """One connection, and what is asked on it. Use it in ``with``."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection((HOST, port), PATIENCE)
        self._data = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sock.close()

    def ask(self, path: str, upgrade: bool) -> Answer:
        """GET ``path``, as a plain request or as a WebSocket's. Raises: nothing. Blocks: for PATIENCE."""
        more = HANDSHAKE.format(key=KEY) if upgrade else "Connection: close\r\n"
        try:
            self._sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{more}\r\n".encode())
            head = self._until(b"\r\n\r\n").decode("latin-1")
            status = int(head.split(None, 2)[1])
            return Answer(status, "" if status == 101 else self._body(head))
        except TimeoutError:
            return Answer(0, "no answer")
        except (OSError, EOFError, ValueError, IndexError) as error:
            return Answer(0, f"the connection ends ({type(error).__name__})")

    def send(self, event: str, payload: str) -> None:
        """One text frame, masked with zeros."""
        data = json.dumps({"event": event, "payload": payload}).encode()
        self._sock.sendall(bytes([0x81, 0x80 | len(data)]) + bytes(4) + data)

    def receive(self) -> dict[str, Any]:
        """The next message. Raises: TimeoutError, EOFError, OSError; ValueError for any other frame."""
        head = self._exactly(2)
        if head[0] != 0x81 or head[1] > 125:
            raise ValueError(f"a frame that begins with {head.hex()}")
        message: dict[str, Any] = json.loads(self._exactly(head[1]))
        return message

    def leave(self) -> None:
        """A close frame (1000), and its answer. Raises: as ``receive``."""
        self._sock.sendall(bytes([0x88, 0x82]) + bytes(4) + (1000).to_bytes(2, "big"))
        with contextlib.suppress(EOFError):
            while self._exactly(1):
                pass

    def _body(self, head: str) -> str:
        """All of it: a client that leaves with something unread resets the connection."""
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        if "content-length" in headers:
            body = self._exactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self._until(b"\r\n"), 16):
                body += self._exactly(size)
                self._until(b"\r\n")
            self._until(b"\r\n")
        else:
            with contextlib.suppress(EOFError, TimeoutError):
                while True:
                    self._more()
            body, self._data = self._data, b""
        return body.decode("utf-8", "replace")

    def _until(self, end: bytes) -> bytes:
        while end not in self._data:
            self._more()
        found, _, self._data = self._data.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._data) < size:
            self._more()
        found, self._data = self._data[:size], self._data[size:]
        return found

    def _more(self) -> None:
        part = self._sock.recv(65536)
        if not part:
            raise EOFError
        self._data += part


def get(port: int, path: str) -> Answer:
    """A plain GET on a connection of its own. Raises: OSError when there is no server."""
    with Connection(port) as connection:
        return connection.ask(path, upgrade=False)


def dial(port: int, path: str) -> Answer:
    """A WebSocket's GET; the connection ends at once. Raises: OSError when there is no server."""
    with Connection(port) as connection:
        return connection.ask(path, upgrade=True)
