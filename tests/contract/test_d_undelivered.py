"""D5: what a session could not deliver is in on_disconnect's hands, and nothing is sent again by itself."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from resumehub import Connection, Message
from resumehub.testing import UpgradeRefused, WebSocketClient
from tests.contract.peers import ROCK, heard_all, rock, unread, until
from tests.contract.test_c_buffers import sized
from tests.support import PATIENCE, Stage, read, text

MakeStage = Callable[..., Stage]

V1 = {"Sec-WebSocket-Protocol": "resumehub.v1"}


def open_v1(s: Stage, connection_id: str = "u1", **how: Any) -> tuple[WebSocketClient, str]:
    """A client that acknowledges, and its token."""
    ws = s.open(connection_id, headers=V1, **how)
    event, hello = read(ws)
    assert event == "$hello"
    return ws, hello["token"]


def acknowledge(ws: WebSocketClient, received: int) -> None:
    """Say that so many have been handled; the hub knows it when this returns."""
    ws.send(text("$ack", {"received": received}))
    heard_all(ws)


class Desk:
    """Where on_disconnect puts what could not be delivered."""

    def __init__(self, s: Stage) -> None:
        self.left: dict[str, list[Any]] = {}
        s.hub.on_disconnect(self._store)

    def _store(self, connection: Connection, error: object) -> None:
        assert connection.id not in self.left, "on_disconnect runs once"
        self.left[connection.id] = shorts(connection)


def shorts(connection: Connection) -> list[Any]:
    """The payloads of ``undelivered``; of a long one the beginning."""
    payloads = [message.payload for message in connection.undelivered]
    return [payload[:4] if isinstance(payload, str) else payload for payload in payloads]


def session(s: Stage, connection_id: str = "u1") -> Connection:
    connection = s.hub.get(connection_id)
    assert connection is not None
    return connection


def refused(s: Stage, query: str, **how: Any) -> int:
    with pytest.raises(UpgradeRefused) as caught:
        s.open(query=query, **how)
    return caught.value.status


ENDS: dict[str, Callable[[Stage], object]] = {
    "its window ends": lambda s: s.clock.advance(30),
    "it is kicked": lambda s: s.hub.kick("u1"),
    "it is closed": lambda s: session(s).close(),
    "it is displaced": lambda s: s.open(query="&instance=another"),
    "the hub closes": lambda s: s.hub.close(PATIENCE),
}


# -- plain: what was not written ------------------------------------------------------------------


@pytest.mark.contract("D5")
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_waited_for_a_suspended_client_is_undelivered(stage: MakeStage, end: Any) -> None:
    """Oldest first, as messages; not what was written, of which nobody knows better."""
    s = stage()
    desk = Desk(s)
    ws = s.open()
    s.say("u1", 1, 2)
    s.drop(ws)
    s.say("u1", 3)
    s.hub.broadcast("lobby", Message("news", 4))
    connection = session(s)

    end(s)

    assert connection.wait_closed(PATIENCE)
    assert desk.left["u1"] == [3, 4]
    assert [message.event for message in connection.undelivered] == ["n", "news"]


@pytest.mark.contract("D5", "D1", "A.410-gap")
def test_after_a_gap_it_is_what_waited_and_not_what_was_dropped(stage: MakeStage) -> None:
    """What a broadcast had to drop was given up when it was dropped, and counted there."""
    s = stage(send_buffer=2)
    desk = Desk(s)
    ws = s.open()
    s.drop(ws)
    for number in (1, 2, 3):
        s.hub.broadcast("lobby", Message("n", number))
    connection = session(s)

    assert refused(s, "&resume=true&received=0") == 410

    assert connection.wait_closed(PATIENCE)
    assert desk.left["u1"] == [2, 3]


@pytest.mark.contract("D5")
def test_a_client_that_leaves_has_got_what_was_written(stage: MakeStage) -> None:
    s = stage()
    desk = Desk(s)
    ws = s.open()
    s.say("u1", 1, 2)
    connection = session(s)
    ws.close()

    assert connection.wait_closed(PATIENCE)
    assert desk.left["u1"] == []


@pytest.mark.contract("D5", "C5")
@pytest.mark.parametrize("reads", [True, False], ids=["it reads at last", "it never reads"])
def test_while_the_last_messages_are_on_their_way_they_are_undelivered(stage: MakeStage, reads: bool) -> None:
    """on_disconnect does not wait for the network; whoever looks later knows more."""
    s = stage(ping_interval=None, send_buffer_bytes=1 << 22)
    desk = Desk(s)
    ws = s.open()
    rock(s)
    s.say("u1", 1, 2)
    assert 0 < unread(ws) < ROCK
    connection = session(s)

    s.hub.kick("u1")
    assert connection.wait_closed(PATIENCE)

    assert desk.left["u1"] == ["rrrr", 1, 2]
    if reads:
        assert ws.receive_close(PATIENCE) == (1000, "kicked")
        until(lambda: shorts(connection) == [])
    else:
        s.clock.advance(10)  # the queued ones go, so that the close frame may follow what has begun
        s.clock.advance(10)  # and then the transport
        until(lambda: not s.hub.runner.loop.transports)
        assert shorts(connection) == ["rrrr", 1, 2]


@pytest.mark.contract("D5", "D1")
def test_a_message_that_had_begun_is_the_oldest_of_the_undelivered(stage: MakeStage) -> None:
    """A gap ends the session while its peer has half of it; what waited behind it is dropped at once."""
    s = stage(send_buffer_bytes=1 << 20)
    desk = Desk(s)
    ws = s.open()
    rock(s)
    s.say("u1", 1, 2)
    s.hub.broadcast("lobby", sized(3, (1 << 20) + 1))
    connection = session(s)

    assert refused(s, "&resume=true&received=0") == 410

    assert connection.wait_closed(PATIENCE)
    assert desk.left["u1"] == ["rrrr", 1, 2]
    assert ws.receive_close(PATIENCE) == (4101, "superseded")
    until(lambda: shorts(connection) == [1, 2])


@pytest.mark.contract("D5")
def test_nothing_is_sent_again_in_another_session(stage: MakeStage) -> None:
    """What to do with it is the application's: here it sends it on to whoever comes next."""
    s = stage()
    ws = s.open()
    s.drop(ws)
    s.say("u1", "lost")
    s.hub.kick("u1")
    s.recorder.wait_for("disconnect")

    again = s.open()
    for message in s.recorder.connections[0].undelivered:
        s.hub.send("u1", Message("once more", message.payload))

    assert read(again) == ("once more", "lost")


