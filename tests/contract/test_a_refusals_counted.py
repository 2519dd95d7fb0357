"""A5c: every refused upgrade is counted once; the operator is warned of what only the operator can end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug import test as werkzeug_test

from resumehub import Hub, NoopMetrics
from resumehub.metrics import REASONS_REFUSED
from resumehub.testing import FakeClock
from tests.contract.hub_servers import HubServer
from tests.contract.raw_client import HANDSHAKE, PLAIN
from tests.contract.test_a_order import FAULTS, Fault, moody
from tests.contract.test_a_second_look import late, with_session_in_the_attic
from tests.contract.test_a_unavailable import Spent
from tests.support import from_query

REASONS = {
    "no raw socket": "no_socket",
    "a closed hub": "hub_close",
    "a POST": "method",
    "a parameter twice": "parameters",
    "no upgrade headers": "not_websocket",
    "a short key": "handshake",
    "an old version": "handshake",
    "a foreign origin": "origin",
    "a teapot": "application",
    "a rejection": "application",
    "a bug in connect": "connect_failed",
    "a long room id": "ids",
    "a bad count": "parameters",
    "a resume of nothing": "gone",
    "an id in use": "duplicate",
    "a full hub": "max_sessions",
}
"""The faults of ``test_a_order.py``, and what metrics call them."""


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings about refused clients."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and "was refused" in record.getMessage()
    ]


# -- the count --------------------------------------------------------------------------------


@pytest.mark.contract("A5c")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("reject", ["", "&reject=close"], ids=["by a status", "by a close code"])
def test_each_refusal_has_its_reason(
    wsgi_server: Callable[..., HubServer], fault: Fault, reject: str
) -> None:
    """Whatever is wrong with a request, a dashboard shows the status and what it was; once in either way."""
    strict = wsgi_server(moody, on_duplicate="reject", max_sessions=1 if fault.opens else 10)
    if fault.opens:
        strict.open(fault.opens.replace(" ", "+"))
    fault.prepare(strict)

    reply = strict.ask(f"id=u1&{fault.query}{reject}", fault.headers, fault.method)

    assert reply.status in (fault.status, 101)
    assert strict.metrics.refused == [(fault.status, REASONS[fault.name])]
    assert REASONS[fault.name] in REASONS_REFUSED


@pytest.mark.contract("A5c", "A.403-token", "A.410-gap", "D1", "D3")
@pytest.mark.parametrize(
    "query, headers, refused",
    [
        ("id=u1&resume=true", {}, (403, "token")),
        ("id=u1&resume=true&received=0", {"Sec-WebSocket-Protocol": "resumehub.v1"}, (403, "token")),
        ("id=nobody&resume=true&received=0", {"Sec-WebSocket-Protocol": "resumehub.v1"}, (410, "gone")),
        ("id=u1&resume=true", {"Sec-WebSocket-Protocol": "resumehub.v1"}, (400, "parameters")),
    ],
)
def test_what_a_resume_lacks_is_told_apart(
    wsgi_server: Callable[..., HubServer], query: str, headers: Any, refused: tuple[int, str]
) -> None:
    """A wrong token is an attack or a bug; a session that has expired is a long absence."""
    lossless = wsgi_server()
    lossless.open("u1", headers={"Sec-WebSocket-Protocol": "resumehub.v1"})

    assert lossless.ask(query, headers).status == refused[0]

    assert lossless.metrics.refused == [refused]


@pytest.mark.contract("A5c", "A3")
@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.row in (1, 2, 7, 9, 10)], ids=lambda fault: fault.name
)
def test_a_preflight_is_no_upgrade(wsgi_server: Callable[..., HubServer], fault: Fault) -> None:
    """A page that asks beforehand is answered, not refused, whatever the answer."""
    asked = wsgi_server(moody)
    fault.prepare(asked)

    reply = asked.ask(f"id=u1&{fault.query}&resume=true", {**PLAIN, **fault.headers})

    assert reply.status == fault.status
    assert asked.metrics.refused == []


@pytest.mark.contract("A5c", "A5")
@pytest.mark.parametrize(
    "meanwhile, options, query, code, refused",
    [
        (lambda s: s.clock.advance(30), {}, "id=u1&resume=true", 4100, (410, "gone")),
        (
            lambda s: s.open("u2"),
            {"max_sessions": 2, "on_full": "refuse"},
            "id=u3",
            4503,
            (503, "max_sessions"),
        ),
        (lambda s: s.open("u3"), {"on_duplicate": "reject"}, "id=u3", 4409, (409, "duplicate")),
    ],
    ids=["expired", "full", "taken"],
)
def test_a_refusal_behind_the_upgrade_counts_as_well(
    wsgi_server: Callable[..., HubServer],
    meanwhile: Callable[[HubServer], Any],
    options: dict[str, Any],
    query: str,
    code: int,
    refused: tuple[int, str],
) -> None:
    """The status is the one that the client would have got a moment earlier."""
    raced = with_session_in_the_attic(wsgi_server, **options)

    ws = late(raced, lambda: meanwhile(raced), query)

    assert ws.closed()[0] == code
    assert raced.metrics.refused == [refused]


@pytest.mark.contract("A5c", "C8")
def test_one_that_comes_when_the_hub_has_gone_counts_too(wsgi_server: Callable[..., HubServer]) -> None:
    """Its socket is closed without a word (or with 503, at a worker), and that is the only trace of it."""
    gone = wsgi_server()
    gone.open("u1").leave()
    gone.interrupt(lambda environ: gone.hub.close(30))

    wire = gone.knock("id=u2&late=1")
    gone.server.wait_answered(2)
    wire.sock.recv(65536)

    assert gone.metrics.refused == [(503, "hub_close")]
    wire.sock.close()


@pytest.mark.contract("A5c")
def test_a_collector_that_raises_changes_no_answer(
    hub_servers: Callable[..., HubServer], caplog: pytest.LogCaptureFixture
) -> None:
    """The client is refused as it would be without a collector, also before the hub has started."""

    class Broken(NoopMetrics):
        def upgrade_refused(self, status: int, reason: str) -> None:
            raise ZeroDivisionError

    hub = Hub(from_query, metrics=Broken())

    assert werkzeug_test.Client(hub).get("/").status_code == 501
    assert "raised in upgrade_refused" in caplog.text


@pytest.mark.contract("A5c")
def test_the_threads_are_those_that_the_collector_was_promised(wsgi_server: Callable[..., HubServer]) -> None:
    """Before the upgrade it is a request thread; behind it, the hub thread."""
    raced = with_session_in_the_attic(wsgi_server)
    threads: list[str] = []
    raced.metrics.upgrade_refused = lambda *_: threads.append(threading.current_thread().name)

    raced.ask("id=nobody&resume=true")
    late(raced, lambda: raced.clock.advance(30)).closed()

    assert ["hub" in name for name in threads] == [False, True]


# -- the warning ------------------------------------------------------------------------------


@pytest.mark.contract("A5c", "A.503-max")
def test_a_full_hub_warns_once_a_minute(
    wsgi_server: Callable[..., HubServer], caplog: pytest.LogCaptureFixture
) -> None:
    """The log says what to do, and a flood of clients is no flood of lines: the next one has their number."""
    full = wsgi_server(max_sessions=1, ping_interval=None)
    full.open("u1")
    for _ in range(3):
        assert full.ask("id=u2").status == 503
    [line] = lines(caplog)
    assert "max_sessions" in line

    full.clock.advance(59)
    full.ask("id=u2")
    assert lines(caplog) == [line]
    full.clock.advance(1)
    full.ask("id=u2&reject=close")

    assert "And 3 more" in lines(caplog)[1]
    assert full.metrics.refused == [(503, "max_sessions")] * 5


@pytest.mark.contract("A5c", "A5")
def test_the_hub_and_the_check_share_the_minute(
    wsgi_server: Callable[..., HubServer], caplog: pytest.LogCaptureFixture, at_a_worker: bool
) -> None:
    """One reason, one line in each process, whichever of the two has found it."""
    full = wsgi_server(max_sessions=1)
    late(full, lambda: full.open("u1"), "id=u2").closed()
    full.ask("id=u2")

    assert len(lines(caplog)) == (2 if at_a_worker else 1)


@pytest.mark.contract("A5c", "A.501")
def test_a_server_without_sockets_warns_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """By the hub's clock, although the hub has never started."""
    clock = FakeClock()
    hub = Hub(from_query, clock=clock)
    client = werkzeug_test.Client(hub)
    headers = {name: str(value) for name, value in HANDSHAKE.items()}

    for _ in range(3):
        assert client.get("/?id=u1", headers=headers).status_code == 501
    [line] = lines(caplog)
    assert "gunicorn" in line
    clock.advance(60)
    client.get("/?id=u1", headers=headers)

    assert len(lines(caplog)) == 2
    assert hub.runner.loop is None


@pytest.mark.contract("A5c", "A.503")
def test_want_of_threads_is_told_with_its_cause(
    wsgi_server: Callable[..., HubServer], caplog: pytest.LogCaptureFixture
) -> None:
    """The operator is the only one who can raise the limit."""
    short = wsgi_server(_runtime=Spent(0))
    short.ask("id=u1")
    short.ask("id=u1")

    [line] = lines(caplog)
    assert "can't start new thread" in line
    assert short.metrics.refused == [(503, "no_threads")] * 2


@pytest.mark.contract("A5c")
def test_what_the_client_did_wrong_warns_nobody(
    wsgi_server: Callable[..., HubServer], caplog: pytest.LogCaptureFixture
) -> None:
    """An expired session or a guessed id is the client's affair: it is counted, and that is all."""
    quiet = wsgi_server()
    quiet.ask("id=u1&resume=true")
    quiet.ask("id=u1&received=x")
    quiet.ask("id=u1", {"Origin": "https://evil.test"})

    assert lines(caplog) == []
    assert len(quiet.metrics.refused) == 3
