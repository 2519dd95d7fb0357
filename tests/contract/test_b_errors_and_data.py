"""Why it ended, as drop and disconnect are told (B6), and the data that came with the connect (B7)."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug import Request
from werkzeug.wrappers import Response

from resumehub import (
    Connection,
    DuplicateConnectionId,
    HandlerError,
    HeartbeatTimeout,
    HubClosed,
    Message,
    ResumeHubError,
    TransportLost,
)
from resumehub.testing import WebSocketClient, connect
from tests.contract.peers import heard_all, rock, running
from tests.support import PATIENCE, Stage, text


def vanish(s: Stage, ws: WebSocketClient) -> None:
    ws.drop()


def close_with_1001(s: Stage, ws: WebSocketClient) -> None:
    ws.close(1001, "going home")


def break_the_protocol(s: Stage, ws: WebSocketClient) -> None:
    ws.send_raw(b"\x81\x05hello")  # without a mask (RFC 6455 §5.1)


def send_bad_utf8(s: Stage, ws: WebSocketClient) -> None:
    ws.send_raw(b"\x81\x82\0\0\0\0\xff\xff")


def send_too_much(s: Stage, ws: WebSocketClient) -> None:
    ws.send("x" * 65_537)


def fall_silent(s: Stage, ws: WebSocketClient) -> None:
    s.clock.advance(30)


def stop_reading(s: Stage, ws: WebSocketClient) -> None:
    rock(s)
    s.clock.advance(10)


def make_a_handler_raise(s: Stage, ws: WebSocketClient) -> None:
    ws.send(text("raise"))


ENDS = [
    pytest.param(vanish, TransportLost, 1006, "", id="it vanishes"),
    pytest.param(close_with_1001, TransportLost, 1001, "going home", id="it closes with 1001"),
    pytest.param(break_the_protocol, TransportLost, 1002, None, id="it breaks the protocol"),
    pytest.param(send_bad_utf8, TransportLost, 1007, None, id="it sends bad UTF-8"),
    pytest.param(send_too_much, TransportLost, 1009, None, id="it sends too much"),
    pytest.param(fall_silent, HeartbeatTimeout, 1006, None, id="it falls silent"),
    pytest.param(stop_reading, TransportLost, 1006, None, id="it stops reading"),
    pytest.param(make_a_handler_raise, HandlerError, None, None, id="a handler raises"),
]


def stage_with_a_bug(stage: Any, **options: Any) -> Stage:
    """Its on_message raises for the event "raise"."""
    s = stage(**options)

    @s.hub.on_message
    def handler(connection: Connection, message: Message) -> None:
        if message.event == "raise":
            raise RuntimeError("a bug")

    return s


def check(error: Any, kind: type, code: int | None, reason: str | None) -> None:
    assert type(error) is kind
    assert isinstance(error, ResumeHubError)
    if code is not None:
        assert error.code == code
    if reason is not None:
        assert error.reason == reason


@pytest.mark.contract("B6")
@pytest.mark.parametrize(("end", "kind", "code", "reason"), ENDS)
def test_a_drop_says_why_and_an_expiry_repeats_it(stage, end, kind, code, reason) -> None:
    """on_disconnect after the grace window is told why the client had gone in the first place."""
    s = stage_with_a_bug(stage)
    ws = s.open()

    end(s, ws)

    error = s.recorder.wait_for("drop")
    check(error, kind, code, reason)
    s.clock.advance(30)
    assert s.recorder.wait_for("disconnect") is error


@pytest.mark.contract("B6")
@pytest.mark.parametrize(("end", "kind", "code", "reason"), ENDS)
def test_without_a_resume_window_a_disconnect_says_why(stage, end, kind, code, reason) -> None:
    """There was no drop, so disconnect is the one to tell."""
    s = stage_with_a_bug(stage, resume_window=0)

    end(s, s.open())

    check(s.recorder.wait_for("disconnect"), kind, code, reason)
    assert "drop" not in s.recorder.hooks()


@pytest.mark.contract("B6")
def test_a_reset_is_a_transport_that_is_lost(stage) -> None:
    """Only TCP has resets: a phone that was switched off, a NAT that forgot."""
    s = stage()
    ws = s.open(tcp=True)

    ws.drop()

    check(s.recorder.wait_for("drop"), TransportLost, 1006, "")


@pytest.mark.contract("B6")
def test_a_drop_after_a_takeover_has_no_error(stage) -> None:
    """Nothing went wrong: the client is back."""
    s = stage()
    s.resume(s.open())

    assert s.recorder.wait_for("drop") is None


@pytest.mark.contract("B6")
def test_an_expiry_repeats_the_last_drop_and_not_an_earlier_one(stage) -> None:
    """What was survived is no reason."""
    s = stage()
    ws = s.open()
    ws.close(3001, "first")
    s.recorder.wait_for("drop")
    again = s.resume(ws)
    again.close(3002, "second")
    last = s.recorder.wait_for("drop", count=2)

    s.clock.advance(30)

    assert s.recorder.wait_for("disconnect") is last
    assert (last.code, last.reason) == (3002, "second")


ENDS_ON_PURPOSE = [
    pytest.param(lambda s, ws: ws.close(1000), id="the client leaves"),
    pytest.param(lambda s, ws: ws.close(None), id="the client leaves without a code"),
    pytest.param(lambda s, ws: s.hub.get("u1").close(), id="it is closed"),
    pytest.param(lambda s, ws: s.hub.kick("u1"), id="it is kicked"),
]


@pytest.mark.contract("B6")
@pytest.mark.parametrize("end", ENDS_ON_PURPOSE)
@pytest.mark.parametrize("history", ["a fresh session", "a session that was dropped before"])
def test_a_session_that_was_ended_on_purpose_has_no_error(stage, end, history) -> None:
    """Also when it had dropped, and been resumed, before."""
    s = stage()
    ws = s.open()
    if history == "a session that was dropped before":
        s.drop(ws)
        ws = s.resume(ws)

    end(s, ws)

    assert s.recorder.wait_for("disconnect") is None


@pytest.mark.contract("B6")
@pytest.mark.parametrize("end", ENDS_ON_PURPOSE[2:])
def test_a_suspended_session_that_is_ended_on_purpose_has_no_error(stage, end) -> None:
    """The application's decision counts, and not the drop before it."""
    s = stage()
    s.drop(s.open())

    end(s, None)

    assert s.recorder.wait_for("disconnect") is None


