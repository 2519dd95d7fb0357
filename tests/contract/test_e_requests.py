"""A client asks, and gets one answer: what a handler returns, replies or refuses (E3)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from resumehub import ConnectionClosed, Hub, Message
from resumehub.router import Router
from resumehub.testing import connect
from tests.contract.peers import heard_all
from tests.contract.raw_requests import answered, ask, heard, refused
from tests.contract.v1_client import dial
from tests.support import Call

# -- what the answer is ---------------------------------------------------------------


@pytest.mark.contract("E3")
def test_what_a_handler_returns_is_the_answer(stage) -> None:
    """contract E3: with the request's event and id; what waits beside it is not touched."""
    s = stage()
    s.hub.on_message(lambda connection, message: {"sum": sum(message.payload)})
    ws = s.open()
    s.say("u1", "before")

    ask(ws, "add", [1, 2], id="r-1")

    assert heard(ws) == {"event": "n", "payload": "before"}
    assert heard(ws) == {"event": "add", "payload": {"sum": 3}, "re": "r-1"}


@pytest.mark.contract("E3")
@pytest.mark.parametrize(
    ("values", "answer"), [((None, None), None), ((None, 1, 2), 1), ((False, 1), False), ((0, 1), 0)]
)
def test_of_several_handlers_the_first_value_that_is_not_none_is_the_answer(stage, values, answer) -> None:
    """contract E3: and all of them run."""
    s = stage()
    runs: list[Any] = []
    for value in values:
        s.hub.on_message(lambda connection, message, value=value: runs.append(value) or value)
    ws = s.open()

    ask(ws)

    assert answered(ws).get("payload") == answer
    assert tuple(runs) == values


@pytest.mark.contract("E3")
def test_what_is_returned_for_a_message_that_is_no_request_means_nothing(stage) -> None:
    """contract E3: an echo handler that returns something sends nothing by that."""
    s = stage()
    s.hub.on_message(lambda connection, message: message.payload)
    ws = s.open()
    ws.send(json.dumps({"event": "say", "payload": "no answer wanted"}))

    ask(ws, payload="yes")

    assert answered(ws) == {"re": "1", "payload": "yes"}
    heard_all(ws)
    assert not ws.has_message()


@pytest.mark.contract("E3")
def test_a_router_answers_through_middleware_that_forgets_to_return(stage) -> None:
    """contract E3: middleware that only calls ``next`` loses no answer; one that returns decides."""
    s, router = stage(), Router()
    router.use(lambda connection, message, next: [next(connection, message)][:0] or None)
    router.on("get")(lambda connection, message: "the answer")
    s.hub.on_message(router)
    ws = s.open()

    ask(ws, "get")
    assert answered(ws) == {"re": "1", "payload": "the answer"}

    router.use(lambda connection, message, next: {"wrapped": next(connection, message)})
    ask(ws, "get")
    assert answered(ws) == {"re": "1", "payload": {"wrapped": "the answer"}}


@pytest.mark.contract("E3")
def test_middleware_may_change_a_request_and_it_stays_one(stage) -> None:
    """contract E3: ``dataclasses.replace`` keeps what answers it."""
    s, router = stage(), Router()
    router.use(
        lambda connection, message, next: next(connection, replace(message, payload=message.payload.upper()))
    )
    router.on("shout")(lambda connection, message: message.reply(message.payload))
    s.hub.on_message(router)
    ws = s.open()

    ask(ws, "shout", "quiet")

    assert answered(ws) == {"re": "1", "payload": "QUIET"}


@pytest.mark.contract("E3")
def test_an_event_that_no_handler_knows(stage) -> None:
    """contract E3: unknown_event; and a bare on_message beside the router does not hide it."""
    s, router = stage(), Router()
    router.on("known")(lambda connection, message: None)
    s.hub.on_message(router)
    ws = s.open()

    ask(ws, "unkwnon")
    assert answered(ws) == refused("unknown_event")
    ask(ws, "known")
    assert answered(ws) == {"re": "1"}

    other = Router()
    other.on("unkwnon")(lambda connection, message: None)
    s.hub.on_message(other)
    ask(ws, "unkwnon")
    assert answered(ws) == {"re": "1"}, "another router knows it"
    router.fallback(lambda connection, message: "whatever")
    ask(ws, "else")
    assert answered(ws) == {"re": "1", "payload": "whatever"}


@pytest.mark.contract("E3")
def test_a_hub_without_a_handler_knows_no_event(stage) -> None:
    """contract E3: and the session lives."""
    with Hub(lambda request: ("lobby", "u1")) as hub, connect(hub) as ws:
        ask(ws)

        assert answered(ws) == refused("unknown_event")
        assert not hub.get("u1").suspended


# -- reply, refuse, defer -------------------------------------------------------------


@pytest.mark.contract("E3")
def test_a_request_has_one_answer(stage) -> None:
    """contract E3: whatever comes second is a RuntimeError, or means nothing if it is the return value."""
    s, second = stage(), []

    def handler(connection: Any, message: Message) -> str:
        message.reply("first")
        for again in (lambda: message.reply("second"), lambda: message.refuse("no"), message.defer):
            with pytest.raises(RuntimeError, match="answered already"):
                again()
            second.append(again)
        return "third"

    s.hub.on_message(handler)
    ws = s.open()

    ask(ws)

    assert answered(ws) == {"re": "1", "payload": "first"}
    ask(ws, id="2")
    assert heard(ws)["re"] == "2"
    ask(ws, id="3")
    assert heard(ws)["re"] == "3"
    assert len(second) >= 6, "the handler had returned before the next one started"


