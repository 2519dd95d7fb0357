"""A2: with ``&reject=close`` a browser can see why it was refused, by the code of a close frame."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from werkzeug import Request
from werkzeug.exceptions import Conflict, Forbidden, Gone, ImATeapot, ServiceUnavailable

from resumehub import ConnectRejected, Message
from tests.contract.hub_servers import HubServer
from tests.contract.raw_client import ACCEPT, PLAIN, Client, Headers, masked
from tests.support import PATIENCE, Call, from_query, text

LONGEST_DELAY = 0.375
"""Seconds: ``refusal_delay``, and half more."""


def refused(hub_server: HubServer, query: str, **headers: Any) -> Client:
    """A client that is let in only to be told why it is not; the wait before that is over (A5b)."""
    ws = hub_server.knock(f"{query}&reject=close", headers).websocket()
    hub_server.clock.advance(LONGEST_DELAY)
    return ws


@pytest.mark.contract("A2", "A1")
def test_the_upgrade_is_accepted_like_any_other(hub_server: Callable[..., HubServer]) -> None:
    """A browser finds nothing wrong with the 101 that comes before the close frame."""
    ws = refused(hub_server(), "id=u1&resume=true")

    assert ws.reply.header("Sec-WebSocket-Accept") == ACCEPT
    assert ws.reply.header("Cache-Control") == "no-store"
    assert ws.closed() == (4100, "session expired")


@pytest.mark.contract("A2", "A.410")
def test_gone_is_4100_and_counts_as_one_failed_attempt(hub_server: Callable[..., HubServer]) -> None:
    """410 becomes 4100, no session begins, and monitoring sees what it sees with a plain 410."""
    gone = hub_server()

    ws = refused(gone, "id=u1&resume=true")

    assert ws.closed() == (4100, "session expired")
    assert gone.metrics.calls == [("resume_attempt", "", "u1", False)]
    assert gone.recorder.hooks() == []
    assert gone.hub.rooms() == []


@pytest.mark.contract("A2", "A.403")
def test_a_foreign_origin_is_4403(hub_server: Callable[..., HubServer]) -> None:
    """403 becomes 4403, for the very first request that a hub sees, too."""
    ws = refused(hub_server(), "id=u1", Origin="https://evil.test")

    assert ws.closed() == (4403, "forbidden")


@pytest.mark.contract("A2", "A.409")
def test_an_id_in_use_is_4409(hub_server: Callable[..., HubServer]) -> None:
    """409 becomes 4409, and the holder of the id notices nothing."""
    exclusive = hub_server(on_duplicate="reject")
    holder = exclusive.open("u1")

    assert refused(exclusive, "id=u1").closed() == (4409, "connection id in use")

    exclusive.hub.send("u1", Message("only you"))
    assert holder.read() == ("only you", None)


@pytest.mark.contract("A2", "A.503-max")
def test_a_full_hub_is_4503(hub_server: Callable[..., HubServer]) -> None:
    """503 becomes 4503 with the seconds of Retry-After; the sockets that only hear it are no sessions."""
    full = hub_server(max_sessions=1)
    holder = full.open("u1")
    waiting = [refused(full, f"id=u{n}") for n in (2, 3, 4)]

    assert [ws.closed() for ws in waiting] == [(4503, "try again later (in 5 seconds)")] * 3
    holder.leave()
    full.open("u5")


@pytest.mark.contract("A2", "A.503")
def test_a_draining_hub_is_1001(hub_server: Callable[..., HubServer]) -> None:
    """While the hub says good-bye to its sessions, it says so to newcomers as well."""
    draining = hub_server()
    silent = draining.open("u1")
    closing = Call(lambda: draining.hub.close(PATIENCE))
    assert silent.closed() == (1001, "server shutting down")

    late = refused(draining, "id=u2")

    assert late.closed() == (1001, "server shutting down")
    late.leave()
    silent.leave()
    assert closing.result().complete


@pytest.mark.contract("A2", "A.503")
def test_a_closed_hub_has_nobody_left_to_write_a_close_frame(hub_server: Callable[..., HubServer]) -> None:
    """When the hub has gone the plain status comes: an answer, and not a connection that just ends."""
    closed = hub_server()
    closed.open("u1").leave()
    closed.hub.close(PATIENCE)

    reply = closed.ask("id=u1&reject=close")

    assert (reply.status, bool(reply.header("Retry-After"))) == (503, True)


@pytest.mark.contract("A2", "A.http-exception")
@pytest.mark.parametrize(
    "error, code",
    [(Forbidden, 4403), (Conflict, 4409), (Gone, 4100), (ServiceUnavailable, 4503)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_connect_raises_is_translated_too(
    wsgi_server: Callable[..., HubServer], error: Any, code: int
) -> None:
    """The application's own 403, 409, 410 and 503 are as visible to a browser as the hub's."""

    def connect(request: Request) -> Any:
        raise error("this text stays here")

    ws = refused(wsgi_server(connect), "id=u1")

    assert ws.closed()[0] == code


@pytest.mark.contract("A5", "A2", "A.http-exception")
@pytest.mark.parametrize(
    "retry_after, reason",
    [
        (17, "try again later (in 17 seconds)"),
        (datetime(2030, 1, 1, tzinfo=UTC), "try again later"),
        (None, "try again later"),
    ],
    ids=["seconds", "a date", "nothing"],
)
def test_when_to_come_back_is_told_in_the_reason(
    wsgi_server: Callable[..., HubServer], retry_after: Any, reason: str
) -> None:
    """A page cannot see the header Retry-After of the application's 503: the seconds stand in the reason."""

    def connect(request: Request) -> Any:
        raise ServiceUnavailable(retry_after=retry_after)

    assert refused(wsgi_server(connect), "id=u1").closed() == (4503, reason)


