"""A hub with room for one session, a greeting and an echo: what a plain client of JavaScript finds full.

Served by a process of its own (``tests.integration.servers.werkzeug``), on the system's clock.
"""

from __future__ import annotations

from flask import Flask, Response, request

from resumehub import Connection, Hub, Message

app = Flask(__name__)
hub = Hub(max_sessions=1, ping_interval=None)


@hub.on_connect
def greet(connection: Connection) -> None:
    connection.send(Message("welcome", None))


@hub.on_message
def echo(connection: Connection, message: Message) -> None:
    connection.send(message)


@app.get("/ws", websocket=True)
def ws() -> Response:
    return hub.upgrade(request, "room", request.args["id"])
