"""Rows four and five of table A: what is no handshake, a broken one, or one of another time."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from werkzeug.wrappers import Request

from tests.contract.hub_servers import HubServer
from tests.contract.raw_client import KEY, PLAIN, Headers

KEY_OF_15, KEY_OF_17 = (base64.b64encode(bytes(size)).decode() for size in (15, 17))


@pytest.mark.contract("A.426", "A1")
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(PLAIN, id="a browser's address bar"),
        pytest.param(PLAIN | {"Upgrade": "h2c", "Connection": "Upgrade"}, id="an upgrade to something else"),
        pytest.param(PLAIN | {"Connection": "Upgrade"}, id="an upgrade to nothing"),
    ],
)
@pytest.mark.parametrize("query", ["", "id=u1", "id=u1&resume=1", "id=u1&resume=TRUE"])
def test_a_plain_get_learns_that_this_is_a_websocket(
    hub_server: Callable[..., HubServer], headers: Headers, query: str
) -> None:
    """Whoever opens the endpoint's address in a browser, or a health check, is told what it is."""
    reply = hub_server().ask(query, headers)

    assert reply.status == 426
    assert reply.header("Upgrade") == "websocket"
    assert reply.problem()["title"] == "Upgrade Required"


@pytest.mark.contract("A.426-version", "A1")
@pytest.mark.parametrize("version", ["8", "7", "0", "14", "13, 8", "8, 13", "130", "1 3", "thirteen", "13.0"])
def test_another_version_is_told_the_right_one(hub_server: Callable[..., HubServer], version: str) -> None:
    """A client of another time can try again with the version that the answer names."""
    reply = hub_server().ask("id=u1", {"Sec-WebSocket-Version": version})

    assert reply.status == 426
    assert reply.header("Sec-WebSocket-Version") == "13"
    assert reply.header("Upgrade") == "websocket"
    assert reply.problem()["title"] == "Upgrade Required"


MALFORMED = {
    "no key": {"Sec-WebSocket-Key": None},
    "an empty key": {"Sec-WebSocket-Key": ""},
    "a key of 15 bytes": {"Sec-WebSocket-Key": KEY_OF_15},
    "a key of 17 bytes": {"Sec-WebSocket-Key": KEY_OF_17},
    "a key that is no base64": {"Sec-WebSocket-Key": "!" * 24},
    "a key without its padding": {"Sec-WebSocket-Key": KEY.rstrip("=")},
    "a key with a blank in it": {"Sec-WebSocket-Key": f"{KEY[:12]} {KEY[12:]}"},
    "a key beyond ASCII": {"Sec-WebSocket-Key": b"\xe4" * 24},
    "a key with a NUL": {"Sec-WebSocket-Key": KEY[:-1].encode() + b"\0"},
    "two keys": {"Sec-WebSocket-Key": f"{KEY}\r\nSec-WebSocket-Key: {KEY}"},
    "no version": {"Sec-WebSocket-Version": None},
    "no Connection header": {"Connection": None},
    "a Connection header without upgrade": {"Connection": "keep-alive"},
    "a Connection header that only looks like it": {"Connection": "not-upgrade"},
    "no Upgrade header": {"Upgrade": None},
    "an Upgrade to two things": {"Upgrade": "websocket, h2c"},
    "two Upgrade headers": {"Upgrade": "websocket\r\nUpgrade: websocket"},
    "an Upgrade header beyond ASCII": {"Upgrade": b"websocket\xff"},
    "a subprotocol beyond ASCII": {"Sec-WebSocket-Protocol": b"caf\xe9"},
    "a subprotocol with a NUL": {"Sec-WebSocket-Protocol": b"chat\0"},
    "no Host": {"Host": None},
    "a Host beyond ASCII": {"Host": b"ch\xe4t.test"},
    "a body": {"Content-Length": "5"},
    "a body of chunks": {"Transfer-Encoding": "chunked"},
}


@pytest.mark.contract("A.400-handshake", "A1")
@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_handshake_is_refused(hub_server: Callable[..., HubServer], headers: Headers) -> None:
    """Whatever bytes a client sends as a handshake, it gets a 400 that says so, and the hub no session."""
    malformed = hub_server()

    reply = malformed.ask("id=u1", headers)

    assert reply.status == 400
    assert reply.problem()["title"] == "Bad Request"
    assert malformed.hub.get("u1") is None


