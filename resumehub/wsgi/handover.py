"""Take the client's TCP socket away from the WSGI server, in the middle of a request.

A WSGI server closes its socket when the request is over, and a thread that waits for a WebSocket
to end is a thread less for everybody else. So the socket is swapped under the server's hands:

1. ``dup()`` gives us a descriptor of our own for the client's connection;
2. ``dup2()`` puts one end of a socketpair where the server's descriptor was. The other end has
   been shut down for writing. What the server now holds is a client that swallows all it is told
   and has hung up;
3. the server writes its "101 Switching Protocols" into that, logs it, reads end-of-file, closes, and
   its thread is free. No exception travels through anybody's middleware.

gunicorn would keep a connection that swallows a 101 alive: back to its main thread and into its poller,
from there to a thread of the pool, to find end-of-file. So its client has left for good: the 101 meets
EPIPE inside the server, which logs its access all the same and closes at once.

TLS that is ended inside the server can't be swapped: its state lives in the server's own ``SSLSocket``.
There the socket is *borrowed* and the request thread stays for as long as the WebSocket does.

This module knows WSGI servers and sockets, nothing of sessions or WebSocket frames, and it tells the
client nothing (but TLS's good-bye). Everything here is called on a WSGI request thread. What was tried,
on which servers: ``tests/integration/test_handover_servers.py``. Read next: ``upgrade.py``.
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
"""One sentence for the log of a 501."""

_SERVERS = {"resumehub.socket": "test", "werkzeug.socket": "werkzeug", "gunicorn.socket": "gunicorn"}
"""Where in the WSGI environ each server puts the socket."""

_ROOM = 1 << 16
"""Bytes that the socketpair must be able to swallow, since nobody reads them: the server's whole
response head. Linux gives a pair 208 KiB by default, but macOS 8, and a few cookies fill that."""


@dataclass(frozen=True)
class ServerSocket:
    """The server's socket, as ``find_socket`` found it. Nothing has been done to it yet.

    If ``swappable``, go on with ``take_socket``, else with ``borrow_socket``.
    """

    sock: socket.socket
    """The server's own object, an ``ssl.SSLSocket`` if the server speaks TLS."""
    server: str
    """``"werkzeug"``, ``"gunicorn"`` or ``"test"``."""
    swappable: bool
    """False if TLS ends inside the server: the request thread has to stay."""
    multithreaded: bool


@dataclass
class TakenSocket:
    """A connection that is ours. Close ``sock`` when done with it, as any other."""

    sock: socket.socket
    """A duplicate: in blocking mode, without a timeout, not inherited by child processes."""
    leftover: bytes
    """What the client sent behind the request head and the server had read. It comes before
    anything that ``sock`` will give."""
    _far_end: socket.socket = field(repr=False)

    def finish(self) -> None:
        """Let go of what the server has written. Call it from the response iterable's ``close()``.

        Called earlier, the server's write fails with EPIPE, which the servers we know take for a
        client that left. Calling it again does nothing. Threads: any. Blocks: never.
        """
        self._far_end.close()


@dataclass
class BorrowedSocket:
    """A TLS connection that stays the server's; ours until ``give_back``."""

    sock: ssl.SSLSocket
    """The server's own object, set non-blocking. OpenSSL allows one call on it at a time, and it may hold
    decrypted bytes (``pending()``) of which ``poll`` knows nothing. To abort from another thread
    call ``socket.socket.shutdown(sock, SHUT_RDWR)``: ``sock.shutdown`` would first drop the TLS
    layer, and whoever is sending just then would send in the clear."""
    leftover: bytes
    """Decrypted bytes behind the request head; they come before anything that ``sock`` will give."""

    def give_back(self) -> None:
        """End the connection, so that the server's own response reaches nobody.

        Call it in the request thread, when nobody else uses ``sock`` any more, before the response
        goes to the server: the server then finds that its client has left (EPIPE), which it
        takes in silence, and closes. Until then the number of the descriptor stays taken.
        Calling it again does nothing. Threads: the request thread. Blocks: never.
        """
        try:
            # Says close_notify, without which the peer has to take the end for an attack. The
            # peer's own is not waited for (SSLWantReadError): whatever it was worth waiting for
            # has been waited for by the WebSocket's close.
            self.sock.unwrap()
        except (OSError, ValueError):  # ValueError: given back before
            pass
        try:
            # Both ways: Werkzeug reads until end-of-file before it closes, for as long as it takes.
            # This also drops the TLS layer from the server's object (unwrap did only if the peer
            # had said close_notify first). What the server writes now is a plain EPIPE and not an
            # SSLError, of which Werkzeug logs a traceback and gunicorn a warning and a 403.
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # the peer has reset it
            pass
        self.sock.setblocking(True)


