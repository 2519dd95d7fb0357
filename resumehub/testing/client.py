"""A WebSocket client for any WSGI application, without a port and without a server.

``connect(app, "/ws?room=lobby")`` runs the application's real handshake over a socketpair, so
logins, middleware and the real transport are all in play. The client has no thread: it reads only inside
a method that reads, answers pings and close frames there, and is silent otherwise, which is how a test
says "half-open". Used by test code; each client by one thread at a time. Read next: ``handshake.py``.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from werkzeug.test import Client
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol

from ..clock import now
from .handshake import (
    Headers,
    NothingReceived,
    TransportClosed,
    UpgradeRequest,
    Wait,
    poll,
    read_head,
    socket_pair,
)

#: Send all of it.
Push = Callable[[socket.socket, bytes | bytearray], None]


class WebSocketClient:
    """The client's end of one WebSocket. Made by ``connect``; also a context manager."""

    def __init__(
        self,
        app: Any,
        url: str,
        options: dict[str, Any],
        sock: socket.socket,
        headers: Headers,
        wait: Wait,
        push: Push,
    ) -> None:
        self._app = app
        self._url = url
        #: What ``connect`` was given but for the application and the URL.
        self.options = options
        self._wait = wait
        self._push = push
        #: The client's socket, for tests that send raw bytes.
        self.sock = sock
        #: Headers of the 101.
        self.headers = headers
        extensions = _agreed(headers)
        self._parser = Connection(ConnectionType.CLIENT, extensions)
        self._encoder = FrameProtocol(True, extensions)
        self._messages: deque[str | bytes] = deque()
        self._parts: list[Any] = []
        self._close_sent = False
        self._ended = False
        #: Code and reason with which the server ended this connection; None while it is open.
        self.closed: tuple[int, str] | None = None
        #: Pings and pongs that have come.
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        #: Whether pings are answered while reading.
        self.answers_pings = True
        #: Whether a close frame of the server's is answered while reading.
        self.answers_closes = True
        self._reads = True
        self._frozen: list[bytes] | None = None

    # -- talking ----------------------------------------------------------------------------

    def send(self, data: str | bytes) -> None:
        """Send a text (str) or binary (bytes) message. Blocks while the server does not read."""
        self._write(self._encoder.send_data(data))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are, frames or not."""
        self._write(data)

    def ping(self, payload: bytes = b"") -> None:
        """Send a Ping; the Pong shows up in ``pongs`` once something is received."""
        self._write(self._encoder.ping(payload))

    def receive(self, timeout: float = 10.0) -> str | bytes:
        """The next message.

        Raises: TransportClosed, when the server has ended the connection (the close frame has
        been answered by then); NothingReceived after ``timeout`` real seconds.
        """
        give_up = now() + timeout
        while not self._messages:
            if self.closed is not None:
                raise TransportClosed(*self.closed)
            if not self._read(give_up - now()):
                raise NothingReceived(f"no message within {timeout} seconds")
        return self._messages.popleft()

    def read_nowait(self) -> None:
        """Read what has come by now."""
        while self._hears() and poll(self.sock, 0.0):
            self._read(0.0)

    def has_message(self) -> bool:
        """Whether ``receive`` would give a message at once, of those read already."""
        return bool(self._messages)

    def receive_close(self, timeout: float = 10.0) -> tuple[int, str]:
        """Read on to the end, passing over messages; its code and reason, as in ``closed``."""
        try:
            while True:
                self.receive(timeout)
        except TransportClosed as closed:
            return closed.code, closed.reason

    def wait_for_eof(self, timeout: float = 10.0) -> bool:
        """Whether the server ends TCP, too, within ``timeout`` real seconds."""
        give_up = now() + timeout
        while not self._ended:
            if not self._read(give_up - now()):
                return False
        return True

    def wait_for_pong(self, count: int = 1, timeout: float = 10.0) -> bool:
        """Whether ``count`` Pongs have come, within ``timeout`` real seconds."""
        give_up = now() + timeout
        while len(self.pongs) < count:
            if not self._read(give_up - now()):
                return False
        return True

    def wait_for_ping(self, count: int = 1, timeout: float = 10.0) -> bool:
        """Whether ``count`` Pings have come (and been answered), within ``timeout`` real seconds."""
        give_up = now() + timeout
        while len(self.pings) < count:
            if not self._read(give_up - now()):
                return False
        return True

    # -- a bad network ----------------------------------------------------------------------

    def freeze(self) -> None:
        """Let the network go dead without a sign: half-open, as a phone that has lost its network.

        Until ``thaw`` nothing comes (``receive`` raises NothingReceived at once), no Ping is
        answered, and what is sent waits on the way.
        """
        self._frozen = self._frozen or []

    def thaw(self) -> None:
        """End ``freeze``: what waited on the way arrives."""
        waiting, self._frozen = self._frozen or [], None
        for data in waiting:
            self._write(data)

    def stop_reading(self) -> None:
        """Read nothing any more, as a page that hangs does; what is sent still arrives.

        How much the server can write until it notices is up to the kernel; see ``connect(buffer=…)``.
        """
        self._reads = False

    def go_on_reading(self) -> None:
        """Undo ``stop_reading``."""
        self._reads = True

    # -- leaving ----------------------------------------------------------------------------

    def close(self, code: int | None = 1000, reason: str = "", timeout: float = 10.0) -> None:
        """Leave properly: a close frame, the server's answer, the end of the connection."""
        if not self._close_sent:
            try:
                self.send_close(code, reason)
            except OSError:
                pass  # the server is gone; reading says so
        self.wait_for_eof(timeout)
        self.sock.close()

    def send_close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame and do not wait. ``code`` None: an empty one, as browsers send."""
        self._close_sent = True
        self._write(self._encoder.close(code, reason or None) if code is not None else self._encoder.close())

    def drop(self) -> None:
        """Vanish without a close frame, as a lost network does."""
        if self.sock.family != getattr(socket, "AF_UNIX", None):
            # SO_LINGER with time 0: the kernel sends RST and not FIN.
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def resume(self, **query: str) -> WebSocketClient:
        """Make the same request anew with ``resume=true``; raises what ``connect`` raises."""
        return connect(
            self._app, self.resume_url(**query), _wait=self._wait, _push=self._push, **self.options
        )

    def resume_url(self, **query: str) -> str:
        """The path and query of the same request with ``resume=true``."""
        return url_with(self._url, {"resume": "true"} | query)

    def __enter__(self) -> WebSocketClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    # -- reading ----------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take bytes that a test has read from ``sock`` itself, as if they had been read here.

        ``b""``: the server has ended the connection. Messages wait for ``receive``; pings and close frames
        are answered.
        """
        if not data:
            self._ended = True
            if self.closed is None:
                self.closed = (1006, "")
            return
        self._parser.receive_data(data)
        for event in self._parser.events():
            match event:
                case TextMessage() | BytesMessage():
                    self._parts.append(event.data)
                    if event.message_finished:
                        empty: Any = "" if isinstance(event, TextMessage) else b""
                        self._messages.append(empty.join(self._parts))
                        self._parts.clear()
                case Ping():
                    self.pings.append(bytes(event.payload))
                    if self.answers_pings:
                        self._answer(self._encoder.pong(event.payload))
                case Pong():
                    self.pongs.append(bytes(event.payload))
                case CloseConnection():
                    self.closed = (int(event.code), event.reason or "")
                    if self.answers_closes and not self._close_sent:
                        self._close_sent = True
                        code = None if event.code == 1005 else event.code
                        self._answer(self._encoder.close(code))

    def _read(self, timeout: float) -> bool:
        """Read once; False if nothing came in time."""
        if not self._hears() or not self._wait(self.sock, timeout):
            return False
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        self.feed(data)
        return True

    def _hears(self) -> bool:
        """Whether anything can still come."""
        return not self._ended and self._reads and self._frozen is None

    def _write(self, wire: bytes | bytearray) -> None:
        if self._frozen is not None:
            self._frozen.append(bytes(wire))
        else:
            self._push(self.sock, wire)

    def _answer(self, wire: bytes | bytearray) -> None:
        try:
            self._write(wire)
        except OSError:
            pass  # the server is gone; the next read says so