@pytest.mark.contract("A.400-handshake", "A1")
@pytest.mark.parametrize("query", ["id=u1&note=?", "id=u1&?=1", "id=u1&resume=?", "id=?"])
def test_a_query_of_bytes_that_are_no_text_is_refused(
    wsgi_server: Callable[..., HubServer], query: str
) -> None:
    """A URL has ASCII only; a client that sends other bytes hears so, and the application nothing of it."""
    asked: list[str] = []

    def connect(request: Request) -> tuple[str, str]:
        asked.append(request.path)
        return "lobby", "u1"

    server = wsgi_server(connect)
    # As a WSGI server may give it. (Werkzeug's makes UTF-8 of such bytes, gunicorn 27 refuses them.)
    server.before = lambda environ: environ.update(QUERY_STRING=query.replace("?", "\xe9\xff"))
    for method, status in (("GET", 400), ("POST", 405)):
        reply = server.ask(method=method)

        assert reply.status == status
        assert (status == 405) or "not UTF-8" in reply.problem()["detail"]
    assert asked == []


@pytest.mark.contract("A.405")
@pytest.mark.parametrize("method", ["get", "Get"])
def test_a_method_in_small_letters_is_another_one(hub_server: Callable[..., HubServer], method: str) -> None:
    """RFC 9110 §9.1: methods are case-sensitive. (Some servers refuse such a method by themselves.)"""
    reply = hub_server().ask("id=u1", method=method)

    assert reply.status == 405
    assert reply.header("Allow") == "GET"


@pytest.mark.contract("A.400-handshake")
@pytest.mark.parametrize("query", ["id=u1", "id=u1&resume=true"], ids=["connecting", "resuming"])
def test_http_1_0_cannot_be_upgraded(hub_server: Callable[..., HubServer], query: str) -> None:
    """Behind a proxy that speaks HTTP/1.0 the answer hints at the proxy, instead of a silent hang."""
    old = hub_server()

    reply = old.wire().send(old.head(query).replace(b"HTTP/1.1", b"HTTP/1.0", 1)).reply()

    assert reply.status == 400
    assert "HTTP/1.1" in reply.problem()["detail"]


@pytest.mark.contract("A.101")
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Connection": "keep-alive, Upgrade"}, id="Firefox's Connection header"),
        pytest.param({"Connection": "keep-alive\r\nConnection: upgrade"}, id="two Connection headers"),
        pytest.param({"Upgrade": "WebSocket"}, id="an Upgrade header with capitals"),
        pytest.param({"X-Junk": b"\xff\xfe\x80"}, id="bytes beyond ASCII in a header of no concern"),
        pytest.param({"Content-Length": "0"}, id="an empty body"),
        pytest.param({"Host": "chat.test:8080"}, id="a Host with a port"),
        pytest.param({"Host": "[::1]:8080"}, id="a Host of IPv6"),
        pytest.param(
            {"Sec-WebSocket-Extensions": "x-unknown; a=1, permessage-deflate"}, id="unknown extensions"
        ),
        *(
            pytest.param({"Sec-WebSocket-Extensions": offer}, id=f"the offer {offer!r}")
            for offer in (
                "permessage-deflate; client_max_window_bits=ten",
                "permessage-deflate; server_max_window_bits=99",
                "permessage-deflate; server_max_window_bits",
                "permessage-deflate; x=1",
                'permessage-deflate; x="1',
                "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
                b"\xff\xfe; =",
            )
        ),
        pytest.param(
            {"Sec-WebSocket-Protocol": "a, b\r\nSec-WebSocket-Protocol: c"}, id="unknown subprotocols"
        ),
        pytest.param({f"X-Filler-{n}": "x" * 1000 for n in range(64)}, id="64 KiB of headers"),
        pytest.param({"Sec-WebSocket-Protocol": "x" * 60_000}, id="a subprotocol of 60 kB"),
        pytest.param({"Cookie": "c=" + "x" * 60_000}, id="a cookie of 60 kB"),
    ],
)
def test_an_unusual_but_valid_handshake_is_accepted(
    wsgi_server: Callable[..., HubServer], headers: Headers
) -> None:
    """What real clients and proxies send, however odd, must not be refused by mistake."""
    odd = wsgi_server(compression=True)

    odd.open("u1", headers=headers)

    assert odd.hub.get("u1") is not None


@pytest.mark.contract("A.400-handshake")
def test_bytes_that_are_no_http_disturb_nobody(wsgi_server: Callable[..., HubServer]) -> None:
    """A port scanner's TLS hello leaves the server answering everybody else."""
    scanned = wsgi_server()

    scanned.wire().send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")

    scanned.open("u1")
