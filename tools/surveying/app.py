"""The application that each server serves: a page, a hub at ``/ws``, and the server's process id at ``/pid``.

A session answers what it is sent, and is sent one message while it is away: who resumes has it. As a program
it serves itself, with a server that has no command of its own: ``python -m tools.surveying.app bjoern 8000``.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from resumehub import Admission, Hub, Message

PAGE = b"a plain page"

hub = Hub(lambda request: Admission("lobby", request.args.get("id")), resume_window=5.0, max_sessions=1000)


@hub.on_message
def echo(connection: Any, message: Message) -> None:
    connection.send(Message("echo", message.payload))


@hub.on_transport_drop
def away(connection: Any, error: object) -> None:
    connection.send(Message("while you were away"))


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/ws":
        return hub(environ, start_response)
    body = str(os.getpid()).encode() if environ["PATH_INFO"] == "/pid" else PAGE
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


application = app  # the name that mod_wsgi looks for


def with_werkzeug(port: int, **options: Any) -> None:
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", port, app, **options)


def with_pywsgi(port: int) -> None:
    importlib.import_module("gevent.monkey").patch_all()
    importlib.import_module("gevent.pywsgi").WSGIServer(("127.0.0.1", port), app).serve_forever()


def with_eventlet(port: int) -> None:
    eventlet = importlib.import_module("eventlet")
    eventlet.monkey_patch()
    importlib.import_module("eventlet.wsgi").server(eventlet.listen(("127.0.0.1", port)), app)


def with_bjoern(port: int) -> None:
    importlib.import_module("bjoern").run(app, "127.0.0.1", port)


OWN: dict[str, Callable[[int], None]] = {
    "werkzeug-threaded": lambda port: with_werkzeug(port, threaded=True),
    "werkzeug-single": lambda port: with_werkzeug(port),
    "werkzeug-processes": lambda port: with_werkzeug(port, processes=4),
    "pywsgi": with_pywsgi,
    "eventlet": with_eventlet,
    "bjoern": with_bjoern,
}

if __name__ == "__main__":
    OWN[sys.argv[1]](int(sys.argv[2]))
