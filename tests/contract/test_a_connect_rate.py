"""A.429: an address whose clients connect too often has to wait; no session is harmed by it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from resumehub import ConnectRate, Counters, Hub
from resumehub.testing import TransportClosed, UpgradeRefused, WebSocketClient
from tests.contract.hub_servers import HubServer
from tests.contract.raw_client import HANDSHAKE, PLAIN
from tests.support import Stage

RATE = ConnectRate(connects_per_second=0.1, burst=2)


def dial(s: Stage, connection_id: str, address: str = "192.0.2.7", query: str = "") -> WebSocketClient:
    return s.open(connection_id, query=query, environ={"REMOTE_ADDR": address})


def refused(s: Stage, connection_id: str, address: str = "192.0.2.7", query: str = "") -> UpgradeRefused:
    with pytest.raises(UpgradeRefused) as caught:
        dial(s, connection_id, address, query)
    return caught.value


@pytest.mark.contract("A.429")
def test_the_third_is_told_when_to_come_again(stage) -> None:
    s = stage(connect_rate=RATE)
    dial(s, "u1")
    dial(s, "u2")

    answer = refused(s, "u3")

    assert answer.status == 429
    assert answer.header("Retry-After") == "10"
    assert answer.header("Cache-Control") == "no-store"
    s.clock.advance(10)
    dial(s, "u3")


@pytest.mark.contract("A.429")
def test_connect_is_not_called(stage) -> None:
    """A flood of dials must not become one of look-ups in the application's database."""
    asked: list[str] = []

    def connect(request: Any) -> tuple[str, str]:
        asked.append(request.args["id"])
        return "lobby", request.args["id"]

    s = stage(connect, connect_rate=RATE)
    dial(s, "u1")
    dial(s, "u2")
    refused(s, "u3")
    assert asked == ["u1", "u2"]


@pytest.mark.contract("A.429", "A5c")
def test_it_is_counted_and_the_operator_is_told_once(stage, caplog) -> None:
    caplog.set_level(logging.WARNING, "resumehub")
    s = stage(connect_rate=RATE, metrics=Counters())
    dial(s, "u1")
    dial(s, "u2")
    for _ in range(5):
        refused(s, "u3")
    assert s.metrics.snapshot()["upgrades_refused"]["rate"] == 5
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("a client was refused (429 rate): clients of one address connect more often")
    assert "192.0.2.7" not in line


@pytest.mark.contract("A.429", "A2")
def test_a_browser_is_told_by_a_close_code(stage) -> None:
    s = stage(connect_rate=RATE)
    dial(s, "u1")
    dial(s, "u2")
    ws = dial(s, "u3", query="&reject=close")
    with pytest.raises(TransportClosed):
        ws.receive()
    assert ws.closed == (4503, "try again later (in 10 seconds)")


@pytest.mark.contract("A.429")
def test_newcomers_do_not_keep_a_client_out_that_comes_back(stage) -> None:
    """They may be behind the same NAT. However often its connection is lost, it gets its session again."""
    s = stage(connect_rate=RATE)
    ws = dial(s, "u1")
    dial(s, "u2")
    refused(s, "u3")
    for count in range(1, 6):
        s.drop(ws, count=count)
        ws = s.resume(ws)
    assert not s.hub.get("u1").suspended


@pytest.mark.contract("A.429")
def test_resumes_of_nothing_are_counted_too(stage) -> None:
    s = stage(connect_rate=RATE)
    for connection_id in ("u1", "u2"):
        assert refused(s, connection_id, query="&resume=true").status == 410
    assert refused(s, "u3", query="&resume=true").status == 429
    dial(s, "u1")


@pytest.mark.contract("A.429")
def test_a_client_that_is_refused_has_its_session_still(stage) -> None:
    """429 is no 410: it comes again, and goes on."""
    s = stage(connect_rate=RATE)
    ws = dial(s, "u1")
    connection = s.drop(ws)
    for _ in range(2):
        refused(s, "nobody", query="&resume=true")
    assert refused(s, "u1", query="&resume=true").status == 429
    assert connection.suspended
    s.clock.advance(10)
    s.resume(ws)
    assert not connection.suspended


@pytest.mark.contract("A.429")
def test_addresses_do_not_disturb_each_other_and_what_is_none_is_not_counted(stage) -> None:
    s = stage(connect_rate=RATE)
    for connection_id in ("u1", "u2"):
        dial(s, connection_id, "2001:db8::1")
    assert refused(s, "u3", "2001:db8::ffff").status == 429
    dial(s, "u3", "2001:db8:0:1::1")
    for number in range(5):
        dial(s, f"v{number}", "")


@pytest.mark.contract("A.429")
def test_it_holds_at_the_hub_and_at_a_worker(wsgi_server: Callable[..., HubServer]) -> None:
    """Each process counts the dials that it answers, wherever the hub is."""
    server = wsgi_server(connect_rate=ConnectRate(0.001, 1))
    server.open("u1")
    reply = server.ask("id=u2", HANDSHAKE)
    assert (reply.status, reply.header("Retry-After")) == (429, "1000")


@pytest.mark.contract("A.429")
def test_a_preflight_is_no_connect(wsgi_server: Callable[..., HubServer]) -> None:
    server = wsgi_server(connect_rate=ConnectRate(0.001, 1))
    for _ in range(3):
        assert server.ask("id=u1&resume=true", PLAIN).status == 410


@pytest.mark.parametrize("value", [5, "5/s", (1, 2)])
def test_the_option_is_a_connect_rate_or_none(value: object) -> None:
    with pytest.raises(TypeError, match=r"^connect_rate is .*: it must be a ConnectRate such as"):
        Hub(connect_rate=value)


@pytest.mark.parametrize(
    ("arguments", "error"), [((0,), ValueError), ((1, 0), ValueError), ((1, 1.5), TypeError)]
)
def test_a_wrong_rate_is_refused_when_it_is_made(arguments: tuple, error: type) -> None:
    with pytest.raises(error, match=r"^connect_rate\.(connects_per_second|burst) is "):
        ConnectRate(*arguments)
