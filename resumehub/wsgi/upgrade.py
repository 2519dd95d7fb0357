"""The 101 and the hand-over of the socket.

A view returns an ordinary werkzeug response. The socket is handed over only when the server calls that
response. So a view or a middleware can drop the response, and nothing has changed. Checks nothing:
``checks.py`` has done so. Runs on WSGI request threads. Read next: ``handover.py``.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from werkzeug.wrappers import Response

from ..core.commands import Register
from ..errors import SocketUnavailable
from ..incoming.dialled import Dialled
from ..incoming.transport_io import HostThread
from ..protocol.retry_later import RETRY_AFTER
from ..reasons import RefusalReason
from ..transport.sockets import TlsSocket
from ..transport.websocket import Handshake
from .handover import ServerSocket, borrow_socket, take_socket
from .session_lookup import SessionLookup

_STATUS = "101 Switching Protocols"

LATER = {"Retry-After": str(RETRY_AFTER)}
"""The headers of an answer 503."""

#: What ``Response.get_wsgi_response`` returns: the body, the status, the headers.
Answer = tuple[Iterable[bytes], str, list[tuple[str, str]]]


@dataclass(frozen=True)
class Upgrade:
    """An upgrade that is allowed and has not happened yet."""

    sessions: SessionLookup
    found: ServerSocket
    handshake: Handshake
    registration: Register
    data: Any


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> Response:
    """An error as ``application/problem+json`` (RFC 9457), which no cache may keep."""
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


def without_body(response: Response) -> Response:
    """This answer with an empty body, and what else it says; ``response`` itself is not changed.

    Some clients take the body of a refusal for WebSocket frames.
    """
    empty = copy.copy(response)
    empty.headers = response.headers.copy()
    for name in ("Content-Type", "Content-Encoding", "Content-Language", "Content-Range", "ETag"):
        empty.headers.pop(name, None)
    empty.set_data(b"")
    close = getattr(response.response, "close", None)
    if close is not None:  # a file or a generator that nothing will read
        empty.call_on_close(close)
    return empty


def switching(upgrade: Upgrade) -> Response:
    """The response that hands the socket over when the server asks for its first byte."""
    response = _Switching(status=_STATUS, headers=upgrade.handshake.headers)
    hand_over = _HandOver(upgrade, response)
    # An attribute, not a method of a subclass: Flask changes the class of what a view returns, and keeps the
    # attributes. The framework adds its cookies to the headers of this same object.
    response.get_wsgi_response = hand_over  # type: ignore[method-assign]
    return response


class _Switching(Response):
    default_mimetype = None  # it has no body


class _HandOver:
    """Replaces ``Response.get_wsgi_response``: hands the socket over when the server calls it."""

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
            self._failed_to_upgrade(501, RefusalReason.NO_SOCKET, str(error))
            return self._failed(501, "This server cannot be upgraded to WebSocket.", environ)
        except OSError as error:
            self._failed_to_upgrade(503, RefusalReason.NO_DESCRIPTORS, str(error))
            return self._failed(503, "The server has no descriptor free.", environ, LATER)
        # Not needed any more, and the two objects would keep each other alive until a garbage collection.
        vars(self._response).pop("get_wsgi_response", None)
        return body, _STATUS, headers

    def _failed_to_upgrade(self, status: int, reason: RefusalReason, detail: str) -> None:
        # The refusal that was to be told by a close frame is counted already.
        if self._upgrade.registration.refusal is None:
            self._upgrade.sessions.refused(status, reason, detail)

    def _failed(
        self, status: int, detail: str, environ: dict[str, Any], headers: Mapping[str, str] | None = None
    ) -> Answer:
        response = problem(status, detail, headers)
        if not self._upgrade.sessions.config.problem_details:
            response = without_body(response)
        body, line, sent = response.get_wsgi_response(cast(Any, environ))
        return body, line, sent

    def _take(self, environ: dict[str, Any], handshake_response: bytes) -> Iterable[bytes]:
        upgrade = self._upgrade
        taken = take_socket(environ, upgrade.found)
        dialled = Dialled(
            taken.sock,
            taken.leftover,
            upgrade.handshake,
            handshake_response,
            upgrade.registration,
            upgrade.data,
        )
        try:
            upgrade.sessions.take(dialled)
        except BaseException:
            taken.finish()  # there will be no body whose ``close`` does it
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
            subprotocol=upgrade.handshake.subprotocol,
            host=host,
        )

        def serve(abandoned: bool) -> None:
            if abandoned:
                upgrade.sessions.abort(number)
            host.serve()
            borrowed.give_back()

        return _BlockingBody(serve, self._response.close)


class _Body:
    """An empty response body whose ``close`` closes our end of the server's socketpair."""

    def __init__(self, *closing: Callable[[], None]) -> None:
        self._closing = closing

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        for close in self._closing:
            close()


class _BlockingBody:
    """An empty response body whose iterator blocks for as long as the WebSocket lives.

    It blocks only when the server asks for the body: by then the framework has left its request context.
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
