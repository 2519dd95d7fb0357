"""What the machine remembers of a session and of a transport. Records; ``machine.py`` decides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..errors import ResumeHubError
from .resume import Credentials
from .states import State


@dataclass(slots=True)
class SessionRecord:
    """A session: it keeps its id, room and epoch for life, and counts its transports."""

    epoch: int
    connection_id: str
    room_id: str
    opened_at: float
    state: State
    transport: int | None
    credentials: Credentials
    generation: int = 1
    last_error: ResumeHubError | None = None


class Phase(Enum):
    """Where a transport is in its life."""

    LIVE = "it carries a session"
    CLOSING = "a close frame is on its way, and its answer on the way back"
    ABORTED = "its socket is shut down; its threads are about to leave"


@dataclass(slots=True)
class TransportState:
    """A transport, as the machine sees it."""

    number: int
    epoch: int | None
    generation: int
    phase: Phase
    close_sent: bool = False  # or will never be
    peer_done: bool = False
    discarded: bool = False
