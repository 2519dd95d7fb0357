"""The clients of a soak: each sends numbers, looks at those that come, and reconnects as its kind does.

Two kinds that look alike: ``Lossless`` is ``resumehub.client``, ``Plain`` the simple one of ``plain.py``.
``say`` and ``look`` are called by the thread of ``run.py``; what comes is entered on threads of the clients'.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Protocol

from resumehub import ConnectionClosed, Message, SendBufferFull
from resumehub.client import Client, State, connect

from .asking import EVENT, Answerer, Asker
from .plain import NotConnected, PlainClient
from .rows import Row, dawdle, write

BACKOFF = (0.01, 0.05)
"""Seconds. A soak is in a hurry; an application leaves it at the default."""


class Member(Protocol):
    """One client of either kind."""

    #: Those of a client that can't ask stay empty.
    asker: Asker
    answerer: Answerer
    row: Row
    sent: int
    refused: int
    #: Seconds that a message of this client stayed unacknowledged, at worst.
    oldest: float

    @property
    def connections(self) -> int: ...

    @property
    def rewritten(self) -> int:
        """How many messages were written more than once."""

    @property
    def trouble(self) -> str:
        """Why it ended before it was told to, or what else should not be; "" if all is well."""

    def say(self) -> None: ...
    def hush(self) -> None:
        """Ask nothing more."""

    def look(self) -> bool:
        """Measure; whether all that was sent is known to have arrived, as far as this kind can tell."""

    def close(self) -> None: ...


class Lossless:
    """``resumehub.client``, as an application uses it. ``plain``: it counts, and acknowledges nothing.

    ``pace``: seconds between two requests, which only a client that is not plain has.
    """

    def __init__(
        self, url: str, name: str, ping_interval: float, heartbeat_margin: float, *, plain: bool, pace: float
    ) -> None:
        self.row = Row(name)
        self.sent = self.refused = 0
        self.oldest = 0.0
        self._unacknowledged: deque[float] = deque()
        self._acknowledged = 0
        self.answerer = Answerer(name)
        self.asker = Asker(name, pace, self._ask)
        self._client: Client = connect(
            url,
            on_message=self._hear,
            backoff=BACKOFF,
            open_timeout=2.0,
            heartbeat_margin=heartbeat_margin,
            plain=plain,
            silence_timeout=ping_interval + heartbeat_margin if plain else None,
        )
        if not plain:
            self.asker.start()

    def _hear(self, client: Client, message: Message) -> Any:
        answer = None
        if message.id is not None:
            answer = self.answerer.answer(message)
            self._unacknowledged.append(time.monotonic())
        else:
            self.row.take(message, time.monotonic())
        dawdle(message)
        return answer

    def _ask(self, payload: Any) -> Any:
        now = time.monotonic()
        self._unacknowledged.append(now)
        try:
            return self._client.request(EVENT, payload, timeout=None)
        except SendBufferFull:
            self._unacknowledged.remove(now)
            raise

    def hush(self) -> None:
        self.asker.tell_to_stop()

    @property
    def connections(self) -> int:
        return self._client.stats().connections

    @property
    def rewritten(self) -> int:
        stats = self._client.stats()
        return stats.sent - (stats.acknowledged if stats.acknowledged else self.sent)

    @property
    def trouble(self) -> str:
        if self._client.state in (State.EXPIRED, State.CLOSED):
            return f"ended with {self._client.error!r}"
        stats = self._client.stats()
        odd = stats.missed + stats.rejected + stats.undecodable + stats.callback_errors
        return repr(stats) if odd else ""

    def say(self) -> None:
        now = time.monotonic()
        try:
            self._client.send(write(self.row.name, self.sent + 1, now))
        except SendBufferFull:
            self.refused += 1
        except ConnectionClosed:
            pass  # ``trouble`` says so
        else:
            self.sent += 1
            self._unacknowledged.append(now)

    def look(self) -> bool:
        stats = self._client.stats()
        if self._unacknowledged:
            self.oldest = max(self.oldest, time.monotonic() - self._unacknowledged[0])
        while self._acknowledged < stats.acknowledged and self._unacknowledged:
            self._unacknowledged.popleft()
            self._acknowledged += 1
        return not stats.waiting and not self.asker.summary()["stuck"]

    def close(self) -> None:
        self._client.close(timeout=5.0 if self.look() else 0.2)


class Plain:
    """The simple client: what could not be written is not sent, and the next try uses the number again."""

    oldest = 0.0
    rewritten = 0
    trouble = ""

    def __init__(self, url: str, name: str, ping_every: float, patience: float) -> None:
        self.row = Row(name)
        self.sent = self.refused = 0
        self.asker, self.answerer = Asker(name, 0.0, lambda payload: None), Answerer(name)
        self._client = PlainClient(
            url, self._hear, ping_every=ping_every, patience=patience, pause=BACKOFF[0]
        )

    def _hear(self, message: Message) -> None:
        self.row.take(message, time.monotonic())

    @property
    def connections(self) -> int:
        return self._client.connections

    def say(self) -> None:
        try:
            self._client.send(write(self.row.name, self.sent + 1, time.monotonic()))
        except NotConnected:
            self.refused += 1
        else:
            self.sent += 1

    def hush(self) -> None:
        """It asks nothing."""

    def look(self) -> bool:
        return False

    def close(self) -> None:
        self._client.close()
