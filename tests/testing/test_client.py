"""The WebSocket client for tests: a real handshake with any WSGI application, and a peer that obeys."""

from __future__ import annotations

import socket
from typing import Any

import flask
import pytest

from resumehub import Connection, Hub, Message, TransportLost
from resumehub.testing import NothingReceived, TransportClosed, UpgradeRefused, connect
from resumehub.testing.wire import server_frame
from tests.support import PATIENCE, Call, Stage, from_query, read, text
from tests.transport.byte_feed import codes
from tests.transport.byte_feed import understand as events_of


class Raw:
    """A codec that leaves payloads as they are."""

    def encode(self, message: Message) -> Any:
        return message.payload

    def decode(self, data: str | bytes) -> Message:
        return Message("raw", data)


def echoing(s: Stage) -> Stage:
    @s.hub.on_message
    def echo(connection: Connection, message: Message) -> None:
        connection.send(message)

    return s


# -- getting in --------------------------------------------------------------------------------


def test_it_speaks_to_any_wsgi_application() -> None:
    """The application's own login, cookies and middleware are all in play."""
    app = flask.Flask("shop")
    app.secret_key = "for tests"
    hub = Hub()

    @app.get("/ws/<room>", websocket=True)
    def ws(room: str) -> Any:
        if flask.request.cookies.get("user") != "ada":
            flask.abort(401)
        response = hub.upgrade(flask.request, room, "ada")
        response.set_cookie("seen", "1")
        return response

    with hub, connect(app, "/ws/lobby", cookies={"user": "ada", "theme": "dark"}) as client:
        assert hub.connections("lobby")[0].id == "ada"
        assert [value for name, value in client.headers if name == "Set-Cookie"] == ["seen=1; Path=/"]
        with pytest.raises(UpgradeRefused, match="401"):
            connect(app, "/ws/lobby")
        with pytest.raises(UpgradeRefused, match="404"):
            connect(app, "/elsewhere")


def test_a_refusal_is_shown_as_it_is(stage) -> None:
    """Status, headers in any case, and the body."""
    s = stage()
    with pytest.raises(UpgradeRefused) as refused:
        s.open("unknown", query="&resume=true")
    assert refused.value.status == 410
    assert refused.value.header("cache-control") == "no-store"
    assert refused.value.header("Content-Type") == "application/problem+json"
    assert refused.value.header("X-Missing") is None
    assert b'"status": 410' in refused.value.body


def test_what_the_application_raises_comes_out() -> None:
    """And no socket is left behind, which the leak check of every test would see."""

    def broken(environ: Any, start_response: Any) -> Any:
        raise LookupError("no such room")

    with pytest.raises(LookupError, match="no such room"):
        connect(broken)


@pytest.mark.parametrize("name", ["Sec-WebSocket-Key", "sec-websocket-key"])
@pytest.mark.parametrize("value", [None, "not 16 bytes"], ids=["left out", "replaced"])
def test_headers_of_the_handshake_can_be_replaced(stage, name: str, value: str | None) -> None:
    """However they are written: header names know no case."""
    with pytest.raises(UpgradeRefused, match="400"):
        stage().open(headers={name: value})


def test_headers_can_be_added(stage) -> None:
    s = stage(lambda request: ("lobby", request.headers["X-User"]))
    s.open(headers=[("X-User", "ada")])
    assert s.hub.get("ada") is not None


def test_subprotocols_are_offered_in_order(stage) -> None:
    s = stage(lambda request: ("lobby", request.headers["Sec-WebSocket-Protocol"]), subprotocols=["chat.v2"])
    ws = s.open(subprotocols=["chat.v1", "chat.v2"])
    assert s.hub.get("chat.v1, chat.v2") is not None
    assert ("Sec-WebSocket-Protocol", "chat.v2") in ws.headers


def test_wsgi_variables_can_be_given(stage) -> None:
    s = stage(lambda request: ("lobby", request.remote_user))
    s.open(environ={"REMOTE_USER": "ada"})
    assert s.hub.get("ada") is not None


