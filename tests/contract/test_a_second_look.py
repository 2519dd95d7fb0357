"""A5: between the pre-check and the hub everything may have changed, so the hub decides again.

In each story a response has been made (the pre-check was content), then something happens, and
only then the socket is handed over.
"""

from __future__ import annotations

from collections.abc import Callable

import flask
import pytest
from werkzeug import Response

from resumehub import Message
from tests.contract.hub_servers import HubServer
from tests.contract.raw_client import Client, masked
from tests.support import PATIENCE, Call, text


def late(hub_server: HubServer, meanwhile: Callable[[], object], query: str = "id=u1&resume=true") -> Client:
    """Knock, and let ``meanwhile`` happen when the pre-check is over."""
    hub_server.interrupt(lambda environ: meanwhile())
    return hub_server.knock(f"room=lobby&{query}&late=1").websocket()


def with_session_in_the_attic(wsgi_server: Callable[..., HubServer], **options: object) -> HubServer:
    """A hub where u1 is suspended, in a room that late-comers do not ask for."""
    hub_server = wsgi_server(resume_window=30, **options)
    hub_server.drop(hub_server.knock("room=attic&id=u1").websocket())
    return hub_server


@pytest.mark.contract("A5", "A.410")
def test_a_session_that_expires_during_the_upgrade_is_not_resurrected(
    wsgi_server: Callable[..., HubServer],
) -> None:
    """The client hears 4100 and not silence: no new session takes the old one's place."""
    hub_server = with_session_in_the_attic(wsgi_server)

    ws = late(hub_server, lambda: hub_server.clock.advance(30))

    assert ws.closed() == (4100, "session expired")
    assert hub_server.metrics.resumes() == [("attic", "u1", False)]
    assert hub_server.hub.rooms() == []
    hub_server.recorder.wait_for("disconnect", "u1")
    assert hub_server.recorder.hooks() == ["connect", "drop", "disconnect"]


@pytest.mark.contract("A5", "A.410")
def test_a_slow_view_does_not_resurrect_a_session(wsgi_server: Callable[..., HubServer]) -> None:
    """What a view does after hub.upgrade takes its time, and the session may expire in it."""
    hub_server = with_session_in_the_attic(wsgi_server)
    app = flask.Flask("slow")

    @app.get("/", websocket=True)
    def view() -> Response:
        response = hub_server.hub.upgrade(flask.request, "lobby", "u1")
        hub_server.clock.advance(30)
        return response

    hub_server.app = app

    ws = hub_server.knock("resume=true").websocket()

    assert ws.closed() == (4100, "session expired")
    assert hub_server.metrics.resumes() == [("attic", "u1", False)]


@pytest.mark.contract("A5")
@pytest.mark.parametrize("state", ["connected", "suspended"])
def test_a_session_that_is_kicked_during_the_upgrade_stays_kicked(
    wsgi_server: Callable[..., HubServer], state: str
) -> None:
    """A kick is final for the resume that was on its way, too."""
    hub_server = with_session_in_the_attic(wsgi_server)
    if state == "connected":
        hub_server.open("u1")

    ws = late(hub_server, lambda: hub_server.hub.kick("u1"))

    assert ws.closed() == (4100, "session expired")
    assert hub_server.metrics.resumes()[-1] == ("attic", "u1", False)
    assert hub_server.hub.get("u1") is None


@pytest.mark.contract("A5")
@pytest.mark.parametrize("state", ["connected", "suspended"])
def test_a_resume_never_ends_up_in_somebody_elses_session(
    wsgi_server: Callable[..., HubServer], state: str
) -> None:
    """If another session holds the id by now, it is not disturbed, and the late-comer hears 4100."""
    hub_server = with_session_in_the_attic(wsgi_server)

    def somebody_else_takes_the_id() -> None:
        hub_server.hub.kick("u1")
        other = hub_server.open("u1")
        if state == "suspended":
            hub_server.drop(other, count=2)

    ws = late(hub_server, somebody_else_takes_the_id)

    assert ws.closed() == (4100, "session expired")
    assert hub_server.metrics.resumes() == [("attic", "u1", False)]
    holder = hub_server.hub.get("u1")
    assert (holder.room_id, holder.suspended) == ("lobby", state == "suspended")
    hub_server.recorder.wait_for("connect", "u1", 2)
    assert "restore" not in hub_server.recorder.hooks()


