"""The hand-over on real servers: what ``resumehub/wsgi/handover.py`` says of them, piece by piece.

The application is ``handover_app.py``: raw bytes, no WebSocket. One process of each server serves all the
tests of this file, and every test also says: the log has no traceback, error or warning.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.integration.handover_app import HEAD
from tests.integration.servers import ServerProcess, complaints, gunicorn, read_exactly, werkzeug

APP = "tests.integration.handover_app:app"

REQUEST = b"GET /echo HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n"
"""In Firefox's words, which ask gunicorn gthread to keep the connection."""

Start = Callable[[], ServerProcess]

GTHREAD = partial(gunicorn, APP, "--threads", "4", "--keep-alive", "60")

SWAPPED: dict[str, Start] = {
    "werkzeug threaded": partial(werkzeug, APP),
    "werkzeug single-threaded": partial(werkzeug, APP, threaded=False),
    "gunicorn sync": partial(gunicorn, APP),
    "gunicorn sync --preload": partial(gunicorn, APP, "--preload"),
    "gunicorn gthread": GTHREAD,
}
BORROWED: dict[str, Start] = {
    "werkzeug threaded with TLS": partial(werkzeug, APP, tls=True),
    "gunicorn gthread with TLS": partial(GTHREAD, tls=True),
}
REFUSED: dict[str, Start] = {
    "werkzeug single-threaded with TLS": partial(werkzeug, APP, threaded=False, tls=True),
    "gunicorn sync with TLS": partial(gunicorn, APP, tls=True),
}


