"""Row seven of table A: what the application's ``connect`` says, and what becomes of what it raises."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug import Request, Response
from werkzeug.exceptions import Forbidden, HTTPException, NotFound, TooManyRequests, abort

from resumehub import ConnectRejected, Message
from tests.contract.hub_servers import HubServer
from tests.contract.raw_client import PLAIN
from tests.support import PATIENCE, Call, from_query

SECRET = "the password of ada is rabbit"


def raising(error: BaseException) -> Callable[[Request], Any]:
    def connect(request: Request) -> Any:
        raise error

    return connect


@pytest.mark.contract("A.http-exception", "A1")
@pytest.mark.parametrize(
    "error, status, says",
    [
        pytest.param(Forbidden("members only"), 403, "members only", id="403"),
        pytest.param(NotFound(), 404, "Not Found", id="404"),
        pytest.param(TooManyRequests(), 429, "Too Many Requests", id="429"),
        pytest.param(HTTPException(response=Response("see there", 302)), 302, "see there", id="a response"),
    ],
)
def test_an_http_exception_is_the_answer(
    wsgi_server: Callable[..., HubServer], error: HTTPException, status: int, says: str
) -> None:
    """connect says no the way a view would, and the client gets that very response."""
    reply = wsgi_server(raising(error)).ask("id=u1")

    assert reply.status == status
    assert says in reply.body.decode()
    assert reply.header("Cache-Control") == "no-store"


@pytest.mark.contract("A.http-exception", "A1")
def test_the_headers_of_an_http_exception_arrive(wsgi_server: Callable[..., HubServer]) -> None:
    """A challenge, a cookie or a Retry-After that connect chose is part of the answer; caching is not."""

    def connect(request: Request) -> Any:
        headers = {"WWW-Authenticate": "Basic", "Set-Cookie": "seen=1", "Cache-Control": "max-age=9"}
        abort(Response("log in first", 401, headers))

    reply = wsgi_server(connect).ask("id=u1")

    assert (reply.status, reply.body) == (401, b"log in first")
    assert reply.header("WWW-Authenticate") == "Basic"
    assert reply.header("Set-Cookie") == "seen=1"
    assert reply.header("Cache-Control") == "no-store"


@pytest.mark.contract("A.http-exception", "A3")
def test_an_exception_that_is_raised_again_and_again_is_not_written_on(
    wsgi_server: Callable[..., HubServer],
) -> None:
    """One exception object may answer many clients: what one origin was allowed, the next is not told."""
    refusal = HTTPException(response=Response("later", 429))
    busy = wsgi_server(raising(refusal), allowed_origins=["https://a.test", "https://b.test"])

    first = busy.ask("id=u1&resume=true", PLAIN | {"Origin": "https://a.test"})
    second = busy.ask("id=u1", {"Origin": "https://b.test"})

    assert first.header("Access-Control-Allow-Origin") == "https://a.test"
    assert second.header("Access-Control-Allow-Origin") is None
    assert "Cache-Control" not in refusal.get_response().headers


class Banned(ConnectRejected):
    """An application's own kind of rejection."""


