"""Getting a connection: refusals, TLS, silence, and wrong arguments."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trustme
from websockets.sync.server import ServerConnection, serve

from resumehub import Message
from resumehub.client import State, connect
from resumehub.errors import HandshakeRefused, RetriesExhausted
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import FakeClock
from tests.client.fake_server import FakeServer
from tests.contract.peers import until
from tests.support import PATIENCE, Call


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 426, 501, 302])
def test_a_refusal_is_for_good(server: FakeServer, status: int) -> None:
    """The error names the status and what the server said; the client does not dial again."""
    client = server.client()
    server.accept().refuse(status, '{"title": "No", "detail": "log in first"}')
    with pytest.raises(HandshakeRefused, match=f"status {status}: log in first") as refused:
        client.wait_connected(PATIENCE)
    assert (refused.value.status, refused.value.detail) == (status, "log in first")
    assert client.state is State.CLOSED
    assert server.no_dial()


def test_not_now_is_asked_again_and_not_sooner_than_said(server: FakeServer) -> None:
    """503 with Retry-After: seven seconds are seven seconds."""
    client = server.client()
    server.accept().refuse(503, Retry_After="7")
    until(lambda: client.state is State.WAITING)
    server.clock.advance(6.9)
    assert server.no_dial()
    server.clock.advance(0.2)
    server.welcome()
    assert client.wait_connected(PATIENCE)


def test_nobody_listens(server: FakeServer) -> None:
    """Network errors are tried again, as often as you like, and the last is the cause."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with (
        connect(f"ws://127.0.0.1:{port}/", max_retries=2, random=lambda: 0.0) as client,
        pytest.raises(RetriesExhausted) as exhausted,
    ):
        client.wait_connected(PATIENCE)
    assert client.stats().dials == 3
    assert "refused" in str(exhausted.value.__cause__)


def test_a_server_that_says_nothing_is_given_up(server: FakeServer) -> None:
    """It accepts, and is silent: the next dial comes after open_timeout, and the first is gone."""
    server.client(open_timeout=3.0)
    silent = server.accept()
    server.clock.advance(3.0)
    server.welcome()
    assert silent.read_until_end() == []


def test_a_line_that_goes_dead_within_the_answer(server: FakeServer) -> None:
    """Half of a status line is no answer: the client dials again."""
    client = server.client()
    peer = server.accept()
    peer.raw(b"HTTP/1.1 101 Swit")
    peer.vanish()
    server.welcome()
    assert client.wait_connected(PATIENCE)


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", b"HTTP/1.1 101 Fine\r\n\r\n"])
def test_no_websocket_at_all(server: FakeServer, answer: bytes) -> None:
    """Another service has the port: coming back would not change that."""
    client = server.client()
    server.accept().raw(answer)
    with pytest.raises(HandshakeRefused, match="no WebSocket"):
        client.wait_connected(PATIENCE)


def test_closing_while_the_server_keeps_us_waiting(server: FakeServer) -> None:
    """Nothing was sent, so nothing holds ``close`` up."""
    client = server.client()
    server.accept()
    client.close()
    assert client.state is State.CLOSED


def test_an_interrupt_leaves_at_once(server: FakeServer) -> None:
    """Ctrl-C in a loop over messages: the loop ends with it, and ``with`` does not wait for close frames."""
    interrupted = threading.Event()

    def interrupt(client: object, first: int, last: int) -> None:
        # A signal that comes just before Python goes to sleep in a lock does not wake it: hence the loop.
        while not interrupted.wait(0.01):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def on_interrupt(number: int, frame: object) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    client = server.client(on_missed=interrupt)
    client.send(Message("never acknowledged"))

    def loop() -> None:
        with client:
            server.welcome().send("$missed", {"from": 1, "to": 1})
            for _ in client:
                pass

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            loop()
    finally:
        signal.signal(signal.SIGINT, before)
    assert client.in_doubt == [Message("never acknowledged")]


