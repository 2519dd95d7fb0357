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

from resumehub import Connection, ConnectionClosed, Hub, Message, ResumeHubError, SendBufferFull
from tools.soaking.asking import EVENT, Answerer, Asker
from tools.soaking.rows import EVENT as NUMBER
from tools.soaking.rows import Row, dawdle, write

OPTIONS = "RESUMEHUB_SOAK"
"""The environment variable with the options of the hub, and the ``pace``, as JSON."""

options = json.loads(os.environ.get(OPTIONS, "{}"))
pace: float = options.pop("pace", 0.1)
asks: bool = options.pop("asks", False)
hub = Hub(lambda request: ("soak", request.args.get("name", "")), **options)

_LOOKS_EVERY = 0.5
"""Seconds between two looks for the oldest message that is not acknowledged."""


class Partner:
    """One client, over all of its sessions. ``connection``: the session to talk to, once he has spoken."""

    def __init__(self, name: str) -> None:
        self.row = Row(name)
        self.connection: Connection | None = None
        self.sent = 0
        self.refused = 0
        self.answerer = Answerer(name)
        self.asker = Asker(name, pace, self.ask)

    def ask(self, payload: Any) -> Any:
        """Ask the client that is there now."""
        connection = self.connection
        if connection is None:
            raise ConnectionClosed(self.row.name)
        return connection.request(EVENT, payload, timeout=None)

    def say(self) -> None:
        """Send the next number, if there is room; a number that was not accepted is used again."""
        if self.connection is None:
            return
        try:
            self.connection.send(write(self.row.name, self.sent + 1, time.monotonic()))
        except SendBufferFull:
            self.refused += 1
        except ConnectionClosed:
            self.connection = None
        else:
            self.sent += 1


partners: dict[str, Partner] = {}
ends: Counter[str] = Counter()
lock = threading.Lock()
"""Of what is above. Never held while a message is sent: that may block a little."""


@hub.on_message
def hear(connection: Connection, message: Message) -> Any:
    now = time.monotonic()
    with lock:
        begins = connection.id not in partners
        partner = partners.setdefault(connection.id, Partner(connection.id))
        partner.connection = connection
        answer = None
        if message.id is not None:
            answer = partner.answerer.answer(message)
        else:
            partner.row.take(message, now)
    if begins and asks:
        partner.asker.start()
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
            for partner in _present():
                partner.say()
            if time.monotonic() >= look_at:
                self.look()
                look_at = time.monotonic() + _LOOKS_EVERY

    def look(self) -> None:
        """Find the oldest message that is not acknowledged."""
        for partner in _present():
            undelivered = partner.connection.undelivered if partner.connection is not None else []
            waiting = [message for message in undelivered if message.event == NUMBER]
            if waiting:
                self.oldest = max(self.oldest, time.monotonic() - waiting[0].payload[2])


def _present() -> list[Partner]:
    with lock:
        return list(partners.values())


talker = Talker()


def ledger() -> dict[str, Any]:
    """Everything."""
    with lock:
        told = {
            name: {
                "sent": partner.sent,
                "refused": partner.refused,
                "asked": partner.asker.summary(),
                "answered": partner.answerer.summary(),
                **partner.row.summary(),
            }
            for name, partner in partners.items()
        }
        return {
            "partners": told,
            "ends": dict(ends),
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
            for partner in _present():
                partner.asker.tell_to_stop()
        case "/ledger":
            talker.look()
    said = Request(environ).path == "/ledger"
    response = Response(json.dumps(ledger() if said else {}), content_type="application/json")
    return response(environ, start_response)
