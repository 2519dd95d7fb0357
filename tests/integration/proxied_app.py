"""A Flask application behind a proxy: what ``test_proxies.py`` reaches through nginx and HAProxy."""

from __future__ import annotations

from flask import Flask, Response, abort, jsonify, request
from werkzeug.middleware.proxy_fix import ProxyFix

from resumehub.contrib.flask import Admission, Message, ResumeHub

app = Flask(__name__)
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
sockets = ResumeHub(app, resume_window=30)


@app.get("/who")
def who() -> Response:
    """What the application knows of who asks."""
    return jsonify(scheme=request.scheme, host=request.host, address=request.remote_addr)


@sockets.route("/ws/<room>")
def join(room: str) -> Admission:
    return Admission(room, request.args["id"])


@app.get("/say/<text>")
def say(text: str) -> str:
    """To everybody in the room."""
    sockets.broadcast("lobby", Message("said", text))
    return "said"


@app.get("/suspended/<name>")
def suspended(name: str) -> str:
    """Whether the hub knows that the connection of a session is lost."""
    connection = sockets.hub.get(name)
    return str(connection.suspended) if connection is not None else abort(404)
