"""What ``flask resumehub …`` asks of the server: two URLs, which are off unless there is a token.

A command is a process of its own and has no sessions. So the server answers it over HTTP, if
``RESUMEHUB_ADMIN_TOKEN`` is set, the request has that token, and it comes straight from this machine: from a
loopback address or a Unix socket, and through no proxy. All others get 404 or 403. The token is compared in
constant time and is in no text. With a cluster any worker answers, and a command may do without a server: it
calls ``sessions`` and ``kick`` itself. Called on request threads, and by commands. Read next:
``admin_commands.py``.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, Flask, Response, abort, jsonify, request

from ...errors import ConnectionNotFound
from ...hub import Hub
from ...session.connection import Connection

PATH: Final = "/resumehub/admin"
"""Below it: ``sessions`` (GET) and ``kick`` (POST)."""

_PROXIES: Final = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "Via",
)


def serve_admin(app: Flask, hub: Hub, token: str | None) -> None:
    """Add the routes, if there is a token."""
    if token is None:
        return
    blueprint = Blueprint("resumehub_admin", __name__, url_prefix=PATH)

    def add(name: str, method: str, answer: Callable[[], Any]) -> None:
        def view() -> Response:
            _check_caller(token)
            response = jsonify(answer())
            response.headers["Cache-Control"] = "no-store"
            return response

        blueprint.add_url_rule(f"/{name}", name, view, methods=[method])

    add("sessions", "GET", lambda: sessions(hub, request.args.get("user"), request.args.get("room")))
    add("kick", "POST", lambda: kick(hub, request.get_json()) or abort(400))
    app.register_blueprint(blueprint)


def _check_caller(token: str) -> None:
    if not _is_local() or any(name in request.headers for name in _PROXIES):
        abort(404)
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
        abort(403)


def _is_local() -> bool:
    # Empty: the server listens on a Unix socket.
    address = request.environ.get("REMOTE_ADDR", "")
    try:
        return not address or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def sessions(hub: Hub, user: str | None, room: str | None) -> list[dict[str, Any]]:
    """The sessions of a user, or in a room, or all, as JSON. Raises: with a cluster HubUnavailable."""
    if user is not None:
        found = hub.connections(user=user)
    else:
        rooms = [room] if room is not None else hub.rooms()
        # A session is in several rooms, and is listed once.
        found = list(dict.fromkeys(one for each in rooms for one in hub.connections(each)))
    return [_told(one) for one in found if room is None or room in one.rooms]


def _told(connection: Connection) -> dict[str, Any]:
    state = "closed" if connection.closed else "suspended" if connection.suspended else "connected"
    return {
        "id": connection.id,
        "room": connection.room_id,
        "rooms": list(connection.rooms),
        "user": connection.user,
        "state": state,
    }


def kick(hub: Hub, wanted: object) -> dict[str, int] | None:
    """End the session with the id, or all of the user; how many there were. None: neither was given.

    Raises: with a cluster HubUnavailable.
    """
    match wanted:
        case {"user": str(user)}:
            count = len(hub.connections(user=user))
            hub.kick_user(user)
            return {"kicked": count}
        case {"id": str(connection_id)}:
            try:
                hub.kick(connection_id)
            except ConnectionNotFound:
                return {"kicked": 0}
            return {"kicked": 1}
    return None
