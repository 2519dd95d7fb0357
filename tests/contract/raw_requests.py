"""Requests and their answers as a client of E3 writes and reads them: JSON text, and nothing checked."""

from __future__ import annotations

import json
from typing import Any

from resumehub.testing import WebSocketClient
from tests.support import PATIENCE


def ask(ws: WebSocketClient, event: str = "ask", payload: Any = None, id: str = "1") -> None:
    """Send a request."""
    ws.send(json.dumps({"event": event, "payload": payload, "id": id}))


def heard(ws: WebSocketClient) -> dict[str, Any]:
    """The next message, with all its fields."""
    return json.loads(ws.receive(PATIENCE))


def refused(code: str, message: str = "") -> dict[str, Any]:
    return {"re": "1", "error": {"code": code, "message": message}}


def answered(ws: WebSocketClient) -> dict[str, Any]:
    """The next message without its event."""
    document = heard(ws)
    document.pop("event", None)
    return document
