"""What callers of a ``Hub`` give: ids, rooms, and who is excluded from a broadcast.

An id of a wrong type finds nobody, and would be told as "no such session", or as an empty room. So each is
checked before it is looked up (contract E5). Pure; any thread. Read next: ``hub.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .session.connection import Connection


def check_id(name: str, value: object) -> None:
    """Make sure that ``value`` is a str; ``name``: how the error calls it. Raises: TypeError."""
    if not isinstance(value, str):
        advice = f"; give {name} as str" if isinstance(value, int) else ""
        raise TypeError(f"{name} must be a str, not {type(value).__name__}{advice}")


def check_limit(value: object) -> None:
    """Make sure that ``value`` is a whole number of 1 or more. Raises: TypeError; ValueError."""
    allowed = "limit must be a whole number, 1 or more"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{allowed}, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{allowed}, not {value}")


def read_rooms(room_id: str | Iterable[str]) -> list[str]:
    """A room, or several, each once. Raises: TypeError."""
    if isinstance(room_id, str):
        return [room_id]
    several: Any = room_id
    if isinstance(several, bytes) or not isinstance(several, Iterable):
        several = [several]
    room_ids: list[str] = list(several)
    for one in room_ids:
        check_id("room_id", one)
    return list(dict.fromkeys(room_ids))


def read_excluded(exclude: Iterable[str | Connection] | None) -> frozenset[str]:
    """The ids of who is excluded: ids and connections, one or several; None: nobody. Raises: TypeError."""
    if exclude is None:
        return frozenset()
    if isinstance(exclude, str | Connection):
        exclude = (exclude,)
    ids = set()
    given: object = exclude
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise TypeError(f"exclude takes connection ids and connections, not {given!r}")
    for one in exclude:
        if not isinstance(one, str | Connection):
            raise TypeError(f"exclude takes connection ids and connections, not {one!r}")
        # A plain str: a subclass may have methods that raise, and these are compared under the room's lock.
        ids.add(str.__str__(one) if isinstance(one, str) else one.id)
    return frozenset(ids)


def having(name: str, value: Any, default: Callable[[], Any], *methods: str) -> Any:
    """``value``, which must have these methods; ``default()`` for None. Raises: TypeError."""
    if value is None:
        return default()
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing or isinstance(value, type):
        what = "an object, not a class" if isinstance(value, type) else f"an object with {', '.join(missing)}"
        raise TypeError(f"{name} must be {what}; got {value!r}")
    return value
