"""What a client's machine wants done, as values, in order. None of it may block.

Carried out by the driver thread (``client_loop.py``). ``dial`` is the number of the dial, as in
``commands.py``. Pure values.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ResumeHubError
from ..protocol.control_messages import Hello


@dataclass(frozen=True, slots=True)
class Dial:
    """Start a transport: its thread connects, and then reads.

    ``resume``: ask for the session, with the number of the last message taken as it is *now*, behind the
    ``Detach`` of the transport before. ``offer``: offer ``resumehub.v1``.
    """

    dial: int
    resume: bool
    offer: bool


@dataclass(frozen=True, slots=True)
class Attach:
    """Let the transport carry messages, both ways.

    ``hello``: what it acknowledges need not be sent again; send the rest again, in order, before anything
    new. None: a plain server. ``rejected_with``: the close code with which the server ended the last
    transport because of a message: that message is taken out first, and reported.
    """

    dial: int
    hello: Hello | None
    resumed: bool
    rejected_with: int | None


@dataclass(frozen=True, slots=True)
class Detach:
    """Take the transport off. ``replay``: the server will send again the messages that wait in the inbox."""

    dial: int
    replay: bool


@dataclass(frozen=True, slots=True)
class Abort:
    """Shut the transport's socket down, whatever its thread is doing: so the thread ends."""

    dial: int


@dataclass(frozen=True, slots=True)
class GiveUpAddress:
    """Let the transport go on to its next address, if it still connects to the one with ``left`` behind."""

    dial: int
    left: int


@dataclass(frozen=True, slots=True)
class AskLastHeard:
    """Answer with ``LastHeard``, at once."""

    dial: int


@dataclass(frozen=True, slots=True)
class DrawPause:
    """Answer with ``Drawn``, at once: ``at_least`` seconds and a random part of ``upto`` seconds."""

    upto: float
    at_least: float


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Tell the server how many of its messages have been handled."""

    dial: int
    received: int


@dataclass(frozen=True, slots=True)
class SendCloseFrame:
    """Send a close frame behind all that was accepted for sending."""

    dial: int
    code: int


@dataclass(frozen=True, slots=True)
class QueueCallback:
    """Queue a callback: ``"on_transport_drop"``, …"""

    hook: str
    error: ResumeHubError | None = None


@dataclass(frozen=True, slots=True)
class TimeOutRequest:
    """Tell the caller of a request that no answer came in time."""

    request_id: str


@dataclass(frozen=True, slots=True)
class End:
    """The client has ended: keep what is in doubt for the application, and accept nothing more."""

    error: ResumeHubError | None


@dataclass(frozen=True, slots=True)
class LogIgnored:
    """Log why a command changes nothing."""

    because: str


DialEffect = Dial | Attach | Detach | Abort | GiveUpAddress | AskLastHeard | Acknowledge | SendCloseFrame
Effect = DialEffect | DrawPause | QueueCallback | TimeOutRequest | End | LogIgnored
