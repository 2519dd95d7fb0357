"""The refusals of the machine: the close frame for the client, and what metrics say of it.

A client that is refused behind its 101 gets a close frame. Metrics count it with the status that would have
meant the same before the upgrade (contract A5c). Values; ``machine.py`` chooses one, ``transports.py`` sends
it, both on the hub thread. Pure. Read next: ``machine.py``, ``wsgi/refusals.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..codes import CloseCode
from ..protocol.expiry import gap_reason
from ..reasons import RefusalReason
from .records import TRY_LATER, CloseFrame


@dataclass(frozen=True, slots=True)
class RefusalByClose:
    """``why``: None where the refusal is counted already."""

    frame: CloseFrame
    status: int = 0
    why: RefusalReason | None = None


SHUTTING_DOWN: Final = RefusalByClose(
    (CloseCode.GOING_AWAY, "server shutting down"), 503, RefusalReason.HUB_CLOSE
)
FULL: Final = RefusalByClose(TRY_LATER, 503, RefusalReason.MAX_SESSIONS)
DRAINING: Final = RefusalByClose(TRY_LATER, 503, RefusalReason.DRAINING)
SESSION_EXPIRED: Final = RefusalByClose(
    (CloseCode.SESSION_EXPIRED, "session expired"), 410, RefusalReason.GONE
)
WRONG_TOKEN: Final = RefusalByClose((CloseCode.FORBIDDEN, "forbidden"), 403, RefusalReason.TOKEN)
WRONG_USER: Final = RefusalByClose((CloseCode.FORBIDDEN, "forbidden"), 403, RefusalReason.USER)
IN_USE: Final = RefusalByClose((CloseCode.CONFLICT, "connection id in use"), 409, RefusalReason.DUPLICATE)
LATE_DIAL: Final = RefusalByClose((CloseCode.SUPERSEDED, "superseded"), 409, RefusalReason.LATE_DIAL)
BEYOND: Final = RefusalByClose(
    (CloseCode.POLICY_VIOLATION, "received is more than was ever sent"), 400, RefusalReason.PARAMETERS
)


def gap(first_available: int) -> RefusalByClose:
    """The client has missed messages that are not there any more."""
    frame = (CloseCode.SESSION_EXPIRED, gap_reason(first_available))
    return RefusalByClose(frame, 410, RefusalReason.GAP)
