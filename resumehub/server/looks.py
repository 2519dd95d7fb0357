"""What an inspector asks of a hub, and what it is told: values, ready for a link.

Nothing in them opens a session: ids that would are cut off where they are read (``recorder.shown``), and
there is no token and no payload. Sessions are named by their ``life``. Any thread. Read next:
``looking.py``, which answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from ..session.recent import Counts, Happened, What
from ..session.recorder import RefusedUpgrade, Who

MOST_ROWS: Final = 100
"""In one answer."""

MOST_LOOKED: Final = 500
"""Sessions, or names, that are looked at for one answer: who wants more asks again, from there on."""

LAST: Final = (What.ENDED, What.MOVED_OUT)
"""What is the end of a session, as this process sees it."""


# -- what is asked --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionsAsked:
    """Sessions in the order in which they began in the hub's process, at most ``limit``.

    ``after``: behind the one with this number, which belongs to ``mark``; 0: from the first on. ``room``,
    ``user``: only of these; None: of all. ``state``: ``"connected"``, ``"suspended"``, or "". ``text``: only
    those with it in their id; "": all. An id that is cut off is found by the whole of it alone.
    """

    after: int = 0
    mark: str = ""
    room: str | None = None
    user: str | None = None
    state: str = ""
    text: str = ""
    limit: int = MOST_ROWS


@dataclass(frozen=True, slots=True)
class NamesAsked:
    """Rooms, or users, and how many sessions each has. ``after``: how many to pass over."""

    users: bool
    after: int = 0
    text: str = ""
    limit: int = MOST_ROWS


@dataclass(frozen=True, slots=True)
class LifeAsked:
    """One session, also if it has ended lately."""

    life: str


@dataclass(frozen=True, slots=True)
class EndedAsked:
    """The sessions that ended last, and the upgrades that were refused last."""


@dataclass(frozen=True, slots=True)
class EndAsked:
    """End the session of that life. ``expire``: its grace window, if it is suspended; else kick it."""

    life: str
    expire: bool


Question: TypeAlias = SessionsAsked | NamesAsked | LifeAsked | EndedAsked | EndAsked


# -- what is told ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session. ``number``: its place in the order.

    ``used``, ``used_bytes``: messages in its buffer that are not written, or not acknowledged, of
    ``room_for`` and ``room_for_bytes``. ``waiting``: messages of its client that wait for a handler.
    ``age``: seconds since it began, or came here; -1.0 where that is not known.
    """

    who: Who
    number: int
    rooms: int
    suspended: bool
    generation: int
    used: int
    room_for: int
    used_bytes: int
    room_for_bytes: int
    waiting: int
    age: float = -1.0


@dataclass(frozen=True, slots=True)
class SessionsSeen:
    """``next``: ``after`` of the next question; 0: these were the last. ``begun_anew``: the hub has moved
    since the question before, so this is the first part again. ``total``: sessions of the hub.
    """

    rows: tuple[SessionRow, ...]
    next: int
    mark: str
    looked: int
    total: int
    begun_anew: bool = False


@dataclass(frozen=True, slots=True)
class NameRow:
    """A room or a user."""

    name: str
    sessions: int


@dataclass(frozen=True, slots=True)
class NamesSeen:
    """As ``SessionsSeen``."""

    rows: tuple[NameRow, ...]
    next: int
    looked: int
    total: int


@dataclass(frozen=True, slots=True)
class Book:
    """A session's ledger (contract D6)."""

    accepted: int
    acknowledged: int
    written: int
    dropped: int
    held: int
    held_bytes: int


@dataclass(frozen=True, slots=True)
class LifeSeen:
    """A session that is here has a ``row``, one that has ended has none. ``recorded``: events are kept.

    ``at``: now, by the hub's clock, as the times of ``events``. ``window``: of a resume, in seconds.
    ``requests``: of the client, and to it, without an answer.
    """

    who: Who
    row: SessionRow | None
    rooms: tuple[str, ...]
    book: Book | None
    counts: Counts
    requests: tuple[int, ...]
    events: tuple[Happened, ...]
    forgotten: int
    recorded: bool
    at: float
    window: float


@dataclass(frozen=True, slots=True)
class EndedRow:
    """A session that ended, or left this process. ``last``: the last event of it."""

    who: Who
    last: Happened


@dataclass(frozen=True, slots=True)
class EndedSeen:
    """The last ones first. ``recorded``: they are kept at all."""

    ended: tuple[EndedRow, ...]
    refused: tuple[RefusedUpgrade, ...]
    recorded: bool
    at: float


@dataclass(frozen=True, slots=True)
class NotSeen:
    """No session of that life is here, and none that is remembered."""


@dataclass(frozen=True, slots=True)
class EndSaid:
    """What came of it. ``ended``; or it was not, since it is ``connected``, or has ended before."""

    ended: bool
    connected: bool


Report: TypeAlias = SessionsSeen | NamesSeen | LifeSeen | EndedSeen | NotSeen | EndSaid
