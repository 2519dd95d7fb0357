"""The close codes that resumehub sends, and what each one tells the client.

Plain values: this module imports nothing of the package and anything may import it.
Codes below 3000 are those of RFC 6455 §7.4.1, and of the registry of IANA that goes on from there (1012 to
1014); those from 4000 on are private to applications (§7.4.2), and most mirror the HTTP status that says the
same before the upgrade.
Read next: ``core/machine.py``, which decides which transport gets which code.
"""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """A WebSocket close code (RFC 6455 §7.4) with the meaning resumehub gives it.

    An ``IntEnum``: compare it with the plain number that a client library reports.
    """

    NORMAL = 1000
    """The session ended on purpose: by ``close()``, a kick, or a newer connect with its id."""
    GOING_AWAY = 1001
    """The server is shutting down."""
    PROTOCOL_ERROR = 1002
    """The peer broke RFC 6455. Only the transport ends; the session can be resumed."""
    UNSUPPORTED_DATA = 1003
    """Not sent by resumehub: the peer takes no data of this kind."""
    NO_STATUS = 1005
    """Never on the wire: the peer's close frame carried no code (RFC 6455 §7.1.5)."""
    ABNORMAL = 1006
    """Never on the wire: the connection ended without a close frame."""
    INVALID_DATA = 1007
    """A text message was not valid UTF-8."""
    POLICY_VIOLATION = 1008
    """A wrong ``$ack``, none for too long, or a count of more messages than were ever sent."""
    TOO_BIG = 1009
    """A message was larger than ``max_message_size``."""
    MANDATORY_EXTENSION = 1010
    """Not sent by resumehub: a client wanted an extension that the server did not accept."""
    HANDLER_ERROR = 1011
    """A handler of the application raised."""
    SERVICE_RESTART = 1012
    """The server restarts, and the session waits: resume, as after a lost network."""
    TRY_AGAIN_LATER = 1013
    """Not sent by resumehub, since WebKit shows a page 1006 for it; see ``SERVICE_UNAVAILABLE``."""
    BAD_GATEWAY = 1014
    """Not sent by resumehub: a proxy got no right answer from the server behind it."""
    SESSION_EXPIRED = 4100
    """The session to resume is gone (as HTTP 410): start a new one, without ``resume=true``."""
    SUPERSEDED = 4101
    """A newer transport of the same session took over: do not reconnect because of this."""
    FORBIDDEN = 4403
    """Refused (as HTTP 403)."""
    CONFLICT = 4409
    """The connection id is in use and ``on_duplicate="reject"``, or the hub made it (as HTTP 409)."""
    SERVICE_UNAVAILABLE = 4503
    """The server takes no more clients for the moment (as HTTP 503): try again later. No session began."""
