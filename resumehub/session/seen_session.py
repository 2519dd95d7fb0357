"""``SeenSession``: a session as the pre-check of a request saw it. A pure value.

Made by ``session.py`` for any thread. Read next: ``wsgi/resume_params.py``, which compares a request with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.resume import Credentials
from ..outgoing.outbox import ResumePosition


@dataclass(frozen=True, slots=True)
class SeenSession:
    """A session at one moment, for the request side. A value: the session may have changed since."""

    life: str
    generation: int
    connection_id: str
    room_id: str
    #: All rooms that it is in, its home room ``room_id`` first.
    rooms: tuple[str, ...]
    suspended: bool
    credentials: Credentials
    #: Where a client that counts would resume; None if it does not count.
    position: ResumePosition | None
