"""Whatever a callback, the codec, ``random``, the clock or a log handler raises, the client goes on."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from resumehub import JSONCodec, Message
from resumehub.client import State
from resumehub.testing import FakeClock
from tests.client.fake_server import FakeServer
from tests.contract.peers import until
from tests.support import PATIENCE


class Panic(BaseException):
    """As pyo3's PanicException: no ``Exception``."""


RAISED = [Panic, SystemExit, KeyboardInterrupt, ValueError]


@pytest.fixture
def server():
    with FakeServer() as one:
        yield one


class TrappedCodec(JSONCodec):
    """Raises over one event, once."""

    __slots__ = ("error", "over")

    def __init__(self, over: str, error: type[BaseException]) -> None:
        super().__init__()
        self.over = over
        self.error = [error]

    def _spring(self, message: Message) -> None:
        if message.event == self.over and self.error:
            raise self.error.pop()("secret detail")

    def encode(self, message: Message) -> str:
        self._spring(message)
        return super().encode(message)

    def decode(self, data: str | bytes) -> Message:
        message = super().decode(data)
        self._spring(message)
        return message


def goes_on(client: Any, peer: Any) -> None:
    """A message goes out."""
    client.send(Message("n", "still here"))
    assert peer.read() == ("n", "still here")


@pytest.mark.parametrize("error", RAISED)
@pytest.mark.parametrize("hook", ["on_message", "on_transport_drop", "on_transport_restore", "on_disconnect"])
def test_a_callback_that_panics_is_logged_and_counted(server, hook, error, caplog) -> None:
    """The next callbacks come as if nothing had happened."""
    heard: list[str] = []

    def panic(client: Any, *arguments: Any) -> None:
        raise error("secret detail")

    def hear(client: Any, message: Message) -> None:
        heard.append(message.payload)

    client = server.client(**({"on_message": hear} | {hook: panic}))
    peer = server.welcome()
    peer.send("n", 1)
    if hook == "on_message":
        until(lambda: client.stats().callback_errors == 1)
        peer.send("n", 2)
        until(lambda: client.stats().callback_errors == 2)
    else:
        until(lambda: heard == [1])
        peer.vanish()
        peer = server.welcome(resumed=True, token="token-2", replay_from=2)
        if hook != "on_disconnect":
            until(lambda: client.stats().callback_errors == 1)
        peer.send("n", 2)
        until(lambda: heard == [1, 2])
    goes_on(client, peer)
    client.close(timeout=0)
    assert client.wait_closed(PATIENCE)
    until(lambda: client.stats().callback_errors >= 1)
    assert "a callback of the client raised" in caplog.text


@pytest.mark.parametrize("error", RAISED)
def test_a_message_over_which_decode_panics_is_skipped(server, error, caplog) -> None:
    client = server.client(codec=TrappedCodec("bad", error))
    peer = server.welcome()
    peer.send("bad", 1)
    peer.send("n", 2)
    assert client.receive(PATIENCE) == Message("n", 2)
    assert client.stats().undecodable == 1
    assert error.__name__ in caplog.text
    assert "secret detail" not in caplog.text
    goes_on(client, peer)


@pytest.mark.parametrize("error", RAISED)
def test_an_ack_over_which_encode_panics_costs_the_transport(server, error, caplog) -> None:
    """The first one goes ahead of all messages: without it the client would never say anything."""
    client = server.client(codec=TrappedCodec("$ack", error))
    peer = server.accept()
    peer.switch("resumehub.v1")
    peer.hello()
    assert peer.read_until_end() == []
    assert "the codec cannot encode $ack; the transport is dropped" in caplog.text
    goes_on(client, server.welcome(resumed=True, token="token-2"))


@pytest.mark.parametrize("error", RAISED)
def test_a_random_that_panics_is_taken_for_a_half(server, error, caplog) -> None:
    """It is asked before each dial, and for each pause."""

    def panic() -> float:
        raise error

    client = server.client(random=panic, backoff=(1.0, 1.0))
    server.welcome().vanish()
    until(lambda: client.state is State.WAITING)
    server.clock.advance(1.0)
    goes_on(client, server.welcome(resumed=True, token="token-2"))
    assert "random raised" in caplog.text


def test_a_log_handler_that_panics_costs_its_line(server, capsys) -> None:
    class Trapped(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise Panic

    def panic(client: Any, message: Message) -> None:
        raise ValueError

    handler = Trapped()
    logging.getLogger("resumehub.client").addHandler(handler)
    try:
        client = server.client(on_message=panic)
        peer = server.welcome()
        peer.send("n", 1)
        until(lambda: "the line was: a callback of the client raised" in capsys.readouterr().err)
        goes_on(client, peer)
    finally:
        logging.getLogger("resumehub.client").removeHandler(handler)


def test_while_a_clock_panics_the_client_goes_on(server) -> None:
    class TrappedClock(FakeClock):
        fails = False

        def monotonic(self) -> float:
            if self.fails:
                raise Panic
            return super().monotonic()

    clock = TrappedClock()
    client = server.client(clock=clock)
    peer = server.welcome()
    clock.fails = True
    goes_on(client, peer)
    peer.send("n", 1)
    assert client.receive(PATIENCE) == Message("n", 1)
    clock.fails = False
    goes_on(client, peer)


def test_a_client_whose_driver_has_died_ends(server, caplog) -> None:
    """No thread waits for it; what was not acknowledged is in doubt."""
    client = server.client()
    peer = server.welcome()
    client.send(Message("n", 1))
    assert peer.read() == ("n", 1)

    def panic() -> None:
        raise Panic

    client._loop._machine.next_deadline = panic
    client._loop._commands.put(client._loop._commands._tick)
    assert client.wait_closed(PATIENCE)
    assert client.state is State.CLOSED
    assert "has failed" in str(client.error)
    assert client.in_doubt == [Message("n", 1)]
    with pytest.raises(type(client.error)):
        client.receive(PATIENCE)
    assert "the thread of the client has died" in caplog.text
