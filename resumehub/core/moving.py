"""What the machine knows of a session, written down: how it goes on in another process.

Durations are time left and age, in seconds: the clocks of two processes have nothing in common. Nothing in it
means something in one process only (no epoch, no transport's number). Pure values that nobody changes, though
the largest one is not frozen (``session/session_state.py`` says why); made and read by
``sessions.py``, a part of ``session/session_state.py``. Read next: ``sessions.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import HandlerError, HeartbeatTimeout, ResumeHubError, TransportLost
from .deadlines import DeadlineKind
from .resume import Credentials


@dataclass(frozen=True, slots=True)
class ErrorState:
    """Why the last transport ended: the error that on_disconnect will get, if nobody comes back.

    ``kind``: the name of its class. ``hook``: of a HandlerError, whose cause stays in the process that saw
    it.
    """

    kind: str
    code: int = 0
    reason: str = ""
    hook: str = ""

    @classmethod
    def of(cls, error: ResumeHubError | None) -> ErrorState | None:
        """Write an error down. None for none, or for one that means nothing to another process."""
        match error:
            case HeartbeatTimeout():
                return cls("HeartbeatTimeout")
            case TransportLost():
                # A plain int: a ``CloseCode`` would be written down by its name.
                return cls("TransportLost", int(error.code), error.reason)
            case HandlerError():
                return cls("HandlerError", hook=error.event)
            case _:
                return None

    def make(self) -> ResumeHubError:
        """The error again. Raises ValueError for a kind that this release does not know."""
        match self.kind:
            case "HeartbeatTimeout":
                return HeartbeatTimeout()
            case "TransportLost":
                return TransportLost(self.code, self.reason)
            case "HandlerError":
                return HandlerError(self.hook)
            case _:
                raise ValueError(f"no error is called {self.kind[:40]!r} in this release")


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """A deadline that is armed: in how many seconds it is due. Below 0: it was due before."""

    kind: DeadlineKind
    left: float


@dataclass(slots=True)  # not frozen: see the module
class DecisionState:
    """See the module. ``connected``: a transport carries it; else it is suspended.

    ``rooms``: in order of joining, the home room (``room_id``) first.
    """

    life: str
    connection_id: str
    room_id: str
    rooms: tuple[str, ...]
    age: float
    connected: bool
    credentials: Credentials
    generation: int
    last_error: ErrorState | None
    time_left: tuple[TimeLeft, ...]
