"""What the machine asks the hub to do, as values, in order.

The hub thread carries them out one by one (``server/effect_runner.py``), and none of them may wait. An effect
is an imperative; ``Ignored`` is the exception: it says that a decision was made to do nothing. Pure values.
Read next: ``sessions.py`` and ``transports.py``, which make them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ResumeHubError
from ..reasons import DropReason
from .deadlines import DeadlineKind
from .drain import Drain
from .moving import DecisionState
from .resume import Credentials


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Make the session's connection object and enter it in the tables."""

    epoch: int
    connection_id: str
    room_id: str
    transport: int
    credentials: Credentials
    life: str = ""


@dataclass(frozen=True, slots=True)
class HandOver:
    """The machine has forgotten the session, which goes on elsewhere: write it down, and forget it, too.

    ``decisions``: the machine's part. No callback runs, no close frame is sent, the transport is parted with.
    """

    epoch: int
    transport: int | None
    decisions: DecisionState


@dataclass(frozen=True, slots=True)
class GoneElsewhere:
    """The machine has forgotten a session that was written down before: forget it, too."""

    epoch: int
    transport: int | None


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Make a session that comes from another process, enter it in the tables, and let its transport go on.

    No callback runs and nothing is sent but what was under way. ``carried``: its queue is held.
    """

    epoch: int
    arrival: int
    transport: int | None
    decisions: DecisionState
    carried: bool = False


@dataclass(frozen=True, slots=True)
class NotMoved:
    """Tell the thread that wanted to move a session why it stays where it is."""

    connection_id: str
    because: str


@dataclass(frozen=True, slots=True)
class AttachTransport:
    """Start the transport's threads on the session; what is unsent goes first, in order.

    ``received``: how many messages the client says it has handled; None: it does not say.
    ``credentials``: what the pre-check of the next resume has to know.
    """

    transport: int
    epoch: int
    generation: int
    credentials: Credentials
    received: int | None = None


@dataclass(frozen=True, slots=True)
class DetachTransport:
    """Take the session off its transport: nothing more of its outbox goes there.

    Messages that were read from it, and that no handler has started on, are discarded.
    """

    transport: int
    epoch: int


@dataclass(frozen=True, slots=True)
class EndSession:
    """Take the session out of the tables and refuse further sends.

    ``flush``: what was accepted for sending still goes out before the close frame; otherwise it
    is dropped, for ``drop_reason``. ``deliver``: messages that were read
    before still reach on_message: the client sent them and then left.
    """

    epoch: int
    flush: bool
    drop_reason: DropReason
    deliver: bool = False
    hub_closed: bool = False


@dataclass(frozen=True, slots=True)
class AddMember:
    """The session is a member of one room more, from the next broadcast on."""

    epoch: int
    room_id: str


@dataclass(frozen=True, slots=True)
class RemoveMember:
    """The session is no member of the room any more, from the next broadcast on."""

    epoch: int
    room_id: str


@dataclass(frozen=True, slots=True)
class AdmitToRefuse:
    """Start threads on a transport that gets nothing but a close frame."""

    transport: int


@dataclass(frozen=True, slots=True)
class SendClose:
    """Have a *writer thread* send a close frame (the hub itself never writes one).

    ``after_data``: behind all that was accepted for sending; else right behind the frame that has begun.
    """

    transport: int
    code: int
    reason: str
    after_data: bool


@dataclass(frozen=True, slots=True)
class DiscardUnsent:
    """The peer takes nothing: drop the frames that have not begun, so that the close frame is next."""

    transport: int


@dataclass(frozen=True, slots=True)
class SendPing:
    """Send a Ping ahead of unsent data, and remember what has been heard so far."""

    transport: int


@dataclass(frozen=True, slots=True)
class Inspect:
    """Look at a transport's counters and answer with ``Observed`` at once."""

    transport: int
    kind: DeadlineKind


@dataclass(frozen=True, slots=True)
class SendAck:
    """Acknowledge what has been handled."""

    transport: int


@dataclass(frozen=True, slots=True)
class UpdateCredentials:
    """The credentials of the session have changed: the next pre-check must compare with these."""

    epoch: int
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class DrainChanged:
    """Show the request side whom to refuse; ``told``: and say in the log that it has changed."""

    drain: Drain
    told: bool


@dataclass(frozen=True, slots=True)
class WarnFull:
    """Say in the log, once in a while, that suspended sessions end early, since the hub is full."""


@dataclass(frozen=True, slots=True)
class AbortTransport:
    """Shut the socket down: every thread that waits for it wakes, and its reader then leaves it."""

    transport: int


@dataclass(frozen=True, slots=True)
class Notify:
    """Queue the user callbacks of one hook (``"on_connect"``, …) of the session."""

    epoch: int
    hook: str
    generation: int
    error: ResumeHubError | None = None


@dataclass(frozen=True, slots=True)
class NotifyMembership:
    """Queue the user callbacks of ``"on_join"`` or ``"on_leave"``: a membership has begun or ended.

    ``reason``: the value of a ``MembershipReason``, or of a ``CloseReason``.
    """

    epoch: int
    hook: str
    generation: int
    room_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUpRequest:
    """The time for an answer is over: wake the thread that waits for it."""

    number: int


@dataclass(frozen=True, slots=True)
class MeasureBuffers:
    """Say how many bytes all sessions hold: give a ``BuffersMeasured`` back at once."""


@dataclass(frozen=True, slots=True)
class ShedFrames:
    """Let go of the session's history, then drop its oldest unsent frames, until ``size`` bytes are held."""

    epoch: int
    size: int


@dataclass(frozen=True, slots=True)
class WarnOverBudget:
    """Tell the operator that all buffers hold ``total`` bytes, more than their ``budget``."""

    total: int
    budget: int


@dataclass(frozen=True, slots=True)
class NotePause:
    """Tell the operator that a client sends too much, and is not read for so many ``seconds``."""

    transport: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ReadOn:
    """Let the reader of a transport that pauses go on; one that does not pause need not be told."""

    transport: int


@dataclass(frozen=True, slots=True)
class Count:
    """Call a method of the metrics collector."""

    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing is done; ``because`` says why."""

    because: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """Tell the caller of a kick that no session has that id."""

    connection_id: str


@dataclass(frozen=True, slots=True)
class NotJoined:
    """Tell the caller of ``join`` that the session has ended, or, with a ``limit``, is in that many rooms."""

    connection_id: str
    room_id: str
    limit: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The shutdown is complete: no session and no transport is left."""


SessionEffect = OpenSession | EndSession | UpdateCredentials | Notify | NotifyMembership
BufferEffect = MeasureBuffers | ShedFrames
MoveEffect = HandOver | GoneElsewhere | TakeOver
RoomEffect = AddMember | RemoveMember
TransportEffect = AttachTransport | DetachTransport | AdmitToRefuse | AbortTransport | Inspect | ReadOn
WriterEffect = SendClose | SendPing | SendAck | DiscardUnsent
Answer = NotFound | NotMoved | NotJoined | GiveUpRequest
Report = Count | NotePause | WarnOverBudget | Ignored | Answer | WarnFull | DrainChanged | Finish
Effect = SessionEffect | BufferEffect | MoveEffect | RoomEffect | TransportEffect | WriterEffect | Report
