"""The hub asks a client, and a thread of the application waits for the answer (E3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from resumehub import (
    Connection,
    ConnectionClosed,
    HubClosed,
    Message,
    RequestFailed,
    RequestInDoubt,
    RequestTimeout,
    SendBufferFull,
)
from resumehub.testing import WebSocketClient
from tests.contract.peers import heard_all
from tests.contract.v1_client import dial
from tests.support import PATIENCE, Call, Stage


def asked(ws: WebSocketClient) -> dict[str, Any]:
    """The request that the client gets."""
    document = json.loads(ws.receive(PATIENCE))
    assert "id" in document
    return document


def answer(ws: WebSocketClient, request: dict[str, Any], **fields: Any) -> None:
    ws.send(json.dumps({"re": request["id"], **fields}))


def asking(s: Stage, event: str = "ask", connection_id: str = "u1", **how: Any) -> Call:
    """A thread that asks."""
    connection = s.hub.get(connection_id)
    return Call(lambda: connection.request(event, **how))


def wait_in_outbox(s: Stage, connection: Connection) -> None:
    """Until the request of another thread waits there, and its time runs."""
    while not connection.undelivered:
        s.clock.advance(0)


def nothing_is_left(s: Stage) -> bool:
    """Whether neither the hub nor a session holds anything of a request."""
    s.clock.advance(0)
    loop = s.hub.runner.loop
    assert loop is not None
    sessions = loop.registry.sessions.values()
    tables = [table for one in sessions for table in (one.own_requests, one.client_requests)]
    armed = [entry for entry in loop.machine.deadlines._armed if entry[0].name == "ANSWER_WANTED"]
    return not (len(loop.services.askers) or any(map(len, tables)) or armed)


# -- answers --------------------------------------------------------------------------


@pytest.mark.contract("E3")
def test_the_payload_of_the_answer_is_returned(stage) -> None:
    """contract E3: to the thread that asked; no handler sees the answer."""
    s = stage()
    ws = s.open()
    call = asking(s, "colour", payload={"of": "sky"})

    request = asked(ws)
    assert (request["event"], request["payload"]) == ("colour", {"of": "sky"})
    answer(ws, request, payload="blue", event="colour")

    assert call.result() == "blue"
    heard_all(ws)
    assert s.recorder.hooks() == ["connect"]
    assert nothing_is_left(s)


@pytest.mark.contract("E3")
def test_an_answer_without_a_payload_is_none(stage) -> None:
    """contract E3: left out means null."""
    s = stage()
    ws = s.open()
    call = asking(s)
    answer(ws, asked(ws))
    assert call.result() is None


@pytest.mark.contract("E3")
def test_a_refusal_is_raised(stage) -> None:
    """contract E3: RequestFailed, with the client's code and message."""
    s = stage()
    ws = s.open()
    call = asking(s)
    answer(ws, asked(ws), error={"code": "no", "message": "not now"})

    with pytest.raises(RequestFailed, match="no: not now") as failed:
        call.result()
    assert (failed.value.code, failed.value.message) == ("no", "not now")


@pytest.mark.contract("E3")
def test_many_at_once_each_gets_its_own_answer(stage) -> None:
    """contract E3: in whatever order the answers come."""
    s = stage()
    ws = s.open()
    calls = {number: asking(s, payload=number) for number in range(20)}
    requests = [asked(ws) for _ in calls]
    assert len({request["id"] for request in requests}) == 20

    for request in reversed(requests):
        answer(ws, request, payload=request["payload"] * 10)

    assert {number: call.result() for number, call in calls.items()} == {n: n * 10 for n in range(20)}
    assert nothing_is_left(s)


