"""The client's half of ``resumehub.v1``, frame by frame, against a server that the test plays."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from resumehub import Message, SendBufferFull, TransportLost
from resumehub.client import State
from resumehub.errors import ReceiveTimeout, SessionExpired
from tests.client.fake_server import FakeServer
from tests.support import PATIENCE


class Noted:
    """Callbacks that note what they were called with; ``wait`` waits for one of them."""

    def __init__(self, *hooks: str) -> None:
        self.events: list[tuple[Any, ...]] = []
        self._changed = threading.Condition()
        self.callbacks = {hook: self._noter(hook) for hook in hooks}

    def _noter(self, hook: str) -> Any:
        def note(client: object, *arguments: Any) -> None:
            with self._changed:
                self.events.append((hook, *arguments))
                self._changed.notify_all()

        return note

    def wait(self, hook: str, count: int = 1) -> tuple[Any, ...]:
        with self._changed:
            found = self._changed.wait_for(lambda: len(self._of(hook)) >= count, PATIENCE)
            assert found, f"{hook} did not come: {self.events}"
            return self._of(hook)[count - 1]

    def _of(self, hook: str) -> list[tuple[Any, ...]]:
        return [event for event in self.events if event[0] == hook]


def test_the_first_dial_offers_the_protocol_and_acknowledges_the_hello(server: FakeServer) -> None:
    """The client is connected once it has read the ``$hello``, and it tells the server so."""
    client = server.client("?room=lobby")
    peer = server.accept()
    assert peer.offered == ["resumehub.v1"]
    assert peer.query.pop("instance")
    assert peer.query == {"room": "lobby", "attempt": "1"}
    peer.switch("resumehub.v1")
    assert not client.wait_connected(0)  # a 101 is no session yet
    peer.hello()
    assert peer.read() == ("$ack", {"received": 0})
    assert client.wait_connected(PATIENCE)
    assert (client.state, client.connection_id, client.lossless) == (State.CONNECTED, "ada", True)


def test_what_is_not_acknowledged_is_sent_again_before_anything_new(server: FakeServer) -> None:
    """The server had handled one of three when the transport went dead."""
    client = server.client()
    peer = server.welcome()
    for number in (1, 2, 3):
        client.send(Message("n", number))
        assert peer.read() == ("n", number)
    peer.vanish()
    again = server.accept()
    client.send(Message("n", 4))
    assert again.query == {
        "resume": "true",
        "received": "0",
        "attempt": "2",
        "instance": peer.query["instance"],
    }
    assert again.offered == ["resumehub.v1", "resumehub.token.token-1"]
    again.switch("resumehub.v1")
    again.hello(resumed=True, received=1, token="token-2")
    assert again.read() == ("$ack", {"received": 0})
    assert [again.read() for _ in range(3)] == [("n", 2), ("n", 3), ("n", 4)]
    again.send("$ack", {"received": 4})
    again.vanish()
    third = server.accept()  # what is acknowledged is gone; the newest token is presented
    assert third.offered[1] == "resumehub.token.token-2"
    assert third.query["attempt"] == "3"
    assert client.stats().waiting in (0, 4)


def test_the_message_in_hand_is_counted_and_those_behind_it_come_once(server: FakeServer) -> None:
    """The application works on message 1 when the connection dies: 2 is asked for, and comes once."""
    client = server.client()
    peer = server.welcome()
    for number in (1, 2, 3):
        peer.send("n", number)
    assert client.receive(PATIENCE).payload == 1
    peer.vanish()
    again = server.accept()
    assert again.query["received"] == "1"
    with pytest.raises(ReceiveTimeout):
        client.receive(0)  # 2 and 3 are here, and will come again: nobody gets them now
    again.switch("resumehub.v1")
    again.hello(resumed=True, replay_from=2)
    for number in (2, 3):
        again.send("n", number)
    again.send("$replayed", {"messages": 2})
    again.send("n", 4)
    assert [client.receive(PATIENCE).payload for _ in range(3)] == [2, 3, 4]
    assert client.stats().received == 4


def test_messages_are_acknowledged_when_they_have_been_handled(server: FakeServer) -> None:
    """At half of the window at once, otherwise a second after the first; never those in hand."""
    client = server.client()
    peer = server.welcome(window={"messages": 4, "bytes": 4096})
    for number in (1, 2, 3, 4):
        peer.send("n", number)
    for _ in (1, 2, 3):
        client.receive(PATIENCE)
    assert peer.read() == ("$ack", {"received": 2})
    client.receive(PATIENCE)
    server.clock.advance(1.0)
    assert peer.read() == ("$ack", {"received": 3})


def test_what_the_server_had_to_drop_is_told_and_counted(server: FakeServer) -> None:
    """``$missed`` comes where the messages would have come, and the count goes on behind it."""
    noted = Noted("on_missed")
    client = server.client(**noted.callbacks)
    peer = server.welcome()
    peer.send("n", 1)
    peer.send("$missed", {"from": 2, "to": 5})
    peer.send("n", 6)
    assert [client.receive(PATIENCE).payload for _ in range(2)] == [1, 6]
    assert noted.wait("on_missed") == ("on_missed", 2, 5)
    assert client.stats().missed == 4
    peer.vanish()
    assert server.accept().query["received"] == "6"


def test_no_more_is_under_way_than_the_servers_window(server: FakeServer) -> None:
    """What the server has no room to remember waits here."""
    client = server.client()
    peer = server.welcome(window={"messages": 2, "bytes": 4096})
    for number in (1, 2, 3):
        client.send(Message("n", number))
    assert [peer.read() for _ in range(2)] == [("n", 1), ("n", 2)]
    assert client.stats().sent == 2
    peer.send("$ack", {"received": 1})
    assert peer.read() == ("n", 3)


def test_a_full_buffer_is_an_error_and_not_a_loss(server: FakeServer) -> None:
    """While there is no connection messages wait, up to the bound; the one too many is not queued."""
    client = server.client(send_buffer=2, send_buffer_bytes=100)
    client.send(Message("n", 1))
    client.send(Message("n", 2))
    with pytest.raises(SendBufferFull) as full:
        client.send(Message("n", 3))
    assert (full.value.frames, full.value.used_bytes) == (2, 50)
    with pytest.raises(ValueError, match="send_buffer_bytes"):
        client.send(Message("n", "x" * 100))
    peer = server.welcome()
    assert [peer.read() for _ in range(2)] == [("n", 1), ("n", 2)]
    peer.send("$ack", {"received": 2})
    peer.send("n", "so the acknowledgement has been read")
    client.receive(PATIENCE)
    client.send(Message("n", 4))
    assert peer.read() == ("n", 4)


def test_a_message_that_the_server_cannot_take_is_reported_and_left_out(server: FakeServer) -> None:
    """Sent again and again it would end each new connection: 1009 for ever."""
    noted = Noted("on_rejected")
    client = server.client(**noted.callbacks)
    peer = server.welcome()
    for payload in ("fine", "too big", "fine again"):
        client.send(Message("n", payload))
        peer.read()
    peer.close(1009, "message too big")
    again = server.welcome(resumed=True, received=1)
    assert again.read() == ("n", "fine again")
    _, message, error = noted.wait("on_rejected")
    assert (message, error.code) == (Message("n", "too big"), 1009)
    assert client.stats().rejected == 1


def test_a_message_over_the_servers_limit_is_left_out_before_it_is_written(server: FakeServer) -> None:
    """It was queued before the limit was known, or the next server has a smaller one."""
    noted = Noted("on_rejected")
    client = server.client(**noted.callbacks)
    for payload in ("fine", "too big " * 10, "fine again"):
        client.send(Message("n", payload))

    peer = server.welcome(max_message_size=60)
    assert [peer.read() for _ in range(2)] == [("n", "fine"), ("n", "fine again")]
    _, message, error = noted.wait("on_rejected")
    assert (message, error.code) == (Message("n", "too big " * 10), 1009)
    peer.vanish()

    again = server.welcome(resumed=True, received=1, max_message_size=30)
    _, message, error = noted.wait("on_rejected", 2)
    assert (message, error.code) == (Message("n", "fine again"), 1009)
    client.send(Message("n", 4))
    assert again.read() == ("n", 4)
    stats = client.stats()
    assert (stats.rejected, stats.waiting, stats.drops) == (2, 1, 1)


def test_a_message_over_the_servers_window_goes_when_nothing_else_is_unacknowledged(
    server: FakeServer,
) -> None:
    """Else it would wait for ever, and all others behind it."""
    client = server.client()
    peer = server.welcome(window={"messages": 16, "bytes": 30})
    for payload in (1, "x" * 40, 3):
        client.send(Message("n", payload))
    for number, payload in enumerate((1, "x" * 40, 3)):
        assert peer.read() == ("n", payload)
        assert client.stats().sent == number + 1
        peer.send("$ack", {"received": number + 1})


def test_an_expired_session_hands_back_what_is_in_doubt(server: FakeServer) -> None:
    """The client can't know whether they were handled, so the application decides about them."""
    noted = Noted("on_transport_drop", "on_session_expired", "on_disconnect")
    client = server.client(**noted.callbacks)
    peer = server.welcome()
    for number in (1, 2):
        client.send(Message("n", number))
        peer.read()
    peer.send("n", "came before the end")
    peer.send("$ack", {"received": 1})
    assert client.receive(PATIENCE).payload == "came before the end"
    peer.vanish()
    server.accept().refuse(410, '{"status": 410, "reason": "gap", "first_available": 7}')
    with pytest.raises(SessionExpired) as expired:
        for _ in client:
            pass
    assert expired.value.in_doubt == client.in_doubt == [Message("n", 2)]
    assert (expired.value.reason, expired.value.first_available) == ("gap", 7)
    assert client.wait_closed(PATIENCE)
    assert [event[0] for event in noted.events] == [
        "on_transport_drop",
        "on_session_expired",
        "on_disconnect",
    ]
    assert noted.events[1][1] is noted.events[2][1] is client.error
    assert server.no_dial()


