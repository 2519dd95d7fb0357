"""The clients of a soak as the server's side knows them: what it sends to each, asks it, and gets from it.

A client becomes a ``Partner`` with its first word. From then on it is asked requests, one after the other,
until ``Partners.hush``. A client whose first word comes only behind that, since the network broke each of its
connections before, is asked nothing: there is no second hush, so its requests would never end, and the soak
would take it for stuck. Any thread. Used by ``app.py``. Read next: ``asking.py``.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from resumehub import Connection, ConnectionClosed, Message, SendBufferFull

from .asking import EVENT, Answerer, Asker
from .rows import Row, write


class Partner:
    """One client, over all of its sessions. ``connection``: the session to talk to, once he has spoken."""

    def __init__(self, name: str, pace: float) -> None:
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

    def told(self) -> dict[str, Any]:
        """All that is known, as JSON."""
        return {
            "sent": self.sent,
            "refused": self.refused,
            "asked": self.asker.summary(),
            "answered": self.answerer.summary(),
            **self.row.summary(),
        }


class Partners:
    """All of them, by name. ``pace``: seconds between two requests to one; ``asks``: whether one is asked."""

    def __init__(self, pace: float, *, asks: bool) -> None:
        self._pace = pace
        self._asks = asks
        self._by_name: dict[str, Partner] = {}
        # Of what is above and of what comes in. Never held while a message is sent: that may block a little.
        self._lock = threading.Lock()

    def hear(self, connection: Connection, message: Message) -> Any:
        """Enter a message; returns what it is answered with. With a client's first one its requests begin."""
        now = time.monotonic()
        with self._lock:
            partner = self._by_name.get(connection.id)
            begins = partner is None and self._asks
            if partner is None:
                partner = self._by_name[connection.id] = Partner(connection.id, self._pace)
            partner.connection = connection
            answer = None
            if message.id is not None:
                answer = partner.answerer.answer(message)
            else:
                partner.row.take(message, now)
        if begins:
            # If ``hush`` comes in between, this asker ends as soon as it starts.
            partner.asker.start()
        return answer

    def hush(self) -> None:
        """Ask nothing more, behind the requests that are under way."""
        with self._lock:
            self._asks = False
        for partner in self.present():
            partner.asker.tell_to_stop()

    def present(self) -> list[Partner]:
        """Those that have spoken."""
        with self._lock:
            return list(self._by_name.values())

    def told(self) -> dict[str, dict[str, Any]]:
        """All that is known of each, as JSON."""
        with self._lock:
            return {name: partner.told() for name, partner in self._by_name.items()}
