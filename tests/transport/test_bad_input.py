"""What the real transport makes of bytes that no sound client sends (RFC 6455 §5, §7.4, §8.1)."""

from __future__ import annotations

import pytest

from resumehub.testing import client_frame
from tests.transport.byte_feed import codes, cut, understand
from tests.transport.transport_kinds import fragments

FAILED_1002 = [("failed", 1002)]
FAILED_1007 = [("failed", 1007)]
HELLO = client_frame("text", b"hello")
BEGUN = client_frame("text", b"begun", fin=False)


# -- frames ------------------------------------------------------------------------------------

BROKEN_FRAMES = {
    "an unmasked frame": client_frame("text", b"hello", mask=None),
    "an unmasked ping": client_frame("ping", mask=None),
    "the first reserved bit": client_frame("text", b"hello", rsv=4),
    "the second reserved bit": client_frame("text", b"hello", rsv=2),
    "the third reserved bit": client_frame("text", b"hello", rsv=1),
    "a reserved bit on a ping": client_frame("ping", rsv=4),
    "a ping in fragments": client_frame("ping", b"p", fin=False),
    "a pong in fragments": client_frame("pong", b"p", fin=False),
    "a close frame in fragments": client_frame("close", b"\x03\xe8", fin=False),
    "a ping of 126 bytes": client_frame("ping", bytes(126)),
    "a ping of 70,000 bytes": client_frame("ping", bytes(70_000)),
    "a close frame of 126 bytes": client_frame("close", b"\x03\xe8" + bytes(124)),
    "a continuation of nothing": client_frame("continuation", b"x"),
    "a continuation of a whole message": HELLO + client_frame("continuation", b"x"),
    "a text message inside a text message": BEGUN + HELLO,
    "a binary message inside a text message": BEGUN + client_frame("binary"),
    "a length of 125 in two bytes": client_frame("text", bytes(125), length_bytes=2),
    "a length of 0 in two bytes": client_frame("text", length_bytes=2),
    "a length of 65,535 in eight bytes": client_frame("binary", bytes(65_535), length_bytes=8),
    "a length of 5 in eight bytes": client_frame("text", b"hello", length_bytes=8),
    "a length with the highest bit set": client_frame("binary", length=1 << 63, length_bytes=8),
}


@pytest.mark.parametrize("chunk", [4096, 1], ids=["in one piece", "byte by byte"])
@pytest.mark.parametrize("wire", BROKEN_FRAMES.values(), ids=BROKEN_FRAMES.keys())
def test_a_frame_against_the_rules_is_1002(wire: bytes, chunk: int) -> None:
    """Whatever the breach: one failure with the code that says so, and nothing behind it."""
    told = codes(understand(cut(wire + HELLO, chunk)))
    assert told[-1:] == FAILED_1002
    assert told.count(("failed", 1002)) == 1


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "with a payload"])
def test_an_unknown_opcode_is_1002(opcode: int, payload: bytes) -> None:
    """A frame that means nothing to us must not be passed over: the next one may depend on it."""
    assert codes(understand(HELLO + client_frame(opcode, payload) + HELLO)) == ["hello", ("failed", 1002)]


def test_the_shortest_lengths_are_welcome() -> None:
    """At the borders between the three forms of a length: 125 and 126, 65,535 and 65,536."""
    sizes = [0, 125, 126, 65_535, 65_536]
    wire = b"".join(client_frame("binary", bytes(size)) for size in sizes)
    assert [len(data) for data in codes(understand(wire, max_message_size=65_536))] == sizes


def test_a_frame_that_never_ends_is_nothing() -> None:
    """A peer that dies within a frame has said nothing with it."""
    for end in range(1, len(HELLO)):
        assert codes(understand(HELLO + HELLO[:end])) == ["hello"]


# -- messages in pieces ------------------------------------------------------------------------


def test_a_ping_inside_a_message_is_reported_first() -> None:
    """It wants an answer now; the message may take for ever."""
    wire = fragments([b"a", b"b", b"c"], ping=b"?")
    assert codes(understand(wire)) == [("ping", b"?"), ("ping", b"?"), "abc"]


def test_a_close_frame_inside_a_message_ends_it() -> None:
    wire = client_frame("text", b"unfinished", fin=False) + client_frame("close", b"\x03\xe8")
    assert codes(understand(wire)) == [("close", 1000)]


