"""What JSON may not hold here, since not every end would read it alike: depth, large integers, double names.

JSON's grammar allows what Python and JavaScript read differently, or what one of them can read and not write.
docs/reference/wire.md has the rules; ``resumehub/static/resumehub.js`` keeps the same ones for browsers. The
fast checks look at a whole text without a loop of Python's: nearly every message passes them. Only then comes
the closer look, which takes longer. Pure functions; any thread. Used by ``codec.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import accumulate
from math import isinf
from typing import Any, Final

LARGEST_INTEGER: Final = 2**53 - 1
"""The integers from minus this to this are the same ones in Python and in JavaScript (RFC 7493 §2.2)."""

_TEXTS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_OPEN, _CLOSE = 1, 255  # 255 is -1 in a signed byte
_STEPS: Final = bytes.maketrans(b"[{]}", bytes([_OPEN, _OPEN, _CLOSE, _CLOSE]))
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[{]}"))
_PAIR: Final = bytes([_OPEN, _CLOSE])

# All digits become "0", and what may stand before a number ","; in what we write, ":" ends a name and stays.
_SHAPES_WRITTEN: Final = bytes.maketrans(b"123456789[-", b"0" * 9 + b"," * 2)
_SHAPES_READ: Final = bytes.maketrans(b"123456789[- \t\r\n:", b"0" * 9 + b"," * 7)
_LONG_INTEGER: Final = "," + "0" * 16
_LONG_INTEGER_NAMED: Final = ":" + "0" * 16
_NAME_ENDS_IN_DIGIT: Final = '0":'

_LONG, _FEW, _MANY = 2048, 8, 16
_HARMLESS: Final = {str, float, bool, type(None)}
_NUMBERS: Final = {int, float}


def is_too_deep(text: str, most: int) -> bool:
    """Whether more than ``most`` arrays and objects are open at once anywhere in a JSON text.

    It takes time in proportion to the text, whatever is in it. It may be wrong about a text that is no JSON;
    but if a parser gets that deep before it fails, the answer is True.
    """
    if text.count("[") + text.count("{") <= most:
        return False
    brackets = _TEXTS.sub("", text).encode("ascii", "ignore").translate(_STEPS, _NO_BRACKETS)
    # What holds nothing is cut out, level by level. In a long message most is gone after two or three.
    while True:
        inside = brackets.replace(_PAIR, b"")
        if 2 * len(inside) > len(brackets):
            break
        brackets, most = inside, most - 1
        if not brackets:
            return most < 0
    return max(accumulate(memoryview(brackets).cast("b"))) > most


def may_hold_large_integer(text: str) -> bool:
    """Whether a JSON text may have integers beyond ``LARGEST_INTEGER``. False is sure, True may be wrong."""
    return _LONG_INTEGER in text.encode().translate(_SHAPES_READ).decode()


def difference(value: Any, text: str) -> str:
    """What in a value would be another one at another end, as the end of a sentence; "" if nothing would.

    ``text``: a JSON text that has the value in it, so the value does not contain itself.
    """
    if _is_small_and_flat(value):  # most messages
        return ""
    # A loop of Python's is slow where there is much to look at; a long text or list in few containers is not.
    if len(text) > _LONG and text.count("{") + text.count("[") <= _FEW:
        return _difference(value)
    shape = text.encode().translate(_SHAPES_WRITTEN).decode()
    if (
        _LONG_INTEGER in shape
        or _LONG_INTEGER_NAMED in shape
        or _NAME_ENDS_IN_DIGIT in shape
        or '"true":' in text
        or '"false":' in text
        or '"null":' in text
    ):
        return _difference(value)
    return ""


def _is_small_and_flat(value: Any) -> bool:
    """Whether it is a text, or a dict of a few texts, numbers and the like, all harmless. A quick look."""
    if type(value) is not dict:
        return value is None or type(value) is str
    if len(value) > _FEW:
        return False
    for key, inner in value.items():
        kind = type(inner)
        if type(key) is not str or (
            kind is not str
            and kind is not float
            and kind is not bool
            and (kind is not int or not -LARGEST_INTEGER <= inner <= LARGEST_INTEGER)
        ):
            return False
    return True


def _difference(value: Any) -> str:
    waiting: list[Any] = [[value]]
    for part in waiting:  # it grows meanwhile
        values = part
        if isinstance(part, dict):
            values = part.values()
            for key in part:
                if type(key) is not str:
                    if len({_name(key) for key in part}) < len(part):
                        return (
                            "two keys of one dict have the same name in JSON, as 1 and '1' have; rename one"
                        )
                    break
        if len(part) > _MANY and (
            (kinds := set(map(type, values))) <= _HARMLESS or _are_small(kinds, values)
        ):
            continue
        for inner in values:
            kind = type(inner)
            if kind is str or kind is float:
                continue
            if isinstance(inner, int):
                if not -LARGEST_INTEGER <= inner <= LARGEST_INTEGER:
                    return (
                        "it has an integer beyond 2**53 - 1, which JavaScript would round; send it as a str"
                    )
            elif isinstance(inner, dict | list | tuple):
                waiting.append(inner)
    return ""


def _are_small(kinds: set[type], values: Iterable[Any]) -> bool:
    return kinds <= _NUMBERS and min(values) >= -LARGEST_INTEGER and max(values) <= LARGEST_INTEGER


def read_integer(digits: str) -> int | float | None:
    """The number that the digits of an integer stand for at every end; None if they stand for different ones.

    JavaScript has no integers, and writes 1e17 as 100000000000000000. Such a number is a ``float`` here, too.
    What is not written as any float is an integer that JavaScript would round.
    """
    if len(digits) <= 17 and -LARGEST_INTEGER <= (number := int(digits)) <= LARGEST_INTEGER:
        return number
    nearest = float(digits)
    same = not isinf(nearest) and _significant(repr(nearest)) == _significant(digits)
    return nearest if same else None


def _name(key: object) -> str:
    """How JSON writes the key of a dict."""
    if isinstance(key, str):
        return str.__str__(key)
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    return float.__repr__(key) if isinstance(key, float) else int.__repr__(key)


def _significant(number: str) -> str:
    """The digits of a number without sign, point, exponent, and the zeros around them."""
    return number.partition("e")[0].replace(".", "").lstrip("-0").rstrip("0")
