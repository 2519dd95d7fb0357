"""What can happen to the hub, as values: facts that threads report and orders that callers give.

Any thread may make a command. It is stamped with the time, put on the hub's queue, and handled by
``machine.Machine`` on the hub thread. A command carries everything that its decision needs, so a race is
nothing but an order of commands. It names a transport by its number and a session by its *epoch*; each is
given once and never again, while an id can pass from one session to another. Pure values. Read next:
``effects.py``, ``machine.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ResumeHubError
from .deadlines import DeadlineKind
from .drain import Drain
from .moving import DecisionState
from .resume import NO_REQUEST, ResumeRequest


@dataclass(frozen=True, slots=True)
class Register:
    """A socket was upgraded and handed over.

    ``life`` names the session that may begin now: a random value, from its beginning to its end, in whatever
    process. ``seen`` is the life of the session that the pre-check saw, and ``seen_room`` its room; only a
    resume needs them. ``refusal``: the close code and reason with which the pre-check has refused this
    client; the socket was upgraded only to send them (``reject=close``). ``chance``: from 0 to 1, for the
    random part of the wait before them; random numbers are made outside of the core.
    ``peer_already_gone``: the peer has hung up before the hub gets to it. ``generated``: the hub made the id
    of the session that may begin now. ``resume_request``: what the client says of itself beside its id.
    """

    transport: int
    connection_id: str
    room_id: str
    life: str = ""
    resume: bool = False
    seen: str = ""
    seen_room: str = ""
    refusal: tuple[int, str] | None = None
    chance: float = 0.5
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
    """The reader met the end: EOF, or an error (``reset``), after which nothing can be written, either."""

    transport: int
    reset: bool


@dataclass(frozen=True, slots=True)
class PeerFailed:
    """The peer broke the protocol; a close frame with ``code`` (1002, 1007, 1009) is on its way to it."""

    transport: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class TransportAborted:
    """Our side gives the transport up: no thread could be started for it, or a test cuts it."""

    transport: int


@dataclass(frozen=True, slots=True)
class CloseSent:
    """The kernel has taken the whole of our close frame."""

    transport: int


@dataclass(frozen=True, slots=True)
class WriteFailed:
    """Nothing can be written any more. There may still be input, and what it says decides."""

    transport: int


@dataclass(frozen=True, slots=True)
class WriteStalled:
    """The kernel took no more bytes: the peer reads more slowly than we write."""

    transport: int


@dataclass(frozen=True, slots=True)
class WindowFull:
    """The client has acknowledged so little that no message, or none of some size, can be sent to it."""

    transport: int


@dataclass(frozen=True, slots=True)
class ReadingPaused:
    """The client has sent more than its rate allows (``input_rate.py``): nobody reads it before ``until``.

    The reader waits to be told that it may go on.
    """

    transport: int
    until: float


@dataclass(frozen=True, slots=True)
class Observed:
    """The answer to an ``Inspect`` effect.

    ``heard``: bytes came in since the last Ping. ``reading_since``: since when a thread reads the transport
    (None: no thread does, since its reader runs a callback). ``took_at``: when the peer last took bytes that
    had had to wait. ``blocked``: bytes wait now for the peer to take more. ``pinged_at``: when the last Ping
    was really sent, which is later than it was due if the hub thread was late. ``full_since``: since when the
    client's window is full and nothing of it was acknowledged; None: it is not full. ``reads_on_since``:
    since when no reader has had to wait for room for messages; infinite while one does. ``seen_at``: the time
    of this look, which is later than the deadline if the hub thread was late.
    """

    transport: int
    kind: DeadlineKind
    heard: bool
    reading_since: float | None
    took_at: float
    blocked: bool
    pinged_at: float
    full_since: float | None = None
    reads_on_since: float = float("-inf")
    seen_at: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Held:
    """A session's bytes: ``waiting`` for its client or kept for it, ``parked`` for its handler."""

    epoch: int
    waiting: int
    parked: int


@dataclass(frozen=True, slots=True)
class BuffersMeasured:
    """The answer to a ``MeasureBuffers`` effect: ``total`` bytes; of each session that holds any."""

    total: int
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Released:
    """The transport's descriptor is closed and its threads have left it."""

    transport: int


@dataclass(frozen=True, slots=True)
class Kick:
    """The application ends the session that holds ``connection_id``.

    ``life``: only if it is the session of that life; "": whichever has the id.
    """

    connection_id: str
    life: str = ""


