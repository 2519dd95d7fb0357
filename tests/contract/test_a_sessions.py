"""The lower rows of table A, and the hub's own table: what a request means for a session, there or not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resumehub import DuplicateConnectionId, Message
from tests.contract.hub_servers import HubServer
from tests.contract.raw_client import PLAIN
from tests.support import text

# -- 410 --------------------------------------------------------------------------------------


@pytest.mark.contract("A.410", "A1")
def test_a_resume_of_a_session_that_never_was_is_gone(hub_server: Callable[..., HubServer]) -> None:
    """The client is told plainly that its session is gone, instead of being given a new one in silence."""
    empty = hub_server()

    reply = empty.ask("room=lobby&id=u1&resume=true")

    assert reply.status == 410
    assert "gone" in reply.problem()["detail"]
    assert empty.hub.get("u1") is None
    assert empty.metrics.resumes() == [("", "u1", False)]


@pytest.mark.contract("A.410")
@pytest.mark.parametrize("ending", ["expired", "left", "kicked", "closed"])
def test_a_resume_of_a_session_that_has_ended_is_gone(
    hub_server: Callable[..., HubServer], ending: str
) -> None:
    """However a session ended, nobody comes back to it."""
    over = hub_server(resume_window=30)
    ws = over.open("u1")
    connection = over.hub.get("u1")
    match ending:
        case "expired":
            over.drop(ws)
            over.clock.advance(30)
        case "left":
            ws.leave()
        case "kicked":
            over.hub.kick("u1")
        case "closed":
            connection.close()
    assert connection.closed

    assert over.ask("id=u1&resume=true").status == 410
    assert over.metrics.resumes() == [("", "u1", False)]


@pytest.mark.contract("A.410")
def test_the_last_moment_of_the_grace_window_still_counts(hub_server: Callable[..., HubServer]) -> None:
    """A resume just before the window ends is in time, and the one at its end is not."""
    punctual = hub_server(resume_window=30)
    ws = punctual.open("u1")
    punctual.drop(ws)
    punctual.clock.advance(29.999)
    again = punctual.open("u1", "resume=true")
    punctual.drop(again, count=2)

    punctual.clock.advance(30)

    assert punctual.ask("id=u1&resume=true").status == 410
    assert punctual.metrics.resumes() == [("lobby", "u1", True), ("", "u1", False)]


@pytest.mark.contract("A.410")
def test_without_a_resume_window_every_resume_is_gone(hub_server: Callable[..., HubServer]) -> None:
    """resume_window=0 switches resumption off: for connected sessions, too."""
    strict = hub_server(resume_window=0)
    ws = strict.open("u1")

    assert strict.ask("id=u1&resume=true").status == 410

    assert strict.metrics.resumes() == [("", "u1", False)]
    strict.hub.send("u1", Message("still here"))
    assert ws.read() == ("still here", None)


@pytest.mark.contract("A.410")
@pytest.mark.parametrize(
    "query",
    [
        "resume=1",
        "resume=True",
        "resume=TRUE",
        "resume=",
    ],
)
def test_only_resume_true_is_resume_intent(hub_server: Callable[..., HubServer], query: str) -> None:
    """Anything else connects: nothing that is only similar may end in a 410."""
    lenient = hub_server()

    lenient.open("u1", query)

    assert lenient.hub.get("u1") is not None
    assert lenient.metrics.resumes() == []


# -- A4: generated ids ------------------------------------------------------------------------


@pytest.mark.contract("A4")
def test_resume_without_an_id_opens_a_new_session(hub_server: Callable[..., HubServer]) -> None:
    """A client that always says resume=true and is anonymous gets its session, and counts no resume."""
    anonymous = hub_server()

    anonymous.knock("room=lobby&resume=true").websocket()

    assert len(anonymous.hub.connections("lobby")) == 1
    assert anonymous.metrics.resumes() == []


@pytest.fixture(params=["replace", "reject"])
def curious(request: pytest.FixtureRequest, hub_server: Callable[..., HubServer]) -> HubServer:
    """A server that takes ids from its clients, with one connected client that gave none."""
    server = hub_server(on_duplicate=request.param)
    server.knock("room=lobby").websocket()
    server.recorder.wait_for("connect")
    return server


@pytest.mark.contract("A4", "A.410")
def test_a_generated_id_that_comes_back_with_intent_is_no_proof(curious: HubServer) -> None:
    """A client that reads a generated id off the screen cannot take the session over with it."""
    [victim] = curious.hub.connections("lobby")

    assert curious.ask(f"room=lobby&id={victim.id}&resume=true").status == 410

    assert curious.metrics.resumes() == [("", victim.id, False)]
    assert curious.hub.get(victim.id) is victim
    assert not victim.suspended


@pytest.mark.contract("A4", "A.409")
def test_a_generated_id_that_comes_back_without_intent_is_no_proof_either(curious: HubServer) -> None:
    """Whatever on_duplicate says."""
    [victim] = curious.hub.connections("lobby")

    assert curious.ask(f"room=lobby&id={victim.id}").status == 409

    assert curious.hub.get(victim.id) is victim
    assert curious.recorder.hooks() == ["connect"]


@pytest.mark.contract("A4", "A3")
def test_a_generated_id_does_not_pass_the_preflight(curious: HubServer) -> None:
    """The preflight does not promise what the resume will not hold."""
    [victim] = curious.hub.connections("lobby")

    assert curious.ask(f"id={victim.id}&resume=true", PLAIN).status == 426


@pytest.mark.contract("A4")
def test_a_session_with_a_generated_id_ends_at_its_drop(hub_server: Callable[..., HubServer]) -> None:
    """No client could come back to it; and its id is a string like any other then."""
    server = hub_server()
    ws = server.knock("room=lobby").websocket()
    [gone] = server.hub.connections("lobby")

    ws.drop()

    server.recorder.wait_for("disconnect", gone.id)
    assert server.recorder.hooks(gone.id) == ["connect", "disconnect"]
    server.open(gone.id)
    server.recorder.wait_for("connect", gone.id, 2)


# -- 409 and 503 ------------------------------------------------------------------------------


@pytest.mark.contract("A.409", "A1")
def test_an_id_in_use_is_refused_where_the_application_says_so(hub_server: Callable[..., HubServer]) -> None:
    """on_duplicate="reject": the second tab is told, and the first notices nothing."""
    exclusive = hub_server(on_duplicate="reject")
    first = exclusive.open("u1")

    reply = exclusive.ask("id=u1")

    assert reply.status == 409
    assert reply.problem()["title"] == "Conflict"
    exclusive.hub.send("u1", Message("only you"))
    assert first.read() == ("only you", None)
    assert exclusive.recorder.hooks() == ["connect"]


@pytest.mark.contract("A.409", "A.register-resume", "A.register-takeover")
def test_reject_is_about_duplicates_and_not_about_coming_back(hub_server: Callable[..., HubServer]) -> None:
    """With on_duplicate="reject" a client still resumes: with intent, and without if it was away."""
    exclusive = hub_server(on_duplicate="reject")
    exclusive.open("u1")

    taken_over = exclusive.open("u1", "resume=true")
    exclusive.recorder.wait_for("restore", "u1")
    exclusive.drop(taken_over, count=2)
    exclusive.open("u1")

    exclusive.recorder.wait_for("restore", "u1", 2)
    assert exclusive.metrics.resumes() == [("lobby", "u1", True)] * 2


@pytest.mark.contract("A.503-max", "A1")
def test_a_full_hub_asks_to_come_back_later(hub_server: Callable[..., HubServer]) -> None:
    """max_sessions protects the process; suspended sessions count, and whoever leaves makes room."""
    full = hub_server(max_sessions=2, on_full="refuse")
    full.drop(full.open("u1"))
    second = full.open("u2")

    reply = full.ask("id=u3")

    assert reply.status == 503
    assert int(reply.header("Retry-After") or 0) > 0
    assert reply.problem()["title"] == "Service Unavailable"
    second.leave()
    full.open("u3")


@pytest.mark.contract("A.503-max", "A.register-resume", "A.register-takeover", "A.register-displaced")
def test_a_full_hub_still_takes_back_its_own(hub_server: Callable[..., HubServer]) -> None:
    """Resuming, taking over and displacing make no new session, so the limit does not hold them up."""
    full = hub_server(max_sessions=1)
    full.drop(full.open("u1"))

    full.open("u1", "resume=true")
    full.open("u1", "resume=true")
    full.open("u1")

    assert full.hub.rooms() == ["lobby"]
    assert [call[0] for call in full.metrics.calls].count("connection_opened") == 2


# -- the table of the hub ---------------------------------------------------------------------


@pytest.mark.contract("A.register-resume")
@pytest.mark.parametrize("query", ["resume=true", ""], ids=["with intent", "without intent"])
def test_a_suspended_session_is_resumed(hub_server: Callable[..., HubServer], query: str) -> None:
    """The user is back: the same session goes on, the deadline is cancelled, what was sent is delivered."""
    back = hub_server(resume_window=30, ping_interval=None)
    back.drop(back.open("u1"))
    connection = back.hub.get("u1")
    back.hub.send("u1", Message("while you were away"))
    back.clock.advance(29)

    ws = back.open("u1", query)

    assert ws.read() == ("while you were away", None)
    back.recorder.wait_for("restore", "u1")
    assert back.metrics.resumes() == [("lobby", "u1", True)]
    back.clock.advance(1000)
    assert back.hub.get("u1") is connection
    assert back.recorder.hooks() == ["connect", "drop", "restore"]


@pytest.mark.contract("A.register-resume")
def test_a_resume_stays_in_its_room(hub_server: Callable[..., HubServer]) -> None:
    """The room is the session's for life, whatever a resume asks for."""
    back = hub_server()
    back.drop(back.open("u1"))

    back.knock("room=another&id=u1&resume=true").websocket()

    assert back.hub.get("u1").room_id == "lobby"
    assert back.hub.rooms() == ["lobby"]
    assert back.metrics.resumes() == [("lobby", "u1", True)]


