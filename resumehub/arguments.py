<<<<<<< HEAD
"""What callers of a ``Hub`` give: ids, rooms, and who is excluded from a broadcast.

An id of a wrong type finds nobody, and would be told as "no such session", or as an empty room. So each is
checked before it is looked up (contract E5). Pure; any thread. Read next: ``hub.py``.
=======
"""Checks what an application gives to ``Hub`` and its methods, before anything is done with it.

Each function returns what the hub works with, or raises TypeError: the mistake is the application's. Options
that are numbers or names are checked in ``config.py``. Pure. Threads: any. Read next: ``hub.py``.
>>>>>>> 40e06e5 (Send to all sessions of a user, and kick them, by an index)
"""

from __future__ import annotations

<<<<<<< HEAD
from collections.abc import Iterable
from typing import Any

from .session.connection import Connection


def check_id(name: str, value: object) -> None:
    """Make sure that ``value`` is a str; ``name``: how the error calls it. Raises: TypeError."""
    if not isinstance(value, str):
        advice = f"; give {name} as str" if isinstance(value, int) else ""
        raise TypeError(f"{name} must be a str, not {type(value).__name__}{advice}")


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
=======
from collections.abc import Callable, Iterable
from typing import Any

from .metrics import NoopMetrics
from .session.connection import Connection

METRICS = tuple(name for name in vars(NoopMetrics) if not name.startswith("_"))
"""The methods of a metrics collector."""


def component(name: str, value: Any, default: Callable[[], Any], *methods: str) -> Any:
    """The part ``name`` of a hub: ``value``, which must have ``methods``, or the default for None."""
    if value is None:
        return default()
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing or isinstance(value, type):
        what = "an object, not a class" if isinstance(value, type) else f"an object with {', '.join(missing)}"
        raise TypeError(f"{name} must be {what}; got {value!r}")
    return value


def user_name(user: object) -> str:
    """A user, as ``Admission.user`` has it."""
    if not isinstance(user, str):
        advice = f"; give str({user!r})" if isinstance(user, int) else ""
        raise TypeError(f"user must be a str, not {type(user).__name__}{advice}")
    return user


def room_ids(room_id: str | Iterable[str]) -> list[str]:
    """The rooms of a broadcast, each once, in the order in which they are named."""
    several: Any = room_id
    if isinstance(room_id, str) or not isinstance(several, Iterable):
        several = [room_id]
    wanted = list(several)
    for one in wanted:
        if not isinstance(one, str):
            raise TypeError(f"broadcast takes a room id, or several, not {one!r}")
    return list(dict.fromkeys(wanted))


def excluded_ids(exclude: Iterable[str | Connection]) -> frozenset[str]:
    """The ids of those that a broadcast passes over."""
    if isinstance(exclude, str | Connection):
        exclude = (exclude,)
    ids = set()
>>>>>>> 40e06e5 (Send to all sessions of a user, and kick them, by an index)
    for one in exclude:
        if not isinstance(one, str | Connection):
            raise TypeError(f"exclude takes connection ids and connections, not {one!r}")
        ids.add(one if isinstance(one, str) else one.id)
    return frozenset(ids)
