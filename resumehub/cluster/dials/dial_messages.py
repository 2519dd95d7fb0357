"""The messages of dials, between a worker and the process that holds the hub. Values.

``number``: the worker's, of a question (``DialLook``, ``EndWithGap``) or of a connection (``DialPass``); an
answer has the same one. Tokens travel in them, so none of them may be logged. Read next:
``../link_codec.py``, for how they become bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ...core.cluster.dial_events import NotTakenBecause
from ...core.commands import Register
from ...core.resume import ResumeRequest
from ...session.seen_session import Found


@dataclass(frozen=True, slots=True)
class DialLook:
    """What is there of this session? See ``SessionLookup.look``."""

    number: int
    connection_id: str | None
    key: str
    received: int | None


@dataclass(frozen=True, slots=True)
class DialLooked:
    """The answer. ``may_refuse``: whether one more connection may be upgraded only for a close frame."""

    number: int
    found: Found
    may_refuse: bool


@dataclass(frozen=True, slots=True)
class DialLater:
    """The answer to a question while the hub moves or starts: the client shall come again."""

    number: int


@dataclass(frozen=True, slots=True)
class EndWithGap:
    """End the session, unless it was resumed meanwhile."""

    number: int
    connection_id: str
    life: str
    generation: int


@dataclass(frozen=True, slots=True)
class EndedWithGap:
    """The answer: the hub thread has handled it."""

    number: int


@dataclass(frozen=True, slots=True)
class CloseTold:
    """The close frame that refuses a client, where it can't see a status."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class DialPass:
    """A client's connection, whose descriptor comes along, and all that the hub must know of it.

    ``head``: of the 101. ``read_ahead``: bytes that the worker's server has read behind the request. The
    other fields are those of ``Register``.
    """

    number: int
    head: bytes
    read_ahead: bytes
    subprotocol: str
    data: Any
    connection_id: str
    room_id: str
    life: str
    resume: bool
    seen: str
    seen_room: str
    refusal: CloseTold | None
    chance: float
    generated: bool
    request: ResumeRequest

    def registration(self) -> Register:
        """The command with which the hub decides."""
        return Register(
            transport=0,
            connection_id=self.connection_id,
            room_id=self.room_id,
            life=self.life,
            resume=self.resume,
            seen=self.seen,
            seen_room=self.seen_room,
            refusal=(self.refusal.code, self.refusal.reason) if self.refusal is not None else None,
            chance=self.chance,
            generated=self.generated,
            resume_request=self.request,
        )

    def __repr__(self) -> str:
        return f"<DialPass {self.number}>"


@dataclass(frozen=True, slots=True)
class DialTaken:
    """The connection is the hub's, which has written nothing yet. The worker closes its descriptor."""

    number: int


@dataclass(frozen=True, slots=True)
class DialNotTaken:
    """The hub has closed its copy, if it got one, and has written nothing: the connection is the worker's."""

    number: int
    because: NotTakenBecause


def pass_of(
    number: int, registration: Register, *, head: bytes, read_ahead: bytes, subprotocol: str, data: Any
) -> DialPass:
    """The message that passes a connection on."""
    refusal = registration.refusal
    return DialPass(
        number=number,
        head=head,
        read_ahead=read_ahead,
        subprotocol=subprotocol,
        data=data,
        connection_id=registration.connection_id,
        room_id=registration.room_id,
        life=registration.life,
        resume=registration.resume,
        seen=registration.seen,
        seen_room=registration.seen_room,
        refusal=CloseTold(int(refusal[0]), refusal[1]) if refusal is not None else None,
        chance=registration.chance,
        generated=registration.generated,
        request=registration.resume_request,
    )


MESSAGES: Final[dict[int, type]] = {
    40: DialLook,
    41: DialLooked,
    42: DialLater,
    43: EndWithGap,
    44: EndedWithGap,
    45: DialPass,
    46: DialTaken,
    47: DialNotTaken,
}
"""Number on the wire → class. A number is never given to another class, and a class never changes its fields:
the release before this one must understand them."""