def moody(request: Request) -> Any:
    match request.args.get("mood"):
        case "tea":
            raise ImATeapot
        case "strict":
            raise ConnectRejected
        case "broken":
            raise RuntimeError
    return from_query(request)


@pytest.mark.contract("A2")
@pytest.mark.parametrize(
    "status, query, headers, method",
    [
        pytest.param(400, "", {"Sec-WebSocket-Key": "short"}, "GET", id="a malformed handshake"),
        pytest.param(426, "", {"Sec-WebSocket-Version": "8"}, "GET", id="another version"),
        pytest.param(426, "", PLAIN, "GET", id="a plain GET"),
        pytest.param(405, "", {}, "POST", id="a POST"),
        pytest.param(401, "mood=strict", {}, "GET", id="a rejection"),
        pytest.param(418, "mood=tea", {}, "GET", id="another HTTPException"),
        pytest.param(500, "mood=broken", {}, "GET", id="a bug in connect"),
        pytest.param(400, "room=", {}, "GET", id="an empty room"),
        pytest.param(400, "received=x", {}, "GET", id="a bad count"),
    ],
)
def test_other_refusals_stay_what_they_are(
    wsgi_server: Callable[..., HubServer], status: int, query: str, headers: Headers, method: str
) -> None:
    """Only what a client can act on is worth an upgrade; mistakes are answered as mistakes."""
    assert wsgi_server(moody).ask(f"id=u1&{query}&reject=close", headers, method).status == status


@pytest.mark.contract("A2", "A.501")
def test_without_a_raw_socket_it_cannot_be_had(hub_server: Callable[..., HubServer]) -> None:
    """On a server without raw sockets the answer is 501 with reject=close, too."""
    poor = hub_server()
    poor.before = lambda environ: environ.pop("werkzeug.socket")

    assert poor.ask("id=u1&resume=true&reject=close").status == 501


@pytest.mark.contract("A2", "A.503")
def test_a_hub_that_closes_does_not_upgrade_what_is_no_handshake(
    hub_server: Callable[..., HubServer],
) -> None:
    """The 503 comes before the handshake is looked at, and is not turned into a 101 for a broken one."""
    closing = hub_server()
    closing.open("u1")
    closing.hub.close(0)

    assert closing.ask("id=u1&reject=close", {"Sec-WebSocket-Key": None}).status == 503


@pytest.mark.contract("A2")
@pytest.mark.parametrize("reject", ["", "reject=", "reject=1", "reject=Close", "reject=status"])
def test_only_reject_close_asks_for_it(hub_server: Callable[..., HubServer], reject: str) -> None:
    """Anything else gets the plain status."""
    assert hub_server().ask(f"id=u1&resume=true&{reject}").status == 410


