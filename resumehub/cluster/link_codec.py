"""Messages of a link as bytes and back. What is not a message is an error that ends the link.

A message on the wire: 8 bytes (length of the body, number of the message, how many descriptors belong to it),
then the body. A class of messages needs nothing but its fields. If all of them are simple (str, bytes, int
of 64 bits, float, bool, one of these or None, a tuple of them but bytes), encoding costs a microsecond or
two. Others are encoded by ``session/plain_values.py``; one with ``to_bytes`` and ``from_bytes`` by these.
There is no pickle: reading makes only messages.

Pure, any thread. Called by ``link.py`` and by a link's thread. Read next: ``link.py``.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import types
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from ..session.plain_values import dump, load
from . import greetings, member_messages
from .calls import call_messages
from .dials import dial_messages
from .moves import move_messages

MOST_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Of one message's body. ``send`` refuses a larger one; a peer that announces one has its link ended."""

MOST_DESCRIPTORS: Final = 128
"""Of one message. ``send`` refuses more; a peer that announces more has its link ended."""

HEADER: Final = struct.Struct("!IBxH")
"""Length of the body, number of the message, how many descriptors belong to it."""

_HEAD_BYTES: Final = HEADER.size

_RANGES: Final = {
    greetings: range(1, 10),
    call_messages: range(10, 40),
    dial_messages: range(40, 60),
    move_messages: range(60, 80),
    member_messages: range(80, 90),
}


def _all_messages() -> dict[int, type]:
    found: dict[int, type] = {}
    for module, numbers in _RANGES.items():
        for number, kind in module.MESSAGES.items():
            assert number in numbers, f"{kind.__name__}: {number} is not among {numbers} of {module.__name__}"
            assert kind not in found.values(), f"{kind.__name__} has two numbers"
            found[number] = kind
    return found


MESSAGES: Final[dict[int, type]] = _all_messages()
"""Number → class of every message."""

CARRIERS: Final[dict[type, int]] = {
    greetings.Greeting: 1,
    dial_messages.DialPass: 1,
    move_messages.SessionsMove: MOST_DESCRIPTORS,
}
"""Class of a message → how many descriptors it may have; none, if it is not here. So a handler of any other
message need not close what it did not ask for."""


class NotAMessage(ValueError):
    """What came over a link is no message. The text shows no content."""


def encode(message: Any, descriptors: int = 0) -> bytes:
    """A message's bytes.

    Raises: ValueError if it is too large, has too many descriptors, or can't be encoded.
    """
    number, to_bytes = _encoder(type(message))
    body = to_bytes(message)
    if len(body) > MOST_MESSAGE_BYTES:
        raise ValueError(
            f"a {type(message).__name__} of {len(body)} bytes is too large for a link: {MOST_MESSAGE_BYTES} "
            "bytes are allowed"
        )
    if descriptors and descriptors > CARRIERS.get(type(message), 0):
        raise ValueError(
            f"{descriptors} descriptors are too many for a {type(message).__name__}: "
            f"{CARRIERS.get(type(message), 0)} are allowed"
        )
    return HEADER.pack(len(body), number, descriptors) + body


class MessageReader:
    """Makes messages of the bytes of one link, in the pieces in which they come. One thread."""

    def __init__(self, most_bytes: int = MOST_MESSAGE_BYTES) -> None:
        #: A longer message is refused.
        self.most_bytes = most_bytes
        self._held = bytearray()

    @property
    def inside(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._held)

    def wanted(self) -> int:
        """How many bytes more complete the header, or the message, that is being read."""
        held = len(self._held)
        return (HEADER.size if held < HEADER.size else self._end_of_held()) - held

    def feed(self, data: bytes) -> Iterable[tuple[Any, int]]:
        """Each message that is complete now, and how many descriptors belong to it.

        Raises: NotAMessage, here or behind the messages that are whole.
        """
        size = len(data)
        if not self._held and size >= _HEAD_BYTES:
            length, number, descriptors = self._head(data, 0)
            if _HEAD_BYTES + length == size:  # the usual case, and the quick one
                return ((_decode(number, data[_HEAD_BYTES:]), descriptors),)
        return self._feed(data)

    def _feed(self, data: bytes) -> Iterator[tuple[Any, int]]:
        if self._held:
            self._held += data
            if len(self._held) < HEADER.size or len(self._held) < self._end_of_held():
                return
            data = bytes(self._held)
            self._held.clear()
        at = 0
        while len(data) - at >= HEADER.size:
            length, number, descriptors = self._head(data, at)
            end = at + HEADER.size + length
            if end > len(data):
                break
            yield _decode(number, data[at + HEADER.size : end]), descriptors
            at = end
        self._held += data[at:]

    def _end_of_held(self) -> int:
        return HEADER.size + self._head(self._held, 0)[0]

    def _head(self, data: bytes | bytearray, at: int) -> tuple[int, int, int]:
        length, number, descriptors = HEADER.unpack_from(data, at)
        if number not in MESSAGES:
            raise NotAMessage(f"no message has the number {number}")
        if length > self.most_bytes:
            raise NotAMessage(f"a {MESSAGES[number].__name__} of {length} bytes is longer than allowed")
        if descriptors and descriptors > CARRIERS.get(MESSAGES[number], 0):
            raise NotAMessage(f"a {MESSAGES[number].__name__} has {descriptors} descriptors")
        return length, number, descriptors


