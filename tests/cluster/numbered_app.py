"""The application of the cluster tests: it echoes numbers, its views send numbers, and it writes all down.

``/ws?name=…`` is the WebSocket (``room=…``: not in "all"). A message "up" [life, n, pad] is echoed. "hold"
waits at the test's gate before it answers. ``/broadcast`` and ``/send?name=…`` send the next number of the
thread that runs them. ``/ready`` says how this process is. ``numbered_flask.py`` has the same in Flask.
Options come as JSON in the environment, see ``harness.py``; read next: ``journal.py``.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import count
from typing import Any

from werkzeug.wrappers import Request, Response

from resumehub import Connection, Counters, Hub, Message, ResumeHubError
from tests.cluster.journal import OPTIONS, JournalWriter, pad

PATIENCE = 60.0
"""A hang guard in real seconds."""

logging.basicConfig(level=logging.INFO, format="%(asctime)s [%(process)d] %(levelname)s %(message)s")
logging.getLogger("werkzeug").setLevel(logging.WARNING)
options: dict[str, Any] = json.loads(os.environ.get(OPTIONS, "{}"))
journal = JournalWriter(options.get("journal", os.devnull))
planted: list[Any] = []
"""A fault for the harness to find: [lane, what, number]. Planted by ``/plant``."""


def at_the_gate(what: str, key: str = "") -> None:
    """Tell the test that this thread is here, and wait until it says go."""
    with socket.create_connection(("127.0.0.1", options["gate"]), PATIENCE) as sock:
        sock.sendall(f"{what} {key} {os.getpid()}\n".encode())
        sock.recv(10)


if "import_gate" in options and os.path.exists(options["import_gate"]):
    at_the_gate("import")


counters = Counters()


def make_hub() -> Hub:
    """A hub of this process alone, or the one of the folder's cluster."""
    more: dict[str, Any] = dict(options.get("hub", {}))
    if options.get("folder"):
        local = importlib.import_module("resumehub.cluster").LocalCluster
        more["cluster"] = local(options["folder"], **options.get("cluster", {}))
    return Hub(who_dials, metrics=counters, **more)


def who_dials(request: Request) -> tuple[str, str, dict[str, Any]]:
    name = request.args.get("name", "")
    journal.note("dial", name, request.args.get("resume", "new"))
    return request.args.get("room", "all"), name, {"name": name}


hub = make_hub()
hub.on_connect(lambda connection: journal.note("connect", connection.id))
hub.on_transport_restore(lambda connection: journal.note("restore", connection.id))


@hub.on_transport_drop
def dropped(connection: Connection, error: ResumeHubError) -> None:
    journal.note("drop", connection.id, type(error).__name__)


@hub.on_disconnect
def ended(connection: Connection, error: ResumeHubError | None) -> None:
    journal.note("disconnect", connection.id, type(error).__name__)


def listen_to_the_cluster() -> None:
    """Write down what only a hub with a cluster has."""
    for hook, with_connection in (("start", False), ("stop", False), ("adopt", True), ("release", True)):
        register: Any = getattr(hub, f"on_{hook}", None)
        if register is None:
            continue
        if with_connection:
            register(lambda connection, hook=hook: journal.note(hook, connection.id))
        else:
            register(lambda *_, hook=hook: journal.note(hook))


if options.get("folder"):
    listen_to_the_cluster()


# -- what clients say -------------------------------------------------------------------------


_held_back: list[Message] = []


@hub.on_message
def hear(connection: Connection, message: Message) -> Any:
    match message.event, message.payload:
        case "up", [int(life), int(n), str(padding)] if padding == pad(n):
            for _ in range(2 if planted == ["up", "double", n] else 1):
                journal.note("up", connection.id, life, n)
            speak("echo", n, Message("echo", [life, n, padding]), connection.send)
        case "hold", str(key):
            at_the_gate("hold", key)
            journal.note("held", connection.id, key)
            connection.send(Message("held", key))
        case ("ask" | "ask-held") as event, value:
            if event == "ask-held":
                at_the_gate("ask", str(value))
                journal.note("answered", connection.id)
            return value
        case _:
            journal.note("damaged", connection.id, repr(message).replace(" ", "_"))
    return None


