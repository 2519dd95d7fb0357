"""A1b: a hub with ``problem_details=False`` refuses with an empty body, and says all else that it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from werkzeug import Request, Response
from werkzeug.exceptions import Gone

from resumehub import Message, SocketUnavailable
from resumehub.cluster.dials.plain_refusal import RESPONSE, WITHOUT_BODY
from resumehub.contrib.flask import ResumeHub
from resumehub.testing import UpgradeRefused, connect
from tests.contract.hub_servers import HubServer
from tests.contract.raw_client import PLAIN, Reply, Wire
from tests.contract.test_a_order import FAULTS, Fault, moody
from tests.contrib.flask_apps import live, make_app

ABOUT_THE_BODY = {"content-type", "content-length", "date"}
"""Headers in which an answer without a body may differ, in small letters; and the time."""


def whole(wire: Wire, method: str = "GET") -> Reply:
    """The answer, with every byte that comes until the server ends the connection."""
    reply = wire.reply(method)
    reply.body += b"".join(iter(lambda: wire.sock.recv(65536), b""))
    return reply


def said(reply: Reply) -> tuple[int, list[tuple[str, str]]]:
    """What an answer says beside its body."""
    kept = [(name, value) for name, value in reply.headers if name.lower() not in ABOUT_THE_BODY]
    return reply.status, sorted(kept)


def is_empty(reply: Reply) -> bool:
    """Whether it says that it has no body, and has none."""
    return (reply.header("Content-Length"), reply.header("Content-Type"), reply.body) == ("0", None, b"")


@pytest.mark.contract("A1b", "A5c")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_refusal_can_be_without_a_body(wsgi_server: Callable[..., HubServer], fault: Fault) -> None:
    """Status, ``Retry-After``, ``Allow`` and the metrics are the same; not one byte stands behind it."""
    options = {"on_duplicate": "reject", "max_sessions": 1 if fault.opens else 10}
    replies = []
    for details in (True, False):
        strict = wsgi_server(moody, problem_details=details, **options)
        if fault.opens:
            strict.open(fault.opens.replace(" ", "+"))
        fault.prepare(strict)
        wire = strict.knock(f"id=u1&{fault.query}", fault.headers, fault.method)
        replies.append((whole(wire, fault.method), strict.metrics.refused))

    (usual, counted), (empty, counted_too) = replies
    assert usual.body
    assert is_empty(empty)
    assert said(empty) == said(usual)
    assert counted_too == counted


@pytest.mark.contract("A1b", "A.410")
def test_a_resume_of_nothing_in_any_kind_of_application(hub_server: Callable[..., HubServer]) -> None:
    """With ``hub.upgrade`` in a view too; cookies that the application adds are there."""
    reply = whole(hub_server(problem_details=False).knock("id=u1&resume=true"))

    assert (reply.status, is_empty(reply)) == (410, True)


@pytest.mark.contract("A1b", "A3")
def test_a_refused_preflight_has_no_body_either(hub_server: Callable[..., HubServer]) -> None:
    """A page needs only its status."""
    reply = whole(hub_server(problem_details=False).knock("id=u1&resume=true", PLAIN))

    assert (reply.status, is_empty(reply)) == (410, True)


@pytest.mark.contract("A1b", "A.410-gap", "D1")
def test_a_gap_is_410_like_any_other(wsgi_server: Callable[..., HubServer]) -> None:
    """Where the gap begins is not told; the session has ended all the same."""
    terse = wsgi_server(problem_details=False, send_buffer=1)
    terse.drop(terse.open("u1"))
    for number in range(2):
        terse.hub.broadcast("lobby", Message("n", number))

    reply = whole(terse.knock("id=u1&resume=true&received=0"))

    assert (reply.status, is_empty(reply)) == (410, True)
    assert terse.metrics.refused == [(410, "gap")]
    assert terse.hub.get("u1") is None


@pytest.mark.contract("A1b", "A2")
def test_a_refusal_by_a_close_code_is_what_it_was(hub_server: Callable[..., HubServer]) -> None:
    terse = hub_server(problem_details=False, refusal_delay=0)

    assert terse.knock("id=u1&resume=true&reject=close").websocket().closed() == (4100, "session expired")


class Stream:
    """A body of the application's that has to be closed."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"gone, and "
        yield b"this is why"

    def close(self) -> None:
        self.closed += 1


@pytest.mark.contract("A1b", "A.http-exception")
def test_the_application_is_asked_for_no_body_and_its_answer_is_not_changed(
    wsgi_server: Callable[..., HubServer],
) -> None:
    """One answer that ``connect`` raises again and again; its stream is closed unread."""
    stream = Stream()
    answer = Response(stream, 410, {"X-Why": "moved", "ETag": '"1"'}, content_type="text/html")

    def says_so(request: Request) -> Any:
        raise Gone(response=answer)

    reply = whole(wsgi_server(says_so, problem_details=False).knock("id=u1"))

    assert (reply.status, reply.header("X-Why"), is_empty(reply)) == (410, "moved", True)
    assert reply.header("ETag") is None
    assert stream.closed == 1
    assert answer.headers["Content-Type"] == "text/html"


@pytest.mark.contract("A1b", "A.503", "A.501")
@pytest.mark.parametrize("error, status", [(OSError, 503), (None, 501)], ids=["no descriptor", "no socket"])
def test_a_hand_over_that_fails_has_no_body(
    wsgi_server: Callable[..., HubServer], monkeypatch: pytest.MonkeyPatch, error: Any, status: int
) -> None:
    """The checks have passed, the head of the 101 is made, and then it can't be."""

    def fails(*arguments: Any) -> Any:
        raise (error or SocketUnavailable)("for the test")

    monkeypatch.setattr("resumehub.wsgi.upgrade.take_socket", fails)

    reply = whole(wsgi_server(problem_details=False).knock("id=u1"))

    assert (reply.status, is_empty(reply)) == (status, True)


@pytest.mark.contract("A1b", "F5")
def test_the_answer_of_a_worker_that_the_hub_has_left_alone() -> None:
    """What a worker writes by itself has the same head as with a body. (``cluster/test_dial_races.py`` has
    it written.)
    """
    usual, _, body = RESPONSE.partition(b"\r\n\r\n")
    empty, _, nothing = WITHOUT_BODY.partition(b"\r\n\r\n")

    assert (bool(body), nothing) == (True, b"")
    about = (b"Content-Type", b"Content-Length")
    assert [line for line in usual.split(b"\r\n") if not line.startswith(about)] == [
        line for line in empty.split(b"\r\n") if not line.startswith(about)
    ]
    assert b"Content-Length: 0" in empty


@pytest.mark.contract("A1b")
@pytest.mark.parametrize("query, status", [("id=u1&resume=true", 410), ("refuse=1", 403)])
def test_a_flask_application_says_it_in_its_config(query: str, status: int) -> None:
    """For a WebSocket route, what its view refuses with is without a body, too."""
    sockets = ResumeHub()
    app = make_app(sockets, RESUMEHUB_PROBLEM_DETAILS=False)

    @sockets.route("/ws")
    def ws() -> Any:
        if "refuse" in flask.request.args:
            return Response("you may not", 403)
        return "lobby", flask.request.args["id"]

    with live(app), pytest.raises(UpgradeRefused) as refused:
        connect(app, f"/ws?{query}")

    answer = refused.value
    assert (answer.status, answer.body, answer.header("Content-Type")) == (status, b"", None)
    assert answer.header("Content-Length") == "0"
