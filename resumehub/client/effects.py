"""What a client's machine asks its surroundings to do, as values, in order; none of them may wait.

Carried out by the driver thread (``client_loop.py``). Pure values.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ResumeHubError
from ..protocol.control_messages import Hello


@dataclass(frozen=True, slots=True)
class Dial:
    """Start a thread that connects, and then reads.

    ``resume``: ask for the session, with the count of handled messages as it is *now*: behind the
    ``Detach`` of the connection before. ``offer``: offer ``resumehub.v1``.
    """

    dial: int
    resume: bool
    offer: bool


@dataclass(frozen=True, slots=True)
class Attach:
    """Let the connection carry messages, both ways.

    ``hello``: forget what it covers, and send the rest again, in order, before anything new. ``culprit``:
    the close code with which the server threw the last connection out over a message: that message
    is taken out first, and reported.
    """

    dial: int
    hello: Hello | None
    resumed: bool
    culprit: int | None


@dataclass(frozen=True, slots=True)
class Detach:
    """Take the connection off. ``replay``: what it brought and nobody has begun to handle will come again."""

    dial: int
    replay: bool


@dataclass(frozen=True, slots=True)
class Abort:
    """Shut the connection's socket down, whatever it is doing, which frees its thread."""

    dial: int


@dataclass(frozen=True, slots=True)
class AskLastHeard:
    """Answer with ``LastHeard``, at once."""

    dial: int


@dataclass(frozen=True, slots=True)
class DrawPause:
    """Answer with ``Drawn``, at once: a random part of ``upto`` seconds, on top of ``at_least``."""

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
class End:
    """It is over: hand back what is in doubt, let the application have what has come, accept nothing more."""

    error: ResumeHubError | None


@dataclass(frozen=True, slots=True)
class LogIgnored:
    """Nothing is done, and this is why."""

    because: str


Effect = (
    Dial
    | Attach
    | Detach
    | Abort
    | AskLastHeard
    | DrawPause
    | Acknowledge
    | SendCloseFrame
    | QueueCallback
    | End
    | LogIgnored
)
