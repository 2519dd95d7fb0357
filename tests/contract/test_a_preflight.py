"""A3: a page, which cannot see a handshake's status, asks over plain HTTP whether a resume would succeed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from werkzeug import Request

from resumehub import ConnectRejected
from tests.contract.hub_servers import HubServer
from tests.contract.raw_client import PLAIN, Headers, Reply
from tests.support import PATIENCE, from_query


def preflight(hub_server: HubServer, query: str = "id=u1", headers: Headers | None = None) -> Reply:
    """What ``fetch(url + "&resume=true")`` gets."""
    return hub_server.ask(f"{query}&resume=true", PLAIN | (headers or {}))


@pytest.mark.contract("A3", "A1")
def test_a_session_in_its_grace_window_would_be_resumed(hub_server: Callable[..., HubServer]) -> None:
    """204 says: dial, your session is waiting."""
    asked = hub_server()
    asked.drop(asked.open("u1"))

    reply = preflight(asked)

    assert (reply.status, reply.body) == (204, b"")
    assert reply.header("Cache-Control") == "no-store"
    assert "Origin" in ", ".join(reply.all("Vary"))


@pytest.mark.contract("A3")
def test_a_session_that_is_connected_would_be_taken_over(hub_server: Callable[..., HubServer]) -> None:
    """A client that noticed its dead network before the server did is not sent away."""
    asked = hub_server()
    asked.open("u1")

    assert preflight(asked).status == 204


@pytest.mark.contract("A3", "A1")
def test_a_session_that_is_gone_would_not(hub_server: Callable[..., HubServer]) -> None:
    """410 says: start anew; and the next question is not answered from a cache."""
    asked = hub_server(resume_window=30)
    asked.drop(asked.open("u1"))
    asked.clock.advance(30)

    reply = preflight(asked)

    assert reply.status == 410
    assert reply.problem()["title"] == "Gone"


@pytest.mark.contract("A3")
def test_the_answer_changes_with_the_session(hub_server: Callable[..., HubServer]) -> None:
    """It is about now: the same question is 410, 204 and 410 before, in and after a session's life."""
    asked = hub_server()
    before = preflight(asked).status
    asked.open("u1")
    during = preflight(asked).status
    asked.hub.kick("u1")

    assert (before, during, preflight(asked).status) == (410, 204, 410)


@pytest.mark.contract("A3")
def test_without_a_resume_window_nothing_can_be_resumed(hub_server: Callable[..., HubServer]) -> None:
    """resume_window=0 answers 410, for a session that is connected too."""
    asked = hub_server(resume_window=0)
    asked.open("u1")

    assert preflight(asked).status == 410


@pytest.mark.contract("A3", "A4", "A1")
@pytest.mark.parametrize("query", ["room=lobby", "id="], ids=["no id", "an empty id"])
def test_a_client_with_a_generated_id_learns_that_it_cannot_resume(
    hub_server: Callable[..., HubServer], query: str
) -> None:
    """426, and neither 204 nor 410: without an id of the application's own there is nothing to ask about."""
    reply = preflight(hub_server(), query)

    assert reply.status == 426
    assert reply.header("Upgrade") == "websocket"
    assert reply.problem()["title"] == "Upgrade Required"


@pytest.mark.contract("A3")
def test_asking_counts_no_resume_attempt_and_changes_nothing(hub_server: Callable[..., HubServer]) -> None:
    """Monitoring counts resumes, not questions; and a question does not stop the grace window."""
    asked = hub_server(resume_window=30)
    asked.drop(asked.open("u1"))
    asked.clock.advance(29)
    preflight(asked)
    preflight(asked, "id=nobody")
    preflight(asked, "id=")

    assert asked.metrics.resumes() == []
    assert asked.hub.get("u1").suspended
    asked.clock.advance(1)
    assert asked.hub.get("u1") is None


@pytest.mark.contract("A3", "A.401")
def test_connect_is_asked_first(wsgi_server: Callable[..., HubServer]) -> None:
    """Whoever may not connect is not told either whose sessions exist."""

    def connect(request: Request) -> tuple[str, str | None]:
        if request.args.get("secret") != "ours":
            raise ConnectRejected
        return from_query(request)

    asked = wsgi_server(connect)
    asked.open("u1", "secret=ours")

    assert preflight(asked, "id=u1").status == 401
    assert preflight(asked, "id=nobody").status == 401
    assert preflight(asked, "id=u1&secret=ours").status == 204


