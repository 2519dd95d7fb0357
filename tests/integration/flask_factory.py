"""A Flask application by a factory, with the extension, for tests on real servers and of commands."""

from __future__ import annotations

import os

from flask import Flask, current_app

from resumehub import Admission, Connection, Message
from resumehub.contrib.flask import ResumeHub

sockets = ResumeHub()


@sockets.route("/ws/<room>/<name>")
def join(room: str, name: str) -> Admission:
    return Admission(room, name, user=name)


@sockets.on("where")
def where(connection: Connection, message: Message) -> None:
    sockets.broadcast(connection.room_id, Message("here", current_app.config["PLACE"]))


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_prefixed_env("SHOP")
    app.config.setdefault("PLACE", f"process {os.getpid()}")
    sockets.init_app(app)
    app.get("/", endpoint="page")(lambda: "a plain page")
    return app