# -- talking -----------------------------------------------------------------------------------


def test_text_and_binary_messages_keep_their_kind(stage) -> None:
    s = echoing(stage(codec=Raw(), max_message_size=1 << 20))
    ws = s.open()
    for data in ("text €", b"\x00\xff", "", b"", "long" * 50_000):
        ws.send(data)
        assert ws.receive() == data


def test_compression_is_spoken_when_both_sides_agree(stage) -> None:
    s = echoing(stage(codec=Raw(), compression=True))
    ws = s.open(extensions="permessage-deflate")
    for data in ("hello hello hello", "hello hello hello", b"\x00" * 1000):
        ws.send(data)
        assert ws.receive() == data
    plain = s.open("u2")
    plain.send("no compression here")
    assert plain.receive() == "no compression here"


def test_messages_that_came_before_the_close_frame_are_received_first(stage) -> None:
    s = stage()
    ws = s.open()
    s.say("u1", 1, 2)
    s.hub.kick("u1")
    assert [read(ws)[1], read(ws)[1]] == [1, 2]
    for _ in range(2):
        with pytest.raises(TransportClosed, match="1000 'kicked'") as closed:
            ws.receive()
    assert (closed.value.code, closed.value.reason) == (1000, "kicked") == ws.closed


def test_nothing_is_an_answer_too(stage) -> None:
    """A test that expects silence says how long it listens."""
    ws = stage().open()
    with pytest.raises(NothingReceived):
        ws.receive(timeout=0)
    assert not ws.wait_for_eof(timeout=0)
    assert not ws.wait_for_ping(timeout=0)
    assert not ws.wait_for_pong(timeout=0)
    assert ws.closed is None


def test_a_ping_is_answered_by_the_hub(stage) -> None:
    ws = stage().open()
    ws.ping(b"a")
    ws.ping(b"b")
    assert ws.wait_for_pong(2, PATIENCE)
    assert ws.pongs == [b"a", b"b"]


def test_pings_are_answered_while_reading(stage) -> None:
    s = stage(ping_interval=20, write_timeout=10)
    ws = s.open()
    for count, seconds in ((1, 10), (2, 20), (3, 20)):  # a newcomer that says nothing is pinged early
        s.clock.advance(seconds)
        assert ws.wait_for_ping(count, PATIENCE)
        ws.ping()  # when that is answered, the hub has heard the answer to its own
        assert ws.wait_for_pong(count, PATIENCE)
    assert s.recorder.hooks("u1") == ["connect"]


@pytest.mark.parametrize("answers", [True, False], ids=["it answers", "it is told to be silent"])
def test_what_a_client_says_to_a_ping(answers: bool) -> None:
    """Half-open is a client that reads, and says nothing."""
    servers: list[socket.socket] = []

    def bare(environ: Any, start_response: Any) -> list[bytes]:
        servers.append(environ["resumehub.socket"].dup())
        servers[0].sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        start_response("101 Switching Protocols", [])
        return []

    with connect(bare) as ws, servers[0] as server:
        ws.answers_pings = answers
        server.sendall(server_frame("ping", b"?"))
        assert ws.wait_for_ping(1, PATIENCE)
        ws.send("something else")
        told = codes(events_of(server.recv(1000)))
    assert told == (["PongReceived"] if answers else []) + ["something else"]


def test_what_is_read_can_be_looked_at_without_waiting(stage) -> None:
    s = stage()
    ws = s.open()
    ws.read_nowait()
    assert not ws.has_message()
    s.say("u1", "hello")  # written by this very thread, so it is there
    ws.read_nowait()
    assert ws.has_message()
    assert read(ws) == ("n", "hello")
    assert not ws.has_message()


# -- leaving -----------------------------------------------------------------------------------


def test_a_proper_leave_waits_for_the_answer(stage) -> None:
    s = stage()
    ws = s.open()
    ws.close()
    assert ws.closed == (1000, "")
    assert s.recorder.wait_for("disconnect") is None