@dataclass(frozen=True, slots=True)
class Expire:
    """An operator ends the grace window of a session now: if it is suspended, it ends as if time were up."""

    connection_id: str
    life: str


@dataclass(frozen=True, slots=True)
class KickUser:
    """The application ends all sessions of ``user``."""

    user: str


@dataclass(frozen=True, slots=True)
class SetDrain:
    """Refuse these clients from now on, and nobody else.

    ``told``: whether the log says so; not where a drained hub leaves this process, or comes to it.
    """

    drain: Drain
    told: bool = True


@dataclass(frozen=True, slots=True)
class EndAll:
    """The application ends all sessions, as a shutdown does; the hub goes on."""


@dataclass(frozen=True, slots=True)
class Close:
    """``connection.close()``."""

    epoch: int


@dataclass(frozen=True, slots=True)
class JoinRoom:
    """``connection.join(room_id)``."""

    epoch: int
    connection_id: str
    room_id: str


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """``connection.leave(room_id)``; never the home room."""

    epoch: int
    room_id: str


@dataclass(frozen=True, slots=True)
class HandlerFailed:
    """A handler of ``hook`` raised ``error``; ``generation``: of the transport that the handler ran for."""

    epoch: int
    generation: int
    hook: str
    error: ResumeHubError


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The first ``$ack`` on a transport has come in: the client has its ``$hello``, and the token in it."""

    transport: int


@dataclass(frozen=True, slots=True)
class AckDue:
    """A message was handled that is not acknowledged yet: that must happen within ``ACK_DELAY``."""

    transport: int


@dataclass(frozen=True, slots=True)
class RequestMade:
    """A thread asks a client, and waits for the answer at most ``timeout`` seconds from now.

    ``number``: of the request, in this process.
    """

    number: int
    timeout: float


@dataclass(frozen=True, slots=True)
class RequestOver:
    """That thread waits no more."""

    number: int


@dataclass(frozen=True, slots=True)
class GapFound:
    """The pre-check has told a client that its session cannot be resumed without a gap.

    ``life``, ``generation``: the session's when the pre-check looked. If it was resumed meanwhile, or another
    one has its id by now, that one lives on.
    """

    connection_id: str
    life: str
    generation: int


@dataclass(frozen=True, slots=True)
class Export:
    """The session is to go on in another process. Its threads have let go of it already."""

    connection_id: str
    life: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """A session comes from another process, and goes on here.

    ``arrival``: the number under which the surroundings keep what the machine need not know of it.
    ``transport``: its socket; None for a session that is suspended. ``carried``: a handler of it still runs
    in the process that it left, so no callback may start yet.
    """

    arrival: int
    transport: int | None
    decisions: DecisionState
    carried: bool = False


@dataclass(frozen=True, slots=True)
class Depart:
    """The hub has moved to another process: forget these sessions, which were written down before."""

    epochs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LeaveBehind:
    """The hub has moved to another process, and these sessions could not: end them."""

    epochs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Park:
    """These sessions are written down for the next process: forget them, and close their transports."""

    epochs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AdoptAll:
    """A whole hub comes from another process: its sessions go on here, all in one step."""

    adoptions: tuple[Adopt, ...]


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End every session and take no more."""


@dataclass(frozen=True, slots=True)
class AbortAll:
    """The shutdown's time for close frames is over: abort every transport."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing but time has passed."""


EndReport = PeerClosed | PeerGone | PeerFailed | TransportAborted
"""A thread's report that a transport is coming to its end."""

NeedsDeadline = WriteStalled | WindowFull | AckDue | ReadingPaused
"""A live transport needs a deadline."""

Seen = Observed | BuffersMeasured
"""The answer to an effect that asks, at that one's time."""

TransportReport = EndReport | CloseSent | WriteFailed | NeedsDeadline | Observed | Released
SessionReport = Register | HandlerFailed | Acknowledged | GapFound
RequestReport = RequestMade | RequestOver
Moving = Export | Depart | LeaveBehind | Park | Adopt | AdoptAll
Order = (
    Kick | Expire | KickUser | EndAll | SetDrain | Close | JoinRoom | LeaveRoom | Shutdown | AbortAll | Tick
)
Command = BuffersMeasured | TransportReport | SessionReport | RequestReport | Moving | Order
