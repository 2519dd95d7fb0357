"""Requests through the extension: a handler's answer, refusal and error; and one that survives a drop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from flask import current_app

from resumehub import Connection, Message, RequestError, RequestFailed
from resumehub.contrib.flask import ResumeHub
from tests.contrib.flask_apps import live, lobby, make_app
from tests.support import Call


@dataclass
class Price:
    amount: int


def asked() -> ResumeHub:
    """An extension whose handlers answer."""
    sockets = lobby()

    @sockets.on("name")
    def name(connection: Connection, message: Message) -> Any:
        return [current_app.name, message.payload]

    @sockets.on("price", Price)
    def price(connection: Connection, message: Message) -> Any:
        return message.payload.amount * 2

    @sockets.on("refuse")
    def refuse(connection: Connection, message: Message) -> None:
        raise RequestError("closed", "come back tomorrow")

    @sockets.on("later")
    def later(connection: Connection, message: Message) -> None:
        message.defer()
        connection.data["waiting"] = message
        connection.send(Message("deferred"))

    @sockets.on("broken")
    def broken(connection: Connection, message: Message) -> None:
        raise LookupError("secret")

    return sockets


@pytest.mark.contract("E3")
def test_what_a_handler_returns_is_the_answer() -> None:
    """With the context of the application, and the payload checked (contract E3)."""
    app = make_app(asked())
    with live(app), live(app).connect("/ws/lobby") as client:
        assert client.request("name", 1) == ["shop", 1]
        assert client.request("price", {"amount": 21}) == 42
        for event, payload, code in (
            ("price", {"amount": "much"}, "invalid_payload"),
            ("refuse", None, "closed"),
            ("nobody", None, "unknown_event"),
        ):
            with pytest.raises(RequestFailed) as failed:
                client.request(event, payload)
            assert failed.value.code == code
        assert client.received_nothing()


@pytest.mark.contract("E3")
def test_an_error_of_a_handler_is_told_without_its_text() -> None:
    """The transport ends with 1011, and the session may be resumed and asked again (contract E3)."""
    app = make_app(asked())
    with live(app), live(app).connect("/ws/lobby") as client:
        with pytest.raises(RequestFailed) as failed:
            client.request("broken")
        assert (failed.value.code, failed.value.message) == ("internal_error", "")
        assert client.receive_close()[0] == 1011
        client.resume()
        assert client.request("name", 2) == ["shop", 2]


@pytest.mark.contract("E3")
def test_an_answer_survives_a_drop() -> None:
    """The handler answers while the client is away (contract E3)."""
    app = make_app(asked())
    with live(app), live(app).connect("/ws/lobby") as client:
        connection = client.connection
        assert connection is not None
        client.send_request("later")
        assert client.receive() == Message("deferred")
        client.drop()
        connection.data["waiting"].reply("at last")
        client.resume()
        assert client.receive_answer() == "at last"


@pytest.mark.contract("E3")
def test_the_server_asks_the_client() -> None:
    """And the client's second answer is a mistake of the test's (contract E3)."""
    app = make_app(asked())
    with live(app), live(app).connect("/ws/lobby") as client:
        connection = client.connection
        assert connection is not None
        for answer in ("yes", None):
            asking = Call(lambda: connection.request("sure", {"really": True}))
            question = client.receive()
            assert (question.event, question.payload) == ("sure", {"really": True})
            if answer:
                question.reply(answer)
                assert asking.result() == answer
            else:
                question.refuse("no", "not at all")
                with pytest.raises(RequestFailed, match="no: not at all"):
                    asking.result()
            with pytest.raises(RuntimeError, match="answered already"):
                question.reply("again")
