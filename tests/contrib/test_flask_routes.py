"""``@sockets.route``: a view in the request context says who a client is, or refuses it."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from flask import Blueprint, Flask, abort, g, redirect, request, session, url_for
from werkzeug.exceptions import HTTPException

from resumehub import Admission, ConnectRejected
from resumehub.contrib.flask import ResumeHub
from resumehub.metrics import NoopMetrics
from resumehub.testing import TransportClosed, UpgradeRefused, connect
from tests.contrib.flask_apps import live, lobby, make_app

PLAIN_GET: dict[str, Any] = dict.fromkeys(
    ("Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key")
)


def view_that(returns: Any) -> tuple[Flask, ResumeHub]:
    """An application with one route at /ws, whose view returns this, or raises it."""
    sockets = ResumeHub()
    app = make_app(sockets)

    @sockets.route("/ws")
    def view() -> Any:
        value = returns() if callable(returns) else returns
        if isinstance(value, BaseException):
            raise value
        return value

    return app, sockets


@pytest.mark.parametrize(
    "returns, room, connection_id, data, user",
    [
        pytest.param("lobby", "lobby", None, {}, None, id="a room"),
        pytest.param(("lobby", "ada"), "lobby", "ada", {}, None, id="a room and an id"),
        pytest.param(("lobby", None), "lobby", None, {}, None, id="a room without an id"),
        pytest.param(("lobby", "ada", {"n": 1}), "lobby", "ada", {"n": 1}, None, id="with data"),
        pytest.param(Admission("lobby", user="ada"), "lobby", None, {}, "ada", id="an Admission"),
    ],
)
def test_what_a_view_returns_lets_a_client_in(
    returns: Any, room: str, connection_id: str | None, data: Any, user: str | None
) -> None:
    app, sockets = view_that(returns)
    with live(app), live(app).connect("/ws") as client:
        (connection,) = live(app).hub.connections(room)
        assert connection.id == client.id
        assert connection_id in (None, connection.id)
        assert connection.id_is_generated == (connection_id is None)
        assert (connection.data, connection.user) == (data, user)


@pytest.mark.contract("A.401")
@pytest.mark.parametrize(
    "returns, status",
    [
        pytest.param(lambda: abort(403), 403, id="abort"),
        pytest.param(lambda: flask.make_response("full", 503), 503, id="a Response"),
        pytest.param(lambda: redirect("/login"), 302, id="a redirect to the login"),
        pytest.param(ConnectRejected("secret"), 401, id="ConnectRejected"),
        pytest.param(PermissionError("secret"), 401, id="PermissionError"),
    ],
)
def test_what_a_view_returns_or_raises_refuses_a_client(returns: Any, status: int) -> None:
    """Texts of exceptions are never sent (contract A.401), and no cache keeps the answer (contract A1)."""
    app, _ = view_that(returns)
    with live(app), pytest.raises(UpgradeRefused) as refused:
        live(app).connect("/ws")
    assert refused.value.status == status
    assert refused.value.header("Cache-Control") == "no-store"
    assert b"secret" not in refused.value.body


def test_a_refusal_is_answered_by_the_error_handler_of_the_application() -> None:
    app, _ = view_that(lambda: abort(403))

    @app.errorhandler(403)
    def page(error: HTTPException) -> tuple[str, int]:
        return "our own page", 403

    with live(app), pytest.raises(UpgradeRefused) as refused:
        live(app).connect("/ws")
    assert (refused.value.status, refused.value.body) == (403, b"our own page")


@pytest.mark.contract("A2", "A5c")
def test_a_refusal_of_the_view_can_be_told_by_a_close_frame_and_is_counted() -> None:
    """With ``reject=close`` a page sees 4403; and either way the metrics count a refused upgrade."""
    counted: list[tuple[int, str]] = []

    class Refusals(NoopMetrics):
        def upgrade_refused(self, status: int, reason: str) -> None:
            counted.append((status, reason))

    sockets = ResumeHub(metrics=Refusals(), refusal_delay=0.0)
    app = make_app(sockets)
    sockets.route("/ws", endpoint="ws")(lambda: abort(403))
    with live(app):
        with connect(app, "/ws?reject=close") as client:
            assert client.receive_close() == (4403, "forbidden")
        with pytest.raises(UpgradeRefused, match="403"):
            connect(app, "/ws")
    assert counted == [(403, "application")] * 2


@pytest.mark.contract("A.403")
def test_the_view_does_not_run_for_a_foreign_origin() -> None:
    ran: list[str] = []
    app, _ = view_that(lambda: ran.append("view") or "lobby")
    with live(app), pytest.raises(UpgradeRefused, match="403"):
        live(app).connect("/ws", headers={"Origin": "https://elsewhere.example"})
    assert ran == []


@pytest.mark.contract("A.500")
@pytest.mark.parametrize(
    "returns, said",
    [
        pytest.param(None, "must return a room_id, .* not NoneType", id="None"),
        pytest.param(42, "not int", id="a number"),
        pytest.param(("not here", 404), r"connection_id must be a str .* abort\(403\)", id="text and status"),
        pytest.param(("a", "b", "c", "d"), "not tuple of 4", id="too much"),
        pytest.param(Admission, "not type", id="a class"),
        pytest.param({"room": "lobby"}, "not dict", id="a dict"),
    ],
)
def test_a_wrong_return_is_an_error_that_names_the_view(returns: Any, said: str) -> None:
    """Under TESTING it comes out of the application; otherwise it is a 500 without a word of it."""
    sockets = ResumeHub()
    app = make_app(sockets)

    @sockets.route("/ws")
    def view() -> Any:
        return returns

    with live(app):
        with pytest.raises(TypeError, match=rf"the WebSocket view .*view.*{said}"):
            live(app).connect("/ws")
        app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
        with pytest.raises(UpgradeRefused) as refused:
            live(app).connect("/ws")
    assert refused.value.status == 500
    assert b"view" not in refused.value.body


def test_a_view_need_not_call_upgrade() -> None:
    app, sockets = view_that(lambda: sockets.hub.upgrade(request, "lobby"))
    with live(app), pytest.raises(TypeError, match=r"return the room, not hub\.upgrade"):
        live(app).connect("/ws")


def test_the_request_context_is_that_of_flask() -> None:
    """before_request, session, g and after_request are in play, and the headers are part of the 101."""
    sockets = ResumeHub()
    app = make_app(sockets)

    @app.before_request
    def who() -> None:
        g.who = request.headers.get("X-Who", "nobody")

    @sockets.route("/ws/<room>")
    def join(room: str) -> Any:
        session["visits"] = session.get("visits", 0) + 1
        return Admission(room, f"{g.who}-{session['visits']}", user=g.who)

    @app.after_request
    def stamp(response: flask.Response) -> flask.Response:
        response.headers["X-Stamp"] = "yes"
        return response

    browser = app.test_client()
    with live(app):
        for visit in (1, 2):
            with live(app).connect("/ws/lobby", headers={"X-Who": "ada"}, cookies=browser) as client:
                assert client.id == f"ada-{visit}"
                assert dict(client.ws.headers)["X-Stamp"] == "yes"


def test_a_decorator_around_the_view_may_refuse() -> None:
    """As the one of a login extension does: with a response of its own."""
    sockets = ResumeHub()
    app = make_app(sockets)

    def guarded(view: Any) -> Any:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return view(*args, **kwargs) if "user" in session else redirect("/login")

        wrapper.__name__ = view.__name__
        return wrapper

    @app.get("/login")
    def login() -> str:
        session["user"] = "ada"
        return ""

    @sockets.route("/ws/<room>")
    @guarded
    def join(room: str) -> str:
        return room

    browser = app.test_client()
    with live(app):
        with pytest.raises(UpgradeRefused, match="302"):
            live(app).connect("/ws/lobby", cookies=browser)
        browser.get("/login")
        with live(app).connect("/ws/lobby", cookies=browser):
            assert live(app).hub.count("lobby") == 1


def test_url_for_gives_a_path() -> None:
    """Not ws://…, which would be wrong behind a proxy that ends TLS."""
    sockets = lobby()
    app = make_app(sockets)
    with app.test_request_context(base_url="https://shop.example/app"):
        assert url_for("join", room="tea & cake") == "/app/ws/tea%20&%20cake"


