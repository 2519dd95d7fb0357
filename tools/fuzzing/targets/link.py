"""Messages between the processes of a cluster: what the link's codec makes of any bytes.

What must hold: NotAMessage or messages, in one piece as in any pieces; a message that was read is written and
read again as the same one; one that was made is read as it was made; nothing is held beyond what its header
announced. Read next: ``snapshots.py``.
"""

from __future__ import annotations

from typing import Any, Final

from resumehub.cluster.greetings import Greeting, Refused, Welcome
from resumehub.cluster.link_codec import CARRIERS, HEADER, MESSAGES, MessageReader, NotAMessage, encode
from tools.fuzzing.choices import Choices

from .values import made

NUMBERS: Final = tuple(sorted(MESSAGES))
MOST: Final = 1 << 16

SEEDS: Final = (b"", *(bytes([0, at, *range(40)]) for at in range(len(NUMBERS))), b"\1" * 40)


def run(data: bytes) -> None:
    choices = Choices(data)
    wire, expected = b"", []
    for _ in range(4):
        number = choices.pick(NUMBERS)
        if choices.yes(4):
            body = choices.bytes(200)
            wire += HEADER.pack(len(body), number, 0) + body
            sound = False
        else:
            message, sound = _message(MESSAGES[number], choices)
            if message is None:
                continue
            count = choices.below(2) if type(message) in CARRIERS else 0
            wire += encode(message, count)
            if expected is not None:
                expected.append((message, count))
        if not sound:
            expected = None
        if not choices.more:
            break
    damaged = choices.damage(wire)
    whole = _read([damaged])
    if damaged == wire and expected is not None:
        assert whole == (expected, False), f"{expected} was sent, and {whole} is read"
    assert _read(choices.cut(damaged)) == whole, "in pieces it is something else"
    for message, count in whole[0]:
        again = _read([encode(message, count)])
        assert again == ([(message, count)], False) or _has_nan(message), (
            f"{message} is read again as {again}"
        )


def _message(kind: type, choices: Choices) -> tuple[Any, bool]:
    """A message of that class, and whether the codec must take it; None: its class refuses what was made
    up."""
    try:
        message = made(kind, choices)
        encode(message)
    except (ValueError, TypeError):
        return None, False
    # Their texts have a limit, which only the reader knows.
    return message, not isinstance(message, Greeting | Welcome | Refused)


def _read(pieces: list[bytes]) -> tuple[list[Any], bool]:
    """The messages in the pieces, and whether they end in something that is none."""
    reader = MessageReader(MOST)
    found: list[Any] = []
    try:
        for piece in pieces:
            for one in reader.feed(piece):
                found.append(one)
            assert len(reader._held) <= MOST + HEADER.size, "more is held than a message may have"
    except NotAMessage:
        return found, True
    return found, False


def _has_nan(message: Any) -> bool:
    """NaN is not equal to itself, so the message that has one is not, either."""
    return "nan" in repr(message)
