"""The client learns which message of its own the server could not decode; its application is told once."""

from __future__ import annotations

import json

import pytest

from resumehub import Message, MessageRejected
from resumehub.client import Client, connect
from tests.client.fake_server import FakeServer, Peer
from tests.client.test_lossless import Noted
from tests.integration.servers import werkzeug
from tests.support import PATIENCE


def three_sent(server: FakeServer, noted: Noted) -> tuple[Client, Peer]:
    client = server.client(**noted.callbacks)
    peer = server.welcome()
    for payload in ("fine", "odd", "fine again"):
        client.send(Message("n", payload))
        peer.read()
    return client, peer


def test_the_application_is_given_the_message_and_the_reason(server: FakeServer) -> None:
    """It hears of it before the message is forgotten, and the connection goes on."""
    noted = Noted("on_rejected")
    client, peer = three_sent(server, noted)
    peer.send("$rejected", {"number": 2, "reason": "JSON that is nested too deeply"})
    peer.send("$ack", {"received": 3})
    peer.send("n", "heard")
    assert client.receive(PATIENCE) == Message("n", "heard")  # so the acknowledgement was heard as well
    _, message, error = noted.wait("on_rejected")
    assert message == Message("n", "odd")
    assert isinstance(error, MessageRejected)
    assert (error.number, error.reason) == (2, "JSON that is nested too deeply")
    client.send(Message("n", 4))
    assert peer.read() == ("n", 4)
    stats = client.stats()
    assert (stats.rejected, stats.acknowledged, stats.waiting, stats.drops) == (1, 3, 1, 0)


def test_it_is_told_once_however_often_the_connection_is_lost(server: FakeServer) -> None:
    """``$hello`` repeats what the server can't know to have arrived, and tells what was lost on the way."""
    noted = Noted("on_rejected")
    client, peer = three_sent(server, noted)
    odd, late = {"number": 2, "reason": "odd"}, {"number": 3, "reason": "late"}
    peer.send("$rejected", odd)
    noted.wait("on_rejected")
    peer.vanish()
    again = server.welcome(resumed=True, received=3, rejected=[odd, late])
    _, message, _ = noted.wait("on_rejected", 2)
    assert message == Message("n", "fine again")
    again.vanish()
    last = server.welcome(resumed=True, received=3, rejected=[odd, late])
    client.send(Message("n", 4))
    assert last.read() == ("n", 4)
    assert len(noted.events) == client.stats().rejected == 2


def test_what_was_rejected_is_not_in_doubt(server: FakeServer) -> None:
    """The server has said what became of it."""
    noted = Noted("on_rejected")
    client, peer = three_sent(server, noted)
    peer.send("$rejected", {"number": 2, "reason": "odd"})
    noted.wait("on_rejected")
    peer.close(4100, "session expired")
    client.wait_closed(PATIENCE)
    assert [message.payload for message in client.in_doubt] == ["fine", "fine again"]


def test_a_number_of_no_message_of_ours_is_no_error(server: FakeServer) -> None:
    """A server that counts otherwise does no harm here."""
    noted = Noted("on_rejected")
    client, peer = three_sent(server, noted)
    peer.send("$rejected", {"number": 4, "reason": "odd"})
    peer.send("n", "heard")
    assert client.receive(PATIENCE) == Message("n", "heard")
    assert noted.events == []


@pytest.mark.parametrize("payload", [None, {}, {"number": 0, "reason": "x"}, {"number": 1}, {"reason": 7}])
def test_a_malformed_one_breaks_the_protocol(server: FakeServer, payload: object) -> None:
    """As any control message that no server sends."""
    client = server.client()
    peer = server.welcome()
    peer.send("$rejected", payload)
    assert peer.read_until_end()[-1].payload[:2] == (1002).to_bytes(2)
    assert client.stats().rejected == 0


def test_a_real_hub_tells_a_real_client() -> None:
    """The two codecs differ, as after a deployment that reached one end only."""

    class Odd:
        def encode(self, message: Message) -> str:
            said = {"event": message.event, "payload": message.payload}
            return "no JSON" if message.payload == "odd" else json.dumps(said)

        def decode(self, data: str | bytes) -> Message:
            said = json.loads(data)
            return Message(said.get("event", ""), said.get("payload"))

    noted = Noted("on_rejected")
    with (
        werkzeug("tests.client.echo_app:app") as server,
        connect(f"{server.ws_url}/?id=ada", codec=Odd(), **noted.callbacks) as client,
    ):
        client.send(Message("n", "odd"))
        _, message, error = noted.wait("on_rejected")
    assert (message.payload, error.number) == ("odd", 1)
    assert error.reason == "not valid JSON (at character 0)"
