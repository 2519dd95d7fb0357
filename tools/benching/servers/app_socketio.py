"""python-socketio in its threading mode, with its defaults but for the heartbeat."""

from __future__ import annotations

from typing import Any

import socketio


def serving(**options: Any) -> socketio.WSGIApp:
    """The application that all scenarios talk to. ``options``: of the server."""
    server = socketio.Server(
        async_mode="threading", ping_interval=100_000, cors_allowed_origins="*", **options
    )

    @server.on("say")
    def say(sid: str, payload: Any) -> None:
        server.emit("say", payload, to=sid)

    @server.on("all")
    def say_to_all(sid: str, payload: Any) -> None:
        server.emit("all", payload)

    return socketio.WSGIApp(server)


app = serving()
