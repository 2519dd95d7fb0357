"""Where a client dials: short-lived tokens made for each dial, and addresses of which some are dead."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from resumehub.client import State, connect
from resumehub.client.dialing import AddressOrder, ResolvedAddress, TcpOpener
from resumehub.errors import RetriesExhausted, TransportLost
from resumehub.runtime.system import SystemRuntime
from tests.client.fake_server import FakeServer
from tests.support import PATIENCE

# -- functions ------------------------------------------------------------------------------


def numbered(texts: str) -> Any:
    """A function that gives another value for each call."""
    numbers = iter(range(1, 100))
    return lambda: texts.format(next(numbers))


def test_functions_are_asked_for_each_dial(server: FakeServer) -> None:
    """A token that is good for a minute would be refused when the client comes back after an hour."""
    url, token, key, ticket = (numbered(form) for form in (f"{server.url}?v={{}}", "T{}", "k{}", "t{}"))
    client = connect(
        url,
        headers=lambda: {"Authorization": token()},
        cookies=lambda: {"key": key()},
        params=lambda: {"ticket": ticket()},
        clock=server.clock,
        random=lambda: 0.0,
    )
    try:
        assert "not known yet" in repr(client)
        peer = server.welcome()
        peer.vanish()
        again = server.accept()
        for number, dialled in (("1", peer), ("2", again)):
            assert (dialled.query["v"], dialled.query["ticket"]) == (number, f"t{number}")
            assert (dialled.headers["authorization"], dialled.headers["cookie"]) == (
                f"T{number}",
                f"key=k{number}",
            )
        assert server.url in repr(client)
        assert "ticket" not in repr(client)
    finally:
        client.close(timeout=0)


def test_params_that_are_no_function_go_into_the_query(server: FakeServer) -> None:
    """Beside those of the URL."""
    server.client("?a=1", params={"b": "2 3"})
    query = server.accept().query
    assert (query["a"], query["b"]) == ("1", "2 3")


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (lambda: 1 / 0, "headers raised ZeroDivisionError"),
        (lambda: {"X": 7}, "the header 'X' must be a str"),
        (lambda: {"X": "euro €"}, "cannot be written as HTTP"),
        (lambda: {"X": "a\nb"}, "'X' has a line break in it"),
        (lambda: None, "headers must be a mapping or pairs, not NoneType"),
    ],
)
def test_a_function_that_fails_costs_a_dial_and_not_the_client(
    server: FakeServer, caplog: pytest.LogCaptureFixture, wrong: Any, problem: str
) -> None:
    """The server that makes the tokens may be away for a moment. It is logged, and no value is told."""
    failing = [wrong, wrong, lambda: {"X": "fine"}]
    with caplog.at_level(logging.WARNING, "resumehub.client"):
        server.client(headers=lambda: failing.pop(0)())
        assert server.accept().headers["x"] == "fine"
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert all(problem in text for text in told), told
    assert "euro" not in caplog.text


def test_whoever_gives_up_learns_what_the_function_raised(server: FakeServer) -> None:
    """It is the cause of the cause, also if it is an exception that would end a program."""

    def ended() -> dict[str, str]:
        raise SystemExit(3)

    client = server.client(cookies=ended, max_retries=1)
    with pytest.raises(RetriesExhausted) as exhausted:
        client.wait_connected(PATIENCE)
    lost = exhausted.value.__cause__
    assert isinstance(lost, TransportLost)
    assert lost.reason == "nothing to dial: cookies raised SystemExit"
    assert isinstance(lost.__cause__, SystemExit)


def test_a_function_that_does_not_return_is_not_called_again_meanwhile(threaded_server: FakeServer) -> None:
    """Else each dial would leave another thread behind in it."""
    called, go_on = threading.Semaphore(0), threading.Event()
    calls: list[int] = []

    def slow() -> dict[str, str]:
        calls.append(1)
        called.release()
        go_on.wait(PATIENCE)
        return {}

    client = threaded_server.client(headers=slow, max_retries=2)
    assert called.acquire(timeout=PATIENCE)
    threaded_server.clock.advance(10.0)  # the dial is given up; the two behind it find the function busy
    with pytest.raises(RetriesExhausted):
        client.wait_connected(PATIENCE)
    assert len(calls) == 1
    go_on.set()


@pytest.mark.parametrize(
    ("url", "shown"),
    [("http://example.org/ws?a=b", "ws://example.org/ws"), ("https://example.org", "wss://example.org/")],
)
def test_http_is_taken_for_ws(url: str, shown: str) -> None:
    """As browsers take it; people copy addresses from there."""
    with connect(url, _opener=refuse) as client:
        assert f"<Client of {shown}, " in repr(client)
        client.close(timeout=0)
    assert client.state is State.CLOSED


def refuse(host: str, port: int, guard: Any) -> socket.socket:
    raise OSError("there is no network here")


# -- addresses ------------------------------------------------------------------------------


class NoticedRuntime(SystemRuntime):
    """Says when somebody waits for a socket to connect."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Event()

    def wait_writable(self, sock: socket.socket) -> None:
        self.waits.set()
        super().wait_writable(sock)


