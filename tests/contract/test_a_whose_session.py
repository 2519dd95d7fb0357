"""A4b: whose session it is. Neither its id nor its token opens it to another user, or from another room."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import flask
import pytest
from werkzeug import Request, Response

from resumehub import Admission, Message
from resumehub.testing import UpgradeRefused, WebSocketClient, connect
from tests.contract.hub_servers import HandshakeMetrics
from tests.contract.peers import heard_all
from tests.contract.v1_client import Speaker, dial, offer, preflight, refused
from tests.support import PATIENCE, Stage, read, with_users

ADA = "&user=ada"
OTHERS = {"another user": "&user=bob", "no user": "", "the same in capitals": "&user=ADA"}


@pytest.fixture
def s(stage: Callable[..., Stage]) -> Stage:
    return stage(with_users, metrics=HandshakeMetrics())


@pytest.fixture(params=["connected", "suspended"])
def state(request: pytest.FixtureRequest) -> str:
    return request.param


def plain(s: Stage, state: str, query: str = ADA) -> WebSocketClient:
    """A plain session of u1, in the attic, in that state."""
    ws = s.open(room="attic", query=query)
    s.recorder.wait_for("connect")
    if state == "suspended":
        s.drop(ws)
        s.say("u1", "kept")
    return ws


def untouched(s: Stage, ws: WebSocketClient, state: str) -> None:
    """The session is as it was, and its own user goes on in it."""
    connection = s.hub.get("u1")
    assert (connection.user, connection.suspended) == ("ada", state == "suspended")
    assert s.recorder.hooks() == ["connect", *(["drop"] if state == "suspended" else [])]
    if state == "suspended":
        ws = s.open(query=f"&resume=true{ADA}")
    else:
        s.say("u1", "kept")
    assert read(ws) == ("n", "kept")
    assert s.hub.get("u1") is connection


@pytest.mark.contract("A4b", "A.403-user")
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("intent", ["", "&resume=true", "&resume=true&received=99"], ids=repr)
@pytest.mark.parametrize("on_duplicate", ["replace", "reject"])
def test_another_user_gets_nothing_by_the_id(
    stage: Callable[..., Stage], state: str, other: str, intent: str, on_duplicate: str
) -> None:
    """Neither with resume intent nor without; and the session is neither displaced nor does it end."""
    s = stage(with_users, metrics=HandshakeMetrics(), on_duplicate=on_duplicate)
    ws = plain(s, state)

    with pytest.raises(UpgradeRefused) as refusal:
        s.open(query=intent + other)

    assert refusal.value.status == 403
    assert refusal.value.header("Content-Type") == "application/problem+json"
    assert not {b"ada", b"bob", b"attic", b"u1"} & set(refusal.value.body.split(b'"'))
    assert s.metrics.resumes() == [("attic", "u1", False)]
    untouched(s, ws, state)


@pytest.mark.contract("A4b", "A2")
@pytest.mark.parametrize("intent", ["", "&resume=true"], ids=repr)
def test_a_page_of_another_user_sees_4403(s: Stage, state: str, intent: str) -> None:
    ws = plain(s, state)
    page = s.open(query=f"{intent}&user=bob&reject=close")
    assert page.receive_close(PATIENCE) == (4403, "forbidden")
    untouched(s, ws, state)


@pytest.mark.contract("A4b", "A3")
def test_the_preflight_of_another_user_is_403_and_counts_nothing(s: Stage, state: str) -> None:
    """It is the same whatever else is asked: 403 tells not how far the session is."""
    ws = plain(s, state)
    for more in ("", "&received=99", "&instance=mine", "&attempt=0"):
        assert preflight(s, f"&resume=true&user=bob{more}") == 403
    assert preflight(s, f"&resume=true{ADA}") == 204
    assert s.metrics.resumes() == []
    untouched(s, ws, state)


@pytest.mark.contract("A4b")
def test_a_session_without_a_user_is_for_whoever_has_its_id(s: Stage, state: str) -> None:
    """As ever: the application has not said whose it is. It does not become the user's who resumes it."""
    plain(s, state, query="")
    s.open(query="&resume=true&user=bob")
    assert s.hub.get("u1").user is None
    s.open(query="&resume=true&user=carol")
    assert s.metrics.resumes() == [("attic", "u1", True)] * 2


@pytest.mark.contract("A4b")
def test_the_same_user_from_another_room_resumes_by_the_id(s: Stage, state: str) -> None:
    """An id is the application's: it finds its session from any URL, and the session stays in its room."""
    plain(s, state)
    s.open(room="cellar", query=f"&resume=true{ADA}")
    assert s.hub.get("u1").room_id == "attic"


