"""What can happen to the hub, as values: facts that threads report and orders that callers give.

A command is made on any thread, stamped with the time, put on the hub's queue and handled by
``machine.Machine`` on the hub thread. It carries everything the decision needs, so that a race
is nothing but an order of commands. Transports go by number (each gets its own, never reused),
sessions by *epoch* (likewise), because ids can change hands. Pure values.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ResumeHubError
from .deadlines import DeadlineKind
from .resume import NO_REQUEST, ResumeRequest


@dataclass(frozen=True, slots=True)
class Register:
    """A socket was upgraded and handed over.

    ``seen`` is the epoch of the session that the pre-check saw and ``seen_room`` its room;
    only a resume needs them. ``refusal`` is a verdict that the pre-check already reached and
    that this socket exists to deliver (``reject=close``). ``stillborn``: the peer has hung up
    already. ``generated``: the hub made the id. ``claim``: what else the client says of itself.
    """

    transport: int
    connection_id: str
    room_id: str
    resume: bool = False
    seen: int | None = None
    seen_room: str = ""
    refusal: tuple[int, str] | None = None
    peer_already_gone: bool = False
    generated: bool = False
    resume_request: ResumeRequest = NO_REQUEST


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The peer's close frame was read: ``code`` 1005 where it carried none."""

    transport: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class PeerGone:
    """Reading ended: with EOF, or with an error (``reset``), after which nothing can be written."""

    transport: int
    reset: bool


@dataclass(frozen=True, slots=True)
class PeerFailed:
    """The peer broke the protocol; ``code`` (1002, 1007, 1009) is on its way to it."""

    transport: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class TransportAborted:
    """Someone on our side gives the transport up: a thread could not be had, or a test cuts it."""

    transport: int


@dataclass(frozen=True, slots=True)
class CloseSent:
    """Our close frame has been taken by the kernel, whole."""

    transport: int


@dataclass(frozen=True, slots=True)
class WriteFailed:
    """Nothing can be written any more. Input may still be there: what it says comes first."""

    transport: int


@dataclass(frozen=True, slots=True)
class WriteStalled:
    """The kernel took no more bytes: the peer does not read as fast as we write."""

    transport: int


@dataclass(frozen=True, slots=True)
class Observed:
    """The answer to an ``Inspect`` effect.

    ``heard``: bytes came in since the last Ping. ``reading_since``: since when a thread reads
    (None: nobody does, a callback holds the reader). ``took_at``: when the peer last took bytes
    that it had refused before. ``blocked``: bytes wait for it to take more. ``pinged_at``: when the
    last Ping was really sent, which is later than it was due if the hub thread was late.
    """

    transport: int
    kind: DeadlineKind
    heard: bool
    reading_since: float | None
    took_at: float
    blocked: bool
    pinged_at: float


@dataclass(frozen=True, slots=True)
class Released:
    """The transport's descriptor is closed and its threads have left it."""

    transport: int


@dataclass(frozen=True, slots=True)
class Kick:
    """The application ends the session that holds ``connection_id``."""

    connection_id: str


@dataclass(frozen=True, slots=True)
class Close:
    """``connection.close()``."""

    epoch: int


@dataclass(frozen=True, slots=True)
class HandlerFailed:
    """A handler of ``hook`` raised; ``generation`` is that of the transport it ran for."""

    epoch: int
    generation: int
    hook: str
    error: ResumeHubError


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The first ``$ack`` on a transport has come in: its ``$hello`` has arrived, token and all."""

    transport: int


@dataclass(frozen=True, slots=True)
class AckDue:
    """A message was handled that is not acknowledged: time to do so in a while."""

    transport: int


@dataclass(frozen=True, slots=True)
class GapFound:
    """The pre-check has told a client that its session cannot be resumed without a gap.

    ``generation``: the one it saw. If the session has been resumed meanwhile, it lives.
    """

    epoch: int
    generation: int


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End every session and take no more."""


@dataclass(frozen=True, slots=True)
class AbortAll:
    """The time for a polite shutdown is over: drop every transport."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing but time has passed."""


Command = (
    Register
    | PeerClosed
    | PeerGone
    | PeerFailed
    | TransportAborted
    | CloseSent
    | WriteFailed
    | WriteStalled
    | Observed
    | Released
    | Kick
    | Close
    | HandlerFailed
    | Acknowledged
    | AckDue
    | GapFound
    | Shutdown
    | AbortAll
    | Tick
)