def test_what_had_come_is_not_lost_with_the_session(server: FakeServer) -> None:
    """Messages that waited for the application when the session expired are still given to it."""
    client = server.client()
    peer = server.welcome()
    peer.send("n", 1)
    peer.send("n", 2)
    peer.vanish()
    server.accept().refuse(410)
    assert [client.receive(PATIENCE).payload for _ in range(2)] == [1, 2]
    with pytest.raises(SessionExpired):
        client.receive(PATIENCE)


def test_what_was_sent_before_a_close_is_received(server: FakeServer) -> None:
    """The server ends the session; the loop gives what came before, and ends without an error."""
    client = server.client()
    peer = server.welcome()
    peer.send("n", 1)
    peer.close(1000, "kicked")
    assert [message.payload for message in client] == [1]
    assert isinstance(client.error, TransportLost)
    assert (client.error.code, client.error.reason) == (1000, "kicked")


def test_a_silent_connection_is_given_up(server: FakeServer) -> None:
    """Half-open: no error says that the transport is dead, but the server's Pings stop coming."""
    noted = Noted("on_transport_drop")
    server.client(heartbeat_margin=10.0, **noted.callbacks)
    server.welcome(ping_interval=20.0)
    server.clock.advance(31.0)
    assert server.accept().query["resume"] == "true"
    assert "no answer" in str(noted.wait("on_transport_drop")[1])


