"""Frames of a client, sound and damaged, in any pieces: what the transport says of them.

What must hold: nothing is raised; the clauses of ``resumehub/transport/base.py``; the same bytes say the same
in one piece and in any pieces; a transport that moves in between goes on as if it had stayed (T13); and a
reader of frames that was written for this page alone says the same as the fast parser and wsproto together.
Read next: ``deflate.py``.
"""

from __future__ import annotations

import codecs
from typing import Any, Final

from resumehub.testing import client_frame
from resumehub.transport.websocket import WebSocketTransport
from tools.fuzzing.choices import Choices

from .streams import Feed, Said, in_short, may_be_sent, told

LIMIT: Final = 4 << 20
"""More than an input has: which of two failures is met first would depend on the pieces."""
SMALL: Final = 200
BREACH: Final[Said] = ("failed", 1002)
KINDS: Final = ("text", "binary", "continuation", "ping", "pong", "close", 3, 11)
CLOSES: Final = (
    b"\x03\xe8",
    b"",
    b"\x03\xe8bye",
    b"\x03",
    b"\x03\xed",
    b"\x0f\xa4",
    b"\x03\xe8\xff",
    b"\x13\x88",
)
TEXTS: Final = ("hello", "", "€uro", "😀" * 30, "x" * 126)

SEEDS: Final = (
    b"",
    bytes([0, 0, 5]) + b"hello",
    bytes([0, 1, 2, 0, 2, 1, 0, 3]),
    bytes(range(60)),
)


def run(data: bytes) -> None:
    choices = Choices(data)
    wire = stream(choices)
    whole = told(WebSocketTransport(Feed([wire]), LIMIT), LIMIT)
    expected, undecided = by_the_rules(wire)
    if undecided and whole == [*expected, BREACH]:
        expected = whole
    assert whole == expected, f"another reader says {expected}, and not {whole}"
    pieces = choices.cut(wire)
    cut = told(WebSocketTransport(Feed(pieces), LIMIT), LIMIT)
    assert cut == whole, f"in pieces it is {cut}, and not {whole}"
    _moves(wire, choices.below(len(wire) + 1), whole)
    _is_bounded(pieces, whole)


def stream(choices: Choices) -> bytes:
    """A few frames, most of them sound. Fragments follow one another more often than not."""
    wire = b""
    open_message = False
    for _ in range(30):
        if not choices.more:
            break
        kind: str | int = choices.pick(KINDS)
        if open_message and kind in ("text", "binary") and not choices.yes(8):
            kind = "continuation"
        payload = choices.pick(CLOSES) if kind == "close" else _payload(choices)
        if kind in ("ping", "pong") and not choices.yes(16):
            payload = payload[:125]
        fin = kind not in ("text", "binary", "continuation") or not choices.yes(3)
        if kind in ("text", "binary", "continuation"):
            open_message = not fin
        wire += _frame(kind, payload, fin, choices.byte())
    return choices.damage(wire)


def _frame(kind: str | int, payload: bytes, fin: bool, rare: int) -> bytes:
    """A frame; ``rare``: which byte its key is made of, and seldom what is wrong with it."""
    how: dict[str, Any] = {"fin": fin, "mask": bytes([rare, 7, rare ^ 0x55, 0])}
    match rare:
        case 230 | 231 if len(payload) <= 0xFFFF:
            how["length_bytes"] = 2 if rare == 230 else 8
        case 232:
            how |= {"length": 1 << 63, "length_bytes": 8}
        case 233:
            how["length"] = len(payload) + 1
        case 240:
            how["mask"] = None
        case 255:
            how["fin"] = not fin
        case _ if rare > 240:
            how["rsv"] = rare & 7
    return client_frame(kind, payload, **how)


def _payload(choices: Choices) -> bytes:
    match choices.below(4):
        case 0:
            return choices.pick(TEXTS).encode()
        case 1:
            return choices.bytes(300)
        case 2:
            text = choices.pick(TEXTS).encode()
            return text[: choices.below(len(text) + 1)]
        case _:
            return bytes(choices.pick((125, 126, 127, 1000, 1000, 1000, 1000, 65_535, 65_536)))