@pytest.mark.contract("A4b")
def test_the_user_stays_for_life_and_a_handler_can_read_it(s: Stage) -> None:
    seen: list[str | None] = []
    s.hub.on_disconnect(lambda connection, error: seen.append(connection.user))
    ws = plain(s, "suspended")
    connection = s.hub.get("u1")
    ws = s.resume(ws)
    assert connection.user == "ada"
    connection.close()
    assert connection.wait_closed(PATIENCE)
    assert (connection.user, seen) == ("ada", ["ada"])


@pytest.mark.contract("A4b", "A4")
@pytest.mark.parametrize(("intent", "status"), [("", 409), ("&resume=true", 410)])
def test_a_generated_id_is_refused_to_all_users_alike(s: Stage, intent: str, status: int) -> None:
    """A stranger cannot ask by it whether somebody is logged in."""
    s.open("", query=ADA)
    [connection] = s.hub.connections("lobby")
    for user in (ADA, "&user=bob", ""):
        assert refused(lambda user=user: s.open(connection.id, query=intent + user)) == status


# -- by token ---------------------------------------------------------------------------------


def again(s: Stage, token: str, query: str, id: str = "u1") -> WebSocketClient:
    return s.open(id, query=f"&resume=true&received=0{query}", subprotocols=offer(token))


def of_ada(s: Stage, state: str, connection_id: str = "u1") -> Speaker:
    peer = dial(s, connection_id, query=ADA)
    if state == "suspended":
        peer.drop(peer.hello["connection_id"])
    return peer


@pytest.mark.contract("A4b", "A.403-user", "D3")
@pytest.mark.parametrize("connection_id", ["u1", ""], ids=["id of the application", "generated id"])
@pytest.mark.parametrize(
    "other",
    [*OTHERS.values(), f"{ADA}&room=cellar", "&user=bob&room=cellar"],
    ids=[*OTHERS, "another room", "both"],
)
def test_a_token_is_for_its_user_and_its_room(s: Stage, state: str, other: str, connection_id: str) -> None:
    """A token that leaked into another login, or a page that took it along to another room's URL."""
    peer = of_ada(s, state, connection_id)
    who = peer.hello["connection_id"]
    hooks = s.recorder.hooks(who)
    room = "lobby" if "room" not in other else "cellar"
    query = f"&resume=true&received=0{other}"

    def dials(more: str = "") -> WebSocketClient:
        # ``room`` comes once: werkzeug would take the first of two.
        return s.open(
            connection_id, room, query.replace("&room=cellar", "") + more, subprotocols=offer(peer.token)
        )

    assert refused(dials) == 403
    assert s.metrics.resumes() == [("lobby", who, False)]
    assert dials("&reject=close").receive_close(PATIENCE) == (4403, "forbidden")
    assert s.recorder.hooks(who) == hooks
    assert again(s, peer.token, ADA, connection_id), "its own user goes on with that very token"


@pytest.mark.contract("A4b", "E1")
def test_a_token_is_for_every_room_that_the_session_has_joined(s: Stage, state: str) -> None:
    """The page of a room that it is in may go on; once it has left the room, no more."""
    peer = of_ada(s, state)
    connection = s.hub.get("u1")
    connection.join("cellar")

    def dials() -> WebSocketClient:
        return s.open("u1", "cellar", f"&resume=true&received=0{ADA}", subprotocols=offer(peer.token))

    assert dials()
    connection.leave("cellar")
    assert refused(dials) == 403
    assert connection.rooms == ("lobby",)


@pytest.mark.contract("A4b", "A3")
def test_the_preflight_of_a_token_tells_another_user_403_and_a_stranger_nothing(s: Stage, state: str) -> None:
    """Who lacks the token hears 410, as if there were no session, whatever user it is."""
    peer = of_ada(s, state)
    right, wrong = offer(peer.token), offer("A" * 16 + "." + "B" * 32)
    query = "&resume=true&received=0"
    assert preflight(s, f"{query}{ADA}", right) == 204
    assert preflight(s, f"{query}&user=bob", right) == 403
    assert preflight(s, f"{query}&user=bob", wrong) == 410
    assert preflight(s, f"{query}{ADA}", wrong) == 410
    assert s.metrics.resumes() == []


@pytest.mark.contract("A4b", "A7")
def test_a_v1_session_is_not_displaced_by_another_user(s: Stage, state: str) -> None:
    """Without intent its own user would displace it."""
    peer = of_ada(s, state)
    for protocols in ([], offer(), offer(peer.token)):
        assert refused(lambda p=protocols: s.open(query="&user=bob", subprotocols=p)) == 403
    assert again(s, peer.token, ADA)


