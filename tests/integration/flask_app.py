"""A Flask application as somebody might write it: a login, a cookie, a view that upgrades.

``/login/<user>`` logs in by Flask's session cookie. ``/ws/<room>`` is the WebSocket; ``/hasty/<room>`` is
the same on a hub that waits only a moment for a lost client to come back. A message of event
``echo`` comes back; ``/say/<user>/<first>/<last>`` sends numbers. ``/wait/<hook>/<user>`` answers when
that callback has run. What ends is a line on standard output. Both hubs are made when the module is
imported: before a fork, if the server loads the application before it forks.
"""

from __future__ import annotations

import os
import threading

from flask import Flask, Response, abort, request, session

from resumehub import Connection, Hub, Message, ResumeHubError

PATIENCE = 20.0
"""Seconds, less than gunicorn gives a worker to answer: a hang guard."""

app = Flask(__name__)
app.secret_key = "a secret of the tests"
hub = Hub(send_buffer=1000)
hasty = Hub(resume_window=0.05, write_timeout=1.0)

seen: list[tuple[str, str]] = []
news = threading.Condition()


def note(hook: str, connection: Connection, error: ResumeHubError | None = None) -> None:
    os.write(1, f"{hook} {connection.id} {type(error).__name__}\n".encode())  # a line in one piece
    with news:
        seen.append((hook, connection.id))
        news.notify_all()


for one in (hub, hasty):
    one.on_connect(lambda connection: note("connect", connection))
    one.on_transport_drop(lambda connection, error: note("drop", connection, error))
    one.on_transport_restore(lambda connection: note("restore", connection))
    one.on_disconnect(lambda connection, error: note("disconnect", connection, error))


@hub.on_message
def talk(connection: Connection, message: Message) -> None:
    if message.event == "echo":
        connection.send(message)


@app.get("/")
def page() -> str:
    return "a plain page"


@app.get("/login/<user>")
def login(user: str) -> str:
    session["user"] = user
    return user


# Two routes: werkzeug matches a WebSocket's request only to websocket rules, and a plain GET (the
# client's look before it resumes) only to the others.
@app.get("/ws/<room>")
@app.get("/ws/<room>", websocket=True)
def ws(room: str) -> Response:
    session["room"] = room
    response = hub.upgrade(request, room, user())
    response.set_cookie("view", "was here")
    return response


@app.get("/hasty/<room>")
@app.get("/hasty/<room>", websocket=True)
def hasty_ws(room: str) -> Response:
    return hasty.upgrade(request, room, user())


def user() -> str:
    """Who is logged in; nobody else gets further."""
    return session["user"] if "user" in session else abort(401)


@app.after_request
def stamp(response: Response) -> Response:
    response.set_cookie("after", "request")
    return response


@app.get("/say/<name>/<int:first>/<int:last>")
def say(name: str, first: int, last: int) -> str:
    for n in range(first, last + 1):
        hub.send(name, Message("n", n))
    return ""


@app.get("/kick/<name>")
def kick(name: str) -> str:
    hub.kick(name)
    return ""


@app.get("/wait/<hook>/<name>")
def wait(hook: str, name: str) -> tuple[str, int]:
    with news:
        happened = news.wait_for(lambda: (hook, name) in seen, PATIENCE)
    return "", 200 if happened else 504
