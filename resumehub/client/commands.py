"""What can happen to a client, as values: facts and orders, all that its machine is told.

Each attempt to connect is a *dial*, and has a transport. ``dial`` numbers them from 1 on: a report on another
one than the latest comes too late, and is ignored. Durations are float seconds. Pure values.
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
class Trying:
    """The transport connects to one address of its host; ``left`` others come behind it."""

    dial: int
    left: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The transport is open. ``hello``: what a ``resumehub.v1`` server said first; None: a plain server.

    ``asked``: how many of the server's messages the dial said had been handled. ``phase``: from 0 to 1, drawn
    by the driver: the share of half a window that makes the first acknowledgement due, behind that of the
    ``$hello`` (see ``transport_watch.py``). 1: no sooner than any other.
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
    """The transport did not open.

    ``permanent``: the next dial would fail, too. ``reached``: the server may have seen the request.
    """

    dial: int
    error: ResumeHubError
    permanent: bool = False
    reached: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The transport ended after the handshake; ``by_peer``: ``code`` is from the server's close frame."""

    dial: int
    code: int
    reason: str = ""
    by_peer: bool = False


@dataclass(frozen=True, slots=True)
class LastHeard:
    """The answer to ``AskLastHeard``: when the server was heard last."""

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
class Requested:
    """The application waits for the answer to a request, for ``timeout`` seconds; None: no longer."""

    request_id: str
    timeout: float | None


@dataclass(frozen=True, slots=True)
class Drained:
    """No more is accepted for sending, and all that was is sent and acknowledged."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The application closes the client: send what can be sent within ``timeout``, then end.

    ``drained``: nothing is left to be sent or acknowledged.
    """

    code: int
    timeout: float
    drained: bool


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing has happened but the passing of time."""


DialReport = Trying | Opened | DialRefused | DialFailed | Lost | LastHeard
Command = Start | DialReport | Drawn | Handled | Requested | Drained | Leave | TimePassed
