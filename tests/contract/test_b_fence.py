"""Which messages are handled, and which are discarded because their transport has gone (B3)."""

from __future__ import annotations

import pytest

from resumehub import Connection, Message
from tests.contract.peers import Gate, handled_all, heard_all, until
from tests.support import Stage, text


def payloads(s: Stage) -> list[object]:
    """The payloads of the messages whose handlers have started, in order."""
    return [detail.payload for hook, _, detail in s.recorder.events if hook == "message"]


def busy_with_first(s: Stage, gate: Gate, *behind: int):
    """A client whose message 1 is being handled, with others read and parked behind it."""
    s.hub.on_message(lambda connection, message: gate.hold() if message.payload == 1 else None)
    ws = s.open()
    ws.send(text("n", 1))
    gate.wait_reached()
    for number in behind:
        ws.send(text("n", number))
    heard_all(ws)
    return ws


@pytest.mark.contract("B3")
def test_messages_of_a_lost_transport_that_have_not_started_are_discarded(stage, gate) -> None:
    """What comes after a resume is not preceded by leftovers of which the client was never sure."""
    s = stage()
    ws = busy_with_first(s, gate, 2, 3)
    ws.drop()
    until(lambda: s.hub.get("u1").suspended)
    again = s.resume(ws)
    again.send(text("n", 4))

    gate.open()

    s.recorder.wait_for("message", count=2)
    handled_all(s, again)
    assert s.recorder.hooks() == ["connect", "message", "drop", "restore", "message"]
    assert payloads(s) == [1, 4]


@pytest.mark.contract("B3")
def test_messages_of_a_lost_transport_do_not_start_while_nobody_is_there(stage, gate) -> None:
    """Whether or not somebody comes back: the handler could not answer anyway."""
    s = stage()
    ws = busy_with_first(s, gate, 2, 3)
    ws.drop()
    until(lambda: s.hub.get("u1").suspended)

    gate.open()

    s.recorder.wait_for("drop")
    s.clock.advance(30)
    s.recorder.wait_for("disconnect")
    assert payloads(s) == [1]


@pytest.mark.contract("B3")
def test_messages_of_a_superseded_transport_that_have_not_started_are_discarded(stage, gate) -> None:
    """The same for a takeover, with the old transport alive and its messages read already."""
    s = stage()
    ws = busy_with_first(s, gate, 2, 3)
    again = s.resume(ws)
    again.send(text("n", 4))
    heard_all(again)

    gate.open()

    s.recorder.wait_for("message", count=2)
    handled_all(s, again)
    assert s.recorder.hooks() == ["connect", "message", "drop", "restore", "message"]
    assert payloads(s) == [1, 4]


@pytest.mark.contract("B3")
def test_what_a_superseded_transport_still_sends_is_discarded(stage) -> None:
    """A client's old socket that goes on talking after its new one has resumed is not heard."""
    s = stage()
    ws = s.open()
    again = s.resume(ws)
    s.recorder.wait_for("restore")

    ws.send(text("n", "from the old one"))
    again.send(text("n", "from the new one"))

    assert ws.receive_close() == (4101, "superseded")
    assert ws.wait_for_eof(20), "the server has read all that there was"
    s.recorder.wait_for("message")
    handled_all(s, again)
    assert payloads(s) == ["from the new one"]


@pytest.mark.contract("B3")
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda s, connection: s.hub.kick("u1"), id="kicked"),
        pytest.param(lambda s, connection: connection.close(), id="closed"),
        pytest.param(lambda s, connection: s.open(), id="displaced"),
    ],
)
def test_messages_that_wait_when_their_session_is_ended_are_discarded(stage, gate, end) -> None:
    """After a kick not one more message of the kicked user is handled."""
    s = stage()
    ws = busy_with_first(s, gate, 2, 3)

    end(s, s.hub.get("u1"))
    gate.open()

    s.recorder.wait_for("disconnect")
    assert ws.receive_close()[0] == 1000
    assert s.recorder.hooks()[:3] == ["connect", "message", "disconnect"]
    assert payloads(s) == [1]


@pytest.mark.contract("B3")
def test_messages_that_a_client_sent_before_it_left_are_handled(stage, gate) -> None:
    """Send, send, close: a client that leaves of its own accord has said all of it."""
    s = stage()
    ws = busy_with_first(s, gate, 2, 3)
    connection = s.hub.get("u1")
    ws.send_close()
    until(lambda: connection.closed)

    gate.open()

    assert connection.wait_closed(20)
    assert s.recorder.hooks() == ["connect", "message", "message", "message", "disconnect"]
    assert payloads(s) == [1, 2, 3]


@pytest.mark.contract("B3")
def test_a_message_counts_as_handled_when_its_handler_starts(stage, gate) -> None:
    """So that it is not handled a second time if the transport dies under the handler."""
    s = stage()
    ws = busy_with_first(s, gate, 2)
    connection = s.hub.get("u1")
    assert connection._session.inbound_fence.handled == 1
    s.resume(ws)
    gate.open()
    s.recorder.wait_for("restore")

    assert connection._session.inbound_fence.handled == 1, "number 2 was discarded, uncounted"


@pytest.mark.contract("B3", "B4")
def test_a_message_whose_handler_raises_counts_as_handled(stage) -> None:
    """Otherwise a client that re-sends what was not handled would meet the same end for ever."""
    s = stage()

    @s.hub.on_message
    def refuse(connection: Connection, message: Message) -> None:
        if message.payload == "poison":
            raise RuntimeError("a handler that always raises")

    ws = s.open()
    connection = s.hub.get("u1")

    for count in range(1, 4):
        ws.send(text("n", "poison"))
        s.recorder.wait_for("drop", count=count)
        assert connection._session.inbound_fence.handled == count
        ws = s.resume(ws)

    ws.send(text("n", "harmless"))
    handled_all(s, ws)
    assert connection._session.inbound_fence.handled == 4


@pytest.mark.contract("B3", "C11")
def test_an_undecodable_message_counts_as_handled(stage) -> None:
    """Or it would come again after every resume, and be skipped again."""
    s = stage()
    ws = s.open()

    ws.send("this is no JSON")
    ws.send(text("$mine"))
    ws.send(b"\x00")
    ws.send(text("n", 1))
    handled_all(s, ws)

    assert s.hub.get("u1")._session.inbound_fence.handled == 4
    assert payloads(s) == [1]


@pytest.mark.contract("B3", "B4")
def test_no_message_starts_behind_one_whose_handler_raised(stage, gate) -> None:
    """The transport ends there, although the hub hears of it a moment later."""
    s = stage()

    @s.hub.on_message
    def refuse(connection: Connection, message: Message) -> None:
        if message.payload == 1:
            gate.hold()
            raise RuntimeError("boom")

    ws = s.open()
    for number in (1, 2, 3):
        ws.send(text("n", number))
    gate.wait_reached()
    heard_all(ws)

    gate.open()

    s.recorder.wait_for("drop")
    assert ws.receive_close() == (1011, "handler error")
    assert s.hub.get("u1")._session.inbound_fence.handled == 1
    assert payloads(s) == [1]