def test_empty_fragments_add_up_to_nothing() -> None:
    """However many come."""
    flood = client_frame("text", b"", fin=False) + client_frame("continuation", b"", fin=False) * 100_000
    assert codes(understand(flood + client_frame("continuation", b"."))) == ["."]


def test_leftover_bytes_come_first() -> None:
    """What the server read behind the handshake, half a frame perhaps, goes on in the socket."""
    wire = HELLO + client_frame("ping", b"?") + client_frame("text", b"again")
    for end in range(len(wire) + 1):
        assert codes(understand(wire[end:], leftover=wire[:end])) == ["hello", ("ping", b"?"), "again"]


# -- text --------------------------------------------------------------------------------------

BAD_TEXT = {
    "a byte that is no character": b"\xff",
    "a continuation byte alone": b"abc\x80",
    "an overlong slash": b"\xc0\xaf",
    "half of a surrogate pair": b"\xed\xa0\x80",
    "beyond the last character": b"\xf4\x90\x80\x80",
    "two thirds of a euro sign, then a letter": b"\xe2\x82x",
    "two thirds of a euro sign, then the end": b"\xe2\x82",
    "three quarters of an emoji, then the end": b"fine so far \xf0\x9f\x98",
}


@pytest.mark.parametrize("chunk", [4096, 1], ids=["in one piece", "byte by byte"])
@pytest.mark.parametrize("text", BAD_TEXT.values(), ids=BAD_TEXT.keys())
@pytest.mark.parametrize("split", [False, True], ids=["in one frame", "each byte in its own frame"])
def test_text_that_is_no_utf8_is_1007(text: bytes, split: bool, chunk: int) -> None:
    """In one frame or spread over several, cut anywhere, cut off at the end."""
    wire = fragments([bytes([byte]) for byte in text]) if split else client_frame("text", text)
    assert codes(understand(cut(wire + HELLO, chunk))) == FAILED_1007


def test_bad_text_is_refused_before_the_message_ends() -> None:
    """The rest of it need not be waited for (RFC 6455 §8.1)."""
    assert codes(understand(client_frame("text", b"\xff", fin=False))) == FAILED_1007


def test_a_character_may_be_cut_by_a_frame() -> None:
    """Fragments are cut between bytes, not between characters, and a Ping may stand inside one."""
    text = "naïve €uro 😀"
    wire = fragments([bytes([byte]) for byte in text.encode()], ping=b"")
    told = [one for one in codes(understand(wire)) if one != ("ping", b"")]
    assert told == [text]


def test_binary_messages_are_not_looked_into() -> None:
    assert codes(understand(client_frame("binary", b"\xff\xfe"))) == [b"\xff\xfe"]


# -- close frames ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_a_close_code_that_nobody_may_send_is_1002(code: int) -> None:
    """RFC 6455 §7.4: reserved ones, unknown ones, and those that only stand for what was not sent."""
    assert codes(understand(client_frame("close", code.to_bytes(2)))) == FAILED_1002


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_a_close_code_that_may_be_sent_is_reported(code: int) -> None:
    wire = client_frame("close", code.to_bytes(2) + "für jetzt".encode())
    assert codes(understand(wire)) == [("close", code)]


def test_a_close_frame_with_one_byte_is_1002() -> None:
    """Half a code is none."""
    assert codes(understand(client_frame("close", b"\x03"))) == FAILED_1002


@pytest.mark.parametrize("reason", BAD_TEXT.values(), ids=BAD_TEXT.keys())
def test_a_close_reason_that_is_no_utf8_is_1007(reason: bytes) -> None:
    assert codes(understand(client_frame("close", b"\x03\xe8" + reason))) == FAILED_1007


@pytest.mark.parametrize(
    "behind",
    [HELLO, client_frame("ping", b"?"), client_frame("close", b"\x03\xe9"), client_frame(3), b"\xff" * 5000],
    ids=["a message", "a ping", "another close frame", "a broken frame", "garbage"],
)
@pytest.mark.parametrize("chunk", [8192, 1], ids=["in the same packet", "byte by byte"])
def test_nothing_behind_a_close_frame_counts(behind: bytes, chunk: int) -> None:
    """RFC 6455 §5.5.1: it is the last thing that the peer says."""
    wire = client_frame("close", b"\x03\xe8") + behind
    assert codes(understand(cut(wire, chunk))) == [("close", 1000)]
