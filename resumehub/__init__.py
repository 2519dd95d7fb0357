"""Resumable WebSocket sessions for threaded Python servers.

A WebSocket drops; the user's session does not: for a grace window a ``Hub`` keeps the session
and what was sent meanwhile, and a client that comes back with ``?resume=true`` goes on where it
was. When the session is gone it says so. Start with ``Hub``; the design is told from
``hub.py`` inwards, each module naming the next to read.
"""

from __future__ import annotations

from .clock import SystemClock
from .codec import JSONCodec
from .codes import CloseCode
from .errors import (
    ConnectionClosed,
    ConnectionNotFound,
    ConnectRejected,
    DuplicateConnectionId,
    HandlerError,
    HandshakeRefused,
    HeartbeatTimeout,
    HubClosed,
    ReceiveTimeout,
    ResumeHubError,
    RetriesExhausted,
    SendBufferFull,
    SessionExpired,
    SocketUnavailable,
    TransportLost,
)
from .hub import CloseReport, Hub
from .message import Message
from .metrics import Counters, NoopMetrics
from .session.connection import Connection

__all__ = [
    "CloseCode",
    "CloseReport",
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
    "JSONCodec",
    "Message",
    "NoopMetrics",
    "ReceiveTimeout",
    "ResumeHubError",
    "RetriesExhausted",
    "SendBufferFull",
    "SessionExpired",
    "SocketUnavailable",
    "SystemClock",
    "TransportLost",
]
