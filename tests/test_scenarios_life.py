"""A session from connect to disconnect, as an application sees it: who comes, who leaves, who is refused."""

from __future__ import annotations

import threading

import pytest

from resumehub import (
    ConnectionNotFound,
    ConnectRejected,
    DuplicateConnectionId,
    HubClosed,
    Message,
    TransportLost,
)
from resumehub.testing import UpgradeRefused
from tests.support import PATIENCE, Call, read, text


def test_connect_callback_once(stage) -> None:
    """on_connect runs once for a session, before anything else, however much happens afterwards."""
    s = stage()
    ws = s.open("ada", room="tea")

    ws.send(text("hello"))
    s.recorder.wait_for("message", "ada")
    s.drop(ws, "ada")
    s.resume(ws)
    s.recorder.wait_for("restore", "ada")

    [connection] = s.recorder.connections
    assert (connection.id, connection.room_id) == ("ada", "tea")
    assert s.hub.get("ada") is connection
    assert s.recorder.hooks("ada") == ["connect", "message", "drop", "restore"]


def test_clean_close(stage) -> None:
    """A client that closes with 1000 has left: no grace window, no drop, and its id is free."""
    s = stage()
    ws = s.open("ada")

    ws.close(1000, "bye")

    assert s.recorder.wait_for("disconnect", "ada") is None
    assert s.recorder.hooks("ada") == ["connect", "disconnect"]
    assert ws.closed == (1000, "")
    assert s.hub.get("ada") is None
    with pytest.raises(UpgradeRefused) as refused:
        ws.resume()
    assert refused.value.status == 410


def test_abrupt_drop(stage) -> None:
    """A client whose network dies is suspended, not gone: on_disconnect waits for the window."""
    s = stage()
    ws = s.open("ada")
    connection = s.hub.get("ada")

    ws.drop()

    error = s.recorder.wait_for("drop", "ada")
    assert isinstance(error, TransportLost)
    assert error.code == 1006
    assert connection.suspended
    assert not connection.closed
    assert s.hub.get("ada") is connection
    assert s.recorder.hooks("ada") == ["connect", "drop"]


def test_kick_bypasses(stage) -> None:
    """A kick is final: it knows no grace window, for one who is connected and for one who is away."""
    s = stage()
    here, away = s.open("here"), s.open("away")
    s.drop(away, "away")

    s.hub.kick("here")
    s.hub.kick("away")

    assert s.hub.connections("lobby") == []
    assert here.receive_close(PATIENCE) == (1000, "kicked")
    assert s.recorder.wait_for("disconnect", "here") is None
    assert s.recorder.wait_for("disconnect", "away") is None
    assert s.recorder.hooks("here") == ["connect", "disconnect"]
    for ws in (here, away):
        with pytest.raises(UpgradeRefused) as refused:
            ws.resume()
        assert refused.value.status == 410


def test_kick_unknown_id(stage) -> None:
    """Kicking somebody who is not there is an error that names the id, before and after the first connect."""
    s = stage()
    with pytest.raises(ConnectionNotFound, match="'nobody'"):
        s.hub.kick("nobody")
    s.open("ada")

    with pytest.raises(ConnectionNotFound) as raised:
        s.hub.kick("nobody")

    assert raised.value.connection_id == "nobody"
    assert s.hub.get("ada") is not None


def test_graceful_shutdown_with_close_frames_and_no_leaked_thread(stage) -> None:
    """hub.close tells every client 1001, ends every session, and leaves no thread behind."""
    before = set(threading.enumerate())
    s = stage()
    clients = {name: s.open(name) for name in ("ada", "bob", "eve")}
    s.drop(clients.pop("eve"), "eve")

    closing = Call(lambda: s.hub.close(PATIENCE))

    for ws in clients.values():
        assert ws.receive_close(PATIENCE) == (1001, "server shutting down")
    report = closing.result()
    assert (report.complete, report.stuck) == (True, [])
    for name in ("ada", "bob", "eve"):
        assert isinstance(s.recorder.wait_for("disconnect", name), HubClosed)
    assert s.recorder.hooks("ada") == ["connect", "disconnect"]
    assert set(threading.enumerate()) - before == set()
    with pytest.raises(UpgradeRefused) as refused:
        s.open("late")
    assert refused.value.status == 503


def test_rejection_without_a_leak_of_its_text(stage, caplog: pytest.LogCaptureFixture) -> None:
    """A refused client gets 401 and not a word of why; nothing is started or called for it."""

    def connect(request):
        raise ConnectRejected("ada's password expired on Monday")

    s = stage(connect)

    with pytest.raises(UpgradeRefused) as refused:
        s.open("ada")

    assert refused.value.status == 401
    told = refused.value.body + repr(refused.value.headers).encode()
    assert b"password" not in told
    assert b"Monday" not in told
    assert refused.value.header("Content-Type") == "application/problem+json"
    assert refused.value.header("Cache-Control") == "no-store"
    assert s.hub.rooms() == []
    assert s.recorder.events == []


def test_duplicate_id(stage) -> None:
    """A second connect under an id ends the first session before the second begins."""
    s = stage()
    first = s.open("ada")
    old = s.hub.get("ada")
    s.recorder.wait_for("connect", "ada")

    second = s.open("ada")

    assert first.receive_close(PATIENCE) == (1000, "duplicate connection id")
    s.recorder.wait_for("connect", "ada", 2)
    assert s.recorder.hooks("ada") == ["connect", "disconnect", "connect"]
    assert isinstance(s.recorder.wait_for("disconnect", "ada"), DuplicateConnectionId)
    assert old.closed
    assert s.hub.get("ada") is not old
    s.say("ada", "for the second")
    assert read(second) == ("n", "for the second")


def test_duplicate_id_rejected(stage) -> None:
    """With on_duplicate="reject" the second connect gets 409 and the first is not disturbed."""
    s = stage(on_duplicate="reject")
    first = s.open("ada")

    with pytest.raises(UpgradeRefused) as refused:
        s.open("ada")

    assert refused.value.status == 409
    s.say("ada", "still here")
    assert read(first) == ("n", "still here")
    assert s.recorder.hooks("ada") == ["connect"]


def test_generated_ids(stage) -> None:
    """Who gives no id gets one of the hub's: each another, good for sending, not for resuming."""
    s = stage()
    one, two = s.open(""), s.open("")
    s.recorder.wait_for("connect", count=2)

    ids = [connection.id for connection in s.hub.connections("lobby")]

    assert len(set(ids)) == 2
    assert all(len(generated) >= 16 for generated in ids)
    for generated, ws in zip(ids, (one, two), strict=True):
        s.hub.send(generated, Message("you are", generated))
        assert read(ws) == ("you are", generated)
    with pytest.raises(UpgradeRefused) as refused:
        s.open(ids[0], query="&resume=true")
    assert refused.value.status == 410


def test_connections_includes_suspended(stage) -> None:
    """A room lists those who are away in their grace window, too, until the window ends."""
    s = stage()
    away, _here = s.open("away", room="tea"), s.open("here", room="tea")
    s.open("else", room="other")
    s.drop(away, "away")

    listed = s.hub.connections("tea")

    assert [(c.id, c.suspended) for c in listed] == [("away", True), ("here", False)]
    assert sorted(s.hub.rooms()) == ["other", "tea"]
    s.clock.advance(30)
    assert [c.id for c in s.hub.connections("tea")] == ["here"]