@pytest.mark.contract("A3", "A.403")
@pytest.mark.parametrize(
    "query, status",
    [
        pytest.param("id=u1", 204, id="204"),
        pytest.param("id=nobody", 410, id="410"),
        pytest.param("id=", 426, id="426"),
        pytest.param("id=u1&room=", 400, id="400"),
    ],
)
def test_a_page_of_an_allowed_origin_may_read_the_answer(
    hub_server: Callable[..., HubServer], query: str, status: int
) -> None:
    """Without these headers the browser would keep the status from the page (CORS)."""
    asked = hub_server(allowed_origins=["https://app.test"])
    asked.open("u1")

    reply = preflight(asked, query, {"Origin": "https://app.test"})

    assert reply.status == status
    assert reply.header("Access-Control-Allow-Origin") == "https://app.test"
    assert reply.header("Access-Control-Allow-Credentials") == "true"
    assert "Origin" in ", ".join(reply.all("Vary"))


@pytest.mark.contract("A3")
def test_with_any_origin_allowed_the_answer_names_the_one_that_asked(
    hub_server: Callable[..., HubServer],
) -> None:
    """A star would not do: browsers refuse it for requests with cookies."""
    asked = hub_server(allowed_origins="*")

    reply = preflight(asked, "id=u1", {"Origin": "https://anywhere.test"})

    assert reply.header("Access-Control-Allow-Origin") == "https://anywhere.test"


@pytest.mark.contract("A3", "A.403", "A1")
def test_a_page_of_another_origin_may_not_ask(hub_server: Callable[..., HubServer]) -> None:
    """A stranger's page learns nothing: not by the status, and it may not even read that."""
    asked = hub_server(allowed_origins=["https://app.test"])
    asked.open("u1")

    known = preflight(asked, "id=u1", {"Origin": "https://evil.test"})
    unknown = preflight(asked, "id=nobody", {"Origin": "https://evil.test"})

    assert (known.status, known.body) == (unknown.status, unknown.body)
    assert known.status == 403
    assert known.header("Access-Control-Allow-Origin") is None
    assert "Origin" in ", ".join(known.all("Vary"))


@pytest.mark.contract("A3")
def test_only_the_preflight_is_opened_to_other_pages(hub_server: Callable[..., HubServer]) -> None:
    """A plain GET and a failed handshake carry no CORS headers."""
    asked = hub_server(allowed_origins=["https://app.test"])
    origin: Headers = {"Origin": "https://app.test"}

    for reply in (asked.ask("id=u1", PLAIN | origin), asked.ask("id=u1&resume=true", origin)):
        assert reply.header("Access-Control-Allow-Origin") is None


@pytest.mark.contract("A3", "A.503")
def test_a_hub_that_closes_says_503_to_the_preflight_too(hub_server: Callable[..., HubServer]) -> None:
    """A client is not told "gone" by a server that is only being restarted."""
    asked = hub_server()
    asked.open("u1")
    asked.hub.close(0)

    reply = preflight(asked)

    assert (reply.status, bool(reply.header("Retry-After"))) == (503, True)


@pytest.mark.contract("A3", "A.405")
@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_the_preflight_is_a_get(hub_server: Callable[..., HubServer], method: str) -> None:
    """HEAD is refused as for everything else here: a client that uses it by mistake learns of it."""
    asked = hub_server()
    asked.open("u1")

    assert asked.ask("id=u1&resume=true", PLAIN, method).status == 405


@pytest.mark.contract("A3", "A2")
def test_reject_close_changes_nothing_about_the_preflight(hub_server: Callable[..., HubServer]) -> None:
    """There is no WebSocket to close: the plain status comes."""
    asked = hub_server()

    assert preflight(asked, "id=nobody&reject=close").status == 410
    asked.hub.close(PATIENCE)
    assert preflight(asked, "id=nobody&reject=close").status == 503
