"""A kick waits for no callback (C8), and wait_closed for the last one (C9)."""

from __future__ import annotations

import pytest

from resumehub import Connection, ConnectionNotFound
from resumehub.testing import UpgradeRefused
from tests.contract.peers import reach, running
from tests.support import PATIENCE, text

HOOKS = ("on_connect", "on_message", "on_transport_drop", "on_transport_restore", "on_disconnect")


@pytest.mark.contract("C8")
def test_a_kick_has_happened_when_it_returns(stage) -> None:
    """The session has left the tables, and a second kick finds nobody."""
    s = stage()
    ws = s.open()
    connection = s.hub.get("u1")

    s.hub.kick("u1")

    assert connection.closed
    assert s.hub.get("u1") is None
    assert s.hub.connections("lobby") == []
    assert s.hub.rooms() == []
    with pytest.raises(ConnectionNotFound):
        s.hub.kick("u1")
    assert ws.receive_close() == (1000, "kicked")


@pytest.mark.contract("C8")
def test_a_suspended_session_can_be_kicked(stage) -> None:
    """A kick goes past the grace window."""
    s = stage()
    ws = s.open()
    connection = s.drop(ws)

    s.hub.kick("u1")

    assert connection.closed
    with pytest.raises(UpgradeRefused) as refused:
        s.resume(ws)
    assert refused.value.status == 410
    s.recorder.wait_for("disconnect")
    assert s.recorder.hooks() == ["connect", "drop", "disconnect"]


@pytest.mark.contract("C8")
@pytest.mark.parametrize("hook", HOOKS)
def test_a_kick_does_not_wait_for_a_callback_that_is_stuck(stage, gate, hook) -> None:
    """Neither does the kicked peer: it gets its close frame, and its id is free by then."""
    s = stage(on_duplicate="reject")
    getattr(s.hub, hook)(lambda connection, *detail: gate.hold() if connection.id == "u1" else None)
    reach(s, hook)
    gate.wait_reached()

    if hook == "on_disconnect":
        s.open()  # the next session of that id, whose on_connect waits
    s.hub.kick("u1")

    if hook != "on_transport_drop":
        assert s.clients[-1].receive_close() == (1000, "kicked")
    assert s.open() is not None, "the id is free: on_duplicate='reject' does not refuse it"
    assert s.recorder.hooks("u1").count("disconnect") == (hook == "on_disconnect")
    gate.open()
    s.recorder.wait_for("disconnect")


@pytest.mark.contract("C8")
@pytest.mark.parametrize("hook", HOOKS[:-1])
def test_a_callback_may_kick_its_own_session(stage, hook) -> None:
    """The kick returns at once; on_disconnect comes when the callback has returned."""
    s = stage()
    done: list[str] = []

    def kick(connection: Connection, *detail: object) -> None:
        s.hub.kick(connection.id)
        done.append("kicked")
        assert connection.closed
        assert s.hub.get(connection.id) is None

    getattr(s.hub, hook)(kick)
    s.hub.on_disconnect(lambda connection, error: done.append("disconnected"))

    reach(s, hook)

    assert s.recorder.wait_for("disconnect") is None
    assert s.recorder.connections[0].wait_closed(PATIENCE)
    assert done == ["kicked", "disconnected"]


@pytest.mark.contract("C8")
def test_the_id_is_free_when_the_peer_sees_the_close_frame(stage) -> None:
    """Kick and displacement, again and again, with refusal of duplicates where it would show."""
    s = stage(on_duplicate="reject", max_sessions=1)
    for _ in range(50):
        ws = s.open()
        with running(lambda: s.hub.kick("u1")):
            assert ws.receive_close() == (1000, "kicked")
            s.open()
        s.hub.kick("u1")


@pytest.mark.contract("C8")
def test_kicks_of_many_threads_end_a_session_once(stage) -> None:
    """One of them wins; the others are told that there is nobody."""
    s = stage()
    s.open()
    connection = s.hub.get("u1")
    outcomes: list[str] = []

    def kick() -> None:
        try:
            s.hub.kick("u1")
            outcomes.append("kicked")
        except ConnectionNotFound:
            outcomes.append("not found")

    with running(*[kick] * 20):
        pass

    assert sorted(outcomes) == ["kicked"] + ["not found"] * 19
    assert connection.wait_closed(PATIENCE)
    assert s.recorder.hooks() == ["connect", "disconnect"]


# -- wait_closed ------------------------------------------------------------------------------------


@pytest.mark.contract("C9")
def test_wait_closed_is_true_after_on_disconnect_has_returned(stage, gate) -> None:
    """And not when the session has ended: its clean-up may still be running."""
    s = stage()
    cleaned: list[str] = []

    @s.hub.on_disconnect
    def clean_up(connection: Connection, error: object) -> None:
        gate.hold()
        cleaned.append(connection.id)

    s.open()
    connection = s.hub.get("u1")
    assert connection.wait_closed(0) is False
    s.hub.kick("u1")
    gate.wait_reached()
    assert connection.closed
    assert connection.wait_closed(0) is False

    gate.open()

    assert connection.wait_closed(PATIENCE) is True
    assert cleaned == ["u1"]
    assert connection.wait_closed(0) is True
    assert connection.wait_closed() is True


@pytest.mark.contract("C9")
def test_many_may_wait_for_the_same_end(stage) -> None:
    """From other threads and from other sessions' handlers."""
    s = stage()
    s.hub.on_message(lambda connection, message: s.recorder.note("saw it", "u2", one.wait_closed(PATIENCE)))
    s.open("u1")
    one = s.hub.get("u1")
    s.open("u2").send(text("wait"))

    with running(*[lambda: one.wait_closed(PATIENCE)] * 5):
        s.recorder.wait_for("message", "u2")
        s.hub.kick("u1")

    assert s.recorder.wait_for("saw it") is True