# -- TLS ------------------------------------------------------------------------------


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> Iterator[str]:
    """An echo over TLS, by the websockets library's server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def echo(peer: ServerConnection) -> None:
        for said in peer:
            peer.send(said)

    with serve(echo, "127.0.0.1", 0, ssl=context) as server:
        thread = threading.Thread(target=server.serve_forever, name="websockets")
        thread.start()
        yield f"wss://127.0.0.1:{server.socket.getsockname()[1]}/"
        server.shutdown()
        thread.join()


def test_tls(tls: str, authority: trustme.CA) -> None:
    """A large message, too: it comes in more pieces than TLS likes to take at once."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with connect(tls, plain=True, ssl_context=context) as client:
        for size in (1, 300_000):
            client.send(Message("n", "x" * size))
            assert client.receive(PATIENCE) == Message("n", "x" * size)


def test_a_certificate_of_no_known_authority(tls: str) -> None:
    """That is no network trouble, and no reason to try again."""
    with connect(tls) as client, pytest.raises(HandshakeRefused, match="certificate"):
        client.wait_connected(PATIENCE)


# -- arguments --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "options", "error"),
    [
        ("ftp://example.org/", {}, "must begin with ws://"),
        ("ws:///path", {}, "must have a host"),
        (f"ws://{'x' * 70}.example/", {}, "cannot be written"),
        ("ws://ada:secret@example.org/", {}, "user name"),
        ("ws://example.org/#top", {}, "fragment"),
        ("ws://example.org/?resume=true", {}, "'resume' is the client's own"),
        (
            "ws://example.org/",
            {"params": {"received": "7"}},
            "'received' is the client's own; leave it out of params",
        ),
        ("ws://example.org/", {"headers": {"Sec-WebSocket-Key": "x"}}, "handshake's own"),
        ("ws://example.org/", {"headers": {"X": "a\r\nY: b"}}, "'X' has a line break"),
        ("ws://example.org/", {"cookies": {"a": "b\n"}}, "'Cookie' has a line break"),
        ("ws://example.org/", {"backoff": (2.0, 1.0)}, "the longest must not be the shorter"),
        ("ws://example.org/", {"open_timeout": 0}, "open_timeout must be more than 0"),
        ("ws://example.org/", {"max_retries": -1}, "max_retries must be 0 or more"),
        ("ws://example.org/", {"send_buffer": 0}, "send_buffer must be more than 0"),
        ("ws://example.org/", {"ssl_context": ssl.create_default_context()}, "wss:// only"),
    ],
)
def test_arguments_that_cannot_be_meant(url: str, options: dict[str, Any], error: str) -> None:
    """They are refused at once, by name, and no secret of theirs is told."""
    with pytest.raises(ValueError, match=error) as wrong:
        connect(url, **options)
    assert "secret" not in str(wrong.value)


def test_a_callback_must_be_one() -> None:
    """A name in place of a function is found out at once, and not at the first message."""
    with pytest.raises(TypeError, match="on_message takes a function"):
        connect("ws://example.org/", on_message="print")


class NoThreads(SystemRuntime):
    """A system that gives ``given`` threads and no more."""

    def __init__(self, given: int) -> None:
        super().__init__()
        self._given = given

    def spawn(self, name, run, *, daemon=True):
        if not self._given:
            raise RuntimeError("can't start new thread")
        self._given -= 1
        return super().spawn(name, run, daemon=daemon)


@pytest.mark.parametrize("given", [0, 1, 2])
def test_a_client_that_gets_no_threads_leaves_nothing_behind(given: int) -> None:
    """``connect`` raises, and no later step of the clock waits for a client that never ran."""
    clock = FakeClock()
    with pytest.raises(RuntimeError, match="can't start new thread"):
        connect("ws://example.org/", clock=clock, on_message=print, _runtime=NoThreads(given))
    Call(lambda: clock.advance(10)).result()
