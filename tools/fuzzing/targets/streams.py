"""A byte stream that a target fills, and what a transport says of it, in short.

Used by ``frames.py`` and ``deflate.py``. Read next: ``frames.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from resumehub.transport.base import (
    CloseReceived,
    DataReceived,
    Ended,
    Failed,
    PingReceived,
    PongReceived,
    Received,
)
from resumehub.transport.websocket import WebSocketTransport

Said = tuple[object, ...]


class Feed:
    """A ``ByteStream`` that gives these pieces and then the end. It can only be read."""

    sticky = False
    movable = True
    pollable = None

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece][::-1]

    @property
    def empty(self) -> bool:
        return not self._pieces

    def receive(self, size: int) -> bytes:
        if self.empty:
            return b""
        piece = self._pieces.pop()
        if len(piece) > size:
            self._pieces.append(piece[size:])
        return piece[:size]

    def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        raise OSError("this stream can only be read")


def told(transport: WebSocketTransport, limit: int, most_at_once: int = 1 << 30) -> list[Said]:
    """All that the transport says until the end, in short. Raises: AssertionError for a clause that it
    breaks.

    ``limit``: of a message, in bytes; ``most_at_once``: of all messages that one call returns.
    """
    said: list[Said] = []
    over = False
    while True:
        events = transport.receive()
        assert events, "receive returned without an event"
        sizes = [event.size for event in events if isinstance(event, DataReceived)]
        assert sum(sizes) <= most_at_once + limit, f"one call has inflated {sum(sizes)} bytes"
        for event in events:
            if isinstance(event, Ended):
                assert event is events[-1], "something is told behind the end"
                return said
            assert not over, f"{event} is told behind the end of the protocol (T4)"
            over = isinstance(event, CloseReceived | Failed)
            said.append(in_short(event, limit))


def in_short(event: Received, limit: int) -> Said:
    match event:
        case DataReceived(data, size):
            raw = data.encode() if isinstance(data, str) else data
            assert size == len(raw) <= limit, f"a message of {len(raw)} bytes is told as one of {size}"
            return ("data", data)
        case PingReceived(payload):
            assert len(payload) <= 125, "a Ping is small"
            return ("ping", payload)
        case PongReceived():
            return ("pong",)
        case CloseReceived(code, reason):
            assert may_be_sent(code) or code == 1005, f"the peer's Close has the code {code}"
            assert len(reason.encode()) <= 123, "a reason is small"
            return ("close", code, reason)
        case Failed(code, _):
            assert code in (1002, 1007, 1009), f"a failure has the code {code}"
            return ("failed", code)
    raise AssertionError(f"an event that no stream has: {event}")


def may_be_sent(code: int) -> bool:
    """RFC 6455 §7.4, and the registry that goes on from there."""
    return code in {*range(1000, 1004), *range(1007, 1015)} or 3000 <= code <= 4999
