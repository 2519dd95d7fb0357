"""D2: ``$hello`` and ``$replayed``, the codec they go through, and events that nobody else may use."""

from __future__ import annotations

import json

import pytest

from resumehub import Message
from resumehub.testing import connect
from tests.contract.peers import handled_all, heard_all
from tests.contract.v1_client import V1, Speaker, dial, offer, raw
from tests.support import PATIENCE, read, text


@pytest.mark.contract("D2")
def test_hello_says_what_the_client_has_to_know(stage) -> None:
    """Exactly the fields of the documentation, with this hub's options in them."""
    s = stage(
        send_buffer=8, send_buffer_bytes=5000, resume_window=7.0, ping_interval=None, max_message_size=1234
    )
    hello = dial(s).hello

    assert isinstance(hello.pop("token"), str)
    assert hello == {
        "connection_id": "u1",
        "resumed": False,
        "received": 0,
        "replay_from": 1,
        "window": {"messages": 8, "bytes": 5000},
        "resume_window": 7.0,
        "ping_interval": None,
        "max_message_size": 1234,
    }


@pytest.mark.contract("D2")
def test_a_client_whose_id_was_made_is_told_it(stage) -> None:
    s = stage(lambda request: ("lobby", None))
    assert s.hub.get(dial(s).hello["connection_id"]) is not None


@pytest.mark.contract("D2")
def test_hello_comes_first_on_every_connection(stage) -> None:
    """Ahead of what on_connect sends, and ahead of what waited; it says where both sides stand."""
    s = stage()
    s.hub.on_connect(lambda connection: connection.send(Message("n", "welcome")))
    peer = dial(s)
    assert peer.take(1) == ["welcome"]
    peer.say(1, 2)
    handled_all(s, peer.ws)
    peer.drop()
    s.say("u1", "waited")

    back = peer.resume()

    assert back.hello["resumed"] is True
    assert (back.hello["received"], back.hello["replay_from"]) == (2, 2)
    assert back.take(1) == ["waited"]


@pytest.mark.contract("D2")
def test_hello_overtakes_what_a_handler_sends_on_restore(stage) -> None:
    s = stage()
    s.hub.on_transport_restore(lambda connection: connection.send(Message("n", "back")))
    peer = dial(s)
    peer.drop()
    back = peer.resume()
    assert {back.read()[0], back.read()[0]} == {"$replayed", "n"}


@pytest.mark.contract("D2")
@pytest.mark.parametrize(("lost", "waited"), [(0, 0), (2, 0), (0, 3), (2, 3)])
def test_replayed_stands_behind_all_that_was_kept(stage, lost, waited) -> None:
    """Messages that were written and lost, and those sent meanwhile; what comes behind it is new."""
    s = stage()
    peer = dial(s)
    s.say("u1", *range(lost))
    peer.drop()
    s.say("u1", *range(lost, lost + waited))

    back = peer.resume(received=0)
    s.say("u1", "new")

    assert back.take(lost + waited) == list(range(lost + waited))
    assert back.read() == ("$replayed", {"messages": lost + waited})
    assert back.take(1) == ["new"]


@pytest.mark.contract("D2")
def test_a_first_connection_is_told_of_no_replay(stage) -> None:
    s = stage()
    peer = dial(s)
    s.say("u1", "first")
    assert peer.read() == ("n", "first")


@pytest.mark.contract("D2")
def test_a_plain_client_sees_none_of_it(stage) -> None:
    s = stage()
    ws = s.open()
    s.drop(ws)
    ws = s.resume(ws)
    s.say("u1", "only this")
    ws.send(text("n"))
    s.clock.advance(5)
    assert read(ws) == ("n", "only this")
    heard_all(ws)
    assert not ws.has_message()


# -- the handshake ----------------------------------------------------------------------------


@pytest.mark.contract("D2")
@pytest.mark.parametrize("offered", [[V1, "chat"], ["chat", V1]], ids=["first", "last"])
def test_v1_is_selected_before_the_applications_own(stage, offered) -> None:
    s = stage(subprotocols=("chat",))
    ws = s.open(subprotocols=offered)
    assert dict(ws.headers)["Sec-WebSocket-Protocol"] == V1
    assert Speaker(s, ws).hello["connection_id"] == "u1"


@pytest.mark.contract("D2")
def test_the_applications_own_is_selected_for_those_who_do_not_offer_v1(stage) -> None:
    """And such a client is a plain one."""
    s = stage(subprotocols=("chat",))
    ws = s.open(subprotocols=["chat", "other"])
    assert dict(ws.headers)["Sec-WebSocket-Protocol"] == "chat"
    s.say("u1", "plain")
    assert read(ws) == ("n", "plain")


