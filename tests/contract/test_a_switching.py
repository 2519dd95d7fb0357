"""The last row of table A: the 101 on the wire, and the socket that is the hub's from then on."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from werkzeug import Response
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from resumehub import Connection, Message
from resumehub.wsgi.upgrade import Upgrade
from tests.contract.hub_servers import HubServer
from tests.contract.peers import until
from tests.contract.raw_client import ACCEPT, PLAIN, head, masked
from tests.support import PATIENCE, text


@pytest.mark.contract("A.101", "A1")
def test_the_101_is_all_that_rfc_6455_asks_for_and_nothing_else(hub_server: Callable[..., HubServer]) -> None:
    """A browser accepts it: each header once, the accept value of the RFC, no body, no cache."""
    reply = hub_server().ask("id=u1")

    assert reply.status == 101
    assert (reply.header("Upgrade") or "").lower() == "websocket"
    assert (reply.header("Connection") or "").lower() == "upgrade"
    assert reply.header("Sec-WebSocket-Accept") == ACCEPT
    assert reply.header("Cache-Control") == "no-store"
    for name in ("Content-Length", "Content-Type", "Transfer-Encoding", "Sec-WebSocket-Extensions", "Server"):
        assert reply.header(name) is None
    assert reply.body == b""


@pytest.mark.contract("A.101")
def test_behind_the_101_come_frames_and_not_a_byte_of_the_server(
    hub_server: Callable[..., HubServer],
) -> None:
    """What the WSGI server still writes for its request ("101", "Connection: close") reaches nobody."""
    quiet = hub_server()
    wire = quiet.knock("id=u1")
    assert wire.reply().body == b""
    quiet.server.wait_idle()

    quiet.hub.send("u1", Message("hi"))
    quiet.hub.kick("u1")

    payload = b'{"event":"hi"}'
    frames = bytes([0x81, len(payload)]) + payload + bytes([0x88, 8, 1000 >> 8, 1000 & 255]) + b"kicked"
    received = b""
    while len(received) < len(frames):
        received += wire.sock.recv(65536)
    assert received == frames


@pytest.mark.contract("A.101")
def test_the_request_thread_is_free_while_the_websocket_lives(hub_server: Callable[..., HubServer]) -> None:
    """A WebSocket costs the WSGI server nothing: its request is over before the first message."""
    light = hub_server()
    clients = [light.open(f"u{n}") for n in range(5)]

    light.server.wait_idle()

    for client in clients:
        client.send(text("hello"))
    light.recorder.wait_for("message", count=5)


@pytest.mark.contract("A.101")
def test_nothing_of_the_request_is_kept_for_the_garbage_collector(
    hub_server: Callable[..., HubServer],
) -> None:
    """What promised the hand-over goes with the response, so that reconnects do not heap up garbage."""
    light = hub_server()
    gc.collect()
    gc.disable()
    try:
        light.open("u1")
        light.server.wait_idle()
        until(lambda: not any(isinstance(thing, Upgrade) for thing in gc.get_objects()))
    finally:
        gc.enable()


@pytest.mark.contract("A.101")
@pytest.mark.parametrize(
    "offered, chosen",
    [
        ("chat.v2", "chat.v2"),
        ("chat.v1, chat.v2", "chat.v1"),
        ("other\r\nSec-WebSocket-Protocol: chat.v2", "chat.v2"),
        ("other", None),
        ("CHAT.V1", None),
        (None, None),
    ],
)
def test_a_subprotocol_is_chosen_from_what_both_know(
    hub_server: Callable[..., HubServer], offered: str | None, chosen: str | None
) -> None:
    """Applications may name their protocol, and a client that offers another is not lied to."""
    reply = hub_server(subprotocols=["chat.v1", "chat.v2"]).ask("id=u1", {"Sec-WebSocket-Protocol": offered})

    assert reply.header("Sec-WebSocket-Protocol") == chosen


@pytest.mark.contract("A.101")
@pytest.mark.parametrize("compression", [True, False])
def test_compression_is_agreed_on_only_when_it_is_switched_on(
    hub_server: Callable[..., HubServer], compression: bool
) -> None:
    """Browsers always offer it; the 101 accepts it only where the application wants it."""
    reply = hub_server(compression=compression).ask(
        "id=u1", {"Sec-WebSocket-Extensions": "permessage-deflate"}
    )

    assert ("permessage-deflate" in str(reply.header("Sec-WebSocket-Extensions"))) is compression


# -- headers of the framework -----------------------------------------------------------------


@pytest.mark.contract("A.101")
def test_the_cookies_of_view_session_and_framework_are_in_the_real_101(
    hub_servers: Callable[..., HubServer],
) -> None:
    """A login that renews its cookie with every request goes on working for WebSockets."""
    shop = hub_servers("hub.upgrade in a Flask view")

    reply = shop.ask("id=u1")

    cookies = {cookie.partition("=")[0] for cookie in reply.all("Set-Cookie")}
    assert (reply.status, cookies) == (101, {"view", "after", "session"})
    assert reply.header("X-Shop") == "open"
    assert "Cookie" in ", ".join(reply.all("Vary"))


@pytest.mark.contract("A.101")
def test_the_session_cookie_of_the_101_is_good_for_the_next_request(
    hub_servers: Callable[..., HubServer],
) -> None:
    """What the view wrote into the session is there the next time, as after any other response."""
    shop = hub_servers("hub.upgrade in a Flask view")
    visits: list[str | None] = []

    for _ in range(3):
        reply = shop.ask("id=u1")
        visits.append(reply.header("X-Visits"))
        [session] = [cookie for cookie in reply.all("Set-Cookie") if cookie.startswith("session=")]
        shop.cookie = session.partition(";")[0]

    assert visits == ["1", "2", "3"]


@pytest.mark.contract("A.101")
def test_the_login_keeps_strangers_out(hub_servers: Callable[..., HubServer]) -> None:
    """The view's own checks come before the hub's: without the login there is no WebSocket."""
    shop = hub_servers("hub.upgrade in a Flask view")
    shop.cookie = None

    assert shop.ask("id=u1").status == 401
    assert shop.hub.get("u1") is None


@pytest.mark.contract("A.101")
def test_a_response_that_the_view_throws_away_leaves_nothing_behind(
    wsgi_server: Callable[..., HubServer],
) -> None:
    """Until the server sends the response nothing has happened, so a view may still change its mind."""
    shop = wsgi_server()
    minds = iter(["no", "yes"])

    def view(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = shop.hub.upgrade(environ, "lobby", "u1")
        if next(minds) == "no":
            response = Response("closed today", 403, {"Content-Length": "12"})
        return response(environ, start_response)

    shop.app = view

    assert shop.ask("id=u1").status == 403
    shop.clock.advance(0)
    assert shop.hub.get("u1") is None
    assert shop.recorder.hooks() == []
    shop.open("u1")


@pytest.mark.contract("A.101")
def test_a_hub_can_be_mounted_under_a_path_behind_middleware(wsgi_server: Callable[..., HubServer]) -> None:
    """hub.wsgi_app is an ordinary WSGI application, and whatever stands before it may wrap the answer."""
    site = wsgi_server()

    def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "4")])
        return [b"page"]

    site.app = DispatcherMiddleware(page, {"/live": site.hub.wsgi_app})
    site.path = "/live/lobby"

    site.open("u1")
    assert site.wire().send(head("GET", "/about", PLAIN)).reply().body == b"page"


# -- what comes in the same segment, or in pieces ---------------------------------------------


@pytest.mark.contract("A.101", "B1")
def test_frames_right_behind_the_handshake_are_not_lost(hub_server: Callable[..., HubServer]) -> None:
    """A client need not wait for the 101: what it sends in the same segment is handled, in order."""
    eager = hub_server()
    frames = b"".join(masked(text("n", n)) for n in range(3))

    eager.wire().send(eager.head("id=u1") + frames).websocket()

    eager.recorder.wait_for("message", "u1", 3)
    assert eager.recorder.hooks("u1") == ["connect", "message", "message", "message"]
    assert [detail.payload for hook, _, detail in eager.recorder.events if hook == "message"] == [0, 1, 2]


@pytest.mark.contract("A.101")
@pytest.mark.parametrize("cut", [1, 7, 20], ids=["in its first byte", "in its header", "in its payload"])
def test_a_frame_cut_in_two_by_the_handshakes_segment_is_put_together(
    hub_server: Callable[..., HubServer], cut: int
) -> None:
    """Where a segment ends means nothing: half a frame behind the handshake is half a frame."""
    eager = hub_server()
    frame = masked(text("n", "in one piece"))
    wire = eager.wire().send(eager.head("id=u1") + frame[:cut])
    ws = wire.websocket()

    ws.sock.sendall(frame[cut:])

    assert eager.recorder.wait_for("message", "u1").payload == "in one piece"


@pytest.mark.contract("A.101")
def test_more_than_the_server_reads_ahead_stays_in_order(hub_server: Callable[..., HubServer]) -> None:
    """The server's buffer and the kernel's together: 300 messages behind the handshake come as 300."""
    eager = hub_server()
    frames = b"".join(masked(text("n", [n, "x" * 500])) for n in range(300))

    eager.wire().send(eager.head("id=u1") + frames).websocket()

    eager.recorder.wait_for("message", "u1", 300)
    payloads = [detail.payload[0] for hook, _, detail in eager.recorder.events if hook == "message"]
    assert payloads == list(range(300))


@pytest.mark.contract("A.101", "A.register-resume")
def test_frames_right_behind_a_resume_come_after_the_restore(hub_server: Callable[..., HubServer]) -> None:
    """The handlers see: drop, restore, message; however fast the client is."""
    eager = hub_server()
    eager.drop(eager.open("u1"))

    eager.wire().send(eager.head("id=u1&resume=true") + masked(text("back"))).websocket()

    eager.recorder.wait_for("message", "u1")
    assert eager.recorder.hooks("u1") == ["connect", "drop", "restore", "message"]


@pytest.mark.contract("A.101")
def test_a_half_sent_handshake_holds_up_nobody(hub_server: Callable[..., HubServer]) -> None:
    """A client on a bad line, or a malicious one, costs the others nothing, and is served when it is done."""
    patient = hub_server()
    whole = patient.head("id=slow")
    slow = patient.wire().send(whole[:60])

    ws = patient.open("u1")
    ws.send(text("hello"))
    patient.recorder.wait_for("message", "u1")
    assert patient.hub.get("slow") is None

    slow.send(whole[60:]).websocket()
    assert patient.hub.get("slow") is not None


@pytest.mark.contract("A.101", "B2")
def test_a_slow_on_connect_does_not_hold_up_the_101(hub_server: Callable[..., HubServer]) -> None:
    """The client is connected when the socket is, and its messages wait for on_connect."""
    slow = hub_server()
    gate = threading.Event()
    greeted: list[str] = []

    @slow.hub.on_connect
    def greet(connection: Connection) -> None:
        assert gate.wait(PATIENCE)
        greeted.append(connection.id)

    ws = slow.open("u1")
    ws.send(text("hello"))
    assert greeted == []

    gate.set()
    slow.recorder.wait_for("message", "u1")
    assert greeted == ["u1"]
