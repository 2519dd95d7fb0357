"""A client cannot make the server hold more than ``max_message_size`` of one message."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest

from resumehub.testing import client_frame
from resumehub.transport.base import Failed, Received
from resumehub.transport.sockets import RECEIVE_BYTES
from resumehub.transport.websocket import WebSocketTransport
from tests.transport.byte_feed import Feed, codes, cut, understand
from tests.transport.transport_kinds import fragments

LIMIT = 64 * 1024
TOO_BIG = [("failed", 1009)]


def first_events(chunks: Iterable[bytes], max_message_size: int = LIMIT) -> tuple[list[Received], int]:
    """What is said first about a stream, and how many bytes of it were read for that."""
    feed = Feed(chunks)
    return WebSocketTransport(feed, max_message_size).receive(), feed.pulled


def endless(kind: str, piece: bytes) -> Iterator[bytes]:
    """A message that never ends, each frame of it in a chunk of its own."""
    yield client_frame(kind, piece, fin=False)
    yield from itertools.repeat(client_frame("continuation", piece, fin=False))


@pytest.mark.parametrize("kind", ["text", "binary"])
@pytest.mark.parametrize("piece", [1, 7, 1000], ids=["1 byte", "7 bytes", "the limit"])
@pytest.mark.parametrize("chunk", [4096, 1], ids=["in large chunks", "byte by byte"])
def test_the_limit_itself_is_welcome_and_one_byte_more_is_1009(kind: str, piece: int, chunk: int) -> None:
    """Whole or in fragments of any size; what was said before it stands."""
    for size, expected in ((1000, 1000), (1001, ("failed", 1009))):
        payload = b"x" * size
        pieces = [payload[at : at + piece] for at in range(0, size, piece)]
        wire = client_frame("text", b"before") + fragments(pieces, kind=kind)
        before, told = codes(understand(cut(wire, chunk), max_message_size=1000))
        assert before == "before"
        assert (told if isinstance(told, tuple) else len(told)) == expected


def test_bytes_are_counted_and_not_characters() -> None:
    """334 euro signs are 1002 bytes."""
    assert codes(understand(client_frame("text", "€".encode() * 333))) == ["€" * 333]
    assert codes(understand(client_frame("text", "€".encode() * 334))) == TOO_BIG


def test_each_message_is_counted_anew() -> None:
    wire = (client_frame("binary", bytes(900)) + client_frame("ping", bytes(125))) * 5
    assert len(codes(understand(wire))) == 10


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_a_frame_that_announces_too_much_is_cut_off_at_the_limit(kind: str) -> None:
    """An exabyte is announced; no more is read than the limit and what one read brings."""
    head = client_frame(kind, length=1 << 60)
    chunks = itertools.chain([head], itertools.repeat(bytes(RECEIVE_BYTES)))
    events, pulled = first_events(chunks)
    assert codes(events) == TOO_BIG
    assert pulled <= len(head) + LIMIT + RECEIVE_BYTES


@pytest.mark.parametrize(
    ("kind", "piece"),
    [("binary", b"x"), ("binary", b"xy"), ("text", b"x"), ("text", "é".encode()), ("text", "€".encode())],
    ids=["bytes", "pairs of bytes", "letters", "accented letters", "euro signs"],
)
def test_a_message_in_the_smallest_fragments_costs_little_memory(kind: str, piece: bytes) -> None:
    """The fragments of a message must not cost many times what the message does."""
    limit = 16 * 1024
    tracemalloc.start()
    try:
        (failed,), pulled = first_events(endless(kind, piece), limit)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(failed, Failed)
    assert failed.code == 1009
    assert pulled <= (limit // len(piece) + 2) * (len(piece) + 6)
    assert peak < 4 * limit


@pytest.mark.parametrize(
    "end",
    [
        client_frame("binary", bytes(LIMIT + 1)),
        client_frame(3),
        client_frame("text", b"\xff"),
        client_frame("close"),
    ],
    ids=["a message that is too big", "nonsense", "bad text", "a close frame"],
)
def test_nothing_is_kept_of_what_comes_after_the_last_word(end: bytes) -> None:
    """It is read and thrown away until the peer goes, however much it is."""
    transport = WebSocketTransport(
        Feed(itertools.chain(cut(end), itertools.repeat(bytes(RECEIVE_BYTES), 1000))), LIMIT
    )
    assert len(transport.receive()) == 1
    tracemalloc.start()
    try:
        assert codes(transport.receive()) == ["Ended"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LIMIT