@pytest.mark.parametrize("code", [None, 1000, 1001, 4000])
def test_a_leave_may_say_why(stage, code: int | None) -> None:
    s = stage(resume_window=0)
    ws = s.open()
    ws.close(code, "" if code is None else "see you")
    error = s.recorder.wait_for("disconnect")
    expected = None if code in (None, 1000) else TransportLost
    assert (type(error) if error else None) is expected
    assert ws.closed == (1005 if code is None else code, "")


def test_leaving_a_server_that_is_gone_is_no_error(stage) -> None:
    """A test's last line should not depend on who was quicker."""
    s = stage()
    ws = s.open()
    s.hub.cut("u1")
    s.recorder.wait_for("drop")
    ws.close()
    assert ws.sock.fileno() == -1
    assert ws.closed == (1006, "")


@pytest.mark.parametrize("tcp", [False, True], ids=["a socketpair", "TCP"])
def test_a_drop_is_a_lost_connection(stage, tcp: bool) -> None:
    s = stage()
    ws = s.open(tcp=tcp)
    ws.drop()
    error = s.recorder.wait_for("drop")
    assert error.code == 1006


def test_the_end_without_a_close_frame_is_1006(stage) -> None:
    s = stage()
    ws = s.open()
    s.hub.cut("u1")
    assert ws.receive_close(PATIENCE) == (1006, "")
    assert ws.wait_for_eof(PATIENCE)


def test_a_close_frame_is_answered_and_passed_messages_are_skipped(stage) -> None:
    s = stage()
    ws = s.open()
    s.say("u1", 1, 2)
    connection = s.hub.get("u1")
    connection.close()
    assert ws.receive_close(PATIENCE) == (1000, "")
    assert ws.wait_for_eof(PATIENCE)  # the hub waits for the answer before it ends TCP


# -- coming back -------------------------------------------------------------------------------


def test_a_resume_repeats_the_request(stage) -> None:
    """Path, query, headers, cookies and subprotocols, whatever they were given as."""
    seen: list[tuple[Any, ...]] = []

    def note(request: Any) -> tuple[str, str]:
        arguments = [(name, value) for name, value in request.args.items(multi=True) if name != "resume"]
        seen.append((arguments, request.headers["X-User"], request.cookies["a"], request.args.get("resume")))
        return "lobby", request.args["id"]

    s = stage(note, subprotocols=["chat"])
    ws = s.open(
        query="&tag=a&tag=b&flag=&q=%C3%A9%26",
        headers=iter([("X-User", "ada")]),
        cookies={"a": "1"},
        subprotocols=iter(["chat"]),
    )
    s.drop(ws)
    again = s.resume(ws)
    s.recorder.wait_for("restore")
    first, second = seen
    assert first[:3] == second[:3]
    assert (first[3], second[3]) == (None, "true")
    assert ("Sec-WebSocket-Protocol", "chat") in again.headers


def test_a_resume_can_say_more_or_something_else(stage) -> None:
    s = stage()
    ws = s.open()
    s.drop(ws)
    with pytest.raises(UpgradeRefused, match="410"):
        ws.resume(id="somebody else")
    with pytest.raises(UpgradeRefused, match="400"):
        ws.resume(received="many")
    s.resume(ws, received="0")


def test_a_client_is_a_context_manager() -> None:
    with Hub(from_query) as hub, connect(hub, "/?id=u1") as ws:
        ws.send(text("hello"))
    assert ws.sock.fileno() == -1


def test_a_client_may_send_more_than_fits(stage) -> None:
    """It blocks, as clients do, until the server has read on."""
    s = echoing(stage(codec=Raw(), max_message_size=1 << 23, send_buffer_bytes=1 << 23))
    ws = s.open()
    large = "x" * 4_000_000
    sending = Call(lambda: ws.send(large))
    assert ws.receive(PATIENCE) == large
    sending.result()
