"""What can happen to a client, as values: facts and orders, all that its machine is told.

``dial`` numbers the connections of one client from 1 on; what is said of an older one than the
latest comes too late, and is ignored by that number. Durations are float seconds. Pure values.
Read next: ``machine.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ResumeHubError
from ..protocol.control_messages import Hello


@dataclass(frozen=True, slots=True)
class Start:
    """Begin to dial."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The connection stands. ``hello``: what a ``resumehub.v1`` server said first; None: it speaks plain.

    ``asked``: how many of its messages the dial said had been handled. ``phase``: from 0 to 1, drawn by
    whoever dialled; the share of half a window that makes the first acknowledgement due, behind that of
    the ``$hello`` (see ``transport_watch.py``). 1: no sooner than any other.
    """

    dial: int
    hello: Hello | None
    asked: int = 0
    phase: float = 1.0


@dataclass(frozen=True, slots=True)
class DialRefused:
    """The server answered the handshake with another status than 101."""

    dial: int
    status: int
    detail: str = ""
    retry_after: float | None = None
    reason: str = ""
    first_available: int | None = None


@dataclass(frozen=True, slots=True)
class DialFailed:
    """No connection came about. ``reached``: the server may have seen the request all the same."""

    dial: int
    error: ResumeHubError
    permanent: bool = False
    reached: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection ended after the handshake; ``by_peer``: ``code`` is from a close frame of its."""

    dial: int
    code: int
    reason: str = ""
    by_peer: bool = False


@dataclass(frozen=True, slots=True)
class LastHeard:
    """The answer to ``AskLastHeard``: when something was heard last."""

    dial: int
    heard_at: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """The answer to ``DrawPause``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Handled:
    """The application has handled the messages up to ``number``; ``size``: payload bytes of the new ones."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Drained:
    """Nothing that was accepted for sending is left to be sent, or to be acknowledged."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The application wants to leave: send what can be sent within ``timeout``, then go.

    ``drained``: there is nothing to send.
    """

    code: int
    timeout: float
    drained: bool


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing has happened but the passing of time."""


Command = (
    Start
    | Opened
    | DialRefused
    | DialFailed
    | Lost
    | LastHeard
    | Drawn
    | Handled
    | Drained
    | Leave
    | TimePassed
)
