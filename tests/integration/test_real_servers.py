"""Sessions on real servers, driven by a client that nobody here wrote (``websockets``).

The application is ``flask_app.py``. Every test here also says: the server's log has no traceback,
error or warning. What the hand-over of the socket does on each server: ``test_handover_servers.py``.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from http.cookies import SimpleCookie

import pytest
from websockets.exceptions import InvalidStatus

from tests.contract.peers import until
from tests.integration.servers import ServerProcess, complaints, gunicorn, werkzeug
from tests.integration.visits import (
    PATIENCE,
    UPGRADE,
    end_of,
    hear,
    join,
    knock,
    log_in,
    look,
    say,
    upgrades_in,
    vanish,
)

APP = "tests.integration.flask_app:app"
AT_THE_END = "tests.integration.no_thread_at_the_end:app"

Start = Callable[[], ServerProcess]

GTHREAD = partial(gunicorn, APP, "--threads", "2")

SERVERS: dict[str, Start] = {
    "werkzeug threaded": partial(werkzeug, APP),
    "werkzeug single-threaded": partial(werkzeug, APP, threaded=False),
    "werkzeug threaded with TLS": partial(werkzeug, APP, tls=True),
    "gunicorn sync": partial(gunicorn, APP),
    "gunicorn sync --preload": partial(gunicorn, APP, "--preload"),
    "gunicorn gthread": GTHREAD,
    "gunicorn gthread --preload": partial(GTHREAD, "--preload"),
    # Here a connection keeps its thread, so there must be more.
    "gunicorn gthread with TLS": partial(gunicorn, APP, "--threads", "8", tls=True),
}


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS.keys())
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """One server for all tests that leave it running; it must have nothing to complain of."""
    with request.param() as server:
        yield server
        assert complaints(server.stop()) == []


# -- everyday life ---------------------------------------------------------------------------


def test_a_message_comes_back(server: ServerProcess) -> None:
    """The shortest story: log in, connect, say something, hear it, leave."""
    with join(server, "echo-ada") as ws:
        say(ws, "echo", "grüß dich 👋" * 1000)

        assert hear(ws) == ("echo", "grüß dich 👋" * 1000)

    assert server.get("/wait/disconnect/echo-ada")[0] == 200


def test_who_is_not_logged_in_is_refused_by_the_view(server: ServerProcess) -> None:
    """The application's own 401 is what the client gets."""
    status, _ = knock(server, "/ws/tea")

    assert status == 401


def test_cookies_of_view_session_and_after_request_are_on_the_101(server: ServerProcess) -> None:
    """What Flask puts on a response is on this one, too: the session's cookie above all."""
    with join(server, "cookie-ada") as ws:
        assert ws.response is not None
        assert ws.response.status_code == 101
        cookies = SimpleCookie()
        for line in ws.response.headers.get_all("Set-Cookie"):
            cookies.load(line)

    assert cookies.keys() == {"view", "session", "after"}
    assert cookies["view"].value == "was here"
    assert cookies["session"]["httponly"]


def test_a_lost_client_comes_back_to_all_it_has_missed(server: ServerProcess) -> None:
    """Cut off, told a hundred things, back: all hundred, in order, then what is new."""
    with join(server, "lost-ada") as ws:
        say(ws, "echo", "here")
        hear(ws)
        vanish(ws)
        assert server.get("/wait/drop/lost-ada")[0] == 200
    assert server.get("/say/lost-ada/1/100")[0] == 200
    assert look(server, "lost-ada", "/ws/tea") == 204

    with join(server, "lost-ada", "/ws/tea?resume=true") as ws:
        assert server.get("/say/lost-ada/101/120")[0] == 200
        assert [hear(ws) for _ in range(120)] == [("n", n) for n in range(1, 121)]

    assert server.get("/wait/disconnect/lost-ada")[0] == 200


def test_who_comes_too_late_is_told_so(server: ServerProcess) -> None:
    """410 before the upgrade; close code 4100 for those who cannot see a status."""
    with join(server, "late-ada", "/hasty/tea") as ws:
        vanish(ws)
        assert server.get("/wait/disconnect/late-ada")[0] == 200

    status, headers = knock(server, "/hasty/tea?resume=true", "late-ada")
    assert status == 410
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "application/problem+json"
    assert look(server, "late-ada", "/hasty/tea") == 410
    with join(server, "late-ada", "/hasty/tea?resume=true&reject=close") as ws:
        assert end_of(ws) == (4100, "session expired")


def test_a_kick_is_a_close_frame_with_its_reason(server: ServerProcess) -> None:
    """What was said before comes first, then 1000 "kicked", and the session cannot be resumed."""
    with join(server, "kicked-ada") as ws:
        assert server.get("/say/kicked-ada/1/50")[0] == 200
        assert server.get("/kick/kicked-ada")[0] == 200

        assert [hear(ws) for _ in range(50)] == [("n", n) for n in range(1, 51)]
        assert end_of(ws) == (1000, "kicked")

    assert look(server, "kicked-ada", "/ws/tea") == 410


def test_the_access_log_shows_the_101(server: ServerProcess) -> None:
    """An upgrade is a line like any other; with TLS it comes when the WebSocket has ended."""
    with join(server, "logged-ada", "/ws/logged"):
        pass

    deadline = time.monotonic() + PATIENCE
    while not upgrades_in(server.log_text(), "/ws/logged"):
        assert time.monotonic() < deadline, server.log_text()
        server.get("/")