def connect(
    app: Any,
    url: str = "/",
    *,
    headers: Mapping[str, str | None] | Iterable[tuple[str, str | None]] = (),
    cookies: Mapping[str, str] | Client | None = None,
    subprotocols: Iterable[str] = (),
    extensions: str | None = None,
    early: bytes = b"",
    tcp: bool = False,
    buffer: int | None = None,
    environ: Mapping[str, Any] | None = None,
    timeout: float = 10.0,
    _wait: Wait | None = None,
    _push: Push | None = None,
) -> WebSocketClient:
    """Open a WebSocket to a WSGI application, in this very thread, without a server.

    ``url``: path and query. ``headers`` replace the handshake's own; None leaves one out. There is no
    Origin header unless you give one. ``cookies``: a mapping, or a Flask (werkzeug) test client,
    whose cookies are sent and which gets those that the answer sets: log in with it, then connect.
    ``extensions``: the Sec-WebSocket-Extensions header; permessage-deflate is spoken if the
    server agrees. ``early``: bytes sent right behind the handshake. ``tcp``: over loopback TCP
    instead of a socketpair, for what only TCP has (a reset). ``buffer``: about so many bytes fit on
    the way to a client that does not read (the kernel rounds up). ``environ``: more WSGI variables.

    Raises: UpgradeRefused, when the answer is no 101. Threads: any. Blocks: for as long as the
    application takes to answer, and up to ``timeout`` for the hub to send the 101.
    """
    if not isinstance(headers, Mapping):
        headers = list(headers)  # it is needed again for a resume
    subprotocols = list(subprotocols)
    options = {
        "headers": headers,
        "cookies": cookies,
        "subprotocols": subprotocols,
        "extensions": extensions,
        "tcp": tcp,
        "buffer": buffer,
        "environ": environ,
        "timeout": timeout,
    }
    request = UpgradeRequest(url, headers, cookies, subprotocols, extensions, environ or {})
    wait, push = _wait or poll, _push or socket.socket.sendall
    ours, theirs = socket_pair(tcp=tcp, buffer=buffer)
    try:
        if early:
            ours.sendall(early)
        request.ask(app, theirs)
        answered, behind = read_head(ours, timeout, wait)
        client = WebSocketClient(app, url, options, ours, answered, wait, push)
        if behind:
            client.feed(behind)
        return client
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()


def url_with(url: str, query: Mapping[str, str]) -> str:
    """A URL with these parameters, in place of others of the same names."""
    parts = urlsplit(url)
    old = [(name, value) for name, value in parse_qsl(parts.query, True) if name not in query]
    return urlunsplit(
        (parts.scheme, parts.netloc, parts.path, urlencode([*old, *query.items()]), parts.fragment)
    )


def _agreed(headers: Headers) -> list[Extension]:
    """The extensions to speak: permessage-deflate, if the 101 agrees to it (RFC 7692)."""
    said = next((value for name, value in headers if name.lower() == "sec-websocket-extensions"), None)
    if said is None:
        return []
    deflate = PerMessageDeflate()
    deflate.finalize(said)
    return [deflate]
