"""The groups of Autobahn|Testsuite's cases: which numbers, and what each is about, in our words.

Facts about the suite, release 25.10.1: 517 cases. Nothing of its texts is here. Used by ``page.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    number: str
    about: str
    rfc: str
    """The section that the cases are about."""


GROUPS = (
    Group(
        "1.1", "text messages of 0 to 65,536 bytes; the last one comes in pieces of the network", "6455 §5.6"
    ),
    Group("1.2", "the same with binary messages", "6455 §5.6"),
    Group(
        "2",
        "Pings with and without a payload, byte by byte, ten at once, too long; Pongs that answer nothing",
        "6455 §5.5.2",
    ),
    Group("3", "reserved bits, alone and between good frames", "6455 §5.2"),
    Group("4.1", "reserved opcodes of data frames", "6455 §5.2"),
    Group("4.2", "reserved opcodes of control frames", "6455 §5.2"),
    Group(
        "5",
        "fragments: control frames that have them, Pings between them, continuations of nothing",
        "6455 §5.4",
    ),
    Group("6.1", "empty text, in one frame or several", "6455 §8.1"),
    Group("6.2", "sound UTF-8, cut between and inside characters", "6455 §8.1"),
    Group("6.3", "text that is no UTF-8, whole and byte by byte", "6455 §8.1"),
    Group("6.4", "text that is no UTF-8, and how early that is noticed", "6455 §8.1"),
    Group("6.5", "sound UTF-8, characters of one to four bytes", "6455 §8.1"),
    Group("6.6", "each beginning of a sound text: one that ends inside a character is refused", "6455 §8.1"),
    Group("6.7", "the first character of each length", "6455 §8.1"),
    Group("6.8", "the first of five and six bytes, which no character has", "6455 §8.1"),
    Group("6.9", "the last character of each length", "6455 §8.1"),
    Group("6.10", "beyond the last character", "6455 §8.1"),
    Group("6.11", "beside the surrogates and at the end of Unicode", "6455 §8.1"),
    Group("6.12", "continuation bytes without a beginning", "6455 §8.1"),
    Group("6.13", "beginnings without a continuation", "6455 §8.1"),
    Group("6.14", "sequences whose last byte is missing", "6455 §8.1"),
    Group("6.15", "several such sequences, one behind the other", "6455 §8.1"),
    Group("6.16", "bytes that UTF-8 never has", "6455 §8.1"),
    Group("6.17", "overlong forms of a slash", "6455 §8.1"),
    Group("6.18", "the largest overlong forms", "6455 §8.1"),
    Group("6.19", "overlong forms of NUL", "6455 §8.1"),
    Group("6.20", "single surrogates", "6455 §8.1"),
    Group("6.21", "pairs of surrogates", "6455 §8.1"),
    Group("6.22", "non-characters, which are allowed", "6455 §8.1"),
    Group("6.23", "the replacement character and its neighbours", "6455 §8.1"),
    Group("7.1", "the closing handshake, and what comes behind a Close", "6455 §7.1"),
    Group("7.3", "payloads of a Close: none, one byte, a reason, one that is too long", "6455 §5.5.1"),
    Group("7.5", "a reason that is no UTF-8", "6455 §5.5.1"),
    Group("7.7", "close codes that may be sent", "6455 §7.4"),
    Group("7.9", "close codes that may not be sent", "6455 §7.4"),
    Group("7.13", "codes beyond those that the RFC speaks of", "6455 §7.4.2"),
    Group("9.1", "text messages of 64 KiB to 16 MiB", "limits"),
    Group("9.2", "binary messages of 64 KiB to 16 MiB", "limits"),
    Group("9.3", "a text message of 4 MiB in fragments of 64 bytes to 4 MiB", "limits"),
    Group("9.4", "a binary message of 4 MiB in fragments of 64 bytes to 4 MiB", "limits"),
    Group("9.5", "a text message of 1 MiB in writes of 64 bytes to 2 KiB", "limits"),
    Group("9.6", "a binary message of 1 MiB in writes of 64 bytes to 2 KiB", "limits"),
    Group("9.7", "1,000 round trips of a text message of 0 bytes to 16 KiB", "limits"),
    Group("9.8", "1,000 round trips of a binary message of 0 bytes to 16 KiB", "limits"),
    Group("10.1", "a message of 64 KiB that the client has cut into frames", "6455 §5.4"),
    Group(
        "12.1",
        "1,000 compressed texts each, out of a file of JSON; 16 bytes to 128 KiB, from the 11th on in frames",
        "7692 §7",
    ),
    Group("12.2", "the same with bytes of a picture that is not compressed", "7692 §7"),
    Group("12.3", "the same with bytes of a drama", "7692 §7"),
    Group("12.4", "the same with text, a page of HTML", "7692 §7"),
    Group("12.5", "the same with bytes of a PDF, which is compressed already", "7692 §7"),
    Group("13.1", "the messages of 12.1; the offer asks for nothing", "7692 §7.1"),
    Group("13.2", "the offer asks the server to keep no context", "7692 §7.1.1.1"),
    Group("13.3", "the offer asks the server for a window of 9 bits", "7692 §7.1.2.1"),
    Group("13.4", "for a window of 15 bits", "7692 §7.1.2.1"),
    Group("13.5", "for 9 bits, and no context", "7692 §7.1.2.1"),
    Group("13.6", "for 15 bits, and no context", "7692 §7.1.2.1"),
    Group("13.7", "three offers, the first of them with 9 bits and no context", "7692 §7.1"),
)


def group_of(number: str) -> str:
    """The number of the group that a case is of."""
    first, second, *_ = number.split(".")
    return first if first in ("2", "3", "5") else f"{first}.{second}"


OF_COMPRESSION = 18
"""Cases of each group of 12 and 13. They take longest; a run may leave some out."""


def numbers_of(group: Group, played: set[str]) -> set[str]:
    """All cases of a group: those that were played, and those that were left out."""
    mine = {number for number in played if group_of(number) == group.number}
    if group.number.startswith(("12.", "13.")):
        mine |= {f"{group.number}.{last}" for last in range(1, OF_COMPRESSION + 1)}
    return mine
