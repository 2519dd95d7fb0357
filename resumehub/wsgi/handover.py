"""Take the client's TCP socket away from the WSGI server, in the middle of a request.

A WSGI server closes its socket when the request is over, and a request thread that waits for a WebSocket
to end serves no other request. So the socket is replaced while the server uses it:

1. ``dup()`` gives us a second descriptor of the client's connection.
2. ``dup2()`` puts one end of a socketpair in place of the server's descriptor. The other end is shut
   down for writing. To the server this looks like a client that still reads but has hung up.
3. The server writes its "101 Switching Protocols" into the pair, logs it, reads end-of-file and closes.
   Its thread is free. No middleware sees an exception.

gunicorn would keep a connection alive that takes a 101: its main thread would poll it, and a thread of the
pool would have to find the end-of-file. So for gunicorn the other end is closed. The server meets EPIPE when
it writes the 101, still logs the access, and closes at once.

TLS that ends inside the server can't be replaced: its state is in the server's own ``SSLSocket``. There
the socket is *borrowed*, and the request thread stays for as long as the WebSocket does.

This module knows WSGI servers and sockets, nothing of sessions or WebSocket frames. It sends the client
nothing, except TLS's close_notify. Called on WSGI request threads. Tried on each server by
``tests/integration/test_handover_servers.py``. Read next: ``upgrade.py``.
"""

from __future__ import annotations

import io
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import SocketUnavailable

SUPPORTED = (
    "Werkzeug (threaded or not, one process) and gunicorn's sync and gthread workers hand out the client's "
    "socket, over HTTP/1.1 and without gevent or eventlet; with TLS inside the server, only Werkzeug "
    "threaded and gunicorn gthread do"
)
"""One sentence for the body of a 501, and for the log."""

_COMMAND = "gunicorn --threads 8 app:app"

_SERVERS = {"resumehub.socket": "test", "werkzeug.socket": "werkzeug", "gunicorn.socket": "gunicorn"}
"""The key in the WSGI environ under which each server puts the socket."""

_ROOM = 1 << 16
"""Bytes that the socketpair must hold, since no thread reads them: the server's whole response
head. Linux gives a pair 208 KiB by default, but macOS 8 KiB, which a few cookies fill."""


@dataclass(frozen=True)
class ServerSocket:
    """The server's socket, as ``find_socket`` found it; it is unchanged.

    Next: ``take_socket`` if ``swappable``, else ``borrow_socket``.
    """

    sock: socket.socket
    """The server's own object, an ``ssl.SSLSocket`` if the server speaks TLS."""
    server: str
    """``"werkzeug"``, ``"gunicorn"`` or ``"test"``."""
    swappable: bool
    """False if TLS ends inside the server: then the request thread must stay."""
    multithreaded: bool


@dataclass
class TakenSocket:
    """A connection that is ours. Next: use ``sock``, and close it in the end."""

    sock: socket.socket
    """A duplicate: in blocking mode, without a timeout, not inherited by child processes."""
    leftover: bytes
    """Bytes behind the request head that the server had read already. They come before what ``sock``
    gives."""
    _far_end: socket.socket = field(repr=False)

    def finish(self) -> None:
        """Close our end of the pair. Call it from the response iterable's ``close()``.

        If it is called earlier, the server's write fails with EPIPE; the supported servers then assume
        that the client has left. Calling it again does nothing. Threads: any. Blocks: never.
        """
        self._far_end.close()


@dataclass
class BorrowedSocket:
    """A TLS connection that belongs to the server; we may use it until ``give_back``."""

    sock: ssl.SSLSocket
    """The server's own object, set non-blocking. OpenSSL allows one call on it at a time, and it may hold
    decrypted bytes (``pending()``) of which ``poll`` knows nothing. To abort from another thread
    call ``socket.socket.shutdown(sock, SHUT_RDWR)``: ``sock.shutdown`` would first drop the TLS
    layer, and a thread that is sending just then would send in the clear."""
    leftover: bytes
    """Decrypted bytes behind the request head. They come before what ``sock`` gives."""

    def give_back(self) -> None:
        """End the connection, so that the server's own response does not reach the client.

        Call it when no other thread uses ``sock`` any more, and before the response goes to the
        server. The server then meets EPIPE, logs nothing, and closes. Until then the descriptor's
        number stays in use. Calling it again does nothing.
        Threads: the request thread. Blocks: never.
        """
        try:
            # Sends close_notify, without which the peer must assume an attack. The peer's own is not
            # waited for (SSLWantReadError): the WebSocket's close has waited long enough already.
            self.sock.unwrap()
        except (OSError, ValueError):  # ValueError: given back before
            pass
        try:
            # Both ways: Werkzeug reads until end-of-file before it closes, with no limit of time.
            # This also drops the TLS layer from the server's object (unwrap did so only if the peer
            # had sent close_notify first). The server's write is now a plain EPIPE. An SSLError would
            # make Werkzeug log a traceback, and gunicorn a warning and a 403.
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # the peer has reset it
            pass
        self.sock.setblocking(True)


