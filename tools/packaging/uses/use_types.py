"""A user's program, for ``mypy --strict`` against the installed package. It is checked, and never run.

A line that ends in ``# error: code`` must be an error of that code, and no other line may be one.
"""

from __future__ import annotations

from typing import Any, assert_type

from werkzeug import Request

from resumehub import Admission, CloseReport, Connection, Counters, Hub, Message, ResumeHubError
from resumehub.client import Client, connect
from resumehub.router import Router
from resumehub.testing import FakeClock


def who(request: Request) -> Admission:
    return Admission(request.args["room"], None, user="ada")


hub = Hub(who, resume_window=5, metrics=Counters(), clock=FakeClock())
router = Router()
hub.on_message(router)


@router.on("say")
def say(connection: Connection, message: Message) -> None:
    assert_type(connection.id, str)
    assert_type(connection.user, str | None)
    connection.send(Message("said", message.payload))


@hub.on_disconnect
def gone(connection: Connection, error: ResumeHubError | None) -> None:
    hub.broadcast("lobby", Message("gone", connection.id), exclude=[connection])


assert_type(hub.get("ada"), Connection | None)
assert_type(hub.connections("lobby"), list[Connection])
assert_type(hub.close(timeout=1), CloseReport)
assert_type(hub.count("lobby"), int)

Hub(who, resume_window="30")  # error: arg-type
Hub(who, grace=30)  # error: call-arg
hub.send("ada", "hello")  # error: arg-type
hub.get("ada").send(Message())  # error: union-attr
hub.sent("ada", Message())  # error: attr-defined


def talk(client: Client) -> Any:
    assert_type(client.receive(1.0), Message)
    return client.receive("soon")  # error: arg-type


talk(connect("ws://localhost/"))