# -- one worker, many clients ----------------------------------------------------------------


@pytest.mark.parametrize("start", [partial(gunicorn, APP), GTHREAD], ids=["sync", "gthread with 2 threads"])
def test_200_websockets_and_plain_pages_on_one_gunicorn_worker(start: Start) -> None:
    """The number of WebSockets has nothing to do with the number of the server's threads."""
    with start() as server, ExitStack() as stack:
        clients = []
        for number in range(200):
            # Each logs in by a plain request, while all before it are connected.
            clients.append(stack.enter_context(join(server, f"u{number}")))
            say(clients[-1], "echo", number)
        assert server.get("/")[0] == 200
        assert [hear(ws) for ws in clients] == [("echo", number) for number in range(200)]
        for ws in reversed(clients):
            say(ws, "echo", "again")
        assert server.get("/") == (200, b"a plain page")
        assert [hear(ws) for ws in clients] == [("echo", "again")] * 200
        stack.close()
        assert server.get("/wait/disconnect/u199")[0] == 200
        log = server.stop(timeout=15)

    assert complaints(log) == [], log
    assert upgrades_in(log) == 200


# -- the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("start", SERVERS.values(), ids=SERVERS.keys())
def test_sigterm_tells_every_client_and_every_handler(start: Start) -> None:
    """No hook, no setting: 1001 for all who are there, on_disconnect for all, a worker that ends itself.

    gunicorn kills a worker that is still there after 30 seconds.
    """
    names = ["ada", "bob", "eve"]
    with start() as server, ExitStack() as stack:
        clients = [stack.enter_context(join(server, name)) for name in names]
        for ws in clients:
            say(ws, "echo")
            hear(ws)
        vanish(clients.pop())  # eve is away, and has not expired
        assert server.get("/wait/drop/eve")[0] == 200

        log = server.stop(timeout=15)

        assert [end_of(ws) for ws in clients] == [(1001, "server shutting down")] * 2
    for name in names:
        assert f"disconnect {name} HubClosed" in log.splitlines()
    assert complaints(log) == [], log


@pytest.mark.parametrize(
    "start",
    [
        partial(gunicorn, AT_THE_END),
        partial(gunicorn, AT_THE_END, "--threads", "2"),
        partial(werkzeug, AT_THE_END),
    ],
    ids=["gunicorn sync", "gunicorn gthread", "werkzeug"],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_the_end_needs_no_thread_that_is_not_there(start: Start, number: signal.Signals) -> None:
    """On Python 3.12.0 to 3.12.2 none can be started any more; close frames and callbacks need none."""
    with start() as server, ExitStack() as stack:
        clients = [stack.enter_context(join(server, name)) for name in ("ada", "bob")]
        for ws in clients:
            say(ws, "echo")
            hear(ws)
        # Not before: on Ctrl-C gunicorn's sync worker logs its own SystemExit as an error of its request.
        until(lambda: upgrades_in(server.log_text()) == len(clients))

        log = server.stop(timeout=15, number=number)

        assert [end_of(ws) for ws in clients] == [(1001, "server shutting down")] * 2
    for name in ("ada", "bob"):
        assert f"disconnect {name} HubClosed" in log.splitlines()
    assert complaints(log) == [], log


@pytest.mark.parametrize("start", [partial(gunicorn, APP), GTHREAD], ids=["sync", "gthread"])
def test_a_client_that_does_not_answer_holds_no_worker_up(start: Start) -> None:
    """SIGTERM waits for the answer to its close frame no longer than the hub's write_timeout."""
    with start() as server:
        head = UPGRADE | {"Host": "test", "Cookie": log_in(server, "mute")}
        lines = ["GET /hasty/tea HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        with server.connect() as sock:
            sock.sendall("\r\n".join(lines).encode())
            assert server.get("/wait/connect/mute")[0] == 200

            log = server.stop(timeout=15)

            heard = b"".join(iter(lambda: sock.recv(65536), b""))
            assert heard.endswith(b"\x88\x16" + (1001).to_bytes(2) + b"server shutting down")
    assert "disconnect mute HubClosed" in log.splitlines()
    assert complaints(log) == [], log


# -- a server that keeps its sockets ---------------------------------------------------------


def test_waitress_gives_a_501_and_its_log_says_which_servers_work() -> None:
    """Nothing hangs and nothing is half open: the client is told, and so is whoever reads the log."""
    serve = (
        "import socket, sys, waitress; from tests.integration.flask_app import app;"
        "waitress.serve(app, sockets=[socket.socket(fileno=int(sys.argv[1]))])"
    )
    with ServerProcess([sys.executable, "-c", serve, "{fd}"]) as server:
        with pytest.raises(InvalidStatus) as refused, join(server, "ada"):
            pass
        log = server.stop()

    response = refused.value.response
    assert response.status_code == 501
    assert json.loads(response.body)["status"] == 501
    assert not {"connection", "upgrade"} & {name.lower() for name in response.headers}
    [line] = [line for line in log.splitlines() if "501" in line]
    assert "Werkzeug" in line
    assert "gunicorn" in line
    assert "Traceback" not in log
