"""What a status or a close code means for a client's session: two tables. Pure.

docs/reference/wire.md has the statuses and codes as the server sends them. Used by ``machine.py``.
"""

from __future__ import annotations

from enum import Enum

from ..codes import CloseCode
from ..errors import ResumeHubError, TransportLost
from ..protocol.control_messages import NO_ACK


class DialVerdict(Enum):
    """What the client makes of the end of a dial, or of its transport."""

    RETRY = "dial again"
    EXPIRED = "the session is gone"
    REFUSED = "the server refuses this client, and would refuse the next dial, too"
    ENDED = "the server has ended the session, or another client has it: do not dial again"
    MESSAGE_REJECTED = "the server does not take one of our messages: dial again without it"


#: In seconds. A server that restarts has written its sessions down: all its clients come back to another
#: process, which has just started. Half a second, the usual first bound, would be a crowd at its door.
RESTART_PAUSE = 2.0

#: RFC 6455 §7.4.1: a message broke a policy of the server's.
POLICY_VIOLATION = 1008

_CLOSE_CODES = {
    CloseCode.NORMAL: DialVerdict.ENDED,
    CloseCode.NO_STATUS: DialVerdict.ENDED,
    CloseCode.SUPERSEDED: DialVerdict.ENDED,
    CloseCode.SESSION_EXPIRED: DialVerdict.EXPIRED,
    CloseCode.FORBIDDEN: DialVerdict.REFUSED,
    CloseCode.CONFLICT: DialVerdict.REFUSED,
    CloseCode.PROTOCOL_ERROR: DialVerdict.MESSAGE_REJECTED,
    CloseCode.INVALID_DATA: DialVerdict.MESSAGE_REJECTED,
    POLICY_VIOLATION: DialVerdict.MESSAGE_REJECTED,
    CloseCode.TOO_BIG: DialVerdict.MESSAGE_REJECTED,
}

#: Statuses that say "not now" (RFC 9110 §15.5.9; RFC 8470 §5.2; RFC 6585 §4).
_NOT_NOW = (408, 425, 429)

#: Statuses from 500 on that no waiting will change: not implemented, wrong version of HTTP.
_NOT_EVER = (501, 505)


def of_close(code: int, by_peer: bool, reason: str = "") -> DialVerdict:
    """The verdict on a transport that ended with ``code``, which the server has sent if ``by_peer``."""
    if reason == NO_ACK:  # our application handles nothing for long; that is no fault of a message
        return DialVerdict.RETRY
    return _CLOSE_CODES.get(code, DialVerdict.RETRY) if by_peer else DialVerdict.RETRY


def of_status(status: int) -> DialVerdict:
    """The verdict on a handshake that was answered with ``status``."""
    if status == 410:
        return DialVerdict.EXPIRED
    if status in _NOT_NOW or (status >= 500 and status not in _NOT_EVER):
        return DialVerdict.RETRY
    return DialVerdict.REFUSED


def pause_bound(error: ResumeHubError, initial: float, doublings: int, cap: float) -> float:
    """The bound of the pause before the next dial, in seconds. ``error``: why there has to be one."""
    if isinstance(error, TransportLost) and error.code == CloseCode.SERVICE_RESTART:
        return min(cap, RESTART_PAUSE)
    return min(cap, initial * 2.0 ** min(doublings, 60))
