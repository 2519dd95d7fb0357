"""A server is told to stop while a request is under way that takes longer than it has time.

Real gunicorn, whose workers wait for requests until ``graceful_timeout``, and are killed then. The request
lasts as long as the test says. When things happen here is decided by gates, not by waiting: only the server's
own time, which is short for that, goes by.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.contract.peers import until
from tests.integration.servers import ServerProcess, complaints, gunicorn
from tests.integration.visits import end_of, hear
from tests.support import PATIENCE, Call

APP = "tests.integration.stopping_app:app"

SYNC = ()
GTHREAD = ("--threads", "4")

SHORT = ("--graceful-timeout", "3")
"""The worker is killed so soon that a hub which waited for the request would not close in time."""

GOING_AWAY = (1001, "server shutting down")


class HeldRequest:
    """A request that is under way in the server, and does what it is told to."""

    def __init__(self, server: ServerProcess, listener: socket.socket) -> None:
        self._answer = Call(partial(self._ask, server))
        self._sock, _ = listener.accept()
        self._sock.settimeout(PATIENCE)
        self._lines = self._sock.makefile()
        assert self._lines.readline() == "here\n"

    def tell(self, what: str) -> None:
        """Have it do something, and wait until it has done it."""
        self._sock.sendall(f"{what}\n".encode())
        assert self._lines.readline() == "done\n", f"the request failed at {what!r}"

    def go(self) -> None:
        self._sock.sendall(b"go\n")

    def leave(self) -> None:
        """It may have been killed with its process."""
        self._lines.close()
        self._sock.close()
        self._answer.result()

    def _ask(self, server: ServerProcess) -> None:
        try:
            server.get("/hold")
        except Exception:
            pass


Held = Callable[..., tuple[ServerProcess, HeldRequest, list[ClientConnection]]]


@pytest.fixture
def held() -> Iterator[Held]:
    """Start gunicorn, connect clients with these ids, and have a request under way."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(PATIENCE)

        def make(*args: str, ids: tuple[str, ...] = ("ada", "bob"), **env: str) -> Any:
            gate = {"GATE": str(listener.getsockname()[1]), **env}
            server = stack.enter_context(gunicorn(APP, *args, env=gate, probe="/pid"))
            clients = [stack.enter_context(joined(server, one)) for one in ids]
            request = HeldRequest(server, listener)
            stack.callback(request.leave)
            return server, request, clients

        yield make


@contextmanager
def joined(server: ServerProcess, name: str) -> Iterator[ClientConnection]:
    with connect(f"{server.ws_url}/ws?id={name}", proxy=None, ping_interval=None) as ws:
        yield ws


def disconnected(log: str) -> list[str]:
    return sorted(line for line in log.splitlines() if line.startswith("disconnect "))


ALL_DISCONNECTED = ["disconnect ada HubClosed", "disconnect bob HubClosed"]


@pytest.mark.contract("C8")
@pytest.mark.parametrize("worker", [SYNC, GTHREAD], ids=["sync", "gthread"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=lambda one: one.name)
def test_sessions_are_told_though_a_request_is_under_way_until_the_kill(held, worker, number) -> None:
    """A download, a long poll, a stream of events: 1001 and on_disconnect come before the kill."""
    server, _, clients = held(*worker, *SHORT)

    log = server.stop(timeout=30, number=number)

    assert [end_of(ws) for ws in clients] == [GOING_AWAY] * 2
    assert disconnected(log) == ALL_DISCONNECTED


@pytest.mark.contract("C8")
def test_a_request_under_way_may_still_send(held) -> None:
    """The server was told to stop; what the request sends arrives, and the close frame comes behind it."""
    server, request, clients = held(*GTHREAD)
    stopping = Call(partial(server.stop, timeout=30))
    request.tell("told")
    request.tell("say")
    assert [hear(ws) for ws in clients] == [("late", "news")] * 2

    request.go()

    assert [end_of(ws) for ws in clients] == [GOING_AWAY] * 2
    log = stopping.result()
    assert disconnected(log) == ALL_DISCONNECTED
    assert complaints(log) == []


@pytest.mark.contract("C8")
def test_a_request_that_sends_too_late_is_no_error(held) -> None:
    """All sessions have ended: the room is empty, as after the last member's leave."""
    server, request, clients = held(*GTHREAD, *SHORT)
    stopping = Call(partial(server.stop, timeout=30))
    assert [end_of(ws) for ws in clients] == [GOING_AWAY] * 2

    request.tell("say")
    request.go()

    assert "Traceback" not in stopping.result()


@pytest.mark.contract("C8")
@pytest.mark.parametrize("worker", [SYNC, GTHREAD], ids=["sync", "gthread"])
def test_a_reload_tells_the_sessions_of_the_old_worker(held, worker) -> None:
    """SIGHUP: a new worker serves, while the old one waits for its request."""
    server, request, clients = held(*worker, *SHORT)
    os.kill(server.pid, signal.SIGHUP)
    assert [end_of(ws) for ws in clients] == [GOING_AWAY] * 2
    request.tell("say")
    request.go()
    with joined(server, "eve") as eve:
        log = server.stop(timeout=30)
        assert end_of(eve) == GOING_AWAY
    assert disconnected(log) == [*ALL_DISCONNECTED, "disconnect eve HubClosed"]


@pytest.mark.contract("C8")
def test_a_worker_that_has_had_its_requests_tells_its_sessions(held) -> None:
    """``--max-requests``: the probe, two clients, and the request that is under way and does not end."""
    _, request, clients = held(*GTHREAD, *SHORT, "--max-requests", "4")
    assert [end_of(ws) for ws in clients] == [GOING_AWAY] * 2
    request.go()


@pytest.mark.contract("C8")
def test_a_worker_whose_master_was_killed_tells_its_sessions(held) -> None:
    """No signal comes then: the worker sees that it has another parent."""
    server, request, clients = held(*GTHREAD, *SHORT)
    worker = int(server.get("/pid")[1])
    os.kill(server.pid, signal.SIGKILL)
    assert [end_of(ws) for ws in clients] == [GOING_AWAY] * 2
    request.go()
    until(lambda: not is_alive(worker))
    assert disconnected(server.log_text()) == ALL_DISCONNECTED


@pytest.mark.contract("C8")
@pytest.mark.parametrize("env", [{}, {"NO_THREAD_AT_THE_END": "1"}], ids=["3.12.3", "3.12.2"])
@pytest.mark.parametrize("under_way", [True, False], ids=["a request is under way", "no request is"])
def test_a_callback_that_does_not_return_is_in_the_log_before_the_kill(held, under_way, env) -> None:
    """With its stack, down to the line that does not return; the others have run."""
    server, request, clients = held(*GTHREAD, *SHORT, ids=("stuck-1", "ada"), **env)
    if not under_way:
        request.go()

    log = server.stop(timeout=30)

    assert [end_of(ws) for ws in clients] == [GOING_AWAY] * 2
    assert disconnected(log) == ["disconnect ada HubClosed", "disconnect stuck-1 HubClosed"]
    [line] = [line for line in log.splitlines() if "what they do is cut off" in line]
    _, _, report = log.partition(line)
    assert "resumehub-" in report
    assert "in stuck_in_here" in report
    assert "_watch_the_leader" not in report, "only the callback is to blame"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"
