"""``Found``: what the pre-check of a request saw of the hub, and the session in it. Pure values.

A session is looked at by ``session.py``, for any thread; it may come from another process. Read next:
``wsgi/resume_params.py``, which compares a request with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.drain import Drain
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


@dataclass(frozen=True, slots=True)
class Found:
    """What one look at the hub found: the session that was looked for, if there is one.

    ``full``: there is none, and one more would be too many. ``drain``: whom the hub refuses at present; a
    process without the hub adds what it has heard (``cluster/drain_news.py``).
    """

    seen: SeenSession | None
    full: bool
    drain: Drain = field(default=Drain.NONE, metadata={"told": False})
