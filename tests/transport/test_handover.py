"""Taking and borrowing a socket, without a server process: see wsgi/handover.py.

The "server" is a few lines here, or Werkzeug's in a thread. Real servers in processes of their own:
tests/integration/test_handover_servers.py.
"""

from __future__ import annotations

import errno
import os
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
import trustme
from gunicorn.config import Config
from gunicorn.http import RequestParser
from werkzeug.serving import make_server
from werkzeug.wsgi import ClosingIterator

from resumehub.errors import SocketUnavailable
from resumehub.wsgi.handover import (
    BorrowedSocket,
    ServerSocket,
    TakenSocket,
    borrow_socket,
    find_socket,
    take_socket,
)
from tests.integration.servers import read_exactly

HEAD = b"GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

Pair = tuple[socket.socket, socket.socket]
TlsPair = tuple[ssl.SSLSocket, ssl.SSLSocket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A TCP connection: the server's socket and the client's, whose waits end after 10 s."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=10)
        server, _ = listener.accept()
    with server, client:
        yield server, client


@pytest.fixture
def tls_pair(pair: Pair) -> Iterator[TlsPair]:
    """The same, with TLS spoken; the client can tell a clean end from a cut one."""
    plain, plain_client = pair
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    server = server_context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
    shake_hands = threading.Thread(target=server.do_handshake)
    shake_hands.start()
    client = client_context.wrap_socket(plain_client, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
    shake_hands.join()
    with server, client:
        yield server, client


def werkzeug_environ(sock: Any, **changes: Any) -> dict[str, Any]:
    """What Werkzeug's server says of a request that it read from ``sock``."""
    return {
        "SERVER_SOFTWARE": "Werkzeug/3.1.9",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "werkzeug.socket": sock,
    } | changes


def gunicorn_environ(sock: Any, **changes: Any) -> dict[str, Any]:
    """What gunicorn's gthread worker says; a sync worker has no ``wsgi.multithread``."""
    return {
        "SERVER_SOFTWARE": "gunicorn/27.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "gunicorn.socket": sock,
    } | changes


def take(environ: dict[str, Any]) -> TakenSocket:
    found = find_socket(environ)
    assert found is not None
    assert found.swappable
    return take_socket(environ, found)


def borrow(environ: dict[str, Any]) -> BorrowedSocket:
    found = find_socket(environ)
    assert found is not None
    assert not found.swappable
    return borrow_socket(environ, found)


def open_descriptors() -> dict[str, str]:
    """Descriptor → what it is; the listing's own is gone again by the time it is looked at."""
    folder = "/proc/self/fd"
    paths = [os.path.join(folder, name) for name in os.listdir(folder)]
    return {path: os.readlink(path) for path in paths if os.path.lexists(path)}


# -- find_socket ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ, server",
    [
        pytest.param(werkzeug_environ, "werkzeug", id="werkzeug"),
        pytest.param(gunicorn_environ, "gunicorn", id="gunicorn"),
        pytest.param(
            lambda sock, **changes: {"resumehub.socket": sock} | changes, "test", id="our test client"
        ),
    ],
)
@pytest.mark.parametrize("threaded", [True, False], ids=["threaded", "single-threaded"])
def test_the_servers_we_know_give_their_socket(environ: Any, server: str, threaded: bool, pair: Pair) -> None:
    """The server's own object is found, and it can be swapped whatever the number of threads."""
    sock, _ = pair

    found = find_socket(environ(sock, **{"wsgi.multithread": threaded}))

    assert found == ServerSocket(sock, server, swappable=True, multithreaded=threaded)


def test_a_socket_that_speaks_tls_can_only_be_borrowed(tls_pair: TlsPair) -> None:
    """Its state is in an object of the server's; a thread to stay with it must be spared."""
    sock, _ = tls_pair

    found = find_socket(gunicorn_environ(sock))

    assert found == ServerSocket(sock, "gunicorn", swappable=False, multithreaded=True)
    assert find_socket(gunicorn_environ(sock, **{"wsgi.multithread": False})) is None
    assert find_socket(werkzeug_environ(sock, **{"wsgi.multithread": False})) is None


GREEN_CLASSES = {
    "gevent": type("socket", (), {"__module__": "gevent._socket3"}),
    "gevent with TLS": type("SSLSocket", (), {"__module__": "gevent.ssl"}),
    "eventlet": type("GreenSocket", (), {"__module__": "eventlet.greenio.base"}),
    "eventlet with TLS": type("GreenSSLSocket", (ssl.SSLSocket,), {"__module__": "eventlet.green.ssl"}),
}


@pytest.mark.parametrize("green", GREEN_CLASSES.values(), ids=GREEN_CLASSES.keys())
def test_a_green_socket_is_refused(green: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """gunicorn's gevent and eventlet workers put one where the others put a real one.

    Also when the process is monkey-patched, and ``socket.socket`` is the green class.
    """
    monkeypatch.setattr(socket, "socket", green)

    assert find_socket(gunicorn_environ(green.__new__(green))) is None
    assert find_socket(werkzeug_environ(green.__new__(green))) is None


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({"SERVER_SOFTWARE": "waitress"}, id="no socket at all"),
        pytest.param(werkzeug_environ(None), id="no socket in its place"),
        pytest.param(
            werkzeug_environ(socket.socket, SERVER_SOFTWARE="WSGIServer/0.2"), id="not werkzeug's server"
        ),
    ],
)
def test_where_there_is_no_socket_none_is_found(environ: dict[str, Any]) -> None:
    """waitress, wsgiref, uWSGI, mod_wsgi, tornado and ASGI bridges keep it to themselves."""
    assert find_socket(environ) is None


