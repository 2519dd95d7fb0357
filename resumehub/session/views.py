"""What others get to see of a session at one moment. Values; made by ``session.py``, on any thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.resume import Credentials
from ..outgoing.outbox import ResumePosition
from ..outgoing.transport_writer import TransportWriter
from ..outgoing.write_results import Flushed

if TYPE_CHECKING:
    from .session import Session


class Offered:
    """What became of a broadcast's frame at one receiver, until ``Session.report``."""

    __slots__ = ("dropped", "flushed", "session", "used", "writer")

    def __init__(
        self,
        session: Session,
        writer: TransportWriter | None,
        flushed: Flushed | None,
        dropped: int,
        used: int,
    ) -> None:
        self.session = session
        self.writer = writer
        self.flushed = flushed
        self.dropped = dropped
        self.used = used


@dataclass(frozen=True, slots=True)
class SeenSession:
    """A session at one moment, as the request side sees it. A value: it says nothing of what comes later."""

    life: str
    generation: int
    connection_id: str
    room_id: str
    generated: bool
    suspended: bool
    credentials: Credentials
    #: Where a client that counts would go on; None where it does not count.
    position: ResumePosition | None