def address_of(listener: socket.socket) -> ResolvedAddress:
    return (socket.AF_INET, socket.SOCK_STREAM, 0, "", listener.getsockname())


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Takes TCP, since the kernel does, and never says a word."""
    with socket.create_server(("127.0.0.2", 0)) as listener:
        listener.settimeout(PATIENCE)
        yield listener


@pytest.fixture
def black_hole() -> Iterator[socket.socket]:
    """Answers no SYN: its queue is full, so the kernel drops what comes."""
    with socket.create_server(("127.0.0.3", 0), backlog=0) as listener:
        filling = []
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            filling.append(one)
        yield listener
        for one in filling:
            one.close()


def test_a_first_address_that_takes_tcp_and_says_nothing_is_left(
    server: FakeServer, silent: socket.socket
) -> None:
    """The next dial begins behind it; and after a drop, with the one that worked."""
    runtime, order = SystemRuntime(), AddressOrder()
    found = [address_of(silent), address_of(server.listener)]
    client = server.client(_opener=TcpOpener(runtime, order, lambda host, port: found), _order=order)
    dead, _ = silent.accept()
    server.clock.advance(10.0)
    peer = server.welcome()
    assert client.wait_connected(PATIENCE)
    peer.vanish()
    again = server.welcome(resumed=True)
    again.vanish()
    server.accept()  # and once more, since that one worked
    dead.close()
    silent.setblocking(False)
    with pytest.raises(BlockingIOError):
        silent.accept()


def test_a_first_address_that_is_a_black_hole_is_left(
    threaded_server: FakeServer, black_hole: socket.socket
) -> None:
    """No answer to the SYN: it has half of the dial's time, and the same dial goes on with the next one."""
    runtime, order = NoticedRuntime(), AddressOrder()
    found = [address_of(black_hole), address_of(threaded_server.listener)]
    client = threaded_server.client(_opener=TcpOpener(runtime, order, lambda host, port: found), _order=order)
    assert runtime.waits.wait(PATIENCE)
    threaded_server.clock.advance(5.0)
    peer = threaded_server.welcome()
    assert client.wait_connected(PATIENCE)
    peer.vanish()
    threaded_server.accept()  # where it was connected, the next dial begins
    assert client.stats().dials == 2


def test_a_black_hole_alone_has_the_whole_time(
    threaded_server: FakeServer, black_hole: socket.socket
) -> None:
    """There is nothing to go on with; the pause comes behind open_timeout."""
    runtime, order = NoticedRuntime(), AddressOrder()
    found = [address_of(black_hole)]
    client = threaded_server.client(
        _opener=TcpOpener(runtime, order, lambda host, port: found), _order=order, max_retries=0
    )
    assert runtime.waits.wait(PATIENCE)
    threaded_server.clock.advance(9.9)
    assert client.state is State.CONNECTING
    threaded_server.clock.advance(0.1)
    with pytest.raises(RetriesExhausted):
        client.wait_connected(PATIENCE)


A, B, C = ((socket.AF_INET, socket.SOCK_STREAM, 0, "", (f"10.0.0.{last}", 80)) for last in (1, 2, 3))


def test_the_order_of_addresses() -> None:
    """Behind the one that failed, round and round; with the one that worked; as given if that one is gone."""
    order = AddressOrder()
    assert order.order([A, B, C]) == [A, B, C]
    order.trying(A[4])
    assert order.order([A, B, C]) == [B, C, A]
    order.trying(C[4])
    assert order.order([A, B, C]) == [A, B, C]
    order.trying(B[4])
    order.worked()
    assert order.order([A, B, C]) == [B, C, A]
    assert order.order([A, C]) == [A, C]
    order.trying(B[4])
    assert order.order([B]) == [B]
