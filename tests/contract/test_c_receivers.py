"""Who gets a broadcast, and what a sender is told when nobody can (C1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resumehub import Connection, ConnectionClosed, ConnectionNotFound, Hub, HubClosed, Message
from resumehub.testing import WebSocketClient
from tests.contract.peers import Ledger, busy_hub
from tests.support import PATIENCE, Stage, read

ENDS: list[Any] = [
    pytest.param(lambda s, connection, ws: connection.close(), id="it was closed"),
    pytest.param(lambda s, connection, ws: s.hub.kick("u1"), id="it was kicked"),
    pytest.param(lambda s, connection, ws: s.open(), id="it was displaced"),
    pytest.param(lambda s, connection, ws: ws.close(), id="its client left"),
    pytest.param(lambda s, connection, ws: (s.drop(ws), s.clock.advance(30)), id="it expired"),
]


@pytest.mark.contract("C1")
@pytest.mark.parametrize("end", ENDS)
def test_sending_on_a_session_that_has_ended_raises_connection_closed(
    stage, end: Callable[[Stage, Connection, WebSocketClient], object]
) -> None:
    """However it ended; broadcasts pass it over."""
    s = stage()
    ws = s.open()
    connection = s.hub.get("u1")

    end(s, connection, ws)
    s.recorder.wait_for("disconnect")

    with pytest.raises(ConnectionClosed) as closed:
        connection.send(Message("n"))
    assert closed.value.connection_id == "u1"
    assert not isinstance(closed.value, HubClosed)
    s.hub.broadcast("lobby", Message("n"))
    assert connection.closed
    assert connection not in s.hub.connections("lobby")


@pytest.mark.contract("C1")
def test_a_full_outbox_of_a_closed_session_is_closed_and_not_full(stage) -> None:
    """There is nothing to wait for."""
    s = stage(send_buffer=1)
    s.drop(s.open())
    connection = s.hub.get("u1")
    connection.send(Message("n"))
    connection.close()

    with pytest.raises(ConnectionClosed):
        connection.send(Message("n"))
    with pytest.raises(ConnectionNotFound):
        s.hub.send("u1", Message("n"))


@pytest.mark.contract("C1")
@pytest.mark.parametrize("used", [True, False], ids=["that was used", "that was never used"])
def test_after_the_hub_was_closed_everything_says_so(stage, used) -> None:
    """HubClosed is a ConnectionClosed, so that a sender needs one except clause."""
    s = stage()
    connections: list[Connection] = []
    if used:
        s.open().sock.close()
        connections = s.recorder.connections
        s.recorder.wait_for("connect")

    assert s.hub.close(PATIENCE).complete

    hub: Hub = s.hub
    for call in (
        lambda: hub.send("u1", Message("n")),
        lambda: hub.broadcast("lobby", Message("n")),
        lambda: hub.kick("u1"),
    ):
        with pytest.raises(HubClosed):
            call()
    for connection in connections:
        with pytest.raises(ConnectionClosed):
            connection.send(Message("n"))
    assert (hub.connections("lobby"), hub.rooms(), hub.get("u1")) == ([], [], None)


@pytest.mark.contract("C1", "C8")
def test_a_hub_that_is_being_closed_has_no_connections_any_more(stage) -> None:
    """From the moment hub.close has returned, also where it could not wait for the end."""
    s = stage(metrics=Ledger())
    s.open()

    with busy_hub(s):
        assert not s.hub.close(timeout=0).complete

        assert s.hub.connections("lobby") == []
        assert s.hub.rooms() == []
        assert s.hub.get("u1") is None
        with pytest.raises(HubClosed):
            s.hub.send("u1", Message("n"))


@pytest.mark.contract("C1")
@pytest.mark.parametrize("room", ["of which nobody has heard", "that everybody has left"])
def test_a_broadcast_to_an_empty_room_is_no_error(stage, room) -> None:
    """A room exists for as long as somebody is in it, and nobody has to ask."""
    s = stage()
    if room == "that everybody has left":
        s.open(room="den").close()
        s.recorder.wait_for("disconnect")

    s.hub.broadcast("den", Message("n"))

    assert s.hub.connections("den") == []


@pytest.mark.contract("C1")
@pytest.mark.parametrize(
    "exclude",
    [
        pytest.param(lambda u1, u2: ["u1", "u2"], id="ids"),
        pytest.param(lambda u1, u2: [u1, u2], id="connections"),
        pytest.param(lambda u1, u2: (one for one in ("u1", u2)), id="a generator of both"),
        pytest.param(lambda u1, u2: {u1, u2, "nobody"}, id="a set with a stranger"),
    ],
)
def test_a_broadcast_leaves_out_who_is_excluded(stage, exclude) -> None:
    """By id or by connection, in any iterable; an id that is not in the room is no error."""
    s = stage()
    clients = [s.open(f"u{number}") for number in (1, 2, 3)]

    s.hub.broadcast("lobby", Message("secret"), exclude=exclude(s.hub.get("u1"), s.hub.get("u2")))

    s.hub.broadcast("lobby", Message("open"))
    assert [read(ws)[0] for ws in clients] == ["open", "open", "secret"]


@pytest.mark.contract("C1")
@pytest.mark.parametrize("how", ["its id", "itself"])
def test_a_broadcast_may_leave_out_just_one(stage, how) -> None:
    """One id is not taken for an iterable of letters."""
    s = stage()
    u, ux = s.open("u"), s.open("ux")

    s.hub.broadcast("lobby", Message("secret"), exclude="ux" if how == "its id" else s.hub.get("ux"))

    s.hub.broadcast("lobby", Message("open"))
    assert (read(u)[0], read(ux)[0]) == ("secret", "open")
