"""A refusal of an upgrade request: the HTTP answer, and the close frame that means the same.

Values, made by ``checks.py`` and ``resume_params.py`` on request threads. Read next: ``checks.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Response

from ..codes import CloseCode
from ..core.records import TRY_LATER, CloseFrame
from ..protocol.retry_later import SOON, later_reason
from ..reasons import RefusalReason
from .session_lookup import NoVerdict
from .upgrade import LATER


@dataclass
class Refusal(Exception):
    """``close``: for a client that cannot see a status. ``members``: more fields of the problem document.

    ``reason``: what metrics say; ``log``: what the operator's warning says beside that.
    """

    status: int
    reason: RefusalReason
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    close: CloseFrame | None = None
    response: Response | None = None
    members: Mapping[str, Any] = field(default_factory=dict)
    log: str = ""


_CLOSES: Mapping[int, CloseFrame] = {
    403: (CloseCode.FORBIDDEN, "forbidden"),
    409: (CloseCode.CONFLICT, "connection id in use"),
    410: (CloseCode.SESSION_EXPIRED, "session expired"),
}


def close_of(response: Response) -> CloseFrame | None:
    """The close frame that means the same as the application's own answer; None: there is none."""
    if response.status_code == 503:
        return CloseCode.SERVICE_UNAVAILABLE, later_reason(response.headers.get("Retry-After"))
    return _CLOSES.get(response.status_code)


def closing() -> Refusal:
    """The hub takes no more connections."""
    close = (CloseCode.GOING_AWAY, "server shutting down")
    return Refusal(503, RefusalReason.HUB_CLOSE, "The server is shutting down.", LATER, close)


def broken() -> Refusal:
    """A thread that serves all connections has died; the log says why."""
    detail = "The server cannot serve WebSockets at present."
    return Refusal(503, RefusalReason.HUB_DEAD, detail, LATER)


def full() -> Refusal:
    """There are ``max_sessions`` sessions, and none of them makes room."""
    detail = "The server holds as many sessions as it may."
    return Refusal(503, RefusalReason.MAX_SESSIONS, detail, LATER, TRY_LATER)


def too_often(wait: float) -> Refusal:
    """Clients of this address have connected too often; one may come in ``wait`` seconds (RFC 6585 §4)."""
    seconds = max(1, math.ceil(wait))
    close = (CloseCode.SERVICE_UNAVAILABLE, later_reason(seconds))
    detail = "Too many connections were made from this address."
    return Refusal(429, RefusalReason.RATE, detail, {"Retry-After": str(seconds)}, close)


def drained() -> Refusal:
    """The hub is drained, and refuses this client."""
    detail = "The server takes no new clients at the moment."
    return Refusal(503, RefusalReason.DRAINING, detail, LATER, TRY_LATER)


def no_verdict(error: NoVerdict) -> Refusal:
    """The hub can't be asked now. The client is told by the status alone: no process here could close."""
    detail = "The server cannot decide about this connection at the moment."
    headers = {"Retry-After": str(SOON)} if error.reason is RefusalReason.HUB_AWAY else LATER
    return Refusal(503, error.reason, detail, headers, log=str(error))


def tls_with_cluster() -> Refusal:
    """TLS that ends inside the server keeps a connection in its process, and a cluster has to pass it on."""
    why = "TLS ends inside the server, which a hub with cluster= does not support: let a proxy end it"
    return Refusal(501, RefusalReason.NO_SOCKET, f"This server cannot be upgraded: {why}.", log=why)


def gone() -> Refusal:
    """There is no session to resume, or none that this client may know of."""
    detail = "The session to resume is gone. Connect without resume=true to start a new one."
    return Refusal(410, RefusalReason.GONE, detail, close=(CloseCode.SESSION_EXPIRED, "session expired"))


def not_the_users() -> Refusal:
    """The client has the id or the token of a session that is another user's, or in another room."""
    detail = "This session was made for another user or another room."
    return Refusal(403, RefusalReason.USER, detail, close=(CloseCode.FORBIDDEN, "forbidden"))


def upgrade_required(detail: str) -> Refusal:
    """A plain GET where only an upgrade makes sense."""
    return Refusal(426, RefusalReason.NOT_WEBSOCKET, detail, {"Upgrade": "websocket"})


def generated_id() -> Refusal:
    """The answer to a preflight by an id that the hub made, or by none (contract A3)."""
    return upgrade_required("This session has a generated id and cannot be resumed by it.")
