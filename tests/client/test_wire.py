"""The bytes: whatever pieces they come in, and whatever a server gets wrong."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

import pytest

from resumehub.client import wire as w
from resumehub.client.address import read_address
from resumehub.message import Frame, Opcode
from resumehub.testing.wire import client_frame, server_frame
from tests.client.fake_server import GUID, first_frame


def dial(**options: object) -> w.Wire:
    settings = {"headers": [], "subprotocols": [], "max_message_size": 100} | options
    return w.Wire("example.org", "/ws?id=ada", **settings)  # type: ignore[arg-type]


def accepting(wire: w.Wire, *more: str, accept: str | None = None) -> bytes:
    """The 101 that fits the request."""
    key = next(
        line.split(b": ")[1]
        for line in wire.request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    accept = accept or base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
    head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    return "\r\n".join([*head, f"Sec-WebSocket-Accept: {accept}", *more, "", ""]).encode()


def fed(wire: w.Wire, pieces: Iterable[bytes]) -> list[w.Event]:
    return [event for piece in pieces if not wire.over for event in wire.feed(piece)]


def fragment(kind: str | int, payload: bytes, *, fin: bool) -> bytes:
    return client_frame(kind, payload, fin=fin, mask=None)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_pieces_mean_the_same_as_the_whole(size: int) -> None:
    """TCP cuts where it likes: in the status line, in a length, in a letter."""
    wire = dial(subprotocols=["chat"])
    said = accepting(wire, "Sec-WebSocket-Protocol: chat") + b"".join(
        [
            server_frame("text", "grüße".encode()),
            fragment("text", b"in ", fin=False),
            server_frame("ping", b"now"),
            fragment("continuation", "zwei Stücken".encode(), fin=True),
            server_frame("binary", bytes(range(60))),
            server_frame("close", (4100).to_bytes(2) + "später".encode()),
            b"this is nobody's",
        ]
    )
    assert fed(wire, [said[at : at + size] for at in range(0, len(said), size)]) == [
        w.Accepted("chat"),
        w.Data("grüße", 7),
        w.PingReceived(b"now"),
        w.Data("in zwei Stücken", 16),
        w.Data(bytes(range(60)), 60),
        w.CloseReceived(4100, "später"),
    ]
    assert wire.over


def test_the_request() -> None:
    """What a proxy or a server sees first; the port only where it is not the usual one."""
    wire = dial(headers=[("Origin", "https://example.org")], subprotocols=["a", "b"])
    lines = wire.request.decode().split("\r\n")
    assert lines[0] == "GET /ws?id=ada HTTP/1.1"
    assert {"Host: example.org", "Upgrade: websocket", "Connection: Upgrade"} < set(lines)
    assert {"Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: a, b"} < set(lines)
    assert "Origin: https://example.org" in lines


@pytest.mark.parametrize("size", [1, 2, 3, 5, 10_000])
@pytest.mark.parametrize("code", [1012, 1013, 1014])
def test_a_server_or_a_proxy_before_it_may_close_with_a_newer_code(size: int, code: int) -> None:
    """1014, "bad gateway", is no breach of the protocol, which would blame a message of ours."""
    wire = dial()
    said = accepting(wire) + server_frame("text", b"x") + server_frame("close", code.to_bytes(2) + b"later")
    assert fed(wire, [said[at : at + size] for at in range(0, len(said), size)]) == [
        w.Accepted(None),
        w.Data("x", 1),
        w.CloseReceived(code, "later"),
    ]


@pytest.mark.parametrize("size", [1, 10_000])
def test_a_message_beyond_the_bound_is_passed_over(size: int) -> None:
    """It has a number like any other, and no memory is spent on it."""
    wire = dial(max_message_size=10)
    said = accepting(wire) + server_frame("text", b"x" * 11) + server_frame("text", b"y" * 10)
    events = fed(wire, [said[at : at + size] for at in range(0, len(said), size)])
    assert events[1:] == [w.Data(None, 11), w.Data("y" * 10, 10)]


@pytest.mark.parametrize(
    ("bytes_behind", "code"),
    [
        (client_frame("text", b"masked"), 1002),
        (client_frame(3, b"no such opcode", mask=None), 1002),
        (client_frame("text", b"reserved", mask=None, rsv=4), 1002),
        (server_frame("text", b"\xff"), 1007),
        (fragment("continuation", b"of nothing", fin=True), 1002),
        (server_frame("close", b"\x03"), 1002),
    ],
)
def test_a_server_that_breaks_the_protocol(bytes_behind: bytes, code: int) -> None:
    """What came before the breach counts; what to close with is said."""
    wire = dial()
    events = fed(wire, [accepting(wire) + server_frame("text", b"sound") + bytes_behind])
    assert events[1] == w.Data("sound", 5)
    assert isinstance(events[2], w.Failed)
    assert events[2].code == code


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_websocket(answer: bytes) -> None:
    """SSH, a 101 to something else, a 101 without proof that the request was read."""
    assert isinstance(fed(dial(), [answer])[0], w.Failed)


def test_a_protocol_that_was_not_offered_is_not_accepted() -> None:
    """A server may only select (RFC 6455 §4.1)."""
    wire = dial()
    assert isinstance(fed(wire, [accepting(wire, "Sec-WebSocket-Protocol: chat")])[0], w.Failed)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["Retry-After: 7"], 7.0),
        (["Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", "Date: Fri, 31 Dec 1999 23:59:29 GMT"], 30.0),
        (["Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", "Date: Fri, 31 Dec 1999 23:59:59 GMT"], 0.0),
        (["Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"], None),
        (["Retry-After: soon"], None),
        (["Retry-After: -1"], None),
        ([], None),
    ],
)
def test_when_to_come_back(headers: list[str], seconds: float | None) -> None:
    """A date counts from the server's own: whose clock is right does not matter."""
    answer = "\r\n".join(["HTTP/1.1 503 Service Unavailable", "Content-Length: 4", *headers, "", "busy"])
    assert fed(dial(), [answer.encode()]) == [w.Rejected(503, "busy", seconds)]