@pytest.mark.contract("A2")
def test_who_is_not_refused_is_let_in(hub_server: Callable[..., HubServer]) -> None:
    """Browsers may always say reject=close: it changes nothing for those who are welcome."""
    welcoming = hub_server()
    ws = welcoming.open("u1", "reject=close")

    welcoming.hub.send("u1", Message("welcome"))

    assert ws.read() == ("welcome", None)


@pytest.mark.contract("A2", "C5")
def test_a_refused_client_that_never_answers_is_cut_off(hub_server: Callable[..., HubServer]) -> None:
    """A socket that exists only to be refused does not stay longer than write_timeout."""
    strict = hub_server(write_timeout=10)
    ws = refused(strict, "id=u1&resume=true")
    assert ws.closed()[0] == 4100
    strict.wait_for_threads("writer")

    strict.clock.advance(10)

    ws.wait_for_end()


@pytest.mark.contract("A2")
def test_what_a_refused_client_says_is_not_listened_to(hub_server: Callable[..., HubServer]) -> None:
    """It has no session: its messages reach no handler, those right behind the handshake neither."""
    strict = hub_server()
    wire = strict.wire().send(strict.head("id=u1&resume=true&reject=close") + masked(text("hello")))
    ws = wire.websocket()
    strict.clock.advance(LONGEST_DELAY)
    assert ws.closed()[0] == 4100

    ws.send(text("hello?"))
    ws.leave()

    assert strict.recorder.hooks() == []


# -- the cap ----------------------------------------------------------------------------------


@pytest.fixture
def cap_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resumehub.server.transport_table.MAX_REFUSALS", 3)


@pytest.mark.contract("A2")
@pytest.mark.usefixtures("cap_of_three")
def test_beyond_the_cap_the_plain_status_comes(hub_server: Callable[..., HubServer]) -> None:
    """A flood of refused clients cannot fill the process with sockets that wait for an answer."""
    flooded = hub_server()
    silent = [refused(flooded, "id=u1&resume=true") for _ in range(3)]

    assert flooded.ask("id=u1&resume=true&reject=close").status == 410
    assert [ws.closed()[0] for ws in silent] == [4100] * 3


@pytest.mark.contract("A2")
@pytest.mark.usefixtures("cap_of_three")
@pytest.mark.parametrize("end", ["answered", "hung up", "timed out"])
def test_a_place_under_the_cap_is_given_back(hub_server: Callable[..., HubServer], end: str) -> None:
    """However a refused socket ends, the next client gets its close frame again."""
    flooded = hub_server(write_timeout=10)
    for _ in range(4):
        clients = [refused(flooded, "id=u1&resume=true") for _ in range(3)]
        for ws in clients:
            assert ws.closed()[0] == 4100
            if end == "answered":
                ws.leave()
            elif end == "hung up":
                ws.drop()
        if end == "timed out":
            flooded.wait_for_threads("writer")
            flooded.clock.advance(10)
        flooded.wait_for_releases()

    assert refused(flooded, "id=u1&resume=true").closed()[0] == 4100


@pytest.mark.contract("A2")
@pytest.mark.usefixtures("cap_of_three")
def test_a_response_that_is_never_sent_takes_no_place_under_the_cap(
    wsgi_server: Callable[..., HubServer],
) -> None:
    """A view may throw the hub's answer away as often as it likes."""
    flooded = wsgi_server()

    def veto(environ: Any) -> None:
        raise PermissionError

    flooded.interrupt(veto)
    for _ in range(5):
        assert flooded.ask("id=u1&resume=true&reject=close&late=1").status == 500

    assert refused(flooded, "id=u1&resume=true").closed()[0] == 4100


@pytest.mark.contract("A2")
@pytest.mark.usefixtures("cap_of_three")
def test_sessions_take_no_place_under_the_cap(hub_server: Callable[..., HubServer]) -> None:
    """The cap is about sockets that only wait to be closed: those of sessions do not count."""
    busy = hub_server()
    for n in range(5):
        busy.open(f"u{n}")

    assert refused(busy, "id=nobody&resume=true").closed()[0] == 4100