def test_a_ping_is_answered_while_a_callback_is_busy(server: FakeServer) -> None:
    """A slow callback must not look like a dead client."""
    busy, go_on = threading.Event(), threading.Event()

    def slow(client: object, message: Message) -> None:
        busy.set()
        go_on.wait(PATIENCE)

    server.client(on_message=slow)
    peer = server.welcome()
    peer.send("n")
    assert busy.wait(PATIENCE)
    peer.raw(b"\x89\x02hi")
    assert str(peer.frame()) == "pong hi"
    go_on.set()


def test_a_callback_that_raises_is_logged_and_its_message_handled(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Sent again, it would only raise again."""

    def fail(client: object, message: Message) -> None:
        raise RuntimeError("of the application's")

    client = server.client(on_message=fail)
    peer = server.welcome(window={"messages": 1, "bytes": 4096})
    peer.send("n")
    assert peer.read() == ("$ack", {"received": 1})
    client.close(timeout=0)
    assert client.stats().callback_errors == 1
    assert "of the application's" in caplog.text


def test_no_secret_is_logged_or_shown(server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    """Token, cookie, headers and the URL's query stay where they are needed."""
    caplog.set_level(logging.DEBUG)
    secrets = {"headers": {"Authorization": "Bearer s3cret"}, "cookies": {"session": "s3cret"}}
    client = server.client("?ticket=s3cret", **secrets)
    peer = server.accept()
    assert peer.headers["authorization"] == "Bearer s3cret"
    assert peer.headers["cookie"] == "session=s3cret"
    peer.switch("resumehub.v1")
    peer.hello(token="s3cret")
    assert client.wait_connected(PATIENCE)
    peer.vanish()
    server.accept().refuse(403, '{"status": 403, "detail": "not you"}')
    assert client.wait_closed(PATIENCE)
    loop = client._loop
    shown = [repr(client), repr(client.error), str(client.error), repr(loop.options), caplog.text]
    assert "s3cret" not in " ".join(shown)
    assert "not you" in str(client.error)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (("n", 1), "not $hello"),
        (("$hello", {"token": "a b"}), "window"),
        (("$hello", None), "not $hello"),
    ],
)
def test_a_hello_that_is_none_is_not_believed(
    server: FakeServer, said: tuple[str, Any], problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that says that it speaks the protocol, and does not, is told so, and dialled again."""
    server.client()
    peer = server.accept()
    peer.switch("resumehub.v1")
    peer.send(*said)
    assert peer.read_until_end()[-1].code == 1002
    assert "resume" not in server.accept().query  # there is no session to resume
    assert problem in caplog.text


@pytest.mark.parametrize("received", [2, -1, "many", None])
def test_an_acknowledgement_that_cannot_be_is_a_breach(server: FakeServer, received: Any) -> None:
    """A client that believed it would throw away messages that were never handled."""
    client = server.client()
    peer = server.welcome()
    client.send(Message("n", 1))
    peer.read()
    peer.send("$ack", {"received": received})
    assert peer.read_until_end()[-1].code == 1002
    assert server.welcome(resumed=True).read() == ("n", 1)


def test_closing_sends_what_waits_and_says_goodbye(server: FakeServer) -> None:
    """The close frame comes behind the last message, once all are acknowledged."""
    client = server.client()
    client.send(Message("n", 1))
    leaving = threading.Thread(target=client.close, name="leaving")
    leaving.start()
    peer = server.welcome()
    assert peer.read() == ("n", 1)
    peer.send("$ack", {"received": 1})
    assert str(peer.frame()) == "close 1000"
    peer.close(1000)
    leaving.join(PATIENCE)
    assert client.state is State.CLOSED
    assert client.in_doubt == []
    assert client.error is None


def test_closing_a_client_whose_server_is_silent_leaves_nothing_behind(server: FakeServer) -> None:
    """What could not be proven is in doubt; threads and sockets are gone (the suite looks)."""
    client = server.client()
    server.welcome()
    client.send(Message("n", 1))
    client.close(timeout=0)
    assert client.in_doubt == [Message("n", 1)]
    with pytest.raises(Exception, match="closed"):
        client.send(Message("n", 2))