def _moves(wire: bytes, at: int, whole: list[Said]) -> None:
    """T13: what a transport has not told, a fresh one tells, with the bytes behind it."""
    feed = Feed([wire[:at]])
    first = WebSocketTransport(feed, LIMIT)
    said: list[Said] = []
    while not feed.empty or first.has_more:
        said += [in_short(event, LIMIT) for event in first.receive(once=True)]
    if said and said[-1][0] in ("close", "failed"):
        return  # such a connection does not move
    second = told(WebSocketTransport(Feed([wire[at:]]), LIMIT, (), first.unread()), LIMIT)
    assert said + second == whole, f"moved at byte {at} it is {said + second}, and not {whole}"


def _is_bounded(pieces: list[bytes], whole: list[Said]) -> None:
    """With a small limit: the same beginning, and a failure behind it. (The code may depend on the
    pieces.)"""
    few = told(WebSocketTransport(Feed(pieces), SMALL), SMALL)
    if few and few[-1][0] == "failed":
        assert few[:-1] == whole[: len(few) - 1], f"with a small limit it begins otherwise: {few}"
    else:
        assert few == whole, f"with a small limit it is {few}, and not {whole}"


# -- another reader of frames -------------------------------------------------------------


def by_the_rules(wire: bytes) -> tuple[list[Said], bool]:
    """What RFC 6455 §5, §7.4 and §8.1 say of a client's bytes, as plainly as possible.

    True beside it: the bytes end in a frame of which it may be known, or not yet, that it breaks the rules.
    """
    said: list[Said] = []
    message: bytearray | None = None
    is_text = False
    decoder = codecs.getincrementaldecoder("utf-8")()
    at = 0
    while at < len(wire):
        size, begin, sound = _header(wire, at)
        if begin > len(wire):
            return said, True
        opcode, fin = wire[at] & 0x0F, bool(wire[at] & 0x80)
        if not sound:
            return [*said, BREACH], False
        key, masked = wire[begin - 4 : begin], wire[begin : begin + size]
        payload = bytes(byte ^ key[place % 4] for place, byte in enumerate(masked))
        complete = len(masked) == size
        at = begin + size
        if opcode >= 8:
            if not complete:
                return said, False
            if _control(said, opcode, payload):
                return said, False
            continue
        if (opcode == 0) != (message is not None):
            return (said, True) if size and not masked else ([*said, BREACH], False)
        if opcode:
            message, is_text = bytearray(), opcode == 1
            decoder.reset()
        assert message is not None, "compared above"
        message += payload
        try:
            if is_text:
                decoder.decode(payload, complete and fin)
        except UnicodeDecodeError:
            return [*said, ("failed", 1007)], False
        if complete and fin:
            said.append(("data", message.decode() if is_text else bytes(message)))
            message = None
    return said, False


def _header(wire: bytes, at: int) -> tuple[int, int, bool]:
    """How long the payload of the frame at ``at`` is, where it begins, and whether the header is sound.

    A header that is not sound may end sooner: it needs no more bytes to be refused.
    """
    if at + 2 > len(wire):
        return 0, len(wire) + 1, True
    first, second = wire[at], wire[at + 1]
    opcode, size = first & 0x0F, second & 0x7F
    control = opcode >= 8
    extra = {126: 2, 127: 8}.get(size, 0)
    begin = at + 2 + extra + 4
    if extra:
        size = int.from_bytes(wire[at + 2 : at + 2 + extra])
    shortest = 0 if size <= 125 else 2 if size <= 0xFFFF else 8
    wrong = (
        first & 0x70
        or opcode not in (0, 1, 2, 8, 9, 10)
        or not second & 0x80
        or extra != shortest
        or size >= 1 << 63
        or (control and (size > 125 or not first & 0x80))
    )
    if not second & 0x80 and begin - 4 <= len(wire):
        begin -= 4  # there is no key to wait for
    return size, begin, not wrong


def _control(said: list[Said], opcode: int, payload: bytes) -> bool:
    """Add what a control frame says; whether it is the last thing that counts."""
    if opcode == 9:
        said.append(("ping", payload))
    elif opcode == 10:
        said.append(("pong",))
    else:
        said.append(_close(payload))
    return opcode == 8


def _close(payload: bytes) -> Said:
    if not payload:
        return ("close", 1005, "")
    if len(payload) == 1 or not may_be_sent(int.from_bytes(payload[:2])):
        return ("failed", 1002)
    try:
        return ("close", int.from_bytes(payload[:2]), payload[2:].decode())
    except UnicodeDecodeError:
        return ("failed", 1007)