@pytest.mark.contract("A3")
def test_a_route_answers_the_preflight() -> None:
    """A plain GET with ``resume=true``: whether the session can be resumed."""
    sockets = ResumeHub()
    app = make_app(sockets)
    sockets.route("/ws", endpoint="ws")(lambda: ("lobby", "ada"))
    with live(app):
        with pytest.raises(UpgradeRefused, match="410"):
            connect(app, "/ws?resume=true", headers=PLAIN_GET)
        with connect(app, "/ws"), pytest.raises(UpgradeRefused, match="204"):
            connect(app, "/ws?resume=true", headers=PLAIN_GET)


def test_a_route_of_a_blueprint_is_under_its_prefix() -> None:
    """Also under two prefixes, and with the blueprint's own before_request."""
    sockets = ResumeHub()
    bp = Blueprint("chat", __name__)

    @bp.before_request
    def stamp() -> None:
        g.blueprint = request.blueprint

    @sockets.route("/ws/<room>", blueprint=bp)
    def join(room: str) -> Any:
        return room, f"{g.blueprint}:{url_for('.join', room=room)}"

    app = make_app(sockets)
    app.register_blueprint(bp, url_prefix="/chat")
    app.register_blueprint(bp, url_prefix="/talk", name="talk")
    with live(app):
        for name in ("chat", "talk"):
            with live(app).connect(f"/{name}/ws/lobby") as client:
                assert client.id == f"{name}:/{name}/ws/lobby"


def test_a_route_that_is_registered_after_init_app_is_there() -> None:
    sockets = ResumeHub()
    app = make_app(sockets)
    sockets.route("/late", endpoint="late")(lambda: "lobby")
    with live(app), live(app).connect("/late"):
        assert live(app).hub.count("lobby") == 1


@pytest.mark.parametrize(
    "wrong, said",
    [
        pytest.param(lambda s: s.route(len), r'write @sockets\.route\("/ws/<room>"\)', id="no rule"),
        pytest.param(lambda s: s.route("/ws", methods=["POST"]), "takes no methods", id="methods"),
        pytest.param(lambda s: s.route("/ws", websocket=True), "takes no websocket", id="websocket"),
        pytest.param(lambda s: s.route("/ws", blueprint="chat"), "must be a flask.Blueprint", id="blueprint"),
        pytest.param(lambda s: s.route("/ws")(None), "not NoneType", id="no view"),
    ],
)
def test_a_wrong_argument_is_told_at_once(wrong: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        wrong(ResumeHub())


@pytest.mark.contract("E4")
def test_a_view_that_is_async_is_refused_when_it_is_registered() -> None:
    async def view() -> str:
        return "lobby"

    with pytest.raises(TypeError, match="is async or a generator"):
        ResumeHub().route("/ws")(view)


def test_a_client_that_is_refused_behind_the_101_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session may have ended between the check and the hub's decision: the helper does not hide it."""
    app = make_app(lobby())
    with live(app), live(app).connect("/ws/lobby") as client:
        live(app).hub.kick(client.id)
        with pytest.raises(TransportClosed, match="kicked"):
            client.receive()