def _decode(number: int, body: bytes) -> Any:
    decoder = _DECODERS.get(number)
    if decoder is None:
        decoder = _DECODERS[number] = _decoder(MESSAGES[number])
    try:
        return decoder(body)
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        RecursionError,
        struct.error,
        OverflowError,
    ) as error:
        raise NotAMessage(f"a {MESSAGES[number].__name__} can't be read: {error}") from None


# -- how a class is encoded -------------------------------------------------------------

_ENCODERS: dict[type, tuple[int, Callable[[Any], bytes]]] = {}
_DECODERS: dict[int, Callable[[bytes], Any]] = {}


def _encoder(kind: type) -> tuple[int, Callable[[Any], bytes]]:
    known = _ENCODERS.get(kind)
    if known is None:
        numbers = [number for number, other in MESSAGES.items() if other is kind]
        if not numbers:
            raise ValueError(f"{kind.__name__} is no message of a link: enter it in MESSAGES of its module")
        known = _ENCODERS[kind] = (numbers[0], _way_of(kind)[0])
    return known


def _decoder(kind: type) -> Callable[[bytes], Any]:
    return _way_of(kind)[1]


def _way_of(kind: Any) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    if hasattr(kind, "to_bytes"):
        return kind.to_bytes, kind.from_bytes
    try:
        simple = _SimpleFields(kind)
    except _NotSimple:
        return dump, lambda body: load(kind, body)
    return simple.to_bytes, simple.from_bytes


class _NotSimple(Exception):
    """A field that has no place in a ``struct``."""


_CODES: Final[dict[Any, tuple[str, Any]]] = {
    int: ("q", 0),
    float: ("d", 0.0),
    bool: ("?", False),
    str: ("I", ""),
    bytes: ("I", b""),
}
# Type → its code in a struct, and what stands there for None. A text's or a blob's length stands there.

_ITEMS: Final = (int, float, bool, str)
# What a tuple may be of.

_WRITE: Final = json.JSONEncoder(separators=(",", ":")).encode
_READ: Final = json.JSONDecoder().decode


class _SimpleFields:
    """Encodes a class with simple fields only: a struct of numbers and lengths, then texts, blobs, tuples.

    For each field that may be None there is a flag behind the numbers.
    """

    def __init__(self, kind: type) -> None:
        hints = get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        self._kind = kind
        self._get: Callable[[Any], Any] = attrgetter(*names) if len(names) > 1 else _getter(names)
        self._texts: list[int] = []
        self._blobs: list[int] = []
        self._tuples: list[tuple[int, type]] = []
        self._optional: list[tuple[int, Any]] = []
        codes = [self._code_of(index, hints[name]) for index, name in enumerate(names)]
        self._count = len(codes)
        self._struct = struct.Struct("!" + "".join(codes) + "?" * len(self._optional))

    def _code_of(self, index: int, hint: Any) -> str:
        if get_origin(hint) in (Union, types.UnionType):
            inside = [option for option in get_args(hint) if option is not types.NoneType]
            if len(inside) != 1:
                raise _NotSimple
            hint = inside[0]
            self._optional.append((index, () if get_origin(hint) is tuple else _CODES.get(hint, "?")[1]))
        if get_origin(hint) is tuple:
            item, *more = get_args(hint)
            if more != [...] or item not in _ITEMS:
                raise _NotSimple
            self._tuples.append((index, item))
            return "I"
        if hint not in _CODES:
            raise _NotSimple
        if hint is str:
            self._texts.append(index)
        elif hint is bytes:
            self._blobs.append(index)
        return _CODES[hint][0]

    def to_bytes(self, message: Any) -> bytes:
        """Raises: ValueError for a value that is not of its field's type."""
        values = list(self._get(message))
        parts = [b""]
        try:
            for index, instead in self._optional:
                values.append(values[index] is not None)
                if values[index] is None:
                    values[index] = instead
            for index in self._texts:
                parts.append(part := values[index].encode("utf-8", "surrogatepass"))
                values[index] = len(part)
            for index in self._blobs:
                parts.append(values[index])
                values[index] = len(values[index])
            for index, _ in self._tuples:
                parts.append(part := _WRITE(values[index]).encode())
                values[index] = len(part)
            parts[0] = self._struct.pack(*values)
            return b"".join(parts)
        except (struct.error, AttributeError, TypeError) as error:
            raise ValueError(f"a {self._kind.__name__} can't be encoded: {error}") from None

    def from_bytes(self, body: bytes) -> Any:
        values = list(self._struct.unpack_from(body))
        at = self._struct.size
        for index in self._texts:
            end = at + values[index]
            values[index] = str(body[at:end], "utf-8", "surrogatepass")
            at = end
        for index in self._blobs:
            end = at + values[index]
            values[index] = body[at:end]
            at = end
        for index, item in self._tuples:
            end = at + values[index]
            values[index] = _tuple_of(item, body[at:end])
            at = end
        if at != len(body):
            raise ValueError("it is cut off, or there are bytes after its end")
        if self._optional:
            flags = values[self._count :]
            del values[self._count :]
            for (index, _), there in zip(self._optional, flags, strict=True):
                if not there:
                    values[index] = None
        return self._kind(*values)


def _tuple_of(item: type, data: bytes) -> tuple[Any, ...]:
    items = _READ(str(data, "ascii"))
    if type(items) is not list or any(type(one) is not item for one in items):
        raise ValueError(f"it has something else than a list of {item.__name__}")
    return tuple(items)


def _getter(names: list[str]) -> Callable[[Any], Any]:
    """``attrgetter`` for one name or none gives no tuple."""
    return lambda message: tuple(getattr(message, name) for name in names)
