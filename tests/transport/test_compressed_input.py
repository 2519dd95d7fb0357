"""What the real transport makes of permessage-deflate (RFC 7692) from clients that mean no good."""

from __future__ import annotations

import itertools
import random
import tracemalloc
import zlib
from collections.abc import Iterable

import pytest
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol

from resumehub.message import Frame, Opcode
from resumehub.testing import client_frame
from resumehub.transport.base import DataReceived, Received
from resumehub.transport.websocket import WebSocketTransport
from tests.transport.byte_feed import Feed, codes, cut
from tests.transport.transport_kinds import handshake

MEBIBYTE = 1 << 20
LIMIT = 64 * 1024
OFFER = "permessage-deflate"
FIRST_BIT = 4
"""RSV1, which marks the first frame of a compressed message."""


def transport_for(chunks: Iterable[bytes], offer: str = OFFER) -> tuple[WebSocketTransport, Feed]:
    """A transport on which compression was agreed."""
    feed = Feed(chunks)
    return handshake(offer).transport(feed, LIMIT, b""), feed


def understand(wire: bytes | Iterable[bytes], offer: str = OFFER) -> list[object]:
    """Everything that is said about these bytes, in short."""
    transport, _ = transport_for(cut(wire) if isinstance(wire, bytes) else wire, offer)
    events: list[Received] = []
    while codes(events[-1:]) != ["Ended"]:
        events += transport.receive()
    return codes(events[:-1])


