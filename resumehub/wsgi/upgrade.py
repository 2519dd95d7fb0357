"""The 101 and the moment of the hand-over.

A view returns an ordinary werkzeug response; only when the server calls it does the socket change
hands. Until then nothing has happened, so a view or a middleware that throws the response away
leaves nothing behind. Runs on WSGI request threads. Read next: ``handover.py``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from werkzeug.wrappers import Response

from ..core.commands import Register
from ..errors import SocketUnavailable
from ..incoming.transport_io import HostThread
from ..transport.sockets import PlainSocket, TlsSocket
from ..transport.websocket import Handshake
from .handover import ServerSocket, borrow_socket, take_socket
from .session_lookup import SessionLookup

log = logging.getLogger("resumehub")

_STATUS = "101 Switching Protocols"

RETRY_AFTER = "5"
"""Seconds, for the answers 503."""

#: What ``Response.get_wsgi_response`` gives: the body, the status, the headers.
Answer = tuple[Iterable[bytes], str, list[tuple[str, str]]]


@dataclass(frozen=True)
class Upgrade:
    """An upgrade that was allowed and has not happened yet."""

    sessions: SessionLookup
    found: ServerSocket
    handshake: Handshake
    registration: Register
    data: Any


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> Response:
    """An error as ``application/problem+json`` (RFC 9457). Not to be cached."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **members,
    }
    response = Response(json.dumps(body), status, content_type="application/problem+json")
    response.headers.extend(headers or {})
    response.headers["Cache-Control"] = "no-store"
    return response


def switching(upgrade: Upgrade) -> Response:
    """The response that hands the socket over when the server asks for its first byte."""
    response = _Switching(status=_STATUS, headers=upgrade.handshake.headers)
    hand_over = _HandOver(upgrade, response)
    # An attribute, and not a subclass: Flask changes the class of what a view returns, and keeps the
    # attributes. From here on the framework's cookies land on this very object's headers.
    response.get_wsgi_response = hand_over  # type: ignore[method-assign]
    return response


class _Switching(Response):
    default_mimetype = None  # it has no body


class _HandOver:
    """In place of ``Response.get_wsgi_response``."""

    def __init__(self, upgrade: Upgrade, response: Response) -> None:
        self._upgrade = upgrade
        self._response = response

    def __call__(self, environ: dict[str, Any]) -> Answer:
        headers = self._response.get_wsgi_headers(environ).to_wsgi_list()
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        handshake_response = f"HTTP/1.1 {_STATUS}\r\n{head}\r\n".encode("latin-1")
        try:
            if self._upgrade.found.swappable:
                body: Iterable[bytes] = self._take(environ, handshake_response)
            else:
                body = self._borrow(environ, handshake_response)
        except SocketUnavailable as error:
            log.error("501: %s", error)
            return _failed(501, "This server cannot be upgraded to WebSocket.", environ)
        except OSError as error:
            log.error("the socket could not be taken over: %s (ulimit -n?)", error)
            return _failed(503, "The server is short of descriptors.", environ, {"Retry-After": RETRY_AFTER})
        # It has kept its promise, and the two would keep each other alive until the garbage collector comes.
        vars(self._response).pop("get_wsgi_response", None)
        return body, _STATUS, headers

    def _take(self, environ: dict[str, Any], handshake_response: bytes) -> Iterable[bytes]:
        upgrade, runtime = self._upgrade, self._upgrade.sessions.runtime
        taken = take_socket(environ, upgrade.found)
        size = upgrade.sessions.config.max_message_size
        transport = upgrade.handshake.transport(
            PlainSocket(taken.sock, runtime, movable=True), size, taken.leftover
        )
        try:
            upgrade.sessions.register(
                transport, upgrade.registration, data=upgrade.data, handshake_response=handshake_response
            )
        except BaseException:
            taken.finish()  # no body will do it
            raise
        return _Body(taken.finish, self._response.close)

    def _borrow(self, environ: dict[str, Any], handshake_response: bytes) -> Iterable[bytes]:
        upgrade, runtime = self._upgrade, self._upgrade.sessions.runtime
        borrowed = borrow_socket(environ, upgrade.found)
        host = HostThread(runtime)
        size = upgrade.sessions.config.max_message_size
        stream = TlsSocket(borrowed.sock, runtime, host.release)
        transport = upgrade.handshake.transport(stream, size, borrowed.leftover)
        number = upgrade.sessions.register(
            transport,
            upgrade.registration,
            data=upgrade.data,
            handshake_response=handshake_response,
            host=host,
        )

        def serve(abandoned: bool) -> None:
            if abandoned:
                upgrade.sessions.abort(number)
            host.serve()
            borrowed.give_back()

        return _BlockingBody(serve, self._response.close)


class _Body:
    """An empty response body whose ``close`` lets go of the server's end."""

    def __init__(self, *closing: Callable[[], None]) -> None:
        self._closing = closing

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        for close in self._closing:
            close()


class _BlockingBody:
    """An empty response body that takes as long to give nothing as the WebSocket lives.

    Not before the server asks for the body: by then the framework has left its request context. ``serve``:
    called once, with True if the server closes the body without having asked for it.
    """

    def __init__(self, serve: Callable[[bool], None], closing: Callable[[], None]) -> None:
        self._serve = serve
        self._closing = closing
        self._served = False

    def __iter__(self) -> Iterator[bytes]:
        self._served = True
        self._serve(False)
        return iter(())

    def close(self) -> None:
        if not self._served:
            self._served = True
            self._serve(True)
        self._closing()


def _failed(
    status: int, detail: str, environ: dict[str, Any], headers: Mapping[str, str] | None = None
) -> Answer:
    body, line, sent = problem(status, detail, headers).get_wsgi_response(cast(Any, environ))
    return body, line, sent