# -- the hub decides again ----------------------------------------------------------------------


def late(s: Stage, query: str, meanwhile: Callable[[], object]) -> WebSocketClient:
    """A dial during which ``meanwhile`` happens: the check is over, and the socket not handed over."""

    def view(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        wanted = with_users(Request(environ))
        response = s.hub.upgrade(environ, wanted.room_id, wanted.connection_id, user=wanted.user)
        meanwhile()
        return response(environ, start_response)

    s.clients.append(connect(view, f"/?{query}"))
    return s.clients[-1]


@pytest.mark.contract("A4b", "A5")
def test_an_id_that_another_user_took_during_the_upgrade_is_4403(s: Stage, state: str) -> None:
    """The check saw a free id. The hub sees whose it is by now, and displaces nobody."""
    own: list[WebSocketClient] = []

    ws = late(s, "id=u1&user=bob", lambda: own.append(plain(s, state)))

    assert ws.receive_close(PATIENCE) == (4403, "forbidden")
    assert s.metrics.resumes() == [("attic", "u1", False)]
    untouched(s, own[0], state)


@pytest.mark.contract("A4b")
def test_a_view_gives_the_user_of_its_login(stage: Callable[..., Stage]) -> None:
    """The session cookie says who it is: a token is of no use under another login's cookie."""
    s = stage()
    app = flask.Flask("shop")
    app.secret_key = "for tests"

    @app.get("/login/<user>")
    def login(user: str) -> str:
        flask.session["user"] = user
        return user

    @app.get("/ws", websocket=True)
    def ws() -> Response:
        return s.hub.upgrade(flask.request, "lobby", user=flask.session["user"])

    def cookie(user: str) -> str:
        return app.test_client().get(f"/login/{user}").headers["Set-Cookie"].partition(";")[0]

    def dials(user: str, query: str = "", token: str | None = None) -> WebSocketClient:
        cookies = {"Cookie": cookie(user)}
        s.clients.append(connect(app, f"/ws{query}", headers=cookies, subprotocols=offer(token)))
        return s.clients[-1]

    ada = Speaker(s, dials("ada"))
    assert s.hub.get(ada.hello["connection_id"]).user == "ada"
    with pytest.raises(UpgradeRefused) as refusal:
        dials("bob", "?resume=true&received=0", ada.token)
    assert refusal.value.status == 403
    s.hub.broadcast("lobby", Message("n", "for ada"))
    heard_all(ada.ws)
    assert ada.take(1) == ["for ada"]


# -- what may be a user -----------------------------------------------------------------------


@pytest.mark.contract("A4b", "A.400-ids")
@pytest.mark.parametrize("user", ["", "x" * 256, "a\nb", "a\x85"], ids=["empty", "long", "a line", "C1"])
def test_a_user_has_the_limits_of_an_id(stage: Callable[..., Stage], user: str) -> None:
    s = stage(lambda request: Admission("lobby", "u1", user=user))
    with pytest.raises(UpgradeRefused) as refusal:
        s.open()
    assert refusal.value.status == 400
    assert b"user" in refusal.value.body


@pytest.mark.contract("A4b", "A.500")
@pytest.mark.parametrize(("user", "name"), [(7, "int"), (b"ada", "bytes"), (True, "bool"), (["ada"], "list")])
def test_a_user_that_is_no_str_is_the_applications_mistake(
    stage: Callable[..., Stage], user: object, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """``get_id()`` of an own user class may return the number of the database: the error says what to do."""
    s = stage(lambda request: Admission("lobby", "u1", user=user))
    assert refused(s.open) == 500
    assert f"user must be a str or None, not {name}" in caplog.text
    with pytest.raises(TypeError, match=f"user must be a str or None, not {name}") as error:
        s.hub.upgrade({}, "lobby", user=user)
    assert ("give str(user)" in str(error.value)) == isinstance(user, int)


@pytest.mark.contract("A4b", "A.500")
def test_a_tuple_of_four_is_not_taken_for_an_admission(
    stage: Callable[..., Stage], caplog: pytest.LogCaptureFixture
) -> None:
    s = stage(lambda request: ("lobby", "u1", None, "ada"))
    assert refused(s.open) == 500
    assert "Admission(room_id, connection_id, data, user), not tuple of 4" in caplog.text


@pytest.mark.contract("B7")
def test_the_data_of_an_admission_is_copied(stage: Callable[..., Stage]) -> None:
    shared = {"seen": 0}
    s = stage(lambda request: Admission("lobby", "u1", shared, "ada"))
    s.open()
    s.recorder.wait_for("connect")
    s.hub.get("u1").data["seen"] += 1
    assert shared == {"seen": 0}