@pytest.mark.contract("A5")
def test_a_late_refusal_does_not_prolong_the_window_of_whoever_holds_the_id(
    wsgi_server: Callable[..., HubServer],
) -> None:
    """The other session's grace window runs as if no request had come."""
    hub_server = with_session_in_the_attic(wsgi_server)

    def somebody_else_takes_the_id() -> None:
        hub_server.hub.kick("u1")
        hub_server.drop(hub_server.open("u1"), count=2)
        hub_server.clock.advance(29)

    late(hub_server, somebody_else_takes_the_id).leave()

    assert hub_server.hub.get("u1").suspended
    hub_server.clock.advance(1)
    assert hub_server.hub.get("u1") is None


@pytest.mark.contract("A5", "A.register-takeover")
def test_of_two_tabs_that_resume_at_once_the_later_takes_over(wsgi_server: Callable[..., HubServer]) -> None:
    """Both were told that their session waits; both get in, one after the other, and none is lost."""
    hub_server = with_session_in_the_attic(wsgi_server)
    tabs: list[Client] = []

    ws = late(hub_server, lambda: tabs.append(hub_server.open("u1", "resume=true")))

    assert tabs[0].closed() == (4101, "superseded")
    hub_server.hub.send("u1", Message("welcome"))
    assert ws.read() == ("welcome", None)
    assert hub_server.metrics.resumes() == [("attic", "u1", True)] * 2


@pytest.mark.contract("A5", "A.register-displaced")
def test_a_connect_that_saw_a_free_id_displaces_who_took_it(wsgi_server: Callable[..., HubServer]) -> None:
    """Without resume intent the last to arrive at the hub has the id."""
    hub_server = wsgi_server()
    others: list[Client] = []

    ws = late(hub_server, lambda: others.append(hub_server.open("u1")), "id=u1")

    assert others[0].closed() == (1000, "duplicate connection id")
    hub_server.hub.send("u1", Message("welcome"))
    assert ws.read() == ("welcome", None)


@pytest.mark.contract("A5", "A.409")
def test_an_id_that_was_taken_during_the_upgrade_is_refused_with_4409(
    wsgi_server: Callable[..., HubServer],
) -> None:
    """on_duplicate="reject" holds, however close the race: the first at the hub stays."""
    hub_server = wsgi_server(on_duplicate="reject")
    others: list[Client] = []

    ws = late(hub_server, lambda: others.append(hub_server.open("u1")), "id=u1")

    assert ws.closed() == (4409, "connection id in use")
    hub_server.hub.send("u1", Message("undisturbed"))
    assert others[0].read() == ("undisturbed", None)
    assert hub_server.recorder.hooks() == ["connect"]


@pytest.mark.contract("A5", "A.409")
def test_a_session_that_was_resumed_during_the_upgrade_is_in_use_again(
    wsgi_server: Callable[..., HubServer],
) -> None:
    """A connect without intent that saw the session away finds it back: 4409 under "reject"."""
    hub_server = with_session_in_the_attic(wsgi_server, on_duplicate="reject")

    ws = late(hub_server, lambda: hub_server.open("u1", "resume=true"), "id=u1")

    assert ws.closed() == (4409, "connection id in use")
    assert not hub_server.hub.get("u1").suspended


