"""``Admission``: what the application says of a client that comes in.

A value. ``connect`` makes one, or ``hub.upgrade`` from its arguments. The checks of an upgrade request read
it, and check the lengths and characters of its ids: what is wrong with them may be the client's fault. Any
thread. Read next: ``wsgi/checks.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Admission:
    """Which room, which connection id, and whose session; return it from ``connect``.

    ``room_id``: the home room, 1 to 255 characters. ``connection_id`` None or "": the hub makes one. ``data``
    is copied into ``connection.data`` of a new session. ``user``: whose session it is, as 1 to 255
    characters; a session that has a user is resumed by no other one. None: only the id or the token decides
    who may resume it.

    Raises: TypeError when an id or the user is no str.
    """

    room_id: str
    connection_id: str | None = None
    data: Any = None
    user: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.room_id, str):
            raise TypeError(f"room_id must be a str, not {type(self.room_id).__name__}")
        for name in ("connection_id", "user"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                advice = f"; give str({name})" if isinstance(value, int) else ""
                raise TypeError(f"{name} must be a str or None, not {type(value).__name__}{advice}")
