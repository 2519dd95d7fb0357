"""The WebSocket client for tests: bad lines, and logins made with a Flask test client."""

from __future__ import annotations

from collections.abc import Iterator

import flask
import pytest

from resumehub import HeartbeatTimeout, Hub, Message, TransportLost
from resumehub.testing import NothingReceived, UpgradeRefused, connect
from tests.support import PATIENCE, read, text

# -- bad lines ---------------------------------------------------------------------------------


def test_a_frozen_line_is_silent_in_both_directions(stage) -> None:
    """Half-open: nobody is told, nothing comes, and what is sent waits on the way."""
    s = stage()
    ws = s.open()
    s.recorder.wait_for("connect")
    ws.freeze()
    s.say("u1", 1)
    ws.send(text("late", 2))
    ws.read_nowait()
    assert not ws.has_message()
    with pytest.raises(NothingReceived):
        ws.receive(PATIENCE)  # at once: nothing can come

    ws.thaw()
    assert read(ws) == ("n", 1)
    assert s.recorder.wait_for("message").event == "late"


def test_a_frozen_client_answers_no_ping_and_loses_its_transport(stage) -> None:
    s = stage(ping_interval=20, write_timeout=10)
    ws = s.open()
    s.recorder.wait_for("connect")
    ws.freeze()
    s.clock.advance(20)
    assert not ws.wait_for_ping(timeout=PATIENCE)
    s.clock.advance(10)
    assert isinstance(s.recorder.wait_for("drop"), HeartbeatTimeout)

    ws.thaw()
    assert ws.wait_for_eof(PATIENCE)
    assert ws.closed == (1006, "")
    assert len(ws.pings) == 1


def test_a_client_that_stops_reading_still_sends(stage) -> None:
    """A page that hangs in a script: the server's writes pile up, and its deadline for them falls due."""
    s = stage(ping_interval=None, write_timeout=10)
    ws = s.open(buffer=4096)
    s.recorder.wait_for("connect")
    ws.stop_reading()
    ws.send(text("n", 1))
    assert s.recorder.wait_for("message").payload == 1

    s.say("u1", *["x" * 2000] * 20)
    s.clock.advance(10)
    error = s.recorder.wait_for("drop")
    assert isinstance(error, TransportLost)
    assert error.reason == "the peer stopped reading"


def test_a_client_may_go_on_reading(stage) -> None:
    s = stage()
    ws = s.open()
    s.recorder.wait_for("connect")
    ws.stop_reading()
    s.say("u1", 1)
    assert not ws.wait_for_eof(0)
    ws.go_on_reading()
    assert read(ws) == ("n", 1)


def test_freezing_twice_loses_nothing(stage) -> None:
    s = stage()
    ws = s.open()
    ws.freeze()
    ws.send(text("n", 1))
    ws.freeze()
    ws.thaw()
    assert s.recorder.wait_for("message").payload == 1
    ws.thaw()  # it is alive already


@pytest.mark.parametrize("tcp", [False, True], ids=["over a socketpair", "over TCP"])
def test_a_line_can_be_short(stage, tcp: bool) -> None:
    """So that a test need not send megabytes to see a server wait."""
    s = stage(send_buffer=10_000, send_buffer_bytes=1 << 28)
    ws = s.open(buffer=4096, tcp=tcp)
    s.recorder.wait_for("connect")
    sent = 0
    while not s.hub.stats().held:
        s.say("u1", "x" * 10_000)
        sent += 1
        assert sent < 100
    for _ in range(sent):
        assert read(ws) == ("n", "x" * 10_000)


# -- logins ------------------------------------------------------------------------------------


@pytest.fixture
def shop() -> Iterator[flask.Flask]:
    """An application with a login in its session, whose WebSocket counts its visits there."""
    app = flask.Flask("shop")
    app.secret_key = "for tests"
    hub = Hub()

    @app.post("/login")
    def login() -> str:
        flask.session["user"] = flask.request.form["user"]
        return ""

    @app.get("/ws", websocket=True)
    def ws() -> object:
        user = flask.session.get("user") or flask.abort(401)
        flask.session["visits"] = flask.session.get("visits", 0) + 1
        return hub.upgrade(flask.request, "lobby", user)

    @app.get("/visits")
    def visits() -> str:
        return str(flask.session.get("visits"))

    app.extensions |= {"hub": hub, "cookies": [], "origins": []}

    @app.before_request
    def look() -> None:
        if flask.request.path == "/ws":
            app.extensions["cookies"].append(sorted(flask.request.cookies))
            app.extensions["origins"].append(flask.request.headers.get("Origin"))

    yield app
    assert hub.close(PATIENCE).complete


def test_a_flask_test_client_that_has_logged_in_can_connect(shop: flask.Flask) -> None:
    """Its session cookie is sent, and it gets the one that the 101 sets."""
    browser = shop.test_client()
    with pytest.raises(UpgradeRefused) as refused:
        connect(shop, "/ws", cookies=browser)
    assert refused.value.status == 401

    browser.post("/login", data={"user": "ada"})
    ws = connect(shop, "/ws", cookies=browser)
    shop.extensions["hub"].send("ada", Message("n", 1))
    assert read(ws) == ("n", 1)
    assert browser.get("/visits").text == "1"

    ws.drop()
    ws = ws.resume()
    assert browser.get("/visits").text == "2"
    ws.close()


def test_cookies_go_where_they_belong(shop: flask.Flask) -> None:
    """As in a browser: those of another path stay at home."""
    browser = shop.test_client()
    browser.post("/login", data={"user": "ada"})
    browser.set_cookie("narrow", "1", path="/elsewhere")
    browser.set_cookie("wide", "2")
    connect(shop, "/ws", cookies=browser).close()
    assert shop.extensions["cookies"] == [["session", "wide"]]


def test_there_is_no_origin_unless_one_is_given(shop: flask.Flask) -> None:
    """Like a program, and unlike a page: so no test is refused for it by accident."""
    browser = shop.test_client()
    browser.post("/login", data={"user": "ada"})
    connect(shop, "/ws", cookies=browser).close()
    connect(shop, "/ws", cookies=browser, headers={"Origin": "http://localhost"}).close()
    assert shop.extensions["origins"] == [None, "http://localhost"]
