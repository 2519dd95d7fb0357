"""What the fast parser takes out of a stream it takes as wsproto would; the rest it leaves to wsproto.

The judge is a transport whose fast parser lets everything through, so that wsproto reads every byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol

from resumehub.message import Frame, Opcode
from resumehub.testing import client_frame
from resumehub.transport.base import DataReceived, Ended, Failed, Received
from resumehub.transport.fast_frame_parser import FastFrameParser
from resumehub.transport.websocket import WebSocketTransport
from tests.transport.byte_feed import Feed

LIMIT = 300

repeatable = settings(derandomize=True, database=None, deadline=None, max_examples=400)


class LetsAllThrough(FastFrameParser):
    def sift(self, data: bytes) -> list[DataReceived | bytes]:
        return [data]


def read(chunks: Sequence[bytes], judge: bool = False) -> list[Received]:
    """Everything that a transport says about a stream. The words of a failure are not compared."""
    transport = WebSocketTransport(Feed(chunks), LIMIT)
    if judge:
        transport._sieve = LetsAllThrough(LIMIT)
    events: list[Received] = []
    while not (events and isinstance(events[-1], Ended)):
        events.extend(transport.receive())
    return [Failed(event.code, "") if isinstance(event, Failed) else event for event in events]


@st.composite
def streams(draw: Callable[..., object]) -> list[bytes]:
    """Frames of all kinds, some of them against the rules, some bytes changed, cut anywhere."""
    wire = b""
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["text", "binary", "continuation", "ping", "pong", "close", 3, 11]))
        payload = draw(st.binary(max_size=8) | st.text(max_size=60).map(str.encode))
        payload *= draw(st.sampled_from([1, 1, 1, 1, 20]))
        frame = client_frame(
            kind,
            payload[: draw(st.sampled_from([125, 400]))],
            fin=draw(st.sampled_from([True, True, True, False])),
            rsv=draw(st.sampled_from([0] * 9 + [4])),
        )
        wire += frame
    changed = bytearray(wire)
    for at in draw(st.lists(st.integers(0, max(0, len(wire) - 1)), max_size=2)):
        if wire and draw(st.sampled_from([True, False, False])):
            changed[at] ^= 1 << draw(st.integers(0, 7))
    cuts = sorted({0, len(changed), *draw(st.lists(st.integers(0, len(changed)), max_size=6))})
    return [bytes(changed[a:b]) for a, b in pairwise(cuts)]


@repeatable
@given(streams())
def test_any_stream_means_what_wsproto_says(chunks: list[bytes]) -> None:
    assert read(chunks) == read(chunks, judge=True)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 125, 126, 127, LIMIT])
@pytest.mark.parametrize("kind", ["text", "binary"])
def test_a_whole_message_never_meets_wsproto(kind: str, size: int) -> None:
    """Of whatever length, up to the limit: that is what makes it quick."""
    payload = b"a" * size
    (plain,) = FastFrameParser(LIMIT).parse(client_frame(kind, payload))
    assert plain == DataReceived(payload.decode() if kind == "text" else payload, size)


def test_messages_that_come_together_are_taken_apart() -> None:
    wire = client_frame("text", b"one") + client_frame("ping", b"?") + client_frame("text", b"two")
    assert read([wire])[::2] == [DataReceived("one", 3), DataReceived("two", 3)]


def test_a_frame_that_comes_byte_by_byte_is_no_message_before_its_last() -> None:
    wire = client_frame("text", b"one")
    assert read([wire[at : at + 1] for at in range(len(wire))])[0] == DataReceived("one", 3)


def test_behind_a_fragment_everything_is_wsprotos_until_the_last_one() -> None:
    """A text frame in the middle of another message is an error, and not a message."""
    wire = client_frame("text", b"one", fin=False) + client_frame("text", b"two")
    assert read([wire])[0] == Failed(1002, "")


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
@pytest.mark.parametrize("opcode", Opcode, ids=lambda opcode: opcode.name)
def test_a_frame_is_written_as_wsproto_would_write_it(opcode: Opcode, size: int) -> None:
    payload = b"a" * size
    transport = WebSocketTransport(Feed([]), LIMIT)
    said = payload.decode() if opcode is Opcode.TEXT else payload
    assert transport.encode(Frame(opcode, payload)) == bytes(FrameProtocol(False, []).send_data(said))