class Deflater:
    """A client's compressor. It goes on from message to message, as real ones do."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(wbits=-15)

    def payload(self, data: bytes) -> bytes:
        """RFC 7692 §7.2.1: flushed, without the four bytes that every flush ends with."""
        return (self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(
            b"\0\0\xff\xff"
        )

    def frame(self, data: bytes, kind: str = "text") -> bytes:
        return client_frame(kind, self.payload(data), rsv=FIRST_BIT)


def in_fragments(payload: bytes, size: int, between: bytes = b"") -> bytes:
    """A compressed text message in frames of ``size`` bytes, with other frames ``between`` them."""
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
    frames = [
        client_frame(
            "continuation" if at else "text", piece, rsv=0 if at else FIRST_BIT, fin=at == len(pieces) - 1
        )
        for at, piece in enumerate(pieces)
    ]
    return between.join(frames)


# -- sound clients -----------------------------------------------------------------------------


def test_compressed_messages_are_read() -> None:
    """Compressed and plain ones in turn, and later ones that refer to earlier ones."""
    client = Deflater()
    wire = client.frame(b"hello") + client_frame("text", b"plain") + client.frame(b"hello hello")
    assert understand(wire + client.frame(b"")) == ["hello", "plain", "hello hello", ""]


@pytest.mark.parametrize("size", [1, 2, 7], ids=["1 byte", "2 bytes", "7 bytes"])
def test_a_compressed_message_may_come_in_fragments(size: int) -> None:
    assert understand(in_fragments(Deflater().payload(b"hello hello"), size)) == ["hello hello"]


def test_a_ping_may_stand_inside_a_compressed_message() -> None:
    """Clients ping when they like; the message around it must survive."""
    client = Deflater()
    wire = in_fragments(client.payload(b"hello hello"), 4, client_frame("ping", b"?")) + client.frame(b"bye")
    told = understand(wire)
    assert [one for one in told if one != ("ping", b"?")] == ["hello hello", "bye"]


def test_pings_between_messages_change_nothing() -> None:
    client = Deflater()
    wire = b"".join(client_frame("ping") + client.frame(b"message %d" % number) for number in range(3))
    assert [one for one in understand(wire) if one != ("ping", b"")] == [
        f"message {number}" for number in range(3)
    ]


@pytest.mark.parametrize("chunk", [4096, 1], ids=["at once", "byte by byte"])
def test_a_client_may_forget_after_each_message(chunk: int) -> None:
    """``client_no_context_takeover``: each message is a stream of its own."""
    wire = Deflater().frame(b"hello") + Deflater().frame(b"hello")
    assert understand(cut(wire, chunk), "permessage-deflate; client_no_context_takeover") == [
        "hello",
        "hello",
    ]


def test_a_message_may_end_with_a_final_block() -> None:
    """RFC 7692 §7.2.3.4 allows it; what comes after it must not be lost."""
    final = zlib.compress(b"hello", wbits=-15)
    wire = client_frame("text", final + final + b"\0", rsv=FIRST_BIT) + Deflater().frame(b"and more")
    assert understand(wire) == ["hellohello", "and more"]
    assert understand(cut(wire, 1)) == ["hellohello", "and more"]


# -- others ------------------------------------------------------------------------------------


def test_a_continuation_must_not_be_marked_as_compressed() -> None:
    """RFC 7692 §6: only the first frame carries the bit."""
    wire = client_frame("text", b"a", fin=False) + client_frame("continuation", b"b", rsv=FIRST_BIT)
    assert understand(wire) == [("failed", 1002)]


@pytest.mark.parametrize("kind", ["ping", "pong", "close"])
def test_a_control_frame_must_not_be_marked_as_compressed(kind: str) -> None:
    assert understand(client_frame(kind, rsv=FIRST_BIT)) == [("failed", 1002)]


@pytest.mark.parametrize("rsv", [2, 1, 6, 5], ids=["second", "third", "first and second", "first and third"])
def test_the_other_reserved_bits_stay_forbidden(rsv: int) -> None:
    assert understand(client_frame("text", b"", rsv=rsv)) == [("failed", 1002)]


@pytest.mark.parametrize("chunk", [4096, 1], ids=["at once", "byte by byte"])
def test_garbage_is_1007(chunk: int) -> None:
    wire = client_frame("text", b"\xff" * 100, rsv=FIRST_BIT) + client_frame("text", b"after")
    assert understand(cut(wire, chunk)) == [("failed", 1007)]


def test_compressed_text_must_be_utf8_too() -> None:
    assert understand(Deflater().frame(b"caf\xe9")) == [("failed", 1007)]


@pytest.mark.parametrize(
    "head",
    [Deflater().payload(b""), b"", zlib.compress(b"hello", wbits=-15)],
    ids=["an empty block", "nothing", "a final block"],
)
def test_random_bytes_never_do_worse_than_1007(head: bytes) -> None:
    """Whatever a client sends as compressed data is a message or a failure: no exception, no silence."""
    dice = random.Random(1)
    for _ in range(300):
        (told,) = understand(client_frame("binary", head + dice.randbytes(50), rsv=FIRST_BIT))
        assert isinstance(told, bytes) or told in (("failed", 1007), ("failed", 1009))


# -- bombs -------------------------------------------------------------------------------------


def peak_until_first_event(chunks: Iterable[bytes]) -> tuple[list[object], int, int]:
    """What is said first, how many bytes were read for it, and how much memory was in use at most."""
    transport, feed = transport_for(chunks)
    tracemalloc.start()
    try:
        events = transport.receive()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return codes(events), feed.pulled, peak


def test_a_decompression_bomb_is_1009_before_it_goes_off() -> None:
    """100 MiB in 100 KiB: no more of it is unpacked than one small step beyond the limit."""
    wire = Deflater().frame(bytes(100 * MEBIBYTE), "binary")
    assert len(wire) < MEBIBYTE // 8
    told, pulled, peak = peak_until_first_event(cut(wire))
    assert told == [("failed", 1009)]
    assert pulled <= 4096
    assert peak < 4 * MEBIBYTE


def test_a_bomb_in_fragments_is_1009_as_well() -> None:
    wire = in_fragments(Deflater().payload(bytes(100 * MEBIBYTE)), 100)
    told, pulled, peak = peak_until_first_event(cut(wire))
    assert told == [("failed", 1009)]
    assert pulled <= 4096
    assert peak < 4 * MEBIBYTE


def test_bytes_behind_a_final_block_do_not_pile_up() -> None:
    """zlib keeps what follows the end of a stream, for ever, and calls it no output."""
    final = zlib.compress(b"hello", wbits=-15)
    head = client_frame("binary", final, rsv=FIRST_BIT, fin=False)
    block = client_frame("continuation", random.Random(1).randbytes(4000), fin=False)
    told, _, peak = peak_until_first_event(itertools.chain([head], itertools.repeat(block, 1000)))
    assert told in ([("failed", 1007)], [("failed", 1009)])
    assert peak < MEBIBYTE


def test_a_bomb_is_inflated_to_one_byte_beyond_the_limit() -> None:
    """In one read: what is not inflated costs what was sent."""
    wire = Deflater().frame(bytes(8 * MEBIBYTE), "binary")
    assert len(wire) < 16 * 1024
    told, _, peak = peak_until_first_event([wire])
    assert told == [("failed", 1009)]
    assert peak < 8 * LIMIT


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1], ids=["of the limit", "of one byte more"])
@pytest.mark.parametrize("chunk", [4096, 1], ids=["at once", "byte by byte"])
def test_the_limit_is_that_of_the_inflated_message(size: int, chunk: int) -> None:
    """Each message has its own: one that is allowed leaves the next one as much."""
    client = Deflater()
    wire = client.frame(b"x" * LIMIT) + client.frame(b"x" * size)
    told = understand(cut(wire, chunk))
    assert told == ["x" * LIMIT, "x" * LIMIT if size == LIMIT else ("failed", 1009)]


# -- much of it at a time ----------------------------------------------------------------------


def many(count: int, size: int) -> bytes:
    client = Deflater()
    return b"".join(client.frame(bytes([65 + number % 26]) * size) for number in range(count))


def test_of_one_read_no_more_is_inflated_than_can_be_handled() -> None:
    """The rest stays compressed until it is asked for, and no further input is read before."""
    wire = many(100, 50_000)
    assert len(wire) < 16 * 1024
    transport, feed = transport_for([wire, client_frame("ping", b"behind")])
    told: list[object] = []
    for number in range(100):
        events = transport.receive()
        assert sum(event.size for event in events if isinstance(event, DataReceived)) <= 50_000
        assert feed.pulled == 2048 or number > 20
        told += codes(events)
    assert [str(one)[:1] for one in told] == [chr(65 + number % 26) for number in range(100)]
    assert codes(transport.receive()) == [("ping", b"behind")]
    assert not transport.has_more


def test_what_is_left_is_given_before_the_end_of_input() -> None:
    wire = many(5, 50_000)
    assert [str(one)[:1] for one in understand([wire])] == ["A", "B", "C", "D", "E"]


def test_small_messages_come_together() -> None:
    transport, _ = transport_for([many(50, 100)])
    assert len(transport.receive()) == 50
    assert not transport.has_more


def test_nothing_is_left_behind_a_failure() -> None:
    garbage = client_frame("text", b"\xff", rsv=FIRST_BIT)
    transport, _ = transport_for([many(1, 50_000) + garbage + many(9, 50_000)])
    assert codes(transport.receive()) == ["A" * 50_000]
    assert codes(transport.receive()) == [("failed", 1007)]
    assert not transport.has_more


# -- control messages --------------------------------------------------------------------------


def test_a_control_message_is_not_compressed_and_the_others_are() -> None:
    """So the token in a ``$hello`` shares no compression window with what other people say."""
    transport, _ = transport_for([])
    secret = b'{"event": "$hello", "payload": {"token": "opensesame"}}'
    said = transport.encode(Frame(Opcode.TEXT, b"tell me: opensesame opensesame"))
    hello = transport.encode(Frame(Opcode.TEXT, secret, compressible=False))
    again = transport.encode(Frame(Opcode.TEXT, b"tell me: opensesame opensesame"))

    assert [wire[0] & 0x40 for wire in (said, hello, again)] == [0x40, 0, 0x40]
    assert hello.endswith(secret)
    deflate = PerMessageDeflate()
    deflate.finalize(OFFER)
    peer = FrameProtocol(True, [deflate])
    peer.receive_bytes(said + hello + again)
    heard = [frame.payload for frame in peer.received_frames()]
    assert heard == ["tell me: opensesame opensesame", secret.decode(), "tell me: opensesame opensesame"]