@pytest.mark.contract("B6")
def test_a_displaced_session_is_told_so(stage) -> None:
    """It knows which id was taken."""
    s = stage()
    s.open()
    s.open()

    error = s.recorder.wait_for("disconnect")

    assert type(error) is DuplicateConnectionId
    assert error.connection_id == "u1"
    assert isinstance(error, ResumeHubError)


@pytest.mark.contract("B6")
@pytest.mark.parametrize("state", ["connected", "suspended"])
def test_a_session_of_a_hub_that_closes_is_told_so(stage, state) -> None:
    """Suspended ones are not waited for."""
    s = stage()
    ws = s.open()
    if state == "suspended":
        s.drop(ws)

    with running(lambda: s.hub.close(PATIENCE)):
        error = s.recorder.wait_for("disconnect")
        if state == "connected":
            assert ws.receive_close() == (1001, "server shutting down")

    assert type(error) is HubClosed
    assert error.connection_id == "u1"
    assert isinstance(error, ResumeHubError)


# -- B7 -----------------------------------------------------------------------------------------


def with_data(request: Request) -> tuple[str, str | None, Any]:
    return "lobby", request.args.get("id"), SHARED


SHARED: dict[str, Any] = {}


@pytest.fixture
def shared():
    """What ``connect`` gives as data: one object for all."""
    SHARED.clear()
    SHARED.update(name="Ada")
    return SHARED


@pytest.mark.contract("B7")
def test_the_data_of_a_new_session_is_a_copy(stage, shared) -> None:
    """A handler that changes connection.data changes nobody else's, and the other way round."""
    s = stage(with_data)
    s.open("u1")
    s.open("u2")
    one, two = s.hub.get("u1"), s.hub.get("u2")

    one.data["name"] = "Grace"
    shared["name"] = "changed behind their backs"

    assert one.data == {"name": "Grace"}
    assert two.data == {"name": "Ada"}


@pytest.mark.contract("B7")
@pytest.mark.parametrize("how", ["with resume=true", "without intent", "by takeover"])
def test_the_data_of_a_resume_is_ignored(stage, shared, how) -> None:
    """What the handlers have put into connection.data survives the client's new request."""
    s = stage(with_data)
    ws = s.open()
    s.hub.get("u1").data["score"] = 7
    if how != "by takeover":
        s.drop(ws)
    shared["name"] = "somebody else"

    again = s.open() if how == "without intent" else s.resume(ws)

    heard_all(again)
    assert s.recorder.wait_for("restore") is None
    assert s.hub.get("u1").data == {"name": "Ada", "score": 7}


@pytest.mark.contract("B7")
def test_a_session_that_displaces_another_has_its_own_data(stage, shared) -> None:
    """It is a new session, whatever its id."""
    s = stage(with_data)
    s.open()
    s.hub.get("u1").data["score"] = 7

    s.open()

    s.recorder.wait_for("connect", count=2)
    assert s.hub.get("u1").data == {"name": "Ada"}


@pytest.mark.contract("B7")
def test_the_data_of_a_view_is_copied_for_a_new_session_and_ignored_on_resume(stage) -> None:
    """hub.upgrade(data=…) is the same as what connect returns."""
    s = stage()
    given: list[Any] = [["first"], ["second"]]

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        response: Response = s.hub.upgrade(environ, "lobby", "u1", data=given.pop(0))
        return response(environ, start_response)

    first = given[0]
    ws = connect(app, "/")
    s.clients.append(ws)
    s.recorder.wait_for("connect")
    first.append("changed")
    s.clients.append(ws.resume())
    s.recorder.wait_for("restore")

    assert s.hub.get("u1").data == ["first"]