@pytest.mark.contract("A.401", "A1")
@pytest.mark.parametrize(
    "error",
    [ConnectRejected(SECRET), Banned(SECRET), PermissionError(SECRET), PermissionError(13, SECRET)],
    ids=["ConnectRejected", "an heir of it", "PermissionError", "PermissionError of the system"],
)
def test_a_rejection_is_401_and_keeps_its_reason_to_itself(
    wsgi_server: Callable[..., HubServer], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Why a login failed is nobody's business but the application's: not the client's, not the log's."""
    caplog.set_level("DEBUG")

    reply = wsgi_server(raising(error)).ask("id=u1")

    assert reply.status == 401
    assert reply.problem()["title"] == "Unauthorized"
    assert SECRET not in str(reply)
    assert SECRET not in caplog.text


@pytest.mark.contract("A.500", "A1")
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(SECRET),
        KeyError(SECRET),
        OSError(SECRET),
        TypeError(SECRET),
        ExceptionGroup(SECRET, [OSError()]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_bug_in_connect_is_500_and_the_traceback_is_in_the_log(
    wsgi_server: Callable[..., HubServer], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The developer finds the traceback, the client no word of it."""
    reply = wsgi_server(raising(error)).ask("id=u1")

    assert reply.status == 500
    assert reply.problem()["title"] == "Internal Server Error"
    assert SECRET not in str(reply)
    assert SECRET in caplog.text
    assert "Traceback" in caplog.text


class Uncopyable:
    def __copy__(self) -> Any:
        raise ValueError(SECRET)


@pytest.mark.contract("A.500")
@pytest.mark.parametrize(
    "returned",
    [
        pytest.param(None, id="nothing"),
        pytest.param("lobby", id="a str"),
        pytest.param(("lobby",), id="one of two"),
        pytest.param(("lobby", "u1", {}, 4), id="four"),
        pytest.param(["lobby", "u1"], id="a list"),
        pytest.param({"room_id": "lobby"}, id="a dict"),
        pytest.param((None, "u1"), id="no room"),
        pytest.param((7, "u1"), id="a room of int"),
        pytest.param((b"lobby", "u1"), id="a room of bytes"),
        pytest.param(("lobby", 7), id="an id of int"),
        pytest.param(("lobby", b"u1"), id="an id of bytes"),
        pytest.param(("lobby", False), id="an id of bool"),
        pytest.param(("lobby", "u1", Uncopyable()), id="data that cannot be copied"),
        pytest.param(Response("yes"), id="a response"),
    ],
)
def test_a_connect_that_returns_nonsense_is_500(
    wsgi_server: Callable[..., HubServer], returned: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake in connect is found in the log at the first connection, and makes no odd session."""
    nonsense = wsgi_server(lambda request: returned)

    reply = nonsense.ask("id=u1")

    assert reply.status == 500
    assert "Traceback" in caplog.text
    assert SECRET not in str(reply)
    assert nonsense.hub.rooms() == []


@pytest.mark.contract("A.500")
def test_a_hub_without_connect_says_so_in_the_log(
    wsgi_server: Callable[..., HubServer], caplog: pytest.LogCaptureFixture
) -> None:
    """Mounting hub.wsgi_app and forgetting connect is a 500 with a hint, and lets nobody in."""
    reply = wsgi_server(None).ask("id=u1")

    assert reply.status == 500
    assert "hub.upgrade" in caplog.text


@pytest.mark.contract("A.500")
@pytest.mark.parametrize("room_id, connection_id", [(None, "u1"), (7, "u1"), ("lobby", 7), ("lobby", b"u1")])
def test_a_view_that_gives_nonsense_is_stopped(
    hub_servers: Callable[..., HubServer], room_id: Any, connection_id: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """hub.upgrade raises TypeError in the view, so the mistake is found like any other of a view's."""
    nonsense = hub_servers("hub.upgrade in a Flask view", lambda request: (room_id, connection_id))

    assert nonsense.ask("id=u1").status == 500
    assert "TypeError" in caplog.text
    assert nonsense.hub.rooms() == []


@pytest.mark.contract("A.500")
def test_a_failing_connect_does_not_harm_the_next_one(wsgi_server: Callable[..., HubServer]) -> None:
    """A client that trips over a bug leaves the hub as it was."""

    def connect(request: Request) -> Any:
        return 1 / 0 if request.args["id"] == "unlucky" else from_query(request)

    shaky = wsgi_server(connect)
    ws = shaky.open("u1")

    assert shaky.ask("id=unlucky").status == 500
    shaky.hub.send("u1", Message("still here"))
    assert ws.read() == ("still here", None)
    shaky.open("u2")


@pytest.mark.contract("A.101")
def test_a_connect_that_hangs_holds_its_own_request_only(wsgi_server: Callable[..., HubServer]) -> None:
    """A database that does not answer for one user keeps nobody else from talking."""
    gate, entered = threading.Event(), threading.Event()

    def connect(request: Request) -> Any:
        if request.args["id"] == "slow":
            entered.set()
            assert gate.wait(PATIENCE)
        return from_query(request)

    waiting = wsgi_server(connect)
    ws = waiting.open("u1")
    slow = waiting.knock("id=slow")
    assert entered.wait(PATIENCE)

    waiting.open("u2")
    waiting.hub.broadcast("lobby", Message("hello"))
    assert ws.read() == ("hello", None)
    waiting.hub.kick("u2")
    waiting.clock.advance(1)
    assert waiting.hub.get("slow") is None

    gate.set()
    slow.websocket()
    assert waiting.hub.get("slow") is not None


@pytest.mark.contract("A.101", "C8")
def test_a_hub_can_be_closed_while_connect_hangs(wsgi_server: Callable[..., HubServer]) -> None:
    """Shutdown does not wait for a connect; its client finds a closed hub when it is done."""
    gate, entered = threading.Event(), threading.Event()

    def connect(request: Request) -> Any:
        entered.set()
        assert gate.wait(PATIENCE)
        return from_query(request)

    waiting = wsgi_server(connect)
    slow = waiting.knock("id=u1")
    assert entered.wait(PATIENCE)

    assert Call(lambda: waiting.hub.close(PATIENCE)).result().complete

    gate.set()
    assert slow.reply().status == 503
