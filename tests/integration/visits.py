"""Visits to ``flask_app.py`` on a real server, with the client of ``websockets``, and by plain HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from contextlib import closing
from email.message import Message
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.integration.servers import ServerProcess

PATIENCE = 20.0
"""A hang guard in real seconds."""

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def ask(server: ServerProcess, path: str, headers: dict[str, str]) -> tuple[int, Message]:
    """GET; give the status and the headers."""
    client = http.client.HTTPConnection("127.0.0.1", server.port)
    with closing(client):
        client.sock = server.connect()
        client.request("GET", path, headers=headers)
        response = client.getresponse()
        response.read()
        return response.status, response.headers


def log_in(server: ServerProcess, user: str) -> str:
    """Log in over HTTP; give the cookie."""
    _, headers = ask(server, f"/login/{user}", {"Connection": "close"})
    return "; ".join(line.split(";")[0] for line in headers.get_all("Set-Cookie", []))


def join(server: ServerProcess, user: str, path: str = "/ws/tea") -> ClientConnection:
    """Log in and connect; for use in ``with``."""
    headers = {"Cookie": log_in(server, user)}
    context = server.client_context
    # This client reads and writes one TLS object on two threads. When a session ticket of TLS 1.3 comes
    # just as it writes its request, OpenSSL loses the request; TLS 1.2 sends none after the handshake.
    if context is not None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        return connect(
            server.ws_url + path, additional_headers=headers, ssl=context, proxy=None, ping_interval=None
        )
    finally:
        if context is not None:
            context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED


def knock(server: ServerProcess, path: str, user: str | None = None) -> tuple[int, Message]:
    """Ask for an upgrade that will be refused; give the status and the headers.

    Not by ``websockets``: Werkzeug without threads answers as HTTP/1.0, which that won't read.
    """
    cookie = {"Cookie": log_in(server, user)} if user else {}
    return ask(server, path, UPGRADE | cookie)


def look(server: ServerProcess, user: str, path: str) -> int:
    """Ask by a plain GET whether a resume would succeed, as a browser does; give the status."""
    return server.get(path + "?resume=true", {"Cookie": log_in(server, user)})[0]


def say(ws: ClientConnection, event: str, payload: Any = None) -> None:
    ws.send(json.dumps({"event": event, "payload": payload}))


def hear(ws: ClientConnection) -> tuple[str, Any]:
    message = json.loads(ws.recv(PATIENCE))
    return message["event"], message.get("payload")


def end_of(ws: ClientConnection) -> tuple[int, str]:
    """Wait for the server's close frame; give its code and reason."""
    with pytest.raises(ConnectionClosed) as closed:
        ws.recv(PATIENCE)
    assert closed.value.rcvd is not None, "the connection ended without a close frame"
    return closed.value.rcvd.code, closed.value.rcvd.reason


def vanish(ws: ClientConnection) -> None:
    """End TCP without a word, below WebSocket and TLS, as a lost network does."""
    socket.socket.shutdown(ws.socket, socket.SHUT_RDWR)


def upgrades_in(log: str, path: str = "/ws/tea") -> int:
    """How many lines of the access log say 101."""
    return sum(f"GET {path} " in line and " 101 " in line for line in log.splitlines())