def test_a_refusal_whose_body_ends_with_the_connection() -> None:
    """Without a length the body is over when the connection is."""
    wire = dial()
    assert fed(wire, [b"HTTP/1.1 410 Gone\r\n\r\n", b'{"reason": ', b'"gap"}', b""]) == [
        w.Rejected(410, '{"reason": "gap"}')
    ]


def test_frames_are_masked_each_with_a_mask_of_its_own() -> None:
    """RFC 6455 §5.3: a mask that can be foreseen is no mask."""
    frame = Frame(Opcode.TEXT, b"the same")
    one, other = w.encode_frame(frame), w.encode_frame(frame)
    assert one != other
    for data in (one, other):
        found = first_frame(data)
        assert found is not None
        assert (str(found[0]), found[1]) == ("text the same", b"")
    big = first_frame(w.encode_frame(Frame(Opcode.BINARY, bytes(70_000))))
    assert big is not None
    assert big[0].payload == bytes(70_000)


@pytest.mark.parametrize(
    "url", ["ws://[::1]:8080/", "ws://example.org", "wss://example.org:443/%C3%BC?a=b&a=c"]
)
def test_urls(url: str) -> None:
    """IPv6, no path, letters that are encoded already: the request says what the URL said."""
    address = read_address(url)
    request = w.Wire(address.authority, address.target(x="y z"), [], [], 10).request.decode()
    host = {"[::1]:8080": "::1"}.get(address.authority, "example.org")
    assert address.host == host
    assert request.split(" ")[1] in ("/?x=y+z", "/%C3%BC?a=b&a=c&x=y+z")
    assert f"Host: {address.authority}\r\n" in request