@pytest.mark.contract("A5", "A.register-resume")
def test_a_connect_without_intent_gets_a_new_session_if_the_old_one_is_gone(
    wsgi_server: Callable[..., HubServer],
) -> None:
    """Who never asked to resume is not sent away with 4100, and counts no resume attempt."""
    hub_server = with_session_in_the_attic(wsgi_server)

    ws = late(hub_server, lambda: hub_server.clock.advance(30), "id=u1")

    hub_server.hub.send("u1", Message("welcome"))
    assert ws.read() == ("welcome", None)
    assert hub_server.hub.get("u1").room_id == "lobby"
    assert hub_server.metrics.resumes() == []


@pytest.mark.contract("A5", "A.503-max")
def test_the_last_place_can_be_taken_during_the_upgrade(wsgi_server: Callable[..., HubServer]) -> None:
    """max_sessions holds at the hub, where it is counted: 4503 for whoever comes second."""
    hub_server = wsgi_server(max_sessions=1)

    ws = late(hub_server, lambda: hub_server.open("u2"), "id=u1")

    assert ws.closed() == (4503, "try again later (in 5 seconds)")
    assert [connection.id for connection in hub_server.hub.connections("lobby")] == ["u2"]


@pytest.mark.contract("A5", "A.503")
@pytest.mark.parametrize("query", ["id=u1", "id=u2&resume=true"], ids=["connecting", "resuming"])
def test_a_hub_that_begins_to_drain_during_the_upgrade_says_1001(
    wsgi_server: Callable[..., HubServer], query: str
) -> None:
    """A client that was let in too late for this server connects to the next one."""
    hub_server = wsgi_server()
    silent = hub_server.open("u2")
    closing: list[Call] = []

    def shut_down() -> None:
        closing.append(Call(lambda: hub_server.hub.close(PATIENCE)))
        assert silent.closed() == (1001, "server shutting down")  # and not answered: the hub goes on draining

    ws = late(hub_server, shut_down, query)

    assert ws.closed() == (1001, "server shutting down")
    assert hub_server.recorder.hooks("u1") == []
    ws.leave()
    silent.leave()
    assert closing[0].result().complete


@pytest.mark.contract("A5", "C8")
def test_a_socket_that_comes_when_the_hub_has_gone_is_closed(
    wsgi_server: Callable[..., HubServer], at_a_worker: bool
) -> None:
    """Nobody is there to say good-bye, but the client does not hang, and nothing leaks.

    At a worker there is somebody: the worker, which has written nothing yet.
    """
    hub_server = wsgi_server()
    hub_server.open("u2").leave()
    hub_server.interrupt(lambda environ: hub_server.hub.close(PATIENCE))

    wire = hub_server.knock("id=u1&late=1")

    told = wire.sock.recv(65536)
    assert told.startswith(b"HTTP/1.1 503 Service Unavailable\r\n") if at_a_worker else told == b""
    hub_server.server.wait_idle()
    assert hub_server.hub.get("u1") is None


@pytest.mark.contract("A5", "C5")
def test_a_late_refusal_has_a_deadline(wsgi_server: Callable[..., HubServer]) -> None:
    """A client that never answers the close frame is cut off after write_timeout."""
    hub_server = with_session_in_the_attic(wsgi_server, write_timeout=10)
    ws = late(hub_server, lambda: hub_server.hub.kick("u1"))
    assert ws.closed()[0] == 4100
    hub_server.wait_for_threads("writer")

    hub_server.clock.advance(10)

    ws.wait_for_end()


@pytest.mark.contract("A5", "A.101")
def test_what_a_refused_client_sends_reaches_no_handler(wsgi_server: Callable[..., HubServer]) -> None:
    """Messages of a client that has no session are read and forgotten, those in the first segment too."""
    hub_server = with_session_in_the_attic(wsgi_server)
    hub_server.interrupt(lambda environ: hub_server.hub.kick("u1"))

    wire = hub_server.wire().send(hub_server.head("id=u1&resume=true&late=1") + masked(text("hello")) * 3)

    ws = wire.websocket()
    assert ws.closed() == (4100, "session expired")
    ws.send(text("hello?"))
    ws.leave()
    assert "message" not in hub_server.recorder.hooks()
