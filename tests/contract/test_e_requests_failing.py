"""A client asks, and its handler raises, or its answer has no room: what the client is told (E3)."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from resumehub import HandlerError, Message, RequestError, SendBufferFull
from resumehub.router import Router
from tests.contract.raw_requests import answered, ask, heard, refused
from tests.contract.v1_client import Speaker, dial

# -- raising --------------------------------------------------------------------------


class NoSuchRoom(RequestError):
    def __init__(self) -> None:
        super().__init__("no_such_room", "there is no room of that name")


def raising(error: BaseException) -> Any:
    def handler(connection: Any, message: Message) -> None:
        raise error

    return handler


@pytest.mark.contract("E3")
def test_a_request_error_is_the_refusal(stage) -> None:
    """contract E3: no other handler runs, and the session and its transport live."""
    s = stage()
    s.hub.on_message(raising(NoSuchRoom()))
    s.hub.on_message(raising(AssertionError("it does not run")))
    ws = s.open()

    ask(ws)

    assert answered(ws) == refused("no_such_room", "there is no room of that name")
    ask(ws)
    assert answered(ws)["error"]["code"] == "no_such_room"


@pytest.mark.contract("E3")
def test_a_request_error_for_a_message_that_is_no_request_is_logged_once(stage, caplog) -> None:
    """contract E3: without content; and the session lives."""
    s, router = stage(), Router()
    router.on("say")(raising(RequestError("secret", "secret")))
    s.hub.on_message(router)
    ws = s.open()

    for _ in range(2):
        ws.send(json.dumps({"event": "say", "payload": "secret"}))
    ask(ws, "nothing")

    assert answered(ws) == refused("unknown_event")
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "no request" in record.getMessage()
    assert "secret" not in record.getMessage()


@pytest.mark.contract("E3", "B4")
@pytest.mark.parametrize("deferred", [False, True], ids=["at once", "after defer"])
def test_any_other_exception_ends_the_transport_and_the_asker_is_told(stage, deferred: bool) -> None:
    """contract E3: internal_error, without the text, ahead of the close frame."""
    s = stage()

    def handler(connection: Any, message: Message) -> None:
        if deferred:
            message.defer()
        raise ZeroDivisionError("secret")

    s.hub.on_message(handler)
    ws = s.open()

    ask(ws)

    assert heard(ws) == refused("internal_error")
    assert ws.receive_close() == (1011, "handler error")
    assert isinstance(s.recorder.wait_for("drop"), HandlerError)


@pytest.mark.contract("E3", "B4")
def test_a_v1_asker_hears_of_the_failure_after_its_resume(stage) -> None:
    """contract E3: though its transport took nothing any more when the handler raised."""
    s = stage()

    def handler(connection: Any, message: Message) -> None:
        lose(s, connection)
        raise ZeroDivisionError

    client: Speaker = dial(s)
    s.hub.on_message(handler)
    ask(client.ws)
    s.recorder.wait_for("drop")

    back = client.resume()

    assert back.hello["received"] == 1, "the request counts as handled"
    assert heard(back.ws) == refused("internal_error")


@pytest.mark.contract("E3")
def test_a_returned_value_that_cannot_be_encoded(stage, caplog) -> None:
    """contract E3: internal_error, an ERROR with the handler's name, and the session lives."""
    s, router = stage(), Router()

    @router.on("get")
    def get_a_set(connection: Any, message: Message) -> Any:
        return {1, 2}

    router.on("big")(lambda connection, message: "x" * 2_000_000)
    s.hub.on_message(router)
    ws = s.open()

    ask(ws, "get")
    assert heard(ws) == refused("internal_error")
    ask(ws, "big")
    assert heard(ws) == refused("internal_error")

    first, second = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "get_a_set" in first.getMessage()
    assert isinstance(second.exc_info[1], ValueError)
    assert not s.hub.get("u1").suspended


# -- a full outbox --------------------------------------------------------------------


