"""A client that breaks the protocol hears why, whatever else is going on; its session lives on."""

from __future__ import annotations

from io import BytesIO

import pytest

from resumehub import Connection, Message, TransportLost
from resumehub.testing import WebSocketClient, WireFrame, client_frame
from resumehub.testing.wire import parse
from tests.support import PATIENCE, Call, Stage, read, text

BREACHES = {
    1002: client_frame(3, b"no such frame"),
    1007: client_frame("text", b"\xff"),
    1009: client_frame("binary", bytes(70_000)),
}
EACH_BREACH = pytest.mark.parametrize("code", BREACHES, ids=["nonsense", "bad text", "a message too big"])
OVER = pytest.mark.parametrize("tcp", [False, True], ids=["a socketpair", "TCP"])


def read_to_end(ws: WebSocketClient) -> list[WireFrame]:
    """All frames until the server says that nothing follows, without answering any."""
    ws.sock.settimeout(PATIENCE)
    wire = b""
    while data := ws.sock.recv(1 << 16):
        wire += data
    frames, rest = parse(wire)
    assert not rest, "the stream ends in the middle of a frame"
    return frames


def read_frames(ws: WebSocketClient, count: int) -> list[str]:
    """The next ``count`` frames in the order in which they come, in short."""
    ws.sock.settimeout(PATIENCE)
    frames: list[WireFrame] = []
    rest = b""
    while len(frames) < count:
        more, rest = parse(rest + ws.sock.recv(1 << 16))
        frames += more
    return [str(frame) for frame in frames]


def echoing(s: Stage) -> Stage:
    """Have the hub send back the payload of each message."""

    @s.hub.on_message
    def echo(connection: Connection, message: Message) -> None:
        connection.send(Message("", message.payload))

    return s


def say(payload: str) -> bytes:
    return client_frame("text", text("", payload).encode())


# -- breaches ----------------------------------------------------------------------------------


@pytest.mark.contract("C5")
@OVER
@EACH_BREACH
def test_a_breach_is_answered_with_its_code(stage, code: int, tcp: bool) -> None:
    """The close frame says what was wrong, and the session waits for a better client."""
    s = stage()
    ws = s.open(tcp=tcp)
    ws.send_raw(BREACHES[code])
    (close,) = read_to_end(ws)
    assert close.code == code
    error = s.recorder.wait_for("drop")
    assert type(error) is TransportLost
    assert error.code == code
    s.resume(ws)
    s.recorder.wait_for("restore")


@pytest.mark.contract("C5")
@EACH_BREACH
def test_the_code_gets_out_when_the_client_has_not_read_for_long(stage, code: int) -> None:
    """It comes right behind the message that has begun; those that wait are for the resume."""
    s = stage(send_buffer=10, send_buffer_bytes=10_000_000)
    ws = s.open()
    s.say("u1", "r" * 600_000, "second", "third")
    ws.send_raw(BREACHES[code])
    s.recorder.wait_for("drop")
    begun, close = read_to_end(ws)
    assert begun.kind == "text"
    assert len(begun.payload) > 600_000
    assert close.code == code
    again = s.resume(ws)
    assert [len(read(again)[1]) for _ in range(3)] == [600_000, len("second"), len("third")]


@pytest.mark.contract("C5")
@OVER
@EACH_BREACH
def test_the_code_gets_out_when_the_client_sends_on_and_on(stage, code: int, tcp: bool) -> None:
    """What it still sends is read and thrown away: a server that just closed would be answered by a
    reset, which takes the close frame away from under the client's nose.
    """
    s = stage()
    ws = s.open(tcp=tcp)
    ws.send_raw(BREACHES[code])
    sending = Call(lambda: ws.send_raw(bytes(8_000_000)))
    (close,) = read_to_end(ws)
    sending.result()
    assert close.code == code


@pytest.mark.contract("B3")
@EACH_BREACH
def test_what_came_before_a_breach_counts_and_what_comes_after_does_not(stage, code: int) -> None:
    s = echoing(stage())
    ws = s.open()
    ws.send_raw(say("before") + BREACHES[code] + say("after"))
    message, close = read_to_end(ws)
    assert b"before" in message.payload
    assert close.code == code
    ws.sock.close()
    s.recorder.wait_for("drop")
    assert s.recorder.hooks("u1") == ["connect", "message", "drop"]


@pytest.mark.contract("C5")
def test_a_leave_is_answered_behind_what_has_begun(stage) -> None:
    """A client that leaves in the middle of a download gets the rest of that message and the answer."""
    s = stage(send_buffer=10, send_buffer_bytes=10_000_000)
    ws = s.open()
    s.say("u1", "r" * 600_000, "never sent")
    ws.send_close(1000)
    assert s.recorder.wait_for("disconnect") is None
    ws.sock.settimeout(PATIENCE)
    begun, close = read_to_end(ws)
    assert len(begun.payload) > 600_000
    assert str(close) == "close 1000"


# -- the order of answers ----------------------------------------------------------------------


def test_answers_come_in_the_order_of_the_questions(stage) -> None:
    """A Pong before the echo of what came after its Ping, and behind the echo of what came before."""
    s = echoing(stage())
    ws = s.open()
    ws.send_raw(client_frame("ping", b"a") + say("1") + client_frame("ping", b"b") + say("2"))
    assert read_frames(ws, 4) == ["pong a", 'text {"payload":"1"}', "pong b", 'text {"payload":"2"}']


def test_a_ping_inside_a_message_is_answered_before_it(stage) -> None:
    s = echoing(stage())
    ws = s.open()
    whole = text("", "long").encode()
    ws.send_raw(client_frame("text", whole[:5], fin=False) + client_frame("ping", b"?"))
    assert read_frames(ws, 1) == ["pong ?"]
    ws.send_raw(client_frame("continuation", whole[5:]))
    assert read_frames(ws, 1) == ['text {"payload":"long"}']


def test_many_messages_in_one_packet_are_answered_in_order(stage) -> None:
    s = echoing(stage(send_buffer=1000))
    ws = s.open()
    ws.send_raw(b"".join(say(str(number)) for number in range(500)))
    assert [read(ws)[1] for _ in range(500)] == [str(number) for number in range(500)]


def test_what_came_with_the_handshake_is_read_first(stage) -> None:
    """The server may have read any part of it: whole frames, and the half of one."""
    s = echoing(stage())
    wire = say("1") + client_frame("ping", b"?") + say("2")
    ws = s.open(early=wire[30:], environ={"wsgi.input": BytesIO(wire[:30])})
    received = [read(ws)[1], read(ws)[1]]
    assert received == ["1", "2"]
    assert ws.pongs == [b"?"]