def test_what_can_not_be_taken_without_harm_is_refused(pair: Pair) -> None:
    """A child process that ends with the request; an HTTP/2 connection, which carries other requests."""
    sock, _ = pair

    assert find_socket(werkzeug_environ(sock, **{"wsgi.multiprocess": True})) is None
    assert find_socket(werkzeug_environ(sock, SERVER_SOFTWARE="somebody/1.0")) is None
    assert find_socket(gunicorn_environ(sock, SERVER_PROTOCOL="HTTP/2.0")) is None


# -- take_socket ----------------------------------------------------------------------------


def test_after_the_swap_the_server_talks_to_nobody_and_we_to_the_client(pair: Pair) -> None:
    """The server reads end-of-file and writes into the void; the client hears only us."""
    server, client = pair
    taken = take({"resumehub.socket": server})

    assert server.recv(100) == b""
    server.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    server.shutdown(socket.SHUT_WR)
    server.close()
    with taken.sock:
        client.sendall(b"to us")
        assert taken.sock.recv(100) == b"to us"
        taken.sock.sendall(b"to you")
        assert client.recv(100) == b"to you"
    taken.finish()

    assert client.recv(100) == b"", "ours was the last descriptor of the connection"


def test_the_client_need_not_notice_anything(pair: Pair) -> None:
    """What was under way during the swap arrives: the kernel's buffer moves with the connection."""
    server, client = pair
    client.sendall(b"before")
    taken = take({"resumehub.socket": server})
    client.sendall(b" and after")

    with taken.sock:
        assert read_exactly(taken.sock, 16) == b"before and after"
    taken.finish()


@pytest.mark.parametrize("timeout", [None, 0.0, 30.0], ids=["blocking", "non-blocking", "with a timeout"])
def test_our_socket_blocks_and_has_no_timeout_whatever_the_servers_had(
    timeout: float | None, pair: Pair
) -> None:
    """O_NONBLOCK belongs to the connection and would move with it."""
    server, _ = pair
    server.settimeout(timeout)

    taken = take({"resumehub.socket": server})

    with taken.sock:
        assert taken.sock.gettimeout() is None
        assert os.get_blocking(taken.sock.fileno())
    taken.finish()


