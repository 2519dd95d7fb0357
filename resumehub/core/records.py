"""What the machine goes by, and what it remembers of a session and of a transport. They decide nothing.

``sessions.py`` and ``transports.py`` make and change them, ``machine.py`` reads them, all on the hub thread.
Pure. Read next: ``invariants.py``, which says what must hold of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..codes import CloseCode
from ..errors import ResumeHubError
from ..protocol.retry_later import later_reason
from .resume import Credentials
from .states import State

CloseFrame = tuple[int, str]
"""The code and the reason of a close frame."""

TRY_LATER: CloseFrame = (CloseCode.SERVICE_UNAVAILABLE, later_reason())
"""For a client that is refused for the moment."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The options that decisions depend on; durations in seconds."""

    resume_window: float = 30.0
    ping_interval: float | None = 20.0
    write_timeout: float = 10.0
    stall_timeout: float = 30.0
    max_sessions: int = 10_000
    max_rooms: int = 64
    refuse_duplicates: bool = False
    suspended_give_way: bool = True
    refusal_delay: float = 0.0
    buffer_budget: int | None = None


@dataclass(slots=True)
class SessionRecord:
    """A session. Its id and its home room stay for life; ``generation`` counts its transports, from 1.

    ``epoch`` names it in this process, ``life`` in all of them. ``rooms``: in order of joining, home first.
    """

    epoch: int
    life: str
    connection_id: str
    room_id: str
    opened_at: float
    state: State
    transport: int | None
    credentials: Credentials
    generation: int = 1
    last_error: ResumeHubError | None = None
    rooms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.rooms = self.rooms or (self.room_id,)


class Phase(Enum):
    """Where a transport is in its life."""

    LIVE = "it carries a session"
    CLOSING = "a close frame is on its way, or its answer is awaited"
    ABORTED = "its socket is shut down; its threads are about to leave"


@dataclass(slots=True)
class TransportState:
    """A transport. ``epoch`` and ``generation``: the session that it was attached to; None and 0 without."""

    number: int
    epoch: int | None
    generation: int
    phase: Phase
    close_sent: bool = False
    """Our close frame is out, or can never get out."""
    peer_done: bool = False
    """The peer has said that it sends nothing more."""
    ack_due_at: float = float("-inf")
    """When the deadline of its full window was due that fell due last."""
    discarded: bool = False
    """The peer took nothing for so long that what waited before the close frame was dropped."""
    refusal: CloseFrame | None = None
    """The close frame of a refusal, while it waits (contract A5b)."""