@pytest.mark.contract("E3")
def test_an_answer_that_comes_later_from_another_thread(stage) -> None:
    """contract E3: what the deferring handler returns means nothing."""
    s, asked = stage(), []

    def handler(connection: Any, message: Message) -> str:
        message.defer()
        asked.append(message)
        return "not this"

    s.hub.on_message(handler)
    ws = s.open()
    ask(ws)
    s.recorder.wait_for("message")
    heard_all(ws)
    assert not ws.has_message()

    Call(lambda: asked[0].reply("later")).result()

    assert answered(ws) == {"re": "1", "payload": "later"}
    with pytest.raises(RuntimeError):
        asked[0].refuse("late")
    ask(ws)  # the id is free again, and the old message does not answer the new request
    s.recorder.wait_for("message", count=2)
    with pytest.raises(RuntimeError):
        asked[0].reply("to another one's")
    asked[1].refuse("busy", "try later")
    assert answered(ws) == refused("busy", "try later")


@pytest.mark.contract("E3")
def test_reply_and_refuse_of_what_cannot_be_sent_leave_it_unanswered(stage) -> None:
    """contract E3: the application is told, and may answer something else."""
    s = stage()
    problems: list[type[BaseException]] = []

    def handler(connection: Any, message: Message) -> str:
        for attempt in (
            lambda: message.reply(object()),
            lambda: message.reply("x" * 2_000_000),
            lambda: message.refuse(""),
            lambda: message.refuse("c" * 65),
            lambda: message.refuse(404),
        ):
            try:
                attempt()
            except Exception as error:
                problems.append(type(error))
        return "still open"

    s.hub.on_message(handler)
    ws = s.open()

    ask(ws)

    assert answered(ws) == {"re": "1", "payload": "still open"}
    assert problems == [TypeError, ValueError, ValueError, ValueError, TypeError]


# -- ids, duplicates, answers that nobody waits for -----------------------------------


@pytest.mark.contract("E3", "C11")
def test_a_second_request_with_an_open_id_is_undecodable(stage) -> None:
    """contract E3: skipped and counted; a v1 client is told."""
    s, asked = stage(), []
    s.hub.on_message(lambda connection, message: message.id and (asked.append(message), message.defer()))
    client = dial(s)

    ask(client.ws)
    ask(client.ws)
    client.say("behind both")
    s.recorder.wait_for("message", count=2)
    s.clock.advance(1)

    event, payload = client.read_raw()
    assert (event, payload["number"]) == ("$rejected", 2)
    assert s.hub.stats().undecodable == 1
    assert len(asked) == 1


@pytest.mark.contract("E3")
def test_an_answer_that_nobody_waits_for_reaches_no_handler(stage) -> None:
    """contract E3: late, invented or second; it is ignored, and counts as a message of a v1 client."""
    s = stage()
    client = dial(s)

    client.ws.send(json.dumps({"re": "7", "payload": "late"}))
    client.ws.send(json.dumps({"re": "7", "error": {"code": "no"}}))
    client.say("data")
    s.recorder.wait_for("message")
    s.clock.advance(1)

    assert client.read_raw() == ("$ack", {"received": 3})
    assert s.recorder.hooks().count("message") == 1
    assert s.hub.stats().undecodable == 0


# -- drops and ends -------------------------------------------------------------------


@pytest.mark.contract("E3")
def test_a_v1_answer_survives_the_drop(stage) -> None:
    """contract E3: the request was handled once, and answered while its client was away."""
    s, asked = stage(), []
    s.hub.on_message(lambda connection, message: asked.append(message) or message.defer())
    client = dial(s)
    ask(client.ws)
    s.recorder.wait_for("message")
    client.drop()

    asked[0].reply("while you were away")
    back = client.resume()

    assert heard(back.ws) == {"event": "ask", "re": "1", "payload": "while you were away"}
    assert len(asked) == 1


@pytest.mark.contract("E3", "C8")
@pytest.mark.parametrize("end", ["kick", "close", "shutdown"])
def test_a_deferred_request_is_told_at_the_end_of_the_session(stage, end: str) -> None:
    """contract E3: internal_error, ahead of the close frame, wherever something can still be written."""
    s, asked = stage(), []
    s.hub.on_message(lambda connection, message: asked.append(message) or message.defer())
    ws = s.open()
    ask(ws)
    s.recorder.wait_for("message")
    connection = s.hub.get("u1")

    ends = {"kick": lambda: s.hub.kick("u1"), "close": connection.close, "shutdown": s.hub.close}
    closing = Call(ends[end])

    assert heard(ws) == refused("internal_error")
    assert ws.receive_close()[0] == (1001 if end == "shutdown" else 1000)
    closing.result()
    with pytest.raises(ConnectionClosed):
        asked[0].reply("too late")


@pytest.mark.contract("E3")
def test_the_answer_of_a_session_that_has_ended_goes_nowhere(stage) -> None:
    """contract E3: no error for a handler that returns; ``reply`` is told."""
    s = stage()
    told: list[type[BaseException]] = []

    def handler(connection: Any, message: Message) -> str:
        s.hub.kick("u1")
        try:
            message.reply("too late")
        except ConnectionClosed as error:
            told.append(type(error))
        return "too late"

    s.hub.on_message(handler)
    ws = s.open()
    ask(ws)

    assert s.recorder.wait_for("disconnect") is None
    assert told == [ConnectionClosed]
    assert ws.receive_close() == (1000, "kicked")