def find_socket(environ: Mapping[str, Any]) -> ServerSocket | None:
    """The client's socket, if this server is one that we can take it from; else None. Changes nothing.

    Next, on None: answer 501 and say ``why_no_socket`` and ``SUPPORTED``. This is an allow-list: other
    servers have no socket in the environ, or taking it does harm that is not noticed.

    Raises: nothing. Threads: any. Blocks: never.
    """
    key = next(filter(environ.__contains__, _SERVERS), None)
    if key is None:
        return None
    sock, server = environ[key], _SERVERS[key]
    # A green socket (gevent, eventlet) has the same methods, but only its own loop may use it.
    # isinstance can't tell: monkey-patching puts the green class in the place of socket.socket, and
    # eventlet's TLS socket derives from ssl.SSLSocket. The name of the class's module can.
    # tornado and ASGI servers put no socket into the environ.
    if type(sock).__module__ not in ("socket", "ssl"):
        return None
    if server == "werkzeug" and not _is_werkzeug(environ):
        return None
    # An HTTP/2 stream shares its connection with others (gunicorn gthread with ALPN, or h2c).
    if server != "test" and not str(environ.get("SERVER_PROTOCOL", "")).startswith("HTTP/1."):
        return None
    swappable = not isinstance(sock, ssl.SSLSocket)
    multithreaded = bool(environ.get("wsgi.multithread"))
    if not swappable and not multithreaded:
        return None  # we would keep the server's only thread for hours
    return ServerSocket(sock, server, swappable, multithreaded)


def why_no_socket(environ: Mapping[str, Any]) -> tuple[str, str]:
    """Why ``find_socket`` has found none, and what to do: for the operator and for a developer with curl."""
    key = next(filter(environ.__contains__, _SERVERS), None)
    if key is None and "asgi.scope" in environ:
        why = "an ASGI server made this WSGI request, and it passes on no WebSocket at all"
        return why, f"serve the application as WSGI, for example by {_COMMAND}"
    if key is None:
        return "the server puts no socket into the WSGI environ", f"use another one, for example {_COMMAND}"
    if type(environ[key]).__module__ not in ("socket", "ssl"):
        why = "gevent or eventlet has replaced the sockets of the server"
        return (
            why,
            "start gunicorn with --threads 8 in place of its worker class, and without monkey-patching",
        )
    if key == "werkzeug.socket" and not _is_werkzeug(environ):
        why = "Werkzeug serves each request in a process of its own (processes=N)"
        return why, "leave out processes=N, and say threaded=True"
    if isinstance(environ[key], ssl.SSLSocket) and not environ.get("wsgi.multithread"):
        why = "TLS ends inside the server, and it has one thread only"
        return why, "let a proxy end TLS, or give the server threads"
    why = "the request came over another protocol than HTTP/1.1, perhaps HTTP/2"
    return why, "let the server, or the proxy in front of it, speak HTTP/1.1 for WebSockets"


def take_socket(environ: Mapping[str, Any], found: ServerSocket) -> TakenSocket:
    """Take the client's connection, and give the server one that has hung up.

    Next: return a response without a body to the server, in this request, and call ``finish()`` in
    its ``close()``. That response reaches the server's log only. So send your own 101 through
    ``sock``, before or after.

    Raises: SocketUnavailable, if the bytes that the server has read ahead can't be reached; OSError,
    if there are no more descriptors. In both cases nothing has changed and the request can go on.
    Threads: the request thread. Blocks: never.
    """
    assert found.swappable, "the TLS state can't be taken from the server: use borrow_socket"
    read_ahead = _find_read_ahead(environ, found)
    ours = found.sock.dup()
    try:
        far_end = _replace(found.sock, listens=found.server != "gunicorn")
    except BaseException:
        ours.close()
        raise
    try:
        # gunicorn gthread and timeouts leave O_NONBLOCK on. The flag belongs to the connection, not to
        # the descriptor, so it is cleared only now, when the server no longer shares the connection.
        # Where there was no timeout, dup() has cleared it.
        if ours.gettimeout() is not None:
            ours.setblocking(True)
        # After the replacement: a reader with an empty buffer reads its socket, and must meet
        # end-of-file there. Bytes that are still in the kernel come later, in order.
        return TakenSocket(ours, read_ahead(), far_end)
    except BaseException:
        ours.close()
        far_end.close()
        raise


