"""Handlers of the extension: each has an application context, and none has a request."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from flask import current_app, g, request, session

from resumehub import Connection, Message, ResumeHubError
from resumehub.contrib.flask import ResumeHub
from resumehub.testing import FakeClock, UpgradeRefused
from tests.contrib.flask_apps import live, lobby, make_app
from tests.support import PATIENCE


def test_a_handler_has_the_application_and_a_fresh_g() -> None:
    sockets = lobby()
    app = make_app(sockets, GREETING="hello")

    @sockets.on("greet")
    def greet(connection: Connection, message: Message) -> None:
        first = "seen" not in g
        g.seen = True
        connection.send(Message("greeted", [current_app.config["GREETING"], first]))

    with live(app), live(app).connect("/ws/lobby") as client:
        for _ in range(2):
            client.send("greet")
            assert client.receive() == Message("greeted", ["hello", True])


def test_every_hook_has_the_application() -> None:
    """In the order of the contract, and on_message besides the events."""
    sockets = lobby()
    ran: list[str] = []

    def note(hook: str) -> None:
        ran.append(f"{hook} in {current_app.name}")

    sockets.on_connect(lambda connection: note("connect"))
    sockets.on_message(lambda connection, message: note(f"message {message.event}"))
    sockets.on_join(lambda connection, room_id, reason: note(f"join {room_id}"))
    sockets.on_leave(lambda connection, room_id, reason: note(f"leave {room_id}"))
    sockets.on_transport_drop(lambda connection, error: note("drop"))
    sockets.on_transport_restore(lambda connection: note("restore"))
    gone = threading.Event()
    sockets.on_disconnect(lambda connection, error: (note("disconnect"), gone.set()))
    sockets.on_start(lambda hub: note("start"))
    sockets.on_stop(lambda hub: note("stop"))
    sockets.on("say")(lambda connection, message: note("say"))
    sockets.fallback(lambda connection, message: connection.send(Message("done")))
    app = make_app(sockets)
    with live(app), live(app).connect("/ws/lobby") as client:
        client.send("say")
        client.send("other")
        assert client.receive() == Message("done")
        client.drop()
        client.resume()
        client.close()
        assert gone.wait(PATIENCE)  # on_stop of the close runs beside the on_disconnect of sessions
    assert ran == [
        f"{hook} in shop"
        for hook in (
            *("start", "connect", "join lobby", "message say", "say", "message other"),
            *("drop", "restore", "leave lobby", "disconnect", "stop"),
        )
    ]


def test_the_teardown_runs_after_each_handler_with_its_exception() -> None:
    sockets = lobby()
    app = make_app(sockets)
    torn: list[str] = []

    @app.teardown_appcontext
    def close_database(error: BaseException | None) -> None:
        if "where" in g:
            torn.append(f"{g.where}: {type(error).__name__}")

    @sockets.on("say")
    def say(connection: Connection, message: Message) -> None:
        g.where = message.payload
        if message.payload == "bad":
            raise LookupError("on purpose")

    @sockets.on_transport_drop
    def drop(connection: Connection, error: ResumeHubError | None) -> None:
        g.where = "drop"

    with live(app), live(app).connect("/ws/lobby") as client:
        client.send("say", "good")
        client.send("say", "bad")
        assert client.receive_close()[0] == 1011
        client.drop()
        assert torn == ["good: NoneType", "bad: LookupError", "drop: NoneType"]


@pytest.mark.parametrize("proxy", [request, session], ids=["request", "session"])
def test_a_handler_without_a_request_is_told_what_to_do(proxy: Any, caplog: pytest.LogCaptureFixture) -> None:
    sockets = lobby()

    @sockets.on("who")
    def who(connection: Connection, message: Message) -> Any:
        return proxy.get("user") if proxy is session else proxy.args

    app = make_app(sockets)
    with caplog.at_level(logging.ERROR, "resumehub"), live(app), live(app).connect("/ws/lobby") as client:
        client.send("who")
        assert client.receive_close()[0] == 1011
    (record,) = caplog.records
    assert record.exc_info is not None
    said = str(record.exc_info[1])
    assert "needs request or session, and a handler has neither" in said
    assert "return Admission(room, user=…, data=…)" in said


def test_a_runtime_error_of_a_handler_stays_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    sockets = lobby()

    @sockets.on("who")
    def who(connection: Connection, message: Message) -> None:
        with current_app.test_request_context("/?user=ada"):
            connection.send(Message("is", request.args["user"]))
        raise RuntimeError("something else")

    app = make_app(sockets)
    with caplog.at_level(logging.ERROR, "resumehub"), live(app), live(app).connect("/ws/lobby") as client:
        client.send("who")
        assert client.receive() == Message("is", "ada")
        client.receive_close()
    assert str(caplog.records[0].exc_info[1]) == "something else"  # type: ignore[index]


@pytest.mark.contract("E4")
@pytest.mark.parametrize("hook", ["on_connect", "on_message", "on_transport_drop", "on_disconnect"])
def test_a_handler_that_could_not_run_is_refused_when_it_is_registered(hook: str) -> None:
    with pytest.raises(TypeError, match=f"sockets.{hook} takes a function of"):
        getattr(ResumeHub(), hook)(lambda: None)


def test_middleware_is_in_the_same_context_as_the_handlers() -> None:
    sockets = lobby()

    @sockets.use
    def who(connection: Connection, message: Message, call: Any) -> Any:
        g.who = f"{connection.room_id}'s"
        return call(connection, message)

    @sockets.on("say")
    def say(connection: Connection, message: Message) -> None:
        sockets.broadcast(connection.room_id, Message("said", [g.who, message.payload]))

    app = make_app(sockets)
    with live(app), live(app).connect("/ws/lobby") as client:
        client.send("say", "tea")
        assert client.receive() == Message("said", ["lobby's", "tea"])


def test_a_session_expires_by_the_clock_of_the_configuration() -> None:
    """The fifteen lines that a test of a handler needs."""
    sockets = lobby()
    ended: list[str] = []
    sockets.on_disconnect(lambda connection, error: ended.append(connection.id))
    clock = FakeClock()
    app = make_app(sockets, RESUMEHUB_CLOCK=clock, RESUMEHUB_RESUME_WINDOW=60)
    with live(app), live(app).connect("/ws/lobby") as client:
        connection = client.connection
        assert connection is not None
        client.drop()
        clock.advance(59)
        assert ended == []
        live(app).hub.broadcast("lobby", Message("news", 1))
        client.resume()
        assert client.receive() == Message("news", 1)
        client.drop()
        clock.advance(61)
        assert connection.wait_closed(PATIENCE)
        assert ended == [client.id]
        with pytest.raises(UpgradeRefused, match="410"):
            client.resume()
