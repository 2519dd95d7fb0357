"""Rows one to three of table A: no socket, no hub, no GET."""

from __future__ import annotations

import json
import logging
import resource
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from werkzeug.test import Client, EnvironBuilder

from resumehub import Hub
from resumehub.runtime.base import Thread
from resumehub.runtime.system import SystemRuntime
from tests.contract.hub_servers import HubServer, served_by_waitress
from tests.contract.raw_client import PLAIN, Wire, head
from tests.support import PATIENCE, from_query

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}

HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(from_query) as hub:
        yield hub


def through_a_view(hub: Hub) -> flask.Flask:
    app = flask.Flask("shop")
    app.add_url_rule("/", view_func=lambda: hub.upgrade(flask.request, "lobby", "u1"), websocket=True)
    return app


WAYS_IN = pytest.mark.parametrize(
    "way_in",
    [
        pytest.param(lambda hub: hub.wsgi_app, id="hub.wsgi_app"),
        pytest.param(through_a_view, id="hub.upgrade in a Flask view"),
    ],
)


@pytest.mark.contract("A.501", "A1")
@WAYS_IN
def test_a_server_without_a_raw_socket_is_told_so_and_which_servers_have_one(
    hub: Hub, way_in: Callable[[Hub], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """On the wrong server the client gets a plain 501, and the log says which server to use."""
    response = Client(way_in(hub)).get("/?id=u1", headers=HANDSHAKE)

    assert response.status_code == 501
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert not HOP_BY_HOP & {name.lower() for name, _ in response.headers}
    [record] = [record for record in caplog.records if record.name.startswith("resumehub.")]
    assert record.levelno == logging.WARNING
    assert "Werkzeug" in record.getMessage()
    assert "gunicorn" in record.getMessage()


class GreenSocket(socket.socket):
    """What gevent puts in the place of a server's sockets."""

    __module__ = "gevent._socket3"


WERKZEUG = {"SERVER_SOFTWARE": "Werkzeug/3", "SERVER_PROTOCOL": "HTTP/1.1"}


@pytest.mark.contract("A.501", "A5c")
@pytest.mark.parametrize(
    "key, kind, environ, why, do",
    [
        ("", socket.socket, {}, "puts no socket into the WSGI environ", "gunicorn --threads 8"),
        ("", socket.socket, {"asgi.scope": {}}, "an ASGI server", "gunicorn --threads 8"),
        ("gunicorn.socket", GreenSocket, {}, "gevent or eventlet", "in place of its worker class"),
        (
            "werkzeug.socket",
            socket.socket,
            {**WERKZEUG, "wsgi.multiprocess": True},
            "processes=N",
            "threaded",
        ),
        ("gunicorn.socket", socket.socket, {"SERVER_PROTOCOL": "HTTP/2"}, "HTTP/2", "proxy"),
        ("gunicorn.socket", ssl.SSLSocket, {"SERVER_PROTOCOL": "HTTP/1.1"}, "TLS ends inside", "proxy"),
    ],
    ids=["another server", "ASGI", "gevent", "Werkzeug with processes", "HTTP/2", "TLS and one thread"],
)
def test_a_501_says_why_and_what_to_do_and_once(
    hub: Hub,
    key: str,
    kind: type,
    environ: dict[str, Any],
    why: str,
    do: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The body tells a developer with curl what the log tells the operator: the cause, and what works."""
    sock = kind.__new__(kind)
    asked = EnvironBuilder(headers=HANDSHAKE).get_environ() | environ | ({key: sock} if key else {})
    for _ in range(3):
        response = hub.upgrade(asked, "lobby", "u1")
        assert response.status_code == 501

    detail = json.loads(response.get_data())["detail"]
    [line] = [record.getMessage() for record in caplog.records]
    for said in (detail, line):
        assert why in said
        assert do in said.partition("What to do: ")[2]
        assert "gunicorn's sync and gthread workers" in said


@pytest.mark.contract("A.501")
@WAYS_IN
def test_waitress_passes_the_501_on(hub: Hub, way_in: Callable[[Hub], Any]) -> None:
    """A server that forbids hop-by-hop headers (PEP 3333) answers 501 and not an error of its own."""
    with served_by_waitress(way_in(hub)) as port:
        wire = Wire(port)
        reply = wire.send(head("GET", "/?id=u1", {"Host": "chat.test", **HANDSHAKE})).reply()
        wire.sock.close()

    assert reply.status == 501
    assert reply.problem()["title"] == "Not Implemented"


@pytest.mark.contract("A.503", "A1")
def test_a_closed_hub_asks_clients_to_come_back_later(hub_server: Callable[..., HubServer]) -> None:
    """While a deployment restarts, clients hear 503 and when to try again."""
    closed = hub_server()
    closed.hub.close(PATIENCE)

    reply = closed.ask("id=u1")

    assert reply.status == 503
    assert reply.problem()["title"] == "Service Unavailable"
    assert int(reply.header("Retry-After") or 0) > 0


@pytest.mark.contract("A.503")
@pytest.mark.parametrize("query", ["id=new", "id=u1", "id=u1&resume=true"], ids=["new", "known", "resuming"])
def test_a_draining_hub_takes_nobody_in(hub_server: Callable[..., HubServer], query: str) -> None:
    """From the moment of hub.close on, and not only when it is over, the answer is 503."""
    draining = hub_server()
    gate = threading.Event()
    draining.hub.on_disconnect(lambda connection, error: gate.wait(PATIENCE))
    draining.open("u1")
    draining.hub.close(0)

    reply = draining.ask(query)

    gate.set()
    assert (reply.status, bool(reply.header("Retry-After"))) == (503, True)


@pytest.mark.contract("A.405", "A1")
@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
@pytest.mark.parametrize("query", ["id=u1", "id=u1&resume=true"], ids=["connecting", "resuming"])
def test_only_get_can_be_upgraded(wsgi_server: Callable[..., HubServer], method: str, query: str) -> None:
    """A proxy or a scanner that uses another method is told which one there is."""
    reply = wsgi_server().ask(query, method=method)

    assert reply.status == 405
    assert reply.header("Allow") == "GET"
    assert reply.header("Cache-Control") == "no-store"


@pytest.mark.contract("A.405")
@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_a_view_need_not_care_about_methods(hub_servers: Callable[..., HubServer], method: str) -> None:
    """What Flask lets through to a view that upgrades, hub.upgrade refuses by itself."""
    reply = hub_servers("hub.upgrade in a Flask view").ask("id=u1", PLAIN, method)

    assert (reply.status, reply.header("Allow")) == (405, "GET")
    assert reply.header("X-Shop") == "open"


@pytest.mark.contract("A.405", "A1")
def test_a_head_request_gets_headers_and_nothing_behind_them(hub_server: Callable[..., HubServer]) -> None:
    """The answer to HEAD has no body, so that a connection which is kept is not out of step."""
    reply = hub_server().ask("id=u1", method="HEAD")

    assert (reply.status, reply.body) == (405, b"")


@pytest.mark.contract("A.503", "A1")
def test_a_server_short_of_descriptors_asks_to_come_back_later(hub: Hub) -> None:
    """With ulimit -n reached a client is not lost: nothing half-taken is left, and it may try again."""
    answered: list[Any] = []
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        request = EnvironBuilder(headers=HANDSHAKE).get_environ() | {"resumehub.socket": theirs}
        response = hub.upgrade(request, "lobby", "u1")
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, limits[1]))
        try:
            body = b"".join(response(request, lambda *arguments: answered.extend(arguments)))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    status, headers = int(answered[0].split()[0]), dict(answered[1])
    assert (status, json.loads(body)["status"]) == (503, 503)
    assert headers["Cache-Control"] == "no-store"
    assert int(headers["Retry-After"]) > 0
    assert hub.connections("lobby") == []


class Spent(SystemRuntime):
    """A system that has ``left`` threads to give."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spawn(self, name: str, run: Callable[[], None], *, daemon: bool = True) -> Thread:
        if not self.left:
            raise RuntimeError("can't start new thread")
        self.left -= 1
        return super().spawn(name, run, daemon=daemon)


@pytest.mark.contract("A.503")
@pytest.mark.parametrize("left", [0, 1], ids=["no thread", "a single thread"])
def test_a_server_short_of_threads_asks_to_come_back_later(
    wsgi_server: Callable[..., HubServer], left: int
) -> None:
    """A hub that cannot start turns clients away, leaves nothing running, and starts when it can."""
    system = Spent(left)
    short = wsgi_server(_runtime=system)

    reply = short.ask("id=u1")

    assert (reply.status, bool(reply.header("Retry-After"))) == (503, True)
    system.left = 100
    short.open("u1")
