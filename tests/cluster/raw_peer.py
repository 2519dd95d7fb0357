"""A WebSocket peer by hand: it reads only when it is told to, and sends half a frame if it likes.

For the moments that no library's client has: a move while a message is half written, or half read. Read next:
``counting.py``.
"""

from __future__ import annotations

import json
import socket
from types import TracebackType
from typing import Any, Self

from wsproto.connection import Connection, ConnectionType
from wsproto.events import Message as Event
from wsproto.events import Ping
from wsproto.frame_protocol import FrameProtocol

from tests.cluster.harness import Cluster
from tests.cluster.journal import pad
from tests.contract.raw_client import HANDSHAKE, head


class RawPeer:
    """One that is connected, in a room of its own. ``small``: with as little room for input as may be had."""

    def __init__(self, cluster: Cluster, name: str, *, room: str, small: bool = False) -> None:
        self.sock = cluster.server.connect()
        if small:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.sendall(head("GET", f"/ws?name={name}&room={room}", HANDSHAKE))
        self._parser = Connection(ConnectionType.CLIENT)
        self._text = ""
        self._texts: list[str] = []
        self.sent = 0
        data = b""
        while b"\r\n\r\n" not in data:
            part = self.sock.recv(65536)
            assert part, f"the server hung up after {data!r}"
            data += part
        top, _, rest = data.partition(b"\r\n\r\n")
        assert b" 101 " in top.splitlines()[0], top
        self._take(rest)

    def frame_of_next(self) -> bytes:
        """The frame with its next number. It counts as sent."""
        self.sent += 1
        text = json.dumps({"event": "up", "payload": [1, self.sent, pad(self.sent)]})
        return bytes(FrameProtocol(True, []).send_data(text))

    def say(self) -> None:
        """Send the next number."""
        self.sock.sendall(self.frame_of_next())

    def read(self) -> tuple[str, Any]:
        """The next message, as event and payload."""
        while not self._texts:
            data = self.sock.recv(65536)
            assert data, "the server hung up"
            self._take(data)
        message = json.loads(self._texts.pop(0))
        return message["event"], message.get("payload")

    def _take(self, data: bytes) -> None:
        if not data:
            return
        self._parser.receive_data(data)
        for event in self._parser.events():
            if isinstance(event, Ping):
                continue  # where the machine is so slow that the peer seems to be idle
            assert isinstance(event, Event), f"no message but {event}"
            self._text += str(event.data)
            if event.message_finished:
                self._texts.append(self._text)
                self._text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()
