"""Which close frame says what, and what it stands behind (C5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resumehub import CloseCode, Connection, Message
from resumehub.testing import TransportClosed, WebSocketClient
from tests.contract.peers import ROCK, fill, rock, running, sip, unread, until
from tests.support import PATIENCE, Stage, read, text


@pytest.fixture
def s(stage) -> Stage:
    """A hub whose on_message raises for the event "raise"."""
    one = stage(send_buffer_bytes=1 << 22)

    @one.hub.on_message
    def handler(connection: Connection, message: Message) -> None:
        if message.event == "raise":
            raise RuntimeError("a bug")

    return one


End = Callable[[Stage, WebSocketClient], object]

ENDS_OF_SESSIONS: list[Any] = [
    pytest.param(lambda s, ws: s.hub.get("u1").close(), 1000, "", id="close"),
    pytest.param(lambda s, ws: s.hub.kick("u1"), 1000, "kicked", id="kick"),
    pytest.param(lambda s, ws: s.open(), 1000, "duplicate connection id", id="a duplicate"),
    pytest.param(lambda s, ws: s.hub.close(PATIENCE), 1001, "server shutting down", id="shutdown"),
]

ENDS_OF_TRANSPORTS: list[Any] = [
    pytest.param(lambda s, ws: s.resume(ws), 4101, "superseded", id="a takeover"),
    pytest.param(lambda s, ws: ws.send(text("raise")), 1011, "handler error", id="a handler that raises"),
    pytest.param(lambda s, ws: ws.send("x" * 65_537), 1009, "message too big", id="too big a message"),
    pytest.param(lambda s, ws: ws.send_raw(b"\x81\x82\0\0\0\0\xff\xff"), 1007, None, id="bad UTF-8"),
    pytest.param(lambda s, ws: ws.send_raw(b"\x81\x05hello"), 1002, None, id="an unmasked frame"),
    pytest.param(lambda s, ws: ws.send_raw(b"\x83\x80\0\0\0\0"), 1002, None, id="an unknown opcode"),
]


def rest(ws: WebSocketClient) -> list[str]:
    """The events of all messages up to the close frame, which is in ``ws.closed`` then."""
    events = []
    try:
        while True:
            events.append(read(ws)[0])
    except TransportClosed:
        return events


@pytest.mark.contract("C5")
@pytest.mark.parametrize(("end", "code", "reason"), ENDS_OF_SESSIONS + ENDS_OF_TRANSPORTS)
def test_the_close_frame_says_why(s, end: End, code: int, reason: str | None) -> None:
    """The code is for programs, the reason for whoever reads the log."""
    ws = s.open()

    with running(lambda: end(s, ws)):
        got = ws.receive_close()

    assert got[0] == code == CloseCode(code)
    if reason is not None:
        assert got[1] == reason


@pytest.mark.contract("C5")
@pytest.mark.parametrize(("end", "code", "reason"), ENDS_OF_SESSIONS)
def test_a_close_frame_that_ends_a_session_stands_behind_everything(
    s, end: End, code: int, reason: str
) -> None:
    """What was accepted for sending is delivered first, however late the peer reads."""
    ws = s.open()
    fill(s)

    with running(lambda: end(s, ws)):
        assert rest(ws) == ["fill"] * 20

    assert ws.closed == (code, reason)


@pytest.mark.contract("C5")
@pytest.mark.parametrize(("end", "code", "reason"), ENDS_OF_TRANSPORTS)
def test_a_close_frame_that_ends_a_transport_stands_behind_the_frame_that_has_begun(
    s, end: End, code: int, reason: str | None
) -> None:
    """The messages behind it are the next transport's, whole and in order."""
    ws = s.open()
    rock(s)
    s.say("u1", 1, 2, 3)

    end(s, ws)
    s.recorder.wait_for("drop")

    assert rest(ws) == ["rock"]
    assert ws.closed is not None
    assert ws.closed[0] == code
    again = s.clients[-1] if code == 4101 else s.resume(ws)
    assert read(again) == ("rock", "r" * ROCK)
    assert [read(again) for _ in range(3)] == [("n", 1), ("n", 2), ("n", 3)]