def find_socket(environ: Mapping[str, Any]) -> ServerSocket | None:
    """Give the client's socket if this is a server that we know how to take it from, else None.

    This is an allow-list: elsewhere there is no socket, or taking it does harm that nobody sees.
    On None, answer 501 and log ``SUPPORTED``. Has no effect on anything.

    Threads: any. Blocks: never. Raises: nothing.
    """
    key = next(filter(environ.__contains__, _SERVERS), None)
    if key is None:
        return None
    sock, server = environ[key], _SERVERS[key]
    # A green socket (gevent, eventlet) has this module's interface but must be used by its own
    # loop only. isinstance can't tell: monkey-patching puts the green class where
    # socket.socket was, and eventlet's TLS socket derives from ssl.SSLSocket. The module in which a
    # class was written can. tornado and ASGI servers put no socket into the environ.
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
        return None  # the one thread that serves everybody would be ours for hours
    return ServerSocket(sock, server, swappable, multithreaded)


def take_socket(environ: Mapping[str, Any], found: ServerSocket) -> TakenSocket:
    """Make the client's connection ours, and give the server one that has hung up.

    Then return a response without a body to the server from this very request; call ``finish()``
    in its ``close()``. What the response says reaches the server's log and nobody else, so send
    your own 101 through ``sock``, which may be done before or after.

    Raises: SocketUnavailable, if what the server has read ahead can't be got at; OSError, if there
    are no more descriptors. In both cases nothing has happened and the request can go on.
    Threads: the request thread. Blocks: never.
    """
    assert found.swappable, "TLS state can't be swapped, borrow_socket is for that"
    read_ahead = _find_read_ahead(environ, found)
    ours = found.sock.dup()
    try:
        far_end = _replace(found.sock, listens=found.server != "gunicorn")
    except BaseException:
        ours.close()
        raise
    try:
        # gunicorn gthread and timeouts leave O_NONBLOCK on. It belongs to the connection, not to the
        # descriptor, so this waited until the server no longer shares the connection. Where there
        # was no timeout, dup() has made sure of it.
        if ours.gettimeout() is not None:
            ours.setblocking(True)
        # After the swap, so that a reader which has nothing buffered and turns to its
        # socket meets end-of-file there. What is still in the kernel stays behind it, in order.
        return TakenSocket(ours, read_ahead(), far_end)
    except BaseException:
        ours.close()
        far_end.close()
        raise


def borrow_socket(environ: Mapping[str, Any], found: ServerSocket) -> BorrowedSocket:
    """Use the server's TLS connection until ``give_back()``, which must be called in any case.

    Raises: SocketUnavailable, if what the server has read ahead can't be got at; nothing has
    happened then. Threads: the request thread, which has to stay. Blocks: never.
    """
    sock = found.sock
    assert isinstance(sock, ssl.SSLSocket), "a plain socket can be had for good, by take_socket"
    read_ahead = _find_read_ahead(environ, found)
    sock.setblocking(False)
    try:
        leftover = read_ahead()
    except OSError:
        # SSLWantReadError: nothing is there. Anything else, the first read will meet again.
        leftover = b""
    return BorrowedSocket(sock, leftover)


def has_body(environ: Mapping[str, Any]) -> bool:
    """Whether the request announces a body, which nobody could tell from what follows it."""
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ


def _is_werkzeug(environ: Mapping[str, Any]) -> bool:
    # Not with processes=N: each request is a child process that ends with it, sessions and all.
    software = str(environ.get("SERVER_SOFTWARE", ""))
    return software.startswith("Werkzeug/") and not environ.get("wsgi.multiprocess")


def _replace(sock: socket.socket, listens: bool) -> socket.socket:
    """Put a peer that has hung up where ``sock`` had its client; give that peer.

    One that ``listens`` still takes what it is told; else it is closed already.

    An epoll entry belongs to the open connection and not to the descriptor: if the server had one
    now, it would go on firing through our duplicate. None has: gunicorn gthread takes a socket
    out of its poller before it lets a thread work on it, and puts back what is by then our pair.

    Raises: OSError, with nothing done.
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
    """Give a function that empties the server's read buffer, or asks the socket once if it is empty.

    Raises: SocketUnavailable.
    """
    stream = environ.get("wsgi.input")
    if has_body(environ):
        raise SocketUnavailable("the request has a body, which would be taken for what follows it")
    if found.server == "test":
        return stream.read if stream is not None else bytes
    if found.server == "werkzeug":
        # The buffered reader that http.server reads request heads from.
        if isinstance(stream, io.BufferedReader) and stream.fileno() == found.sock.fileno():
            return stream.read1
    else:
        # gunicorn keeps what it has read too much in the parser's "unreader", which has no public
        # door: Body.reader is a LengthReader of length 0 (no body), and that holds it. Same names
        # from gunicorn 20 to 27. Should they change, we refuse, and lose no bytes.
        unreader = getattr(getattr(stream, "reader", None), "unreader", None)
        if getattr(unreader, "sock", None) is found.sock and callable(getattr(unreader, "read", None)):
            return unreader.read  # type: ignore[union-attr, no-any-return]
    raise SocketUnavailable(
        f"wsgi.input is a {type(stream).__qualname__}, not the one that {found.server} made, so bytes that "
        "the client sent already can't be reached; no middleware may replace wsgi.input for WebSockets"
    )