def each(servers: dict[str, Start]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("process", servers.values(), ids=servers.keys(), indirect=True)


@pytest.fixture(scope="module")
def process(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """The server of this parameter, which must end well."""
    with request.param() as process:
        yield process
        assert complaints(process.stop()) == []


@pytest.fixture
def server(process: ServerProcess) -> Iterator[ServerProcess]:
    """The same, and during this test it must have nothing to complain of."""
    before = len(process.log_text())
    yield process
    assert complaints(process.log_text()[before:]) == []


# -- every server that hands over ----------------------------------------------------------


@each(SWAPPED | BORROWED)
def test_bytes_sent_right_behind_the_request_come_first_and_none_is_lost(server: ServerProcess) -> None:
    """What the server had read ahead is handed over with the socket, in the order it was sent."""
    for size in (0, 1, 4000, 8192, 60_000):
        sent = bytes(n % 251 for n in range(size))
        with server.connect() as client:
            client.sendall(REQUEST + sent)
            client.sendall(b"later")

            assert read_exactly(client, len(HEAD) + size + 5) == HEAD + sent + b"later"


@each(SWAPPED | BORROWED)
def test_a_request_that_comes_in_pieces_is_handed_over_as_well(server: ServerProcess) -> None:
    """Where the network cuts the stream does not matter."""
    stream = REQUEST + b"early"
    with server.connect() as client:
        for start in range(0, len(stream), 7):
            client.sendall(stream[start : start + 7])

        assert read_exactly(client, len(HEAD) + 5) == HEAD + b"early"


@each(SWAPPED | BORROWED)
def test_the_server_answers_others_meanwhile_and_logs_the_101(server: ServerProcess) -> None:
    """An open connection keeps nobody waiting, and the access log has its line."""
    with server.connect() as client:
        client.sendall(REQUEST.replace(b"/echo", b"/echo?7"))
        read_exactly(client, len(HEAD))
        assert server.get("/") == (200, b"a plain page")
        hang_up(client)

    wait_until(lambda: server.get("/")[0] == 200 and "GET /echo?7 " in server.log_text())
    [line] = [line for line in server.log_text().splitlines() if "GET /echo?7 " in line]
    assert " 101 " in line


@each(SWAPPED | BORROWED)
def test_the_peer_sees_nothing_of_the_servers_own_response(server: ServerProcess) -> None:
    """After the last word comes a clean end, not a second "101"."""
    with server.connect() as client:
        shake(client)
        hang_up(client)


@each(SWAPPED | BORROWED)
def test_a_client_that_resets_at_any_moment_upsets_nobody(server: ServerProcess) -> None:
    """A reset right behind the request, or with data on its way, is silence in the log."""
    idle = count_sockets(server)
    for number in range(60):
        client = server.connect()
        # Linger on, zero seconds: close() sends a RST and throws away what was not sent.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(REQUEST)
        if number % 3 == 1:
            read_exactly(client, len(HEAD))
        elif number % 3 == 2:
            shake_only_answer(client)
            client.sendall(b"x" * 10_000)
        client.close()

    assert server.get("/")[0] == 200
    wait_until_sockets(server, idle)


@each(SWAPPED | BORROWED)
def test_hundreds_of_hand_overs_leave_no_descriptor_behind(server: ServerProcess) -> None:
    """Whoever closes first, the server's process has as many sockets as before."""
    idle = count_sockets(server)
    for number in range(300):
        with server.connect() as client:
            shake(client)
            if number % 2:
                hang_up(client)

    wait_until_sockets(server, idle)


# -- only where the socket is swapped --------------------------------------------------------


@each(SWAPPED)
def test_the_server_lets_go_at_once(server: ServerProcess) -> None:
    """Of an open connection, one descriptor is left: ours. No keep-alive time is waited for."""
    idle = count_sockets(server)
    with server.connect() as client:
        shake(client)

        wait_until_sockets(server, idle + 1)
        hang_up(client)


@each(SWAPPED)
def test_200_sockets_and_plain_pages_go_side_by_side(server: ServerProcess) -> None:
    """The number of open connections has nothing to do with the number of request threads."""
    with ExitStack() as clients:
        sockets = []
        for number in range(200):
            sockets.append(client := clients.enter_context(server.connect()))
            client.sendall(REQUEST + b"%04d" % number)
            if number % 20 == 0:
                assert server.get("/")[0] == 200
        for number, client in enumerate(sockets):
            assert read_exactly(client, len(HEAD) + 4) == HEAD + b"%04d" % number
        for client in reversed(sockets):
            client.sendall(b"again")
        for client in sockets:
            assert read_exactly(client, 5) == b"again"
        assert server.get("/")[0] == 200


@pytest.mark.parametrize("start", SWAPPED.values(), ids=SWAPPED.keys())
def test_sigterm_is_obeyed_while_connections_are_open(start: Start) -> None:
    """The server does not wait for connections that it no longer has."""
    with start() as server, server.connect() as client:
        shake(client)

        log = server.stop(timeout=10)

        assert client.recv(1) == b""
        assert complaints(log) == []


@each(SWAPPED)
def test_a_child_process_does_not_keep_the_connection_open(server: ServerProcess) -> None:
    """A subprocess that inherits all it can inherits none of our sockets: the peer sees the end."""
    with server.connect() as client:
        shake(client)
        assert server.get("/spawn")[0] == 200
        hang_up(client)


@each(SWAPPED)
def test_a_response_with_many_headers_does_not_block_the_server(server: ServerProcess) -> None:
    """60 KB of cookies go into the void, where nobody reads."""
    idle = count_sockets(server)
    with server.connect() as client:
        client.sendall(REQUEST.replace(b"/echo", b"/echo?60000"))
        read_exactly(client, len(HEAD))

        assert server.get("/")[0] == 200
        wait_until_sockets(server, idle + 1)


@each({"gunicorn gthread": GTHREAD})
def test_a_kept_alive_connection_is_gone_from_gunicorns_poller(server: ServerProcess) -> None:
    """An epoll entry that stayed would fire for ever: our descriptor keeps its connection open."""
    idle, watched = count_sockets(server), count_watched(server)  # the listener and a pipe
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        read_until(client, b"a plain page")
        wait_until(lambda: count_watched(server) == watched + 1)
        client.sendall(REQUEST + b"early")
        read_exactly(client, len(HEAD) + 5)

        wait_until_sockets(server, idle + 1)
        assert count_watched(server) == watched
        hang_up(client)


@pytest.mark.parametrize("threads", ["1", "4"], ids=["sync", "gthread"])
def test_gunicorn_behind_a_unix_socket_hands_over_too(threads: str, tmp_path: Path) -> None:
    """nginx often reaches gunicorn by a path; such a connection is taken like any other."""
    path = str(tmp_path / "gunicorn.sock")
    with gunicorn(APP, "--threads", threads, unix=path) as server:
        with server.connect() as client:
            shake(client)
            hang_up(client)
        assert complaints(server.stop()) == []


# -- only where it is borrowed --------------------------------------------------------------


@each(BORROWED)
def test_with_tls_the_end_of_the_connection_is_said_inside_the_encryption(server: ServerProcess) -> None:
    """Without close_notify a peer has to suspect that somebody cut the stream."""
    assert server.client_context is not None
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    with server.client_context.wrap_socket(
        raw, server_hostname="127.0.0.1", suppress_ragged_eofs=False
    ) as client:
        shake(client)
        hang_up(client)  # would raise SSLEOFError


@each(BORROWED)
def test_with_tls_the_servers_thread_is_free_when_the_connection_is_over(server: ServerProcess) -> None:
    """More connections one after the other than there are threads."""
    for _ in range(10):
        with server.connect() as client:
            shake(client)
            hang_up(client)
    assert server.get("/")[0] == 200


@each(REFUSED)
def test_with_tls_and_one_thread_the_answer_is_501(server: ServerProcess) -> None:
    """A borrowed connection would keep everybody else waiting, so it is refused, with the reason."""
    status, body = server.get("/echo")

    assert status == 501
    assert b"only Werkzeug threaded and gunicorn gthread" in body


# -- helpers --------------------------------------------------------------------------------


def shake(client: socket.socket) -> None:
    """Make the hand-over happen, and see one echo."""
    client.sendall(REQUEST)
    shake_only_answer(client)


def shake_only_answer(client: socket.socket) -> None:
    client.sendall(b"hello")
    assert read_exactly(client, len(HEAD) + 5) == HEAD + b"hello"


def hang_up(client: socket.socket) -> None:
    """Let the other side close, and see it."""
    client.sendall(b"bye")
    assert read_exactly(client, 3) == b"bye"
    assert client.recv(1) == b""


def read_until(client: socket.socket, end: bytes) -> None:
    data = b""
    while not data.endswith(end):
        data += read_exactly(client, 1)


def count_sockets(server: ServerProcess) -> int:
    return server.get("/fds")[1].count(b"socket:")


def wait_until_sockets(server: ServerProcess, at_most: int) -> None:
    """The server's process closes in its own time."""
    wait_until(lambda: count_sockets(server) <= at_most)


def wait_until(happened: Callable[[], bool]) -> None:
    """Ask again and again; each question here is a round trip to the server."""
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline


def count_watched(server: ServerProcess) -> int:
    return len(server.get("/pollers")[1].splitlines())
