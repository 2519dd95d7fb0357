"""A slow callback never kills a healthy peer (B5)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from resumehub import Connection, HeartbeatTimeout, Message
from resumehub.testing import WebSocketClient
from tests.contract.peers import Gate, fill, heard_all, rock, running, until
from tests.support import PATIENCE, Stage, text

HOOKS = ("on_connect", "on_message", "on_transport_restore")


def numbers(s: Stage) -> list[int]:
    """The payloads of the messages whose handlers have started, in order."""
    return [detail.payload for hook, _, detail in s.recorder.events if hook == "message"]


def handler_is_stuck(s: Stage, gate: Gate, hook: str = "on_message", **how: Any) -> WebSocketClient:
    """A client whose ``hook`` is being handled and does not return; its first message is number 0."""
    stuck = [True]

    @getattr(s.hub, hook)
    def slow(*arguments: object) -> None:
        if stuck and stuck.pop():
            gate.hold()

    ws = s.open(**how)
    if hook == "on_message":
        ws.send(text("n", 0))
    elif hook == "on_transport_restore":
        ws = s.resume(ws)
    gate.wait_reached()
    return ws


@contextmanager
def nobody_reads(s: Stage, ws: WebSocketClient, count: int = 100, size: int = 0) -> Iterator[None]:
    """The client sends numbered messages, more than are read ahead: now the server reads no more."""
    serial_queue, stopped = s.hub.get("u1")._session.serial_queue, threading.Event()
    when_room = serial_queue.when_room

    def noticed(tell: Callable[[], None]) -> None:
        stopped.set()
        when_room(tell)

    serial_queue.when_room = noticed
    with running(lambda: [ws.send(text("n", number) + " " * size) for number in range(1, count + 1)]):
        assert stopped.wait(PATIENCE), "the server reads on and on"
        yield


@pytest.mark.contract("B5")
@pytest.mark.parametrize("hook", HOOKS)
def test_pings_are_answered_while_a_handler_is_stuck(stage, gate, hook) -> None:
    """A client with a heartbeat of its own sees that the server lives."""
    s = stage()
    ws = handler_is_stuck(s, gate, hook)

    ws.ping(b"are you there?")

    assert ws.wait_for_pong(timeout=PATIENCE)
    assert ws.pongs == [b"are you there?"]


@pytest.mark.contract("B5", "C6")
@pytest.mark.parametrize("hook", HOOKS)
def test_a_leave_is_seen_while_a_handler_is_stuck(stage, gate, hook) -> None:
    """The session ends and its id is free; only on_disconnect waits for the handler."""
    s = stage()
    ws = handler_is_stuck(s, gate, hook)
    connection = s.hub.get("u1")

    ws.close()

    until(lambda: connection.closed)
    assert ws.closed == (1000, "")
    assert s.hub.get("u1") is None
    assert "disconnect" not in s.recorder.hooks()
    gate.open()
    assert connection.wait_closed(PATIENCE)
    assert s.recorder.hooks()[-1] == "disconnect"


@pytest.mark.contract("B5")
@pytest.mark.parametrize("hook", HOOKS)
def test_a_lost_transport_is_seen_while_a_handler_is_stuck(stage, gate, hook) -> None:
    """And can be resumed before the handler has returned."""
    s = stage()
    ws = handler_is_stuck(s, gate, hook)
    connection = s.hub.get("u1")
    ws.drop()
    until(lambda: connection.suspended)

    again = s.resume(ws)

    again.send(text("n", 7))
    heard_all(again)
    gate.open()
    s.recorder.wait_for("message", count=2 if hook == "on_message" else 1)
    assert numbers(s)[-1] == 7
    assert s.recorder.hooks()[-3:] == ["drop", "restore", "message"]


@pytest.mark.contract("B5")
def test_messages_behind_a_stuck_handler_are_handled_in_order_later(stage, gate) -> None:
    """More of them than are read ahead; nothing is lost and nothing overtakes."""
    s = stage()
    ws = handler_is_stuck(s, gate)

    with running(lambda: [ws.send(text("n", number)) for number in range(1, 1001)]):
        until(s.hub.get("u1")._session.serial_queue.is_full)
        gate.open()

    s.recorder.wait_for("message", count=1001)
    assert numbers(s) == list(range(1001))


@pytest.mark.contract("B5")
@pytest.mark.parametrize(
    ("count", "size", "at_most"),
    [pytest.param(300, 0, 64, id="many small messages"), pytest.param(40, 60_000, 5, id="a few large ones")],
)
def test_what_is_read_ahead_of_a_stuck_handler_is_bounded(stage, gate, count, size, at_most) -> None:
    """A flood behind a slow handler fills the client's own buffers and not the server's memory."""
    s = stage()
    ws = handler_is_stuck(s, gate)
    serial_queue = s.hub.get("u1")._session.serial_queue

    with nobody_reads(s, ws, count, size):
        s.clock.advance(1000)  # no heartbeat runs while nobody reads: the reader has stopped for good
        assert s.recorder.hooks() == ["connect", "message"]
        assert serial_queue._parked == at_most
        gate.open()

    s.recorder.wait_for("message", count=count + 1)
    assert numbers(s) == list(range(count + 1))


@pytest.mark.contract("B5", "C7")
def test_no_pong_is_due_while_nobody_reads(stage, gate) -> None:
    """The peer's Pong may be waiting, unread, behind what the handler has not got to yet."""
    s = stage()
    ws = handler_is_stuck(s, gate)
    with nobody_reads(s, ws):
        for _ in range(10):
            s.clock.advance(30)
            assert not s.hub.get("u1").suspended
        gate.open()

    s.recorder.wait_for("message", count=101)
    heard_all(ws)
    assert s.recorder.hooks() == ["connect"] + ["message"] * 101