@pytest.mark.contract("C5", "B4")
def test_a_failed_on_connect_does_not_deliver_what_it_had_queued(stage) -> None:
    """1011 stands behind the frame that has begun, and not behind the rest."""
    s = stage()

    @s.hub.on_connect
    def check(connection: Connection) -> None:
        rock(s)
        s.say("u1", 1, 2, 3)
        raise RuntimeError("no access")

    ws = s.open()
    s.recorder.wait_for("disconnect")

    assert rest(ws) == ["rock"]
    assert ws.closed == (1011, "handler error")


@pytest.mark.contract("C5")
@pytest.mark.parametrize("size", [65_537, 5_000_000], ids=["just too big", "far too big"])
@pytest.mark.parametrize("kind", ["text", "bytes"])
def test_a_peer_that_sent_too_much_reads_why(s, size, kind) -> None:
    """Also on TCP, where closing with input unread would destroy the close frame on its way."""
    ws = s.open(tcp=True)

    with running(lambda: ws.send("x" * size if kind == "text" else b"x" * size)):
        assert ws.receive_close() == (1009, "message too big")

    assert ws.wait_for_eof()


@pytest.mark.contract("C5")
def test_a_message_of_exactly_the_allowed_size_is_not_too_big(s) -> None:
    """Bytes count and not characters."""
    ws = s.open()
    padding = 65_536 - len(text("n", "").encode())

    ws.send(text("n", "").replace('""', '"' + "ü" * (padding // 2) + '"'))

    assert s.recorder.wait_for("message").payload == "ü" * (padding // 2)


@pytest.mark.contract("C5")
def test_a_broken_transport_stays_readable_until_the_peer_has_its_reason(s) -> None:
    """After a breach of protocol the server reads on, to its end, and makes nothing of it."""
    ws = s.open(tcp=True)

    ws.send_raw(b"\x81\x05hello")
    with running(lambda: ws.send_raw(b"\0" * 3_000_000)):
        assert ws.receive_close()[0] == 1002

    assert ws.wait_for_eof()
    s.recorder.wait_for("drop")
    assert s.recorder.hooks() == ["connect", "drop"]


@pytest.mark.contract("C5")
@pytest.mark.parametrize("theirs", [1000, 1001, 4000, None])
def test_a_close_that_answers_ours_decides_nothing(s, theirs) -> None:
    """A takeover whose old transport answers 1000 has not left."""
    ws = s.open()
    ws.answers_closes = False  # it will answer by itself, with another code
    again = s.resume(ws)
    assert ws.receive_close() == (4101, "superseded")

    ws.send_close(theirs)

    assert ws.wait_for_eof()
    again.send(text("still here"))
    s.recorder.wait_for("message")
    assert s.recorder.hooks() == ["connect", "drop", "restore", "message"]


@pytest.mark.contract("C5", "C6")
def test_closes_that_cross_end_the_session_once(s) -> None:
    """Kicked and leaving at the same moment: one disconnect, and both sides see a close frame."""
    ws = s.open()
    fill(s)
    s.hub.kick("u1")

    ws.send_close(1000)

    assert ws.receive_close() == (1000, "kicked")
    assert ws.wait_for_eof()
    s.recorder.wait_for("disconnect")
    assert s.hub.close().complete
    assert s.recorder.hooks() == ["connect", "disconnect"]


@pytest.mark.contract("C5")
def test_nothing_follows_a_close_frame(s) -> None:
    """Not the answer to a ping, nor a ping, nor a message."""
    ws = s.open()
    connection = s.hub.get("u1")
    s.hub.kick("u1")
    until(lambda: unread(ws))
    ws.ping()
    s.hub.broadcast("lobby", Message("late"))
    s.clock.advance(9)

    seen = unread(ws)
    raw = ws.sock.recv(seen)

    assert raw == b"\x88\x08" + (1000).to_bytes(2, "big") + b"kicked"
    assert connection.closed
    ws.feed(raw)
    assert ws.wait_for_eof()
    assert ws.pongs == []


@pytest.mark.contract("C5")
def test_a_peer_that_reads_slowly_gets_everything_and_the_close_frame(s) -> None:
    """It may take as long as it likes, as long as it takes a little now and then."""
    ws = s.open()
    fill(s)
    s.hub.kick("u1")

    for _ in range(90):
        until(lambda: unread(ws) >= 10_000)
        sip(ws, 10_000)

    assert rest(ws) == ["fill"] * 20
    assert ws.closed == (1000, "kicked")