@pytest.mark.contract("E3", "B5")
@pytest.mark.parametrize("v1", [False, True], ids=["plain", "v1"])
def test_a_handler_asks_its_own_client(stage, v1: bool) -> None:
    """contract E3: it waits, and its session's reader goes on, also behind many other messages."""
    s = stage()
    s.hub.on_message(
        lambda connection, message: message.id and {"you said": connection.request("really?", timeout=None)}
    )
    ws = dial(s).ws if v1 else s.open()
    ws.send('{"event": "delete", "id": "1"}')
    request = asked(ws)
    for number in range(200):
        ws.send(json.dumps({"event": "cursor", "payload": number}))

    answer(ws, request, payload="yes")

    messages = iter(lambda: json.loads(ws.receive(PATIENCE)), None)
    got = next(message for message in messages if "re" in message)
    assert got == {"event": "delete", "payload": {"you said": "yes"}, "re": "1"}
    s.recorder.wait_for("message", count=201)


@pytest.mark.contract("E3")
@pytest.mark.parametrize("hook", ["on_connect", "on_transport_restore"])
def test_a_hook_asks_its_own_client(stage, hook: str) -> None:
    """contract E3: before the first message is handled."""
    s, answers = stage(), []
    getattr(s.hub, hook)(lambda connection: answers.append(connection.request("who?", timeout=None)))
    ws = s.open()
    if hook == "on_transport_restore":
        s.drop(ws)
        ws = s.resume(ws)
    answer(ws, asked(ws), payload="me")
    ws.send('{"event": "n"}')

    s.recorder.wait_for("message")
    assert answers == ["me"]


# -- time -----------------------------------------------------------------------------


@pytest.mark.contract("E3")
def test_no_answer_in_time(stage) -> None:
    """contract E3: RequestTimeout, at the hub's time and not before; nothing is left of it."""
    s = stage(ping_interval=None)
    ws = s.open()
    call = asking(s, timeout=30)
    request = asked(ws)

    s.clock.advance(29.5)
    assert len(s.hub.runner.loop.services.askers) == 1
    ws.read_nowait()
    s.clock.advance(0.5)

    with pytest.raises(RequestTimeout) as late:
        call.result()
    assert (late.value.event, late.value.timeout) == ("ask", 30)
    assert isinstance(late.value, TimeoutError)
    assert nothing_is_left(s)
    answer(ws, request, payload="late")
    ws.send('{"event": "n"}')
    s.recorder.wait_for("message")
    assert s.recorder.hooks() == ["connect", "message"], "a late answer reaches nobody"


@pytest.mark.contract("E3")
def test_time_goes_on_while_the_session_is_suspended(stage) -> None:
    """contract E3: a client that is away does not keep the asker."""
    s = stage(resume_window=60)
    ws = s.open()
    s.drop(ws)
    call = asking(s, timeout=10)
    connection = s.hub.get("u1")
    wait_in_outbox(s, connection)

    s.clock.advance(10)

    with pytest.raises(RequestTimeout):
        call.result()
    assert connection.suspended


@pytest.mark.contract("E3")
@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (True, TypeError),
        ("30", TypeError),
    ],
)
def test_a_timeout_that_is_none(stage, timeout: Any, error: type[Exception]) -> None:
    """contract E3: told at once; nothing was sent."""
    s = stage()
    ws = s.open()
    with pytest.raises(error, match="timeout must be"):
        s.hub.get("u1").request("ask", timeout=timeout)
    heard_all(ws)
    assert not ws.has_message()


# -- drops and ends -------------------------------------------------------------------


@pytest.mark.contract("E3")
def test_a_request_and_its_answer_survive_a_drop(stage) -> None:
    """contract E3: sent again to a v1 client that has not had it; the answer counts once."""
    s = stage()
    client = dial(s)
    call = asking(s, timeout=None)
    lost = asked(client.ws)
    client.drop()

    back = client.resume()
    request = asked(back.ws)
    assert request == lost
    answer(back.ws, request, payload=1)
    answer(back.ws, request, payload=2)

    assert call.result() == 1
    back.say("n")
    s.recorder.wait_for("message")
    s.clock.advance(1)
    assert back.read_raw() == ("$replayed", {"messages": 1})
    assert back.read_raw() == ("$ack", {"received": 3})