class Bytes:
    """A codec of the application's own: binary frames, and not JSON."""

    def encode(self, message: Message) -> bytes:
        return f"{message.event}\0{json.dumps(message.payload)}".encode()[::-1]

    def decode(self, data: str | bytes) -> Message:
        event, _, payload = data[::-1].decode().partition("\0")
        return Message(event, json.loads(payload))


@pytest.mark.contract("D2")
def test_control_messages_go_through_the_applications_codec(stage) -> None:
    """Binary ones included: a v1 client needs only the codec that it has anyway."""
    s, codec = stage(codec=Bytes(), send_buffer=2), Bytes()
    ws = s.open(subprotocols=offer())

    def receive() -> Message:
        return codec.decode(ws.receive(PATIENCE))

    hello = receive()
    assert (hello.event, hello.payload["window"]["messages"]) == ("$hello", 2)
    s.say("u1", "a")
    assert receive() == Message("n", "a")
    ws.send(codec.encode(Message("$ack", {"received": 1})))
    ws.send(codec.encode(Message("n", "b")))
    assert receive() == Message("$ack", {"received": 1})
    assert s.hub.stats().acknowledged == 1


@pytest.mark.contract("D2")
def test_v1_goes_over_a_compressed_connection(stage) -> None:
    """Frames that were sent compressed and lost are sent again, also on a connection without compression."""
    s = stage(compression=True, send_buffer=4)
    peer = dial(s, extensions="permessage-deflate")
    assert any("permessage-deflate" in value for _, value in peer.ws.headers)
    s.say("u1", *"abcd")
    assert peer.take(2) == ["a", "b"]
    peer.drop()
    s.hub.broadcast("lobby", Message("n", "e"))

    again = peer.resume(extensions="permessage-deflate")
    assert again.take(2) == ["c", "d"]
    assert again.read() == ("$missed", {"from": 5, "to": 5})
    again.drop()

    without = again.resume(received=3)
    assert without.take(1) == ["d"]
    assert without.read() == ("$missed", {"from": 5, "to": 5})


# -- reserved events --------------------------------------------------------------------------


@pytest.mark.contract("D2", "C10")
@pytest.mark.parametrize("event", ["$hello", "$missed", "$replayed", "$", "$of our own"])
def test_unknown_control_messages_are_skipped(stage, event) -> None:
    """They have no number, reach no handler, and leave the connection alone."""
    s = stage(send_buffer=2)
    peer = dial(s)
    peer.ws.send(raw(event, "{}"))
    peer.say("seen")
    assert peer.read() == ("$ack", {"received": 1})
    assert s.recorder.wait_for("message") == Message("n", "seen")
    assert s.recorder.hooks() == ["connect", "message"]


@pytest.mark.contract("D2", "C10")
def test_an_ack_reaches_no_handler(stage) -> None:
    s = stage()
    peer = dial(s)
    peer.ack()
    heard_all(peer.ws)
    assert s.recorder.hooks() == ["connect"]


@pytest.mark.contract("D2", "C10")
def test_a_plain_client_can_acknowledge_nothing(stage) -> None:
    """An ``$ack`` of a plain client, right or wrong, is skipped like anything that can't be decoded."""
    s = stage()
    ws = s.open()
    s.say("u1", "a")
    ws.send(text("$ack", {"received": 1}))
    ws.send(text("$ack", {"received": 999}))
    heard_all(ws)
    assert ws.closed is None
    assert s.hub.stats().acknowledged == 0
    assert "message" not in s.recorder.hooks()


@pytest.mark.contract("D2", "C10")
@pytest.mark.parametrize("event", ["$hello", "$ack", "$missed", "$anything"])
def test_the_application_cannot_send_a_control_message(stage, event) -> None:
    s = stage()
    dial(s)
    for send in (
        lambda: s.hub.send("u1", Message(event)),
        lambda: s.hub.broadcast("lobby", Message(event)),
        lambda: s.hub.get("u1").send(Message(event)),
    ):
        with pytest.raises(ValueError, match="reserved"):
            send()


@pytest.mark.contract("D2")
def test_v1_works_in_a_view_too(stage) -> None:
    """``hub.upgrade`` and ``hub.wsgi_app`` are one way in."""
    s = stage()
    view = lambda environ, start: s.hub.upgrade(environ, "lobby", "u1")(environ, start)  # noqa: E731
    s.clients.append(connect(view, "/", subprotocols=offer()))
    assert Speaker(s, s.clients[-1]).hello["connection_id"] == "u1"
