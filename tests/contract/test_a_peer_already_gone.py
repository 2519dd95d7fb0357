"""A6: a newcomer that has hung up before the hub looks at it takes nothing over."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from resumehub import Message
from tests.contract.hub_servers import HubServer
from tests.support import PATIENCE


def hang_up(wire: Any) -> None:
    wire.sock.close()


def stop_sending(wire: Any) -> None:
    wire.sock.shutdown(socket.SHUT_WR)


def reset(wire: Any) -> None:
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.sock.close()


ENDS = pytest.mark.parametrize("end", [hang_up, stop_sending, reset])
INTENT = pytest.mark.parametrize("query", ["id=u1&resume=true", "id=u1"], ids=["with intent", "without"])


def gone_already(hub_server: HubServer, query: str, end: Callable[[Any], None]) -> None:
    """Knock and be gone before the hand-over; returns when the hub has dealt with it."""
    wire = hub_server.wire()

    def vanish(environ: dict[str, Any]) -> None:
        end(wire)
        poller = select.poll()
        poller.register(environ["werkzeug.socket"], select.POLLIN)
        assert poller.poll(PATIENCE * 1000), "the server does not hear of the end"

    hub_server.interrupt(vanish)
    hub_server.server.wait_idle()
    answered = hub_server.server.answered
    wire.send(hub_server.head(f"room=lobby&{query}&late=1"))
    hub_server.server.wait_answered(answered + 1)
    hub_server.clock.advance(0)


@pytest.mark.contract("A6")
@ENDS
@INTENT
def test_a_living_session_is_not_lost_to_a_dead_newcomer(
    wsgi_server: Callable[..., HubServer], query: str, end: Callable[[Any], None]
) -> None:
    """A resume or a duplicate whose client gave up does not cut off the one who is still talking."""
    hub_server = wsgi_server()
    ws = hub_server.open("u1")

    gone_already(hub_server, query, end)

    hub_server.hub.send("u1", Message("still here"))
    assert ws.read() == ("still here", None)
    assert hub_server.recorder.hooks() == ["connect"]
    assert hub_server.metrics.resumes() == []
    assert ("transport_superseded", "lobby", "u1") not in hub_server.metrics.calls
    ws.leave()
    assert hub_server.recorder.wait_for("disconnect", "u1") is None


@pytest.mark.contract("A6")
@ENDS
@INTENT
def test_a_grace_window_is_not_prolonged_by_a_dead_newcomer(
    wsgi_server: Callable[..., HubServer], query: str, end: Callable[[Any], None]
) -> None:
    """A client that dials and dies, again and again, does not keep its session alive for ever."""
    hub_server = wsgi_server(resume_window=30)
    hub_server.drop(hub_server.open("u1"))
    hub_server.clock.advance(29)

    gone_already(hub_server, query, end)

    assert hub_server.hub.get("u1").suspended
    hub_server.clock.advance(1)
    assert hub_server.hub.get("u1") is None
    hub_server.recorder.wait_for("disconnect", "u1")
    assert hub_server.recorder.hooks() == ["connect", "drop", "disconnect"]


@pytest.mark.contract("A6")
@ENDS
def test_a_dead_newcomer_opens_no_session(
    wsgi_server: Callable[..., HubServer], end: Callable[[Any], None]
) -> None:
    """on_connect does not greet somebody who has left."""
    hub_server = wsgi_server()

    gone_already(hub_server, "id=u1", end)

    assert hub_server.hub.rooms() == []
    assert hub_server.recorder.hooks() == []
    assert hub_server.metrics.calls == []


@pytest.mark.contract("A6", "A5")
@ENDS
def test_a_dead_newcomer_can_be_refused(
    wsgi_server: Callable[..., HubServer], end: Callable[[Any], None]
) -> None:
    """A close frame for somebody who has left harms nobody, and its socket does not stay behind."""
    hub_server = wsgi_server(max_sessions=1)
    ws = hub_server.open("u2")

    gone_already(hub_server, "id=u1&reject=close", end)

    hub_server.hub.send("u2", Message("still here"))
    assert ws.read() == ("still here", None)
