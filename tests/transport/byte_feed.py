"""A byte stream that is read from a list, to see what the real transport makes of any bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wsproto.extensions import Extension

from resumehub.transport.base import CloseReceived, DataReceived, Ended, Failed, PingReceived, Received
from resumehub.transport.websocket import WebSocketTransport


class Feed:
    """A ``ByteStream`` that gives these chunks and then the end. It can only be read."""

    sticky = False

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""
        self.pulled = 0

    def receive(self, size: int) -> bytes:
        chunk = self._rest or next(self._chunks, b"")
        chunk, self._rest = chunk[:size], chunk[size:]  # no more than it is asked for
        self.pulled += len(chunk)
        return chunk

    def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        raise OSError("nobody listens")


def cut(wire: bytes, size: int = 4096) -> Iterator[bytes]:
    """``wire`` in chunks of ``size`` bytes."""
    return (wire[at : at + size] for at in range(0, len(wire), size))


def understand(
    chunks: bytes | Iterable[bytes],
    *,
    max_message_size: int = 1000,
    extensions: Sequence[Extension] = (),
    leftover: bytes = b"",
) -> list[Received]:
    """Everything that the transport says about these bytes, but for the end of them."""
    feed = Feed(cut(chunks) if isinstance(chunks, bytes) else chunks)
    transport = WebSocketTransport(feed, max_message_size, extensions, leftover)
    events: list[Received] = []
    while not (events and isinstance(events[-1], Ended)):
        more = transport.receive()
        assert more, "receive has nothing to say"
        events += more
    return events[:-1]


def codes(events: list[Received]) -> list[object]:
    """The same in short: the data, ``("ping", payload)``, ``("close", code)``, ``("failed", code)``."""
    short: list[object] = []
    for event in events:
        match event:
            case DataReceived(data, _):
                short.append(data)
            case PingReceived(payload):
                short.append(("ping", payload))
            case CloseReceived(code, _):
                short.append(("close", code))
            case Failed(code, _):
                short.append(("failed", code))
            case _:
                short.append(type(event).__name__)
    return short
