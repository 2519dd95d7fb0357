"""A short form for values with few plain fields: a JSON list, behind the number of the class.

For the calls and answers that are asked most beside sends and broadcasts. Fields are str, int, float, bool,
None, and tuples of str; what is read is checked field by field. Names that are no valid Unicode go through:
they find nobody. Pure; any thread. Read next: ``call_messages.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

from ...session.plain_values import PlainValueError

_ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode
_DECODE: Final = json.JSONDecoder().decode
_QUOTE: Final = json.encoder.encode_basestring_ascii

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float | None": (float, int, type(None)),
    "tuple[str, ...]": (list,),
}
"""A field's annotation → what JSON has for it."""


class ShortForms:
    """Of these classes, each with a number by its place: never put one in front of another."""

    def __init__(self, *kinds: type) -> None:
        self._ways: dict[type, tuple[bytes, Callable[[Any], Any], int]] = {}
        self._kinds: list[tuple[type, list[tuple[type, ...]]]] = []
        for number, kind in enumerate(kinds):
            names = [field.name for field in fields(kind)]
            self._ways[kind] = bytes([number]), attrgetter(*names) if names else _nothing, len(names)
            self._kinds.append((kind, [_TYPES[str(field.type)] for field in fields(kind)]))

    def to_bytes(self, value: Any) -> bytes | None:
        """The bytes of a value; None if its class has no short form."""
        way = self._ways.get(type(value))
        if way is None:
            return None
        number, get, count = way
        found = get(value)
        if count != 1:
            return number + _ENCODE(found).encode("ascii")
        if type(found) is str:  # what the encoder makes of it, in a third of the time
            return number + f"[{_QUOTE(found)}]".encode("ascii")
        if type(found) is int:
            return number + f"[{found}]".encode("ascii")
        return number + _ENCODE([found]).encode("ascii")

    def from_bytes(self, data: bytes, at: int) -> Any:
        """The value in ``data`` from ``at`` on. Raises: PlainValueError."""
        if at >= len(data) or data[at] >= len(self._kinds):
            raise PlainValueError("there is no call or answer of this kind")
        kind, types = self._kinds[data[at]]
        try:
            values = _DECODE(str(data[at + 1 :], "ascii"))
        except (ValueError, RecursionError):
            raise PlainValueError(f"a {kind.__name__} is no JSON") from None
        if type(values) is not list or len(values) != len(types):
            raise PlainValueError(f"a {kind.__name__} has other fields")
        for place, (value, allowed) in enumerate(zip(values, types, strict=True)):
            if type(value) not in allowed:
                raise PlainValueError(f"a field of a {kind.__name__} has another type")
            if type(value) is list:
                if not all(type(one) is str for one in value):
                    raise PlainValueError(f"a {kind.__name__} has what is no name")
                values[place] = tuple(value)
        return kind(*values)


def _nothing(value: object) -> tuple[()]:
    return ()
