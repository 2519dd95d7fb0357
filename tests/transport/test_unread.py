"""A half-read stream can be written down at any byte, and read on by another transport (clause T13).

The stream is cut twice: where the first transport stops, and where its input happens to be cut into pieces. A
fresh transport that gets what ``unread`` gave, and then the rest, must report what one that was never
replaced reports. Naive variants that forget a part of the state are shown to fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resumehub.testing import client_frame
from resumehub.transport.base import Received
from resumehub.transport.fast_frame_parser import FastFrameParser
from resumehub.transport.websocket import WebSocketTransport
from tests.transport.transport_kinds import fragments

LIMIT = 300


class Script:
    """A byte stream that gives what it was fed, and nothing once it is empty."""

    sticky = False
    movable = True
    pollable = None

    def __init__(self) -> None:
        self.data = b""

    def receive_now(self, size: int) -> bytes:
        if not self.data:
            raise BlockingIOError
        given, self.data = self.data[:size], self.data[size:]
        return given

    def send(self, pieces: object) -> int:
        raise AssertionError("nothing is written here")


class Reading:
    """A transport that is fed piece by piece, and the events so far."""

    def __init__(self, leftover: bytes = b"") -> None:
        self.stream = Script()
        self.transport = WebSocketTransport(self.stream, LIMIT, (), leftover)  # type: ignore[arg-type]
        self.events: list[Received] = []
        if leftover:
            self.events += self.transport.receive_now()

    def feed(self, data: bytes, cut: int = 1 << 20) -> None:
        for at in range(0, len(data), cut):
            self.stream.data = data[at : at + cut]
            while self.stream.data:
                self.events += self.transport.receive_now()


def unmoved(wire: bytes) -> list[Received]:
    reading = Reading()
    reading.feed(wire)
    return reading.events


def moved(wire: bytes, at: int, cut: int = 1 << 20) -> list[Received]:
    """Read up to byte ``at``, then go on with a fresh transport. A failed one has nothing to go on with."""
    first = Reading()
    first.feed(wire[:at], cut)
    second = Reading(first.transport.unread())
    second.feed(wire[at:], cut)
    return first.events + second.events


STREAMS = {
    "short texts": client_frame("text", b"one") + client_frame("text", b""),
    "a text that is not short": client_frame("text", "Grüße, ".encode() * 20),
    "the largest binary": client_frame("binary", bytes(range(256)) + bytes(44)),
    "fragments with a Ping in between": fragments(["so lö".encode(), b"", "ng ü".encode()], b"ping"),
    "characters cut by fragments": fragments([b"\xf0\x9f", b"\x98\x80\xe2", b"\x82\xac!"]),
    "binary fragments": fragments([bytes(130), bytes(3), b"end"], b"", kind="binary"),
    "control frames": client_frame("ping", b"p" * 125) + client_frame("pong") + client_frame("text", b"x"),
    "a close frame": client_frame("text", b"bye") + client_frame("close", (1000).to_bytes(2) + b"done"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_it_may_go_on_elsewhere_behind_any_byte(name: str) -> None:
    wire = STREAMS[name]
    expected = unmoved(wire)
    assert expected, "something is reported"
    for at in range(len(wire)):
        for cut in (1, 7, 1 << 20):
            assert moved(wire, at, cut) == expected, f"moved at {at} of {wire.hex()}, cut by {cut}"


def wires() -> st.SearchStrategy[bytes]:
    text = st.text(max_size=30).map(str.encode)
    message = st.builds(lambda data: client_frame("text", data), text)
    binary = st.builds(lambda data: client_frame("binary", data), st.binary(max_size=200))
    broken_up = st.builds(
        lambda data, cuts, ping: fragments(list(pieces(data, cuts)), ping),
        text,
        st.lists(st.integers(0, 30), max_size=4),
        st.none() | st.binary(max_size=20),
    )
    control = st.builds(client_frame, st.sampled_from(["ping", "pong"]), st.binary(max_size=125))
    good = st.lists(message | binary | broken_up | control, min_size=1, max_size=5).map(b"".join)
    return st.builds(lambda wire, bad: wire + bad, good, st.just(b"") | st.binary(max_size=20))


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    begin = 0
    for cut in sorted(min(cut, len(data)) for cut in cuts):
        yield data[begin:cut]
        begin = cut
    yield data[begin:]


@settings(max_examples=300, deadline=None)
@given(wire=wires(), cut=st.integers(1, 40), data=st.data())
def test_any_stream_may_go_on_elsewhere_behind_any_byte(wire: bytes, cut: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(wire)))
    first = Reading()
    first.feed(wire[:at], cut)
    if first.events and first.transport.unread() == b"" and unmoved(wire[:at]) == unmoved(wire):
        return  # refused by then, or all of it said: there is nothing to go on with
    assert moved(wire, at, cut) == unmoved(wire)


def without(part: str) -> Callable[[FastFrameParser, bytes], bytes]:
    whole = FastFrameParser.unfinished

    def unfinished(self: FastFrameParser, held: bytes) -> bytes:
        kept = vars(self)[part]
        setattr(self, part, type(kept)())
        try:
            return whole(self, held)
        finally:
            setattr(self, part, kept)

    return unfinished


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("_head", "short texts"),
        ("_opcode", "binary fragments"),
        ("_owed", "a text that is not short"),
        ("_control", "control frames"),
    ],
)
def test_each_part_of_the_state_is_needed(monkeypatch: pytest.MonkeyPatch, part: str, name: str) -> None:
    """A variant that forgets it reports something else at one byte at least."""
    wire = STREAMS[name]
    expected = unmoved(wire)
    monkeypatch.setattr(FastFrameParser, "unfinished", without(part))

    def goes_wrong(at: int) -> bool:
        try:
            return moved(wire, at, 1) != expected
        except Exception:
            return True

    assert any(goes_wrong(at) for at in range(len(wire)))


def test_a_character_that_is_cut_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """wsproto's decoder holds back up to three bytes of it, which no public call of wsproto tells."""
    wire = STREAMS["characters cut by fragments"]
    monkeypatch.setattr(FastFrameParser, "unfinished", without("_tail"))
    assert any(moved(wire, at, 1) != unmoved(wire) for at in range(len(wire)))
