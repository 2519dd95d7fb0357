"""The public testing kit: clocks that are moved by hand, and a WebSocket client for WSGI apps.

Nothing else in the package imports it. Start with ``FakeClock`` and ``connect``.
"""

from __future__ import annotations

from .client import NothingReceived, TransportClosed, UpgradeRefused, WebSocketClient, connect
from .clocks import FakeClock, FreezegunClock

__all__ = [
    "FakeClock",
    "FreezegunClock",
    "NothingReceived",
    "TransportClosed",
    "UpgradeRefused",
    "WebSocketClient",
    "connect",
]