def lose(s: Any, connection: Any) -> None:
    """Lose the session's transport while a handler of it runs; when this returns, it is suspended."""
    s.hub.cut(connection.id)
    s.clock.advance(0)
    assert connection.suspended


def fill(connection: Any) -> int:
    """Fill the session's outbox; return how many messages that took."""
    for count in range(10_000):
        try:
            connection.send(Message("n", count))
        except SendBufferFull:
            return count
    raise AssertionError("it takes everything")


@pytest.mark.contract("E3")
def test_an_answer_goes_beyond_a_full_outbox(stage) -> None:
    """contract E3: by at most max_requests messages; ``reply`` is told, and the answer is not dropped."""
    s = stage(send_buffer=4)
    told: list[type[BaseException]] = []

    def handler(connection: Any, message: Message) -> str:
        lose(s, connection)
        assert fill(connection) == 4
        try:
            message.reply("no room")
        except SendBufferFull as error:
            told.append(type(error))
        return "the answer"

    s.hub.on_message(handler)
    ws = s.open()
    ask(ws)
    s.recorder.wait_for("drop")
    for at in range(4):
        s.hub.broadcast("lobby", Message("b", at))

    back = s.resume(ws)

    assert told == [SendBufferFull]
    seen = [heard(back) for _ in range(4)]
    assert seen[0] == {"event": "ask", "re": "1", "payload": "the answer"}, (
        "the broadcasts dropped the others"
    )
    assert s.hub.stats().dropped == 5


@pytest.mark.contract("E3", "B4")
def test_an_answer_whose_bytes_do_not_fit_is_replaced_by_a_refusal(stage, caplog) -> None:
    """contract E3: internal_error; the handler has failed, with SendBufferFull as the cause."""
    s = stage(send_buffer_bytes=100)

    def handler(connection: Any, message: Message) -> str:
        lose(s, connection)
        fill(connection)
        return "x" * 60

    s.hub.on_message(handler)
    ws = s.open()
    ask(ws)
    s.recorder.wait_for("drop")

    waiting = len(s.hub.get("u1").undelivered)
    back = s.resume(ws)

    assert [heard(back) for _ in range(waiting)][-1] == refused("internal_error")
    s.recorder.wait_for("restore")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert isinstance(record.exc_info[1], SendBufferFull)
    assert s.recorder.hooks() == ["connect", "message", "drop", "restore"], "the next transport does not pay"


@pytest.mark.contract("E3")
def test_too_many_open_requests(stage) -> None:
    """contract E3: too_many_requests, at once, and the handler is not called."""
    s, asked = stage(max_requests=2), []
    s.hub.on_message(lambda connection, message: asked.append(message) or message.defer())
    ws = s.open()

    for number in ("a", "b", "c"):
        ask(ws, id=number)

    assert heard(ws) == {"re": "c", "error": {"code": "too_many_requests", "message": ""}}
    asked[0].reply()
    assert heard(ws)["re"] == "a"
    ask(ws, id="c")
    s.recorder.wait_for("message", count=3)
    asked[2].reply(3)
    assert heard(ws) == {"event": "ask", "re": "c", "payload": 3}


@pytest.mark.contract("E3")
def test_a_client_that_asks_and_reads_nothing_loses_its_transport(stage) -> None:
    """contract E3: what is kept for it is bounded; a request without room for its answer is not handled."""
    s = stage(send_buffer=1, max_requests=2)
    client = dial(s)  # it acknowledges nothing, so its answers stay

    for number in "abcd":
        ask(client.ws, id=number)
    s.recorder.wait_for("drop")

    assert len(s.hub.get("u1").undelivered) == 3
    assert s.recorder.hooks("u1").count("message") == 3
    back = client.resume()
    assert back.hello["received"] == 3, "the fourth one is sent again"
    assert [heard(back.ws)["re"] for _ in range(3)] == ["a", "b", "c"]
