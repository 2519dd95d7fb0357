"""Against plain servers: one of the websockets library, and a hub whose client does not offer v1."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from websockets.sync.server import ServerConnection, serve

from resumehub import Message, TransportLost
from resumehub.client import connect
from tests.client.fake_server import FakeServer
from tests.client.test_lossless import Noted
from tests.support import PATIENCE


@dataclass
class Echo:
    """A server of the websockets library that sends back what it gets."""

    url: str = ""
    peers: list[ServerConnection] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()

    def handle(peer: ServerConnection) -> None:
        made.peers.append(peer)
        made.paths.append(peer.request.path if peer.request else "")
        for said in peer:
            peer.send(said)

    with serve(handle, "127.0.0.1", 0, max_size=None) as server:
        made.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/ws?room=a"
        thread = threading.Thread(target=server.serve_forever, name="websockets")
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("plain", [True, False])
def test_any_server_of_json_messages(echo: Echo, plain: bool) -> None:
    """It need not know us: whether asked plainly or offered more than it knows, messages go both ways."""
    with connect(echo.url, plain=plain) as client:
        for payload in ("ü", [1, {"a": None}], "x" * 200_000):
            client.send(Message("n", payload))
            assert client.receive(PATIENCE) == Message("n", payload)
        assert client.lossless is False
    assert client.error is None
    assert client.in_doubt == []


def test_a_strange_server_is_never_asked_to_resume(echo: Echo) -> None:
    """It would not know what is meant; once it is known to be strange it gets the address, and no more."""
    noted = Noted("on_transport_drop", "on_transport_restore")
    with connect(echo.url, random=lambda: 0.0, **noted.callbacks) as client:
        client.send(Message("n", 1))
        assert client.receive(PATIENCE).payload == 1
        echo.peers[0].close(1001)
        noted.wait("on_transport_restore")
        client.send(Message("n", 2))
        assert client.receive(PATIENCE).payload == 2
    assert [path.partition("&")[0] for path in echo.paths] == ["/ws?room=a"] * 2
    assert echo.paths[1] == "/ws?room=a"
    error = noted.events[0][1]
    assert isinstance(error, TransportLost)
    assert error.code == 1001


def test_a_resumehub_asked_plainly_sends_again_what_was_not_handled(server: FakeServer) -> None:
    """The count is of what the application was given, and the rest comes once."""
    client = server.client(plain=True)
    peer = server.accept()
    nonce = peer.query["instance"]
    assert peer.offered == [""]
    peer.switch()
    for number in (1, 2, 3):
        peer.send("n", number)
    assert [client.receive(PATIENCE).payload for _ in range(2)] == [1, 2]
    peer.vanish()
    again = server.accept()
    assert again.query == {"resume": "true", "received": "2", "attempt": "2", "instance": nonce}
    again.switch()
    again.send("n", 3)
    assert client.receive(PATIENCE).payload == 3


def test_what_was_written_to_a_plain_server_is_off_our_hands(server: FakeServer) -> None:
    """At most once: a message is not sent again only because no acknowledgement has come."""
    client = server.client(plain=True)
    peer = server.accept()
    peer.switch()
    client.send(Message("n", 1))
    assert peer.read() == ("n", 1)
    peer.vanish()
    again = server.accept()
    client.send(Message("n", 2))
    again.switch()
    assert again.read() == ("n", 2)
    assert client.stats().waiting == 0


def test_without_resume_each_connection_is_a_new_one(server: FakeServer) -> None:
    """What had come before the drop is kept: the server will not send it again."""
    client = server.client(plain=True, resume=False)
    peer = server.accept()
    peer.switch()
    for number in (1, 2):
        peer.send("n", number)
    assert client.receive(PATIENCE).payload == 1
    peer.close(1001)
    again = server.accept()
    assert again.query == {}
    again.switch()
    again.send("n", 3)
    assert [client.receive(PATIENCE).payload for _ in range(2)] == [2, 3]


def test_messages_that_are_none_are_skipped_and_counted(server: FakeServer) -> None:
    """They took a number on the server's side, so they take one here."""
    client = server.client(plain=True)
    peer = server.accept()
    peer.switch()
    peer.raw(b"\x81\x04nope")
    peer.raw(b"\x82\x01\x00")
    peer.send("$reserved")
    peer.send("n", 1)
    assert client.receive(PATIENCE).payload == 1
    assert client.stats().undecodable == 3
    peer.vanish()
    assert server.accept().query["received"] == "4"
