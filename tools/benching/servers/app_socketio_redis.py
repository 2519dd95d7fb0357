"""python-socketio in its threading mode, with a Redis message queue ($BENCH_REDIS) between its workers."""

from __future__ import annotations

import os
from typing import Any

import socketio

queue = socketio.RedisManager(os.environ["BENCH_REDIS"])
server = socketio.Server(
    async_mode="threading", client_manager=queue, ping_interval=100_000, cors_allowed_origins="*"
)
app = socketio.WSGIApp(server)


@server.on("say")
def say(sid: str, payload: Any) -> None:
    server.emit("say", payload, to=sid)


@server.on("all")
def say_to_all(sid: str, payload: Any) -> None:
    server.emit("all", payload)
