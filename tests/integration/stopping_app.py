"""A WSGI application that is told to stop while a request is under way, for ``test_server_end.py``.

``/ws?id=…`` is the WebSocket. ``/hold`` is a request that lasts as long as the test likes: it connects to
the test's own port (``$GATE``), says "here", and does what it reads there, a line each: "told" waits until
the hub takes no more connections, "say" broadcasts, "go" ends the request. Each is answered with "done".
``/pid`` gives the worker's id. A session whose id begins with "stuck" has an on_disconnect that does not
return. With ``$NO_THREAD_AT_THE_END`` the process is one that can start no thread then.
"""

from __future__ import annotations

import importlib
import os
import socket
import threading
from collections.abc import Iterable
from typing import Any

from resumehub import Connection, Hub, Message

PATIENCE = 60.0
"""A hang guard in real seconds."""

if "NO_THREAD_AT_THE_END" in os.environ:
    importlib.import_module("tests.integration.no_thread_at_the_end")

hub = Hub(lambda request: ("lobby", request.args["id"]))


@hub.on_disconnect
def disconnected(connection: Connection, error: Exception | None) -> None:
    os.write(1, f"disconnect {connection.id} {type(error).__name__}\n".encode())  # a line in one piece
    if connection.id.startswith("stuck"):
        stuck_in_here()


def stuck_in_here() -> None:
    threading.Event().wait(PATIENCE)


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    match environ["PATH_INFO"]:
        case "/ws":
            return hub(environ, start_response)
        case "/hold":
            hold()
        case "/pid":
            start_response("200 OK", [])
            return [str(os.getpid()).encode()]
    start_response("200 OK", [])
    return [b"a plain page"]


def hold() -> None:
    """Do what the test says, until it says "go"."""
    with socket.create_connection(("127.0.0.1", int(os.environ["GATE"])), PATIENCE) as sock:
        sock.sendall(b"here\n")
        for line in sock.makefile():
            match line.strip():
                case "told":
                    _wait_until_told()
                case "say":
                    hub.broadcast("lobby", Message("late", "news"))
                case "go":
                    return
            sock.sendall(b"done\n")


def _wait_until_told() -> None:
    never = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if hub.closing:
            return
        never.wait(0.01)
    raise AssertionError("the hub was not told that the server stops")
