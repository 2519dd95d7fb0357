"""Why a session ended, why a frame was dropped, why an upgrade was refused, what became of a request.

Plain values: this module imports nothing of the package and any module may import it. The machine
chooses the reason of each end. The outbox's ledger has a column for each reason of a drop. The request
side chooses the reason of a refusal, and the machine does behind the upgrade. A metrics collector gets the
value, a plain ``str``; so does the asker of a request. Read next: ``metrics_methods.py``,
``core/machine.py``, ``outgoing/ledger.py``.
"""

from __future__ import annotations

from enum import Enum


class CloseReason(Enum):
    """Why a session ended: the ``reason`` of ``connection_closed``."""

    NORMAL = "normal"
    KICK = "kick"
    TRANSPORT_LOST = "transport_lost"
    GRACE_EXPIRED = "grace_expired"
    HUB_CLOSE = "hub_close"
    DUPLICATE = "duplicate"
    HANDLER_ERROR = "handler_error"
    GAP = "gap"


class MembershipReason(Enum):
    """Why a membership of a room began or ended, if not with its session: the ``reason`` of ``on_join`` and
    ``on_leave``. At a session's end ``on_leave`` gets the ``CloseReason``.
    """

    CONNECT = "connect"
    """The session began, in its home room."""
    JOIN = "join"
    LEAVE = "leave"


class DropReason(Enum):
    """Why an accepted frame was dropped: the ``reason`` of ``message_dropped``."""

    OVERFLOW = "overflow"
    EXPIRED = "expired"
    CLOSED = "closed"


class RequestRefusal(Enum):
    """Why resumehub itself refuses a request: the ``code`` that its asker is told (contract E3)."""

    INTERNAL_ERROR = "internal_error"
    """Its handler raised, returned what cannot be sent, or never answered."""
    UNKNOWN_EVENT = "unknown_event"
    """No handler is there for its event."""
    INVALID_PAYLOAD = "invalid_payload"
    """Its payload is not what the handler takes."""
    TOO_MANY_REQUESTS = "too_many_requests"
    """The asker has ``max_requests`` requests open."""


class AskOutcome(Enum):
    """What became of a request to a client: the ``outcome`` of ``request_settled``."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """The client has said no."""
    TIMEOUT = "timeout"
    LOST = "lost"
    """The session ended, or nobody knows whether the client has heard it."""
    UNSENT = "unsent"
    """It could not be sent: the buffer is full, or the asker has given what can't be sent."""


class RequestOutcome(Enum):
    """What became of a client's request: the ``outcome`` of ``client_request_settled``."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """By a handler."""
    FAILED = "failed"
    """A handler raised, or no answer could be sent, or none came: the client was told ``internal_error``."""
    TURNED_AWAY = "turned_away"
    """The client had too many open."""
    LOST = "lost"
    """Its session ended before it had an answer."""


class RefusalReason(Enum):
    """Why an upgrade was refused: the ``reason`` of ``upgrade_refused``."""

    NO_SOCKET = "no_socket"
    """The server does not hand out the client's socket."""
    HUB_CLOSE = "hub_close"
    METHOD = "method"
    PARAMETERS = "parameters"
    """A query parameter of ours is given twice or says what cannot be; or a v1 resume has no ``received``."""
    NOT_WEBSOCKET = "not_websocket"
    """A plain GET. Where clients do ask for a WebSocket, a proxy in between drops the header Upgrade."""
    HANDSHAKE = "handshake"
    ORIGIN = "origin"
    APPLICATION = "application"
    """``connect`` refused the client."""
    CONNECT_FAILED = "connect_failed"
    IDS = "ids"
    """The application gave an id that may not be one."""
    GONE = "gone"
    GAP = "gap"
    TOKEN = "token"
    USER = "user"
    """The session is another user's, or in another room."""
    DUPLICATE = "duplicate"
    LATE_DIAL = "late_dial"
    """A newer dial of the same client has the session."""
    DRAINING = "draining"
    """The hub is drained: it keeps its sessions, and takes no new one."""
    RATE = "rate"
    """Clients of this address have connected too often."""
    MAX_SESSIONS = "max_sessions"
    NO_THREADS = "no_threads"
    NO_DESCRIPTORS = "no_descriptors"
    HUB_DEAD = "hub_dead"
    """A thread that serves all connections has died."""
    HUB_AWAY = "hub_away"
    """The hub is in no process at this moment: it moves, it starts, or its process has ended."""
    HUB_SILENT = "hub_silent"
    """The process that holds the hub does not answer."""
