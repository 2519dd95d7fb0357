"""resumehub, in a Flask view as its users have it. No heartbeat, like everybody here."""

from __future__ import annotations

from flask import Flask, request
from werkzeug import Response

from resumehub import Connection, Hub, Message, RateLimit

# It is counted as with the default, and never reached: it is the work that is measured.
RATE = RateLimit(messages_per_second=1e9, bytes_per_second=1e12)


def serving(hub: Hub) -> Flask:
    """The application that all scenarios talk to."""
    app = Flask(__name__)

    @app.get("/ws", websocket=True)
    def ws() -> Response:
        return hub.upgrade(request, "everybody", request.args["id"])

    @hub.on_message
    def hear(connection: Connection, message: Message) -> None:
        if message.event == "all":
            hub.broadcast(connection.room_id, message)
        elif message.event == "kick":
            hub.kick(message.payload)
        else:
            connection.send(message)

    return app


app = serving(Hub(ping_interval=None, max_sessions=30_000, rate=RATE))
app_deflate = serving(Hub(ping_interval=None, compression=True, rate=RATE))
