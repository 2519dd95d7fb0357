"""The server's side of the soak: a hub that talks to all its clients, and says what it got from each.

It runs in a process of its own, on gunicorn or Werkzeug, which import it as ``tools.soaking.app:app``.
``/ws`` is the WebSocket. ``/talk`` begins to send numbers to every client that has said something, ``/hush``
ends that. Requests begin with a client's first word, and end with ``/hush``, too. ``/ledger`` is all that is
known, as JSON. Options come in the environment, see ``run.py``.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from werkzeug.wrappers import Request, Response

from resumehub import Connection, Hub, Message, ResumeHubError
from tools.soaking.partners import Partners
from tools.soaking.rows import EVENT as NUMBER
from tools.soaking.rows import dawdle

OPTIONS = "RESUMEHUB_SOAK"
"""The environment variable with the options of the hub, and the ``pace``, as JSON."""

options = json.loads(os.environ.get(OPTIONS, "{}"))
pace: float = options.pop("pace", 0.1)
asks: bool = options.pop("asks", False)
hub = Hub(lambda request: ("soak", request.args.get("name", "")), **options)

_LOOKS_EVERY = 0.5
"""Seconds between two looks for the oldest message that is not acknowledged."""


partners = Partners(pace, asks=asks)
ends: Counter[str] = Counter()
lock = threading.Lock()
"""Of ``ends``."""


@hub.on_message
def hear(connection: Connection, message: Message) -> Any:
    answer = partners.hear(connection, message)
    dawdle(message)
    return answer


@hub.on_disconnect
def bye(connection: Connection, error: ResumeHubError | None) -> None:
    with lock:
        ends[type(error).__name__ if error is not None else "left"] += 1


class Talker:
    """The thread that sends. ``oldest``: seconds that a message stayed unacknowledged, at worst."""

    def __init__(self) -> None:
        self.oldest = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="talker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send no more. Blocks until the last message is sent."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        look_at = time.monotonic()
        while not self._stop.wait(pace):
            for partner in partners.present():
                partner.say()
            if time.monotonic() >= look_at:
                self.look()
                look_at = time.monotonic() + _LOOKS_EVERY

    def look(self) -> None:
        """Find the oldest message that is not acknowledged."""
        for partner in partners.present():
            undelivered = partner.connection.undelivered if partner.connection is not None else []
            waiting = [message for message in undelivered if message.event == NUMBER]
            if waiting:
                self.oldest = max(self.oldest, time.monotonic() - waiting[0].payload[2])


talker = Talker()


def ledger() -> dict[str, Any]:
    """Everything."""
    with lock:
        ended = dict(ends)
    return {
        "partners": partners.told(),
        "ends": ended,
        "oldest": talker.oldest,
        "stats": asdict(hub.stats()),
    }


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    match environ["PATH_INFO"]:
        case "/ws":
            return hub.wsgi_app(environ, start_response)
        case "/talk":
            talker.start()
        case "/hush":
            talker.stop()
            partners.hush()
        case "/ledger":
            talker.look()
    said = Request(environ).path == "/ledger"
    response = Response(json.dumps(ledger() if said else {}), content_type="application/json")
    return response(environ, start_response)