# -- v1: what was not acknowledged ----------------------------------------------------------------


@pytest.mark.contract("D5")
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_of_a_client_that_acknowledges_only_that_counts(stage: MakeStage, end: Any) -> None:
    """Two were read, and one of them acknowledged; two more wait."""
    s = stage()
    desk = Desk(s)
    ws, _ = open_v1(s)
    s.say("u1", 1, 2)
    assert [read(ws)[1] for _ in range(2)] == [1, 2]
    acknowledge(ws, 1)
    s.drop(ws)
    s.say("u1", 3, 4)
    connection = session(s)

    end(s)

    assert connection.wait_closed(PATIENCE)
    assert desk.left["u1"] == [2, 3, 4]


@pytest.mark.contract("D5", "D2")
def test_a_client_that_leaves_without_an_acknowledgement_leaves_a_doubt(stage: MakeStage) -> None:
    """It may have read them; nobody knows."""
    s = stage()
    desk = Desk(s)
    ws, _ = open_v1(s)
    s.say("u1", 1, 2, 3)
    acknowledge(ws, 2)
    connection = session(s)
    ws.close()

    assert connection.wait_closed(PATIENCE)
    assert desk.left["u1"] == [3]


@pytest.mark.contract("D5", "D2")
def test_what_was_told_to_be_missing_is_not_undelivered(stage: MakeStage) -> None:
    """The client knows, and the drop was counted; control messages are no messages of yours."""
    s = stage(send_buffer=2, resume_window=30)
    desk = Desk(s)
    ws, _ = open_v1(s)
    s.say("u1", 1)
    s.drop(ws)
    for number in (2, 3, 4):
        s.hub.broadcast("lobby", Message("n", number))
    s.clock.advance(30)

    s.recorder.wait_for("disconnect")
    assert s.recorder.connections[0].wait_closed(PATIENCE)
    assert desk.left["u1"] == [1, 4]


