"""However the network cuts a stream into pieces, the transport says the same about it."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resumehub.testing import client_frame
from resumehub.transport.websocket import WebSocketTransport
from tests.transport.byte_feed import Feed, codes, cut
from tests.transport.transport_kinds import handshake

# The same examples in every run: a failure here is not to come and go.
repeatable = settings(derandomize=True, database=None, deadline=None, max_examples=150)

LIMIT = 1 << 20
"""More than any example has: which of two failures is met first would depend on the pieces."""


class Client:
    """Writes a stream, and keeps what a transport has to say about it."""

    def __init__(self, compressed: bool) -> None:
        self._deflater = zlib.compressobj(wbits=-15) if compressed else None
        self.wire = b""
        self.expected: list[object] = []

    def message(self, data: str | bytes, sizes: Iterable[int], ping: bytes | None, compress: bool) -> None:
        """In frames of these sizes, with a Ping between each two if there is a payload for one."""
        payload, rsv = data.encode() if isinstance(data, str) else data, 0
        if compress and self._deflater is not None:
            packed = self._deflater.compress(payload) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
            payload, rsv = packed[:-4], 4
        kind = "text" if isinstance(data, str) else "binary"
        for size in sizes:
            self.wire += client_frame(kind, payload[:size], fin=False, rsv=rsv)
            kind, payload, rsv = "continuation", payload[size:], 0
            if ping is not None:
                self.control("ping", ping)
        self.wire += client_frame(kind, payload, rsv=rsv)
        self.expected.append(data)

    def control(self, kind: str, payload: bytes) -> None:
        self.wire += client_frame(kind, payload)
        self.expected.append(("ping", payload) if kind == "ping" else "PongReceived")

    def end(self, frame: bytes, expected: object) -> None:
        self.wire += frame
        self.expected.append(expected)


ENDS = [
    (client_frame("close", b"\x03\xe8so long"), ("close", 1000)),
    (client_frame("close"), ("close", 1005)),
    (client_frame("close", b"\x03"), ("failed", 1002)),
    (client_frame(7, b"?"), ("failed", 1002)),
    (client_frame("text", "€".encode()[:2]), ("failed", 1007)),
]


@st.composite
def clients(draw: Callable[..., object], compressed: bool) -> Client:
    """A client that has said a number of sound things, and at the end perhaps something else."""
    client = Client(compressed)
    payloads = st.binary(max_size=125)
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            client.control(draw(st.sampled_from(["ping", "pong"])), draw(payloads))
            continue
        data = draw(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
        data *= draw(st.sampled_from([1, 1, 1, 400]))
        sizes = draw(st.lists(st.integers(0, 100), max_size=5))
        client.message(data, sizes, draw(st.none() | payloads), draw(st.booleans()))
    if draw(st.booleans()):
        client.end(*draw(st.sampled_from(ENDS)))
    return client


def pieces(wire: bytes, seed: int) -> Iterable[bytes]:
    """``wire`` in pieces of random sizes, many of them tiny."""
    dice = random.Random(seed)
    while wire:
        size = dice.choice([1, 2, 3, dice.randint(1, 40), dice.randint(1, 4000)])
        yield wire[:size]
        wire = wire[size:]


def understand(chunks: Iterable[bytes], compressed: bool) -> list[object]:
    if compressed:
        transport = handshake("permessage-deflate").transport(Feed(chunks), LIMIT, b"")
    else:
        transport = WebSocketTransport(Feed(chunks), LIMIT)
    told: list[object] = []
    while told[-1:] != ["Ended"]:
        told += codes(transport.receive())
    return told[:-1]


BOTH = pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])


@BOTH
def test_a_sound_stream_is_understood_in_any_pieces(compressed: bool) -> None:
    """Messages, fragments, pings and all, up to the close frame or the first breach."""

    @repeatable
    @given(clients(compressed), st.integers(0, 1000))
    def check(client: Client, seed: int) -> None:
        assert understand(cut(client.wire), compressed) == client.expected
        assert understand(pieces(client.wire, seed), compressed) == client.expected

    check()


@BOTH
def test_a_damaged_stream_means_the_same_in_any_pieces(compressed: bool) -> None:
    """A few bytes are changed: whatever that means, it ends in no exception and no contradiction."""

    @repeatable
    @given(clients(compressed), st.integers(0, 1000))
    def check(client: Client, seed: int) -> None:
        dice = random.Random(seed)
        wire = bytearray(client.wire)
        for _ in range(dice.randint(1, 4) if wire else 0):
            wire[dice.randrange(len(wire))] ^= 1 << dice.randrange(8)
        whole = understand(cut(bytes(wire)), compressed)
        assert understand(pieces(bytes(wire), seed), compressed) == whole
        assert sum(isinstance(one, tuple) and one[0] == "failed" for one in whole) <= 1

    check()


@BOTH
def test_noise_means_the_same_in_any_pieces(compressed: bool) -> None:
    @repeatable
    @given(st.binary(max_size=300), st.integers(0, 1000))
    def check(noise: bytes, seed: int) -> None:
        wire = client_frame("text", b"begun", fin=False) + noise
        assert understand(pieces(wire, seed), compressed) == understand(cut(wire), compressed)

    check()
