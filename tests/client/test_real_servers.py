"""End to end: the client and a hub on real servers, over loopback, with transports that are cut."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from resumehub import Message
from resumehub.client import connect
from resumehub.client.dialing import TcpOpener
from resumehub.errors import HandshakeRefused, RetriesExhausted
from resumehub.runtime.system import SystemRuntime
from tests.client.on_a_loop import KINDS
from tests.integration.servers import ServerProcess, complaints, gunicorn, werkzeug
from tests.support import PATIENCE

APP = "tests.client.echo_app:app"


class CutOpener:
    """Opens sockets as the client itself would, and cuts them."""

    def __init__(self) -> None:
        self._open = TcpOpener(SystemRuntime())
        self._last: socket.socket | None = None

    def __call__(self, host: str, port: int, guard: Callable[[socket.socket], None]) -> socket.socket:
        sock = self._open(host, port, guard)
        if self._last is not None:
            self._last.close()
        self._last = sock.dup()
        return sock

    def cut(self) -> None:
        assert self._last is not None, "there is a connection"
        self._last.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._last is not None:
            self._last.close()


def talk(server: ServerProcess, connect: Callable[..., Any]) -> None:
    """Send ten messages, cut the transport in between, and get each back once, in order."""
    opener = CutOpener()
    options = {"ssl_context": server.client_context, "_opener": opener, "random": lambda: 0.0}
    try:
        with connect(f"{server.ws_url}/?id=ada", **options) as client:
            assert [echoed(client, number) for number in range(5)] == list(range(5))
            opener.cut()
            for number in range(5, 10):
                client.send(Message("n", number))
            assert [client.receive(PATIENCE).payload for _ in range(5)] == list(range(5, 10))
            assert client.lossless
        assert client.in_doubt == []
    finally:
        opener.close()


def echoed(client: Any, number: int) -> int:
    client.send(Message("n", number))
    echo: int = client.receive(PATIENCE).payload
    return echo


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("start", "tls"), [(gunicorn, False), (werkzeug, True)], ids=["ws", "wss"])
def test_a_conversation_over_a_line_that_is_cut(
    start: Callable[..., ServerProcess], tls: bool, kind: str
) -> None:
    """Under gunicorn, and under Werkzeug with TLS."""
    arguments = ["--threads", "4"] if start is gunicorn else []
    with start(APP, *arguments, tls=tls) as server:
        talk(server, KINDS[kind])
        log = server.stop()
    assert not complaints(log)


def test_a_server_that_goes_away_for_good() -> None:
    """The client tries again as often as it may, and then it ends."""
    with (
        werkzeug(APP) as server,
        connect(f"{server.ws_url}/?id=ada", max_retries=1, random=lambda: 0.0) as client,
    ):
        assert client.wait_connected(PATIENCE)
        server.stop()
        with pytest.raises(RetriesExhausted):
            client.receive(PATIENCE)


def test_another_path_than_the_hubs() -> None:
    """The server's own 404, with a body that is no JSON."""
    with (
        werkzeug("tests.integration.flask_app:app") as server,
        connect(f"{server.ws_url}/nothing/here") as client,
        pytest.raises(HandshakeRefused, match="status 404"),
    ):
        client.wait_connected(PATIENCE)