def test_no_descriptor_of_the_swap_is_inheritable(pair: Pair) -> None:
    """A child process that kept one would keep the connection open when we close it."""
    server, _ = pair
    taken = take({"resumehub.socket": server})

    with taken.sock:
        assert not os.get_inheritable(taken.sock.fileno())
        assert not os.get_inheritable(server.fileno())
    taken.finish()


def test_finish_may_be_called_again_and_too_early(pair: Pair) -> None:
    """A server that writes after it gets EPIPE, as from a client that has left."""
    server, _ = pair
    taken = take({"resumehub.socket": server})
    taken.sock.close()

    taken.finish()
    taken.finish()

    with pytest.raises(BrokenPipeError):
        server.sendall(b"too late")


@pytest.mark.parametrize("failing", ["dup", "socketpair", "dup2"])
def test_without_descriptors_to_spare_nothing_happens(
    failing: str, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OSError is raised, none is lost, and the server can still answer its client."""
    server, client = pair

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    before = open_descriptors()
    with monkeypatch.context() as patch:
        owner: Any = {"dup": socket.socket, "socketpair": socket, "dup2": os}[failing]
        patch.setattr(owner, failing, fail)
        with pytest.raises(OSError, match="Too many open files"):
            take({"resumehub.socket": server})

    assert open_descriptors() == before
    server.sendall(b"503")
    assert client.recv(100) == b"503"


def test_a_failure_after_the_swap_leaves_nothing_open(pair: Pair) -> None:
    """The client sees the end, the server a client that has left."""
    server, client = pair
    before = set(open_descriptors())

    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "broken")

    with pytest.raises(OSError, match="broken"):
        take({"resumehub.socket": server, "wsgi.input": Broken()})

    assert set(open_descriptors()) == before
    assert client.recv(1) == b""


def test_a_request_with_a_body_is_refused(pair: Pair) -> None:
    """Its body would be taken for what comes behind the handshake."""
    server, client = pair
    for header in ({"CONTENT_LENGTH": "5"}, {"HTTP_TRANSFER_ENCODING": "chunked"}):
        with pytest.raises(SocketUnavailable, match="has a body"):
            take({"resumehub.socket": server} | header)

    server.sendall(b"400")
    assert client.recv(100) == b"400"


# -- what the server had read ahead ---------------------------------------------------------


def test_werkzeugs_buffer_is_emptied(pair: Pair) -> None:
    """The reader that the request head was read from gives what came with it."""
    server, client = pair
    client.sendall(HEAD + b"frames")
    with server.makefile("rb") as reader:
        while reader.readline() != b"\r\n":
            pass

        taken = take(werkzeug_environ(server, **{"wsgi.input": reader}))

        assert taken.leftover == b"frames"
        assert reader.read() == b"", "Werkzeug reads on before it closes, and must not wait"
    taken.finish()
    taken.sock.close()


@pytest.mark.parametrize(
    "behind", [b"frames", b""], ids=["with bytes behind the head", "with nothing behind"]
)
def test_gunicorns_buffer_is_emptied(behind: bytes, pair: Pair) -> None:
    """The way to it is through private names, so gunicorn's own parser shows them here."""
    server, client = pair
    client.sendall(HEAD + behind)
    request = next(RequestParser(Config(), server, ("127.0.0.1", 0)))

    taken = take(gunicorn_environ(server, **{"wsgi.input": request.body}))

    assert taken.leftover == behind
    assert request.unreader.buf.getvalue() == b"", "gthread would take it for the next request"
    taken.finish()
    taken.sock.close()


def test_gunicorn_finds_a_client_that_has_left(pair: Pair) -> None:
    """It would keep one that takes the 101 for the next request, through its poller and its pool."""
    server, client = pair
    client.sendall(HEAD)
    request = next(RequestParser(Config(), server, ("127.0.0.1", 0)))

    taken = take(gunicorn_environ(server, **{"wsgi.input": request.body}))

    with pytest.raises(BrokenPipeError):
        server.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    assert server.recv(1) == b""
    taken.finish()
    with taken.sock:
        taken.sock.sendall(b"to you")
        assert client.recv(100) == b"to you"


@pytest.mark.parametrize("environ_of", [werkzeug_environ, gunicorn_environ], ids=["werkzeug", "gunicorn"])
def test_a_middleware_that_replaces_wsgi_input_is_named(environ_of: Any, pair: Pair) -> None:
    """Bytes read ahead could be lost behind it, so there is no hand-over, and the reason is said."""
    server, client = pair

    with pytest.raises(SocketUnavailable, match="is a BytesIO, not the one"):
        take(environ_of(server, **{"wsgi.input": BytesIO()}))

    server.sendall(b"501")
    assert client.recv(100) == b"501"


def test_werkzeug_in_this_process_hands_over() -> None:
    """From a real request to an echo, with the request thread long gone."""
    takings: queue.Queue[TakenSocket] = queue.Queue()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        taken = take(environ)
        takings.put(taken)
        start_response("101 Switching Protocols", [("Upgrade", "websocket")])
        return ClosingIterator([], taken.finish)

    with (
        make_server("127.0.0.1", 0, app) as http,
        socket.create_connection(("127.0.0.1", http.port), timeout=10) as client,
    ):
        client.sendall(HEAD + b"early")
        http.handle_request()  # in this thread: when it returns, the server has let go

        taken = takings.get_nowait()
        with taken.sock:
            client.sendall(b" and late")
            assert taken.leftover + read_exactly(taken.sock, 9) == b"early and late"
        assert client.recv(1) == b""


# -- borrow_socket ---------------------------------------------------------------------------


def test_a_borrowed_socket_never_blocks_and_begins_with_what_was_read_ahead(tls_pair: TlsPair) -> None:
    """Decrypted bytes in the server's buffer come first, then those still under way."""
    server, client = tls_pair
    client.sendall(HEAD + b"early")
    with server.makefile("rb") as reader:
        while reader.readline() != b"\r\n":
            pass

        borrowed = borrow(werkzeug_environ(server, **{"wsgi.input": reader}))

    assert borrowed.leftover == b"early"
    assert borrowed.sock is server
    with pytest.raises(ssl.SSLWantReadError):
        borrowed.sock.recv(1)
    borrowed.sock.sendall(b"answer")
    assert client.recv(100) == b"answer"


@pytest.mark.parametrize("environ_of", [werkzeug_environ, gunicorn_environ], ids=["werkzeug", "gunicorn"])
def test_where_nothing_was_read_ahead_borrowing_does_not_wait(environ_of: Any, tls_pair: TlsPair) -> None:
    """A silent client is the usual case: it waits for the 101."""
    server, client = tls_pair
    client.sendall(HEAD)
    with server.makefile("rb") as reader:
        if environ_of is gunicorn_environ:
            stream = next(RequestParser(Config(), server, ("127.0.0.1", 0))).body
        else:
            stream = reader
            while reader.readline() != b"\r\n":
                pass

        assert borrow(environ_of(server, **{"wsgi.input": stream})).leftover == b""


def test_given_back_the_connection_is_over_cleanly_and_the_server_writes_to_nobody(tls_pair: TlsPair) -> None:
    """The peer reads close_notify and then the end; the server gets EPIPE, and blocks nowhere."""
    server, client = tls_pair
    borrowed = borrow({"resumehub.socket": server, "wsgi.multithread": True})

    borrowed.give_back()
    borrowed.give_back()

    assert server.gettimeout() is None
    with pytest.raises(BrokenPipeError):
        server.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    assert server.recv(1) == b""
    assert client.recv(100) == b"", "would raise SSLEOFError if the end had not been said"


def test_giving_back_what_the_peer_has_reset_is_silent(tls_pair: TlsPair) -> None:
    """A dead connection is given back like any other."""
    server, client = tls_pair
    borrowed = borrow({"resumehub.socket": server, "wsgi.multithread": True})
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()

    borrowed.give_back()

    with pytest.raises(ConnectionError):
        server.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
