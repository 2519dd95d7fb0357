"""Messages of a link as bytes and back. What is not a message is an error that ends the link.

A message on the wire: 8 bytes (length of the body, number of the message, how many descriptors belong to it),
then the body. A class of messages needs nothing but its fields. If all of them are simple (str, int, float,
bool, bytes, None, tuples of those but bytes), the body is a JSON list and then the bytes, which costs few
microseconds. Other classes are encoded by ``session/plain_values.py``; one with ``to_bytes`` and
``from_bytes`` of its own by these. There is no pickle: reading makes only messages.

Pure, any thread. Called by ``link.py`` and by a link's thread. Read next: ``link.py``.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import types
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from ..session.plain_values import dump, load
from . import greetings
from .calls import call_messages
from .dials import dial_messages
from .moves import move_messages

MOST_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Of one message's body. ``send`` refuses a larger one; a peer that announces one has its link ended."""

MOST_DESCRIPTORS: Final = 128
"""Of one message. ``send`` refuses more; a peer that announces more has its link ended."""

HEADER: Final = struct.Struct("!IBxH")
"""Length of the body, number of the message, how many descriptors belong to it."""

_RANGES: Final = {
    greetings: range(1, 10),
    call_messages: range(10, 40),
    dial_messages: range(40, 60),
    move_messages: range(60, 80),
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
    if descriptors > MOST_DESCRIPTORS:
        raise ValueError(
            f"{descriptors} descriptors are too many for one message: {MOST_DESCRIPTORS} are allowed"
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

    def feed(self, data: bytes) -> Iterator[tuple[Any, int]]:
        """Each message that is complete now, and how many descriptors belong to it. Raises: NotAMessage."""
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
        if len(self._held) >= HEADER.size:
            self._head(self._held, 0)

    def _end_of_held(self) -> int:
        return HEADER.size + self._head(self._held, 0)[0]

    def _head(self, data: bytes | bytearray, at: int) -> tuple[int, int, int]:
        length, number, descriptors = HEADER.unpack_from(data, at)
        if number not in MESSAGES:
            raise NotAMessage(f"no message has the number {number}")
        if length > self.most_bytes:
            raise NotAMessage(f"a {MESSAGES[number].__name__} of {length} bytes is longer than allowed")
        if descriptors > MOST_DESCRIPTORS:
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
    """A field that a JSON list can't hold as it is."""


_SCALARS: Final = (str, int, float, bool, types.NoneType)
_WRITE: Final = json.JSONEncoder(separators=(",", ":")).encode
_READ: Final = json.JSONDecoder().raw_decode


class _SimpleFields:
    """Encodes a class with simple fields only: four bytes of length, a JSON list, then the ``bytes``."""

    def __init__(self, kind: type) -> None:
        hints = get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        self._kind = kind
        self._get: Callable[[Any], Any] = attrgetter(*names) if len(names) > 1 else _getter(names)
        self._allowed: list[tuple[type, ...]] = []
        self._blobs: list[int] = []
        self._tuples: list[tuple[int, tuple[type, ...]]] = []
        for index, name in enumerate(names):
            self._add(index, hints[name])

    def _add(self, index: int, hint: Any) -> None:
        options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        allowed: set[type] = set()
        for option in options:
            if option is bytes:
                self._blobs.append(index)
                allowed.add(bytes)
            elif get_origin(option) is tuple and get_args(option)[1:] == (...,):
                inside = get_args(option)[0]
                if inside not in _SCALARS:
                    raise _NotSimple
                self._tuples.append((index, (inside,)))
                allowed.add(tuple)
            elif option in _SCALARS:
                allowed.update((float, int) if option is float else (option,))
            else:
                raise _NotSimple
        if bytes in allowed and not allowed <= {bytes, types.NoneType}:
            raise _NotSimple
        self._allowed.append(tuple(allowed))

    def to_bytes(self, message: Any) -> bytes:
        values = self._get(message)
        self._check(values, isinstance)
        if not self._blobs:
            head = _WRITE(values).encode()
            return len(head).to_bytes(4, "big") + head
        shape, blobs = list(values), []
        for index in self._blobs:
            if shape[index] is not None:
                blobs.append(shape[index])
                shape[index] = len(shape[index])
        head = _WRITE(shape).encode()
        return b"".join([len(head).to_bytes(4, "big"), head, *blobs])

    def from_bytes(self, body: bytes) -> Any:
        at = 4 + int.from_bytes(body[:4], "big")
        text = str(body[4:at], "ascii")
        values, end = _READ(text)
        if end != len(text) or len(text) != at - 4 or type(values) is not list:
            raise ValueError("its head is no list")
        if len(values) != len(self._allowed):
            raise ValueError(f"it has {len(values)} fields, not {len(self._allowed)}")
        for index in self._blobs:
            size = values[index]
            if size is not None:
                if type(size) is not int or not 0 <= size <= len(body) - at:
                    raise ValueError("it is cut off")
                values[index] = body[at : at + size]
                at += size
        if at != len(body):
            raise ValueError("there are bytes after its end")
        for index, _ in self._tuples:
            if type(values[index]) is list:
                values[index] = tuple(values[index])
        self._check(values, _is_exactly)
        return self._kind(*values)

    def _check(self, values: Any, is_of: Callable[[Any, tuple[type, ...]], bool]) -> None:
        """``is_of``: a subclass of ``str`` is written as a ``str``, and so nothing else is read."""
        for value, allowed in zip(values, self._allowed, strict=True):
            if type(value) not in allowed and (type(value) is bool or not is_of(value, allowed)):
                raise ValueError(f"a field of {self._kind.__name__} is a {type(value).__name__}")
        for index, inside in self._tuples:
            for value in values[index] or ():
                if type(value) not in inside and (type(value) is bool or not is_of(value, inside)):
                    raise ValueError(f"a tuple of {self._kind.__name__} has a {type(value).__name__}")


def _is_exactly(value: Any, allowed: tuple[type, ...]) -> bool:
    return False


def _getter(names: list[str]) -> Callable[[Any], Any]:
    """``attrgetter`` for one name or none gives no tuple."""
    return lambda message: tuple(getattr(message, name) for name in names)
