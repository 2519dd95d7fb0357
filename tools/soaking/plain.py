"""A client as people write them, for comparison: it resumes, but counts and acknowledges nothing.

What it gets comes at most once, in order; what was on its way when a connection died is lost. The WebSocket
is that of ``websockets``, the loop around it is all there is. Used by ``crowd.py``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from resumehub import JSONCodec, Message

_CODEC = JSONCodec()

_OPEN_TIMEOUT = 2.0
_CLOSE_TIMEOUT = 0.1

# It reports each connection that dies, with a traceback: here they all do.
_MUTE = logging.getLogger("resumehub.soak.plain")
_MUTE.disabled = True


class NotConnected(Exception):
    """There is no connection now; a client like this one keeps nothing."""


class PlainClient:
    """Connects to ``url`` again and again, until ``close``; what comes goes to ``on_message``.

    ``ping_every``, ``patience``: seconds between Pings, and for the answer to one. ``pause``: between dials.
    """

    def __init__(
        self,
        url: str,
        on_message: Callable[[Message], None],
        *,
        ping_every: float,
        patience: float,
        pause: float,
    ) -> None:
        self._url = url
        self._on_message = on_message
        self._ping_every, self._patience, self._pause = ping_every, patience, pause
        self._closing = threading.Event()
        self._ws: ClientConnection | None = None
        self._session = False
        self.connections = 0
        #: How often the server said that the session was gone, so that a new one was begun.
        self.expired = 0
        self._thread = threading.Thread(target=self._run, name="plain client")
        self._thread.start()

    def send(self, message: Message) -> None:
        """Write it. Raises: NotConnected."""
        ws = self._ws
        try:
            if ws is None:
                raise NotConnected
            ws.send(_CODEC.encode(message))
        except ConnectionClosed:
            raise NotConnected from None

    def close(self) -> None:
        """Leave, and end the session."""
        self._closing.set()
        if (ws := self._ws) is not None:
            ws.close()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._visit()
            except InvalidStatus as refused:
                if refused.response.status_code == 410:
                    self._session = False
                    self.expired += 1
            except (OSError, EOFError, InvalidMessage, ConnectionClosed):
                pass  # TimeoutError is an OSError
            self._closing.wait(self._pause)

    def _visit(self) -> None:
        """One connection, from the dial to its end. Raises: whatever ends it."""
        with connect(
            self._url + ("&resume=true" if self._session else ""),
            compression=None,
            proxy=None,
            open_timeout=_OPEN_TIMEOUT,
            ping_interval=self._ping_every,
            ping_timeout=self._patience,
            close_timeout=_CLOSE_TIMEOUT,
            logger=_MUTE,
        ) as ws:
            self._session = True
            self.connections += 1
            self._ws = ws
            try:
                while not self._closing.is_set():
                    self._on_message(_CODEC.decode(ws.recv()))
            finally:
                self._ws = None
