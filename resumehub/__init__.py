"""Resumable WebSocket sessions for threaded Python servers.

A WebSocket drops; the user's session does not. For a grace window a ``Hub`` keeps the session and the
messages that are sent meanwhile. A client that comes back with ``?resume=true`` goes on where it was; if
the session is gone, the client is told so. Start with ``Hub``. To read the code, begin with ``hub.py``;
each module names the next.
"""

from __future__ import annotations

from .admission import Admission
from .clock import SystemClock
from .codec import JSONCodec
from .codes import CloseCode
from .errors import (
    ClusterError,
    ClusterRefused,
    ConnectionClosed,
    ConnectionNotFound,
    ConnectRejected,
    DuplicateConnectionId,
    HandlerError,
    HandshakeRefused,
    HeartbeatTimeout,
    HubClosed,
    HubUnavailable,
    MessageRejected,
    NotHere,
    ReceiveTimeout,
    RequestError,
    RequestFailed,
    RequestInDoubt,
    RequestTimeout,
    ResumeHubError,
    RetriesExhausted,
    SendBufferFull,
    SessionExpired,
    SocketUnavailable,
    TransportLost,
)
from .hub import Hub
from .hub_life_cycle import CloseReport
from .limits import ConnectRate, RateLimit
from .message import Message
from .metrics import Counters, NoopMetrics
from .session.connection import Connection

__all__ = [
    "Admission",
    "CloseCode",
    "CloseReport",
    "ClusterError",
    "ClusterRefused",
    "ConnectRate",
    "ConnectRejected",
    "Connection",
    "ConnectionClosed",
    "ConnectionNotFound",
    "Counters",
    "DuplicateConnectionId",
    "HandlerError",
    "HandshakeRefused",
    "HeartbeatTimeout",
    "Hub",
    "HubClosed",
    "HubUnavailable",
    "JSONCodec",
    "Message",
    "MessageRejected",
    "NoopMetrics",
    "NotHere",
    "RateLimit",
    "ReceiveTimeout",
    "RequestError",
    "RequestFailed",
    "RequestInDoubt",
    "RequestTimeout",
    "ResumeHubError",
    "RetriesExhausted",
    "SendBufferFull",
    "SessionExpired",
    "SocketUnavailable",
    "SystemClock",
    "TransportLost",
]