@pytest.mark.contract("A.register-takeover")
def test_a_half_open_transport_is_taken_over(hub_server: Callable[..., HubServer]) -> None:
    """A client whose network died comes back before the server has noticed, and its session goes on."""
    half_open = hub_server()
    old = half_open.open("u1")
    connection = half_open.hub.get("u1")

    new = half_open.open("u1", "resume=true")

    assert old.closed() == (4101, "superseded")
    assert half_open.recorder.wait_for("drop", "u1") is None
    half_open.recorder.wait_for("restore", "u1")
    assert half_open.metrics.resumes() == [("lobby", "u1", True)]
    assert ("transport_superseded", "lobby", "u1") in half_open.metrics.calls
    half_open.hub.send("u1", Message("to the new one"))
    assert new.read() == ("to the new one", None)
    assert half_open.hub.get("u1") is connection


@pytest.mark.contract("A.register-takeover")
@pytest.mark.parametrize("last_words", ["a message", "a leave", "nothing"])
def test_what_comes_late_from_a_superseded_transport_is_ignored(
    hub_server: Callable[..., HubServer], last_words: str
) -> None:
    """The old socket's messages, its good-bye and its end decide nothing about the session any more."""
    half_open = hub_server()
    old = half_open.open("u1")
    new = half_open.open("u1", "resume=true")
    assert old.closed() == (4101, "superseded")

    if last_words == "a message":
        old.send(text("too late"))
    if last_words != "nothing":
        old.leave()
    else:
        old.drop()

    new.send(text("in time"))
    assert half_open.recorder.wait_for("message", "u1").event == "in time"
    assert half_open.recorder.hooks() == ["connect", "drop", "restore", "message"]
    assert not half_open.hub.get("u1").suspended


@pytest.mark.contract("A.register-displaced")
def test_a_connected_session_is_displaced_by_a_new_connect(hub_server: Callable[..., HubServer]) -> None:
    """Without resume intent the id belongs to the newest: the old session ends before the new begins."""
    twice = hub_server()
    old = twice.open("u1")
    first = twice.hub.get("u1")

    new = twice.open("u1")

    assert old.closed() == (1000, "duplicate connection id")
    assert isinstance(twice.recorder.wait_for("disconnect", "u1"), DuplicateConnectionId)
    twice.recorder.wait_for("connect", "u1", 2)
    assert twice.recorder.hooks() == ["connect", "disconnect", "connect"]
    assert first.closed
    twice.hub.send("u1", Message("to the new one"))
    assert new.read() == ("to the new one", None)
    assert twice.metrics.resumes() == []
