"""How a test's WebSocket comes to be: the upgrade request, the application's answer, and the 101.

The request is a WSGI environ that carries one end of a socket pair; the application runs in the calling
thread; the hub writes the 101 into its end. Knows HTTP and cookies, and no frame. Used by ``client.py``,
in the thread of its caller. Read next: ``client.py``.
"""

from __future__ import annotations

import base64
import copy
import os
import select
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from werkzeug.test import Client, EnvironBuilder

from ..clock import now

Headers = list[tuple[str, str]]

#: Wait for input on a socket up to so many seconds; whether there is some.
Wait = Callable[[socket.socket, float], bool]


class UpgradeRefused(Exception):
    """The application answered with something other than 101: ``status``, ``headers``, ``body``."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(f"the upgrade was answered with {status}")
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name: str) -> str | None:
        """The value of a header, None if it is not there."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class TransportClosed(Exception):
    """The server ended the connection: ``code`` and ``reason`` of its close frame, 1006 if none came."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the server closed with {code} {reason!r}")
        self.code = code
        self.reason = reason


class NothingReceived(Exception):
    """Nothing came within the timeout."""


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    """What a client asks with. ``headers`` replace the handshake's own; a value of None leaves one out.

    ``cookies``: names and values, or a test client that has them and gets those that the answer sets.
    ``environ``: more WSGI variables.
    """

    url: str
    headers: Mapping[str, str | None] | Iterable[tuple[str, str | None]]
    cookies: Mapping[str, str] | Client | None
    subprotocols: list[str]
    extensions: str | None
    environ: Mapping[str, Any]

    def ask(self, app: Any, sock: socket.socket) -> None:
        """Have the application answer, with ``sock`` as the server's end of the connection.

        Raises: UpgradeRefused, when the answer is no 101; what the application raises. Blocks: for as
        long as the application takes.
        """
        request = self._environ() | dict(self.environ) | {"resumehub.socket": sock}
        if isinstance(self.cookies, Client):
            status, headers, body = _call_with_cookies(app, request, self.cookies)
        else:
            status, headers, body = _call(app, request)
        if status != 101:
            raise UpgradeRefused(status, headers, body)

    def _environ(self) -> dict[str, Any]:
        sent: dict[str, str | None] = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        }
        if offered := ", ".join(self.subprotocols):
            sent["Sec-WebSocket-Protocol"] = offered
        if self.extensions is not None:
            sent["Sec-WebSocket-Extensions"] = self.extensions
        if self.cookies and not isinstance(self.cookies, Client):
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = list(self.headers.items() if isinstance(self.headers, Mapping) else self.headers)
        replaced = {name.lower() for name, _ in given}
        own = [(name, value) for name, value in sent.items() if name.lower() not in replaced]
        kept = [(name, value) for name, value in (*own, *given) if value is not None]
        return EnvironBuilder(path=self.url, headers=kept, input_stream=BytesIO()).get_environ()


def _call(app: Any, environ: dict[str, Any]) -> tuple[int, Headers, bytes]:
    answered: list[Any] = []

    def start_response(status: str, headers: Headers, exc_info: Any = None) -> Any:
        answered[:] = [int(status.split()[0]), headers]
        return lambda data: None

    result = app(environ, start_response)
    try:
        body = b"".join(result)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    return answered[0], answered[1], body


def _call_with_cookies(app: Any, environ: dict[str, Any], cookies: Client) -> tuple[int, Headers, bytes]:
    answers: list[tuple[int, Headers, bytes]] = []

    def recorded(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        status, headers, body = _call(app, environ)
        answers.append((status, headers, body))
        start_response(f"{status} ", headers)
        return [body]

    # A copy shares the cookies with the client that it is of, and has an application of its own: two threads
    # may connect with the same client.
    borrowed = copy.copy(cookies)
    borrowed.application = recorded
    borrowed.run_wsgi_app(environ, buffered=True)
    return answers[0]


def read_head(sock: socket.socket, timeout: float, wait: Wait) -> tuple[Headers, bytes]:
    """Read the 101 as it comes over the wire: its headers, and the bytes that came behind it.

    Raises: NothingReceived after ``timeout`` real seconds; TransportClosed when the server hangs up first.
    Blocks: until then.
    """
    data = b""
    give_up = now() + timeout
    while b"\r\n\r\n" not in data:
        if not wait(sock, give_up - now()):
            raise NothingReceived(f"no 101 within {timeout} seconds")
        try:
            more = sock.recv(65536)
        except OSError:
            more = b""
        if not more:
            raise TransportClosed(1006, "")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert lines[0].startswith("HTTP/1.1 101 "), f"the wire says {lines[0]!r}"
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])], rest


def socket_pair(*, tcp: bool, buffer: int | None) -> tuple[socket.socket, socket.socket]:
    """Give the client's and the server's end of a new connection.

    ``tcp``: over loopback TCP instead of a socketpair. ``buffer``: about so many bytes fit on the way to
    the client (the kernel rounds up); None: as many as usual.
    """
    ours, theirs = _tcp_pair() if tcp else socket.socketpair()
    if buffer is not None:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    return ours, theirs


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    return ours, theirs


def poll(sock: socket.socket, timeout: float) -> bool:
    """Wait for input up to ``timeout`` real seconds; whether there is some."""
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(max(0.0, timeout) * 1000))