def borrow_socket(environ: Mapping[str, Any], found: ServerSocket) -> BorrowedSocket:
    """Use the server's TLS connection. Next: call ``give_back()`` in any case.

    Raises: SocketUnavailable, if the bytes that the server has read ahead can't be reached; then
    nothing has changed. Threads: the request thread, which must stay. Blocks: never.
    """
    sock = found.sock
    assert isinstance(sock, ssl.SSLSocket), "take_socket is for a socket without TLS"
    read_ahead = _find_read_ahead(environ, found)
    sock.setblocking(False)
    try:
        leftover = read_ahead()
    except OSError:
        # SSLWantReadError: nothing is there. The first read will meet any other error again.
        leftover = b""
    return BorrowedSocket(sock, leftover)


def has_body(environ: Mapping[str, Any]) -> bool:
    """Whether the request announces a body, which could not be told from the frames that follow it."""
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ


def _is_werkzeug(environ: Mapping[str, Any]) -> bool:
    # Not with processes=N: each request has a child process, which ends with it and takes the sessions along.
    software = str(environ.get("SERVER_SOFTWARE", ""))
    return software.startswith("Werkzeug/") and not environ.get("wsgi.multiprocess")


def _replace(sock: socket.socket, listens: bool) -> socket.socket:
    """Replace the client behind ``sock`` by a peer that has hung up; return that peer.

    A peer that ``listens`` still takes what the server writes; any other is closed already.

    An epoll entry belongs to the open connection, not to the descriptor. An entry of the server's
    would go on firing for our duplicate. No server has one now: gunicorn gthread takes a socket out
    of its poller before a thread works on it, and what it puts back is our pair.

    Raises: OSError; then nothing has changed.
    """
    near, far = socket.socketpair()
    try:
        if listens:
            far.shutdown(socket.SHUT_WR)
            for end, option in ((near, socket.SO_SNDBUF), (far, socket.SO_RCVBUF)):
                if end.getsockopt(socket.SOL_SOCKET, option) < _ROOM:
                    end.setsockopt(socket.SOL_SOCKET, option, _ROOM)
        else:
            far.close()
        os.dup2(near.fileno(), sock.fileno(), inheritable=False)
    except BaseException:
        far.close()
        raise
    finally:
        near.close()
    return far


def _find_read_ahead(environ: Mapping[str, Any], found: ServerSocket) -> Callable[[], bytes]:
    """A function that empties the server's read buffer, or reads the socket once if the buffer is empty.

    Raises: SocketUnavailable.
    """
    stream = environ.get("wsgi.input")
    if has_body(environ):
        raise SocketUnavailable("the request has a body, which can't be told from what follows it")
    if found.server == "test":
        return stream.read if stream is not None else bytes
    if found.server == "werkzeug":
        # The buffered reader that http.server reads request heads from.
        if isinstance(stream, io.BufferedReader) and stream.fileno() == found.sock.fileno():
            return stream.read1
    else:
        # gunicorn keeps bytes that it read too far in the parser's "unreader", which is not public:
        # Body.reader is a LengthReader of length 0 (no body), and that holds the unreader. The names are
        # the same from gunicorn 20 to 27. If they change, we refuse, and lose no bytes.
        unreader = getattr(getattr(stream, "reader", None), "unreader", None)
        if getattr(unreader, "sock", None) is found.sock and callable(getattr(unreader, "read", None)):
            return unreader.read  # type: ignore[union-attr, no-any-return]
    raise SocketUnavailable(
        f"wsgi.input is a {type(stream).__qualname__}, not the one that {found.server} made, so bytes that "
        "the client sent already can't be reached; no middleware may replace wsgi.input for WebSockets"
    )