ENDS: dict[str, Callable[[Stage], object]] = {
    "kick": lambda s: s.hub.kick("u1"),
    "close": lambda s: s.hub.get("u1").close(),
    "expire": lambda s: (s.hub.cut("u1"), s.clock.advance(0), s.clock.advance(30)),
    "leave": lambda s: s.clients[-1].close(),
    "shutdown": lambda s: s.hub.close(),
}


@pytest.mark.contract("E3")
@pytest.mark.parametrize("end", ENDS)
def test_the_session_ends_before_the_answer(stage, end: str) -> None:
    """contract E3: it is in doubt, whatever the end was."""
    s = stage()
    ws = s.open()
    call = asking(s, timeout=None)
    asked(ws)

    ending = Call(lambda: ENDS[end](s))

    with pytest.raises(RequestInDoubt) as doubt:
        call.result()
    assert (doubt.value.connection_id, doubt.value.event) == ("u1", "ask")
    assert isinstance(doubt.value, ConnectionClosed)
    if end in ("kick", "close", "shutdown"):
        ws.receive_close()
    ending.result()


@pytest.mark.contract("E3")
@pytest.mark.parametrize(("end", "error"), [("expire", ConnectionClosed), ("shutdown", HubClosed)])
def test_a_request_that_was_surely_never_written(stage, end: str, error: type[Exception]) -> None:
    """contract E3: no doubt, so no RequestInDoubt."""
    s = stage()
    ws = s.open()
    connection = s.drop(ws)
    call = asking(s, timeout=None)
    wait_in_outbox(s, connection)

    ENDS[end](s)

    with pytest.raises(ConnectionClosed) as closed:
        call.result()
    assert type(closed.value) is error


@pytest.mark.contract("E3")
def test_an_ended_session_is_asked_nothing(stage) -> None:
    """contract E3: ConnectionClosed, at once."""
    s = stage()
    s.open()
    connection = s.hub.get("u1")
    s.hub.kick("u1")
    with pytest.raises(ConnectionClosed):
        connection.request("ask")
    assert nothing_is_left(s)


# -- bounds ---------------------------------------------------------------------------


@pytest.mark.contract("E3")
def test_too_many_open_requests_and_a_full_outbox(stage) -> None:
    """contract E3: SendBufferFull for both; what is open stays open."""
    s = stage(max_requests=2, send_buffer=2)
    ws = s.open()
    calls = [asking(s, payload=number, timeout=None) for number in range(2)]
    requests = [asked(ws) for _ in calls]
    connection = s.hub.get("u1")
    with pytest.raises(SendBufferFull):
        connection.request("one more")
    for request in requests:
        answer(ws, request, payload=request["payload"])
    assert [call.result() for call in calls] == [0, 1]

    s.drop(ws)
    s.say("u1", 1, 2)
    with pytest.raises(SendBufferFull):
        connection.request("no room")
    assert nothing_is_left(s)


@pytest.mark.contract("E3")
def test_a_broadcast_drops_no_request(stage) -> None:
    """contract E3: its asker waits for it."""
    s = stage(send_buffer=2)
    ws = s.open()
    connection = s.drop(ws)
    call = asking(s, timeout=None)
    wait_in_outbox(s, connection)
    for number in range(5):
        s.hub.broadcast("lobby", Message("b", number))

    back = s.resume(ws)

    answer(back, asked(back), payload="here")
    assert call.result() == "here"


@pytest.mark.contract("E3")
@pytest.mark.parametrize(
    ("event", "payload", "error"),
    [
        ("$hello", None, ValueError),
        ("ask", {1}, TypeError),
        ("ask", "x" * 2_000_000, ValueError),
        (1, 2, TypeError),
    ],
)
def test_what_cannot_be_sent_cannot_be_asked(stage, event: Any, payload: Any, error: type[Exception]) -> None:
    """contract E3: as with send."""
    s = stage()
    s.open()
    with pytest.raises(error):
        s.hub.get("u1").request(event, payload)
    assert nothing_is_left(s)