def speak(lane: str, n: int, message: Message, send: Callable[[Message], Any]) -> None:
    """Send it; unless a fault is planted here, which drops it, sends it twice, or behind the next one."""
    fault = planted[1] if planted[:1] == [lane] and planted[2] == n else ""
    if fault == "drop":
        return
    if fault == "swap":
        _held_back.append(message)
        return
    send(message)
    if fault == "double":
        send(message)
    if _held_back and planted[:1] == [lane]:
        send(_held_back.pop())


# -- what views say ---------------------------------------------------------------------------

_numbers = count(1)


class Speaker(threading.local):
    """One thread's numbers. Only the calls of one thread have an order that is promised."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.name = f"{os.getpid()}-{next(_numbers)}"
        self.said = Counter[str]()


speaker = Speaker()
# A sync worker's only thread is a copy of the thread that has preloaded this.
os.register_at_fork(after_in_child=speaker.begin)


def broadcast(room: str) -> tuple[int, dict[str, Any]]:
    """The view: the next number of this thread to all of a room."""
    return _say("broadcast", room, lambda message: hub.broadcast(room, message))


def send(name: str) -> tuple[int, dict[str, Any]]:
    """The view: the next number of this thread for one session."""
    return _say("send", name, lambda message: hub.send(name, message))


def _say(how: str, to: str, call: Callable[[Message], Any]) -> tuple[int, dict[str, Any]]:
    speaker.said[how + to] += 1
    who, n = speaker.name, speaker.said[how + to]
    journal.note("intends", how, who, to, n)
    try:
        speak(how, n, Message(how, [who, n, pad(n)]), call)
    except ResumeHubError as error:
        # Not sent for sure, or nobody knows.
        surely_not = getattr(error, "sent", False) is False
        journal.note("refused" if surely_not else "doubts", how, who, to, n, type(error).__name__)
        return 503, {"pid": os.getpid(), "error": repr(error)}
    journal.note("said", how, who, to, n)
    return 200, {"pid": os.getpid(), "sender": who, "n": n}


def readiness() -> tuple[int, dict[str, Any]]:
    """How this process is: 200 if it serves."""
    ready: Any = hub.ready()
    serving = getattr(ready, "serving", ready)
    return 200 if serving else 503, {
        "pid": os.getpid(),
        "serving": serving,
        "hub_here": getattr(ready, "hub_here", True),
        "draining": getattr(ready, "draining", False),
        "detail": str(getattr(ready, "detail", "")),
    }


def view(path: str, arguments: Any) -> tuple[int, dict[str, Any]]:
    """What a plain GET gives: status and JSON."""
    match path:
        case "/broadcast":
            return broadcast(arguments.get("room", "all"))
        case "/send":
            return send(arguments["name"])
        case "/count":
            return 200, {"pid": os.getpid(), "count": hub.count(arguments.get("room", "all"))}
        case "/ready":
            return readiness()
        case "/stats":
            return 200, {"pid": os.getpid(), **asdict(hub.stats())}
        case "/counters":
            return 200, {"pid": os.getpid(), "sums": counters.snapshot()}
        case "/cut":
            hub.cut(arguments["name"])
        case "/big":
            n, size = int(arguments["n"]), int(arguments["size"])
            hub.broadcast(arguments["room"], Message("big", [n, "y" * size]))
        case "/kick":
            hub.kick(arguments["name"])
        case "/plant":
            planted[:] = [arguments["lane"], arguments["what"], int(arguments["n"])]
        case "/hold":
            at_the_gate("view", arguments.get("key", ""))
    return 200, {"pid": os.getpid()}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The plain WSGI application."""
    if environ["PATH_INFO"] == "/ws":
        return hub(environ, start_response)
    request = Request(environ)
    status, said = view(request.path, request.args)
    return Response(json.dumps(said), status, content_type="application/json")(environ, start_response)
