"""What ``connection.data`` may hold where sessions move: JSON, which comes back equal in another process.

``settled`` is applied once when a session begins, so that a handler sees from the first day what a move would
give, and the mistake shows in the view that made it. ``check_data`` and ``written_data`` are for the move
itself. Pure; any thread. Read next: ``session_state.py``, which has the data in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final

MAX_DATA_BYTES: Final = 64 * 1024
"""Of ``connection.data`` when a session begins, as JSON."""

# Python refuses to print an int of more than 4300 digits (3.10.7 and later).
_MAX_INT_BITS: Final = 4000 * 3


def settled(data: Any) -> Any:
    """``data`` as another process would get it: written as JSON, and read again.

    Raises: TypeError, which names the place, for what JSON does not give back equal (a tuple, a key that is
    no str, an object); ValueError for more than 64 KiB. Never blocks.
    """
    if data is None or data == {}:
        return data
    text = written_data(data)
    if len(text) > MAX_DATA_BYTES:
        raise ValueError(
            f"connection.data has {len(text)} bytes as JSON: with a cluster at most {MAX_DATA_BYTES} are "
            "allowed; keep what is large in a store, and its key in the data"
        )
    return json.loads(text)


def written_data(data: Any) -> bytes:
    """``data`` as JSON. Raises: TypeError that names the place, when it would not come back equal."""
    check_data(data)
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def check_data(data: Any) -> None:
    """Check that JSON gives ``data`` back unchanged. Raises: TypeError that names the place."""
    try:
        for place, problem in _unlike_json(data, "connection.data"):
            raise TypeError(
                f"{place} is {problem}: the data of a session that moves to another process must be JSON; "
                "use lists and str keys, or Hub(data_codec=None), whose sessions never move"
            )
    except RecursionError:
        raise TypeError(
            "connection.data contains itself, or is nested too deeply: the data of a session that moves to "
            "another process must be JSON"
        ) from None


def _unlike_json(value: Any, place: str) -> Iterator[tuple[str, str]]:
    kind = type(value)
    if kind is dict:
        for key, inside in value.items():
            if type(key) is not str:
                yield f"{place}[{key!r}]", f"under a key of type {type(key).__name__}"
            elif _has_lone_surrogate(key):
                yield f"{place}[{key!r}]", "under a key with a lone surrogate"
            yield from _unlike_json(inside, f"{place}[{key!r}]")
    elif kind is list:
        for at, inside in enumerate(value):
            yield from _unlike_json(inside, f"{place}[{at}]")
    elif kind is str:
        if _has_lone_surrogate(value):
            yield place, "a str with a lone surrogate"
    elif kind is float:
        if not math.isfinite(value):
            yield place, f"{value}"
    elif kind is int:
        if value.bit_length() > _MAX_INT_BITS:
            yield place, f"an int of {value.bit_length()} bits"
    elif value is not None and kind is not bool:
        article = "an" if kind.__name__[0].lower() in "aeiou" else "a"
        yield place, f"{article} {kind.__name__}"


def _has_lone_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