@pytest.mark.contract("D5", "A.410-gap")
def test_a_client_that_takes_its_word_back_gets_a_gap(stage: MakeStage) -> None:
    """It acknowledged two, and now it says one: the second is gone, and so is the session."""
    s = stage()
    desk = Desk(s)
    ws, token = open_v1(s)
    s.say("u1", 1, 2, 3)
    acknowledge(ws, 2)
    connection = session(s)
    s.drop(ws)

    offer = {"Sec-WebSocket-Protocol": f"resumehub.v1, resumehub.token.{token}"}
    assert refused(s, "&resume=true&received=1", headers=offer) == 410

    assert connection.wait_closed(PATIENCE)
    assert desk.left["u1"] == [3]


@pytest.mark.contract("D5")
def test_for_a_client_that_acknowledges_what_has_begun_is_in_its_place_too(stage: MakeStage) -> None:
    """One is written, the next has begun, two wait: so they are undelivered, in that order."""
    s = stage(send_buffer_bytes=1 << 20)
    desk = Desk(s)
    ws, token = open_v1(s)
    s.say("u1", 1, 2, 3)
    acknowledge(ws, 2)
    ws.stop_reading()
    rock(s)
    s.say("u1", 4, 5)
    connection = session(s)

    offer = {"Sec-WebSocket-Protocol": f"resumehub.v1, resumehub.token.{token}"}
    assert refused(s, "&resume=true&received=1", headers=offer) == 410

    assert connection.wait_closed(PATIENCE)
    assert desk.left["u1"] == [3, "rrrr", 4, 5]


# -- at any time ----------------------------------------------------------------------------------


@pytest.mark.contract("D5")
def test_it_can_be_looked_at_while_the_session_lives(stage: MakeStage) -> None:
    s = stage()
    ws, _ = open_v1(s)
    connection = session(s)
    assert connection.undelivered == []
    s.say("u1", 1, 2)
    assert connection.undelivered == [Message("n", 1), Message("n", 2)]
    acknowledge(ws, 2)
    assert connection.undelivered == []


class WriteOnly:
    """A codec of numbers, in binary, that cannot read everything that it has written."""

    def encode(self, message: Message) -> bytes:
        return struct.pack("!I", message.payload)

    def decode(self, data: str | bytes) -> Message:
        assert isinstance(data, bytes)
        (number,) = struct.unpack("!I", data)
        if number == 13:
            raise ValueError("unlucky")
        return Message("", number)


@pytest.mark.contract("D5")
def test_binary_messages_are_decoded_and_what_cannot_be_is_left_out(stage: MakeStage) -> None:
    s = stage(codec=WriteOnly())
    ws = s.open()
    s.drop(ws)
    s.say("u1", 12, 13, 14)

    assert session(s).undelivered == [Message("", 12), Message("", 14)]


@pytest.mark.contract("D5", "C1")
def test_a_message_that_was_refused_is_not_undelivered(stage: MakeStage) -> None:
    """Whoever sent it knows; an over-size broadcast is dropped, and not kept for anybody."""
    s = stage(send_buffer_bytes=1000)
    ws = s.open()
    s.drop(ws)
    with pytest.raises(ValueError, match="send_buffer_bytes"):
        s.hub.send("u1", sized(1, 1001))
    s.hub.broadcast("lobby", sized(2, 1001))
    s.say("u1", 3)

    assert shorts(session(s)) == [3]