@pytest.mark.contract("B5", "C7")
def test_a_silent_peer_is_given_up_while_a_handler_is_stuck(stage, gate) -> None:
    """Somebody else reads by then, so silence means something again."""
    s = stage()
    ws = handler_is_stuck(s, gate)
    heard_all(ws)  # answered by whoever reads in place of the stuck one
    connection = s.hub.get("u1")

    s.clock.advance(29)
    assert not connection.suspended
    s.clock.advance(1)
    assert connection.suspended

    gate.open()
    assert isinstance(s.recorder.wait_for("drop"), HeartbeatTimeout)


@pytest.mark.contract("B5", "C7")
def test_a_peer_that_answers_is_not_given_up_while_a_handler_is_stuck(stage, gate) -> None:
    """However long the handler takes."""
    s = stage()
    ws = handler_is_stuck(s, gate)
    heard_all(ws)

    for count in range(1, 21):
        s.clock.advance(20)
        assert ws.wait_for_ping(count, PATIENCE)
        heard_all(ws)

    assert not s.hub.get("u1").suspended
    gate.open()
    heard_all(ws)
    assert s.recorder.hooks() == ["connect", "message"]


@pytest.mark.contract("B5", "B3")
def test_a_new_transport_is_not_slowed_by_what_the_old_one_left_behind(stage, gate) -> None:
    """The old one's messages will never be handled, so they take no room from the new one's."""
    s = stage()
    ws = handler_is_stuck(s, gate)
    with nobody_reads(s, ws):
        again = s.resume(ws)

        for number in range(900, 960):
            again.send(text("n", number))
        heard_all(again)
        gate.open()

    s.recorder.wait_for("message", count=61)
    assert numbers(s) == [0, *range(900, 960)]


@pytest.mark.contract("B5", "C5", "C8")
@pytest.mark.parametrize("end", ["kicked", "superseded"])
def test_a_peer_whose_transport_was_ended_is_read_to_its_end(stage, gate, end) -> None:
    """Its answer to the close frame lies behind messages that nobody will handle any more."""
    s = stage()
    ws = handler_is_stuck(s, gate)
    with nobody_reads(s, ws):
        if end == "kicked":
            s.hub.kick("u1")
        else:
            s.resume(ws)

    assert ws.receive_close()[1] == end
    assert ws.wait_for_eof(PATIENCE), "the server has read the answer, and no clock was needed"
    assert numbers(s) == [0]


@pytest.mark.contract("B5")
def test_a_client_that_was_kicked_is_still_answered_while_it_reads_on(stage, gate) -> None:
    """The close frame is far behind; its heartbeat must not give the server up before."""
    s = stage(send_buffer_bytes=1 << 22)
    ws = s.open()
    writer = s.hub.get("u1")._session.writer
    rock(s)
    fill(s)
    s.hub.kick("u1")

    ws.ping(b"are you there?")
    until(lambda: writer._wire.lane)  # the Pong is next, as soon as the peer reads

    assert ws.receive_close() == (1000, "kicked")
    assert ws.pongs == [b"are you there?"]


@pytest.mark.contract("B5")
def test_a_handler_may_send_to_its_own_connection_and_wait_for_others(stage) -> None:
    """Slow or not: what a handler sends goes out at once, and not when it returns."""
    s = stage()

    @s.hub.on_message
    def relay(connection: Connection, message: Message) -> None:
        if connection.id == "u1":
            connection.send(Message("asking"))
            s.recorder.wait_for("message", "u2")

    one, two = s.open("u1"), s.open("u2")
    one.send(text("question"))
    assert one.receive() == '{"event":"asking"}'
    two.send(text("answer"))

    s.recorder.wait_for("message", "u2")
    heard_all(one)
