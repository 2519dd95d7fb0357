"""A transport dies and the session does not: what an application sees of drops, resumes and expiry."""

from __future__ import annotations

import threading

import pytest

from resumehub import HeartbeatTimeout, Message, TransportLost
from resumehub.testing import TransportClosed, UpgradeRefused, client_frame
from tests.support import PATIENCE, read, text


def test_resume_within_the_window(stage) -> None:
    """Who comes back in time goes on as the same connection, and is told what was said meanwhile."""
    s = stage(resume_window=30.0)
    ws = s.open("ada")
    connection = s.drop(ws, "ada")
    s.say("ada", 1, 2)
    s.clock.advance(29.9)

    again = s.resume(ws)

    assert [read(again), read(again)] == [("n", 1), ("n", 2)]
    s.recorder.wait_for("restore", "ada")
    assert s.hub.get("ada") is connection
    assert not connection.suspended
    s.clock.advance(5)  # beyond the old window: it was called off
    assert not connection.closed
    assert s.recorder.hooks("ada") == ["connect", "drop", "restore"]


def test_window_expires_later_connect_is_new(stage) -> None:
    """After the window a resume is told that the session is gone; a plain connect starts a new one."""
    s = stage(resume_window=30.0)
    ws = s.open("ada")
    old = s.drop(ws, "ada")
    s.say("ada", "never read")

    s.clock.advance(30)

    assert old.wait_closed(PATIENCE)
    with pytest.raises(UpgradeRefused) as refused:
        s.resume(ws)
    assert refused.value.status == 410
    new = s.open("ada")
    s.recorder.wait_for("connect", "ada", 2)
    assert s.hub.get("ada") is not old
    s.say("ada", "hello")
    assert read(new) == ("n", "hello")
    assert s.recorder.hooks("ada") == ["connect", "drop", "disconnect", "connect"]


@pytest.mark.parametrize(
    ("leave", "code", "reason"),
    [
        (lambda ws: ws.drop(), 1006, ""),
        (lambda ws: ws.send_close(1001, "tab closed"), 1001, "tab closed"),
        (lambda ws: ws.send_raw(b"\xff\xff\xff\xff"), 1002, None),
    ],
    ids=["the network dies", "the client goes away", "the client breaks the protocol"],
)
def test_transport_drop_with_its_error(stage, leave, code: int, reason: str | None) -> None:
    """on_transport_drop is told how the transport ended, by code and by reason."""
    s = stage()
    ws = s.open("ada")

    leave(ws)

    error = s.recorder.wait_for("drop", "ada")
    assert type(error) is TransportLost
    assert error.code == code
    assert reason in (None, error.reason)
    assert s.recorder.hooks("ada") == ["connect", "drop"]


def test_transport_restore(stage) -> None:
    """on_transport_restore runs once for every return, with the connection of the beginning."""
    s = stage()
    restored = []
    s.hub.on_transport_restore(restored.append)
    ws = s.open("ada")

    for count in (1, 2, 3):
        s.drop(ws, "ada", count)
        ws = s.resume(ws)
        s.recorder.wait_for("restore", "ada", count)

    ws.send(text("and on"))
    s.recorder.wait_for("message", "ada")
    assert s.recorder.hooks("ada") == ["connect", *["drop", "restore"] * 3, "message"]
    assert restored == s.recorder.connections * 3


def test_neither_fires_when_resume_is_off(stage) -> None:
    """With resume_window=0 a lost transport ends the session at once: no drop, no restore, no return."""
    s = stage(resume_window=0)
    ws = s.open("ada")

    ws.drop()

    error = s.recorder.wait_for("disconnect", "ada")
    assert isinstance(error, TransportLost)
    with pytest.raises(UpgradeRefused) as refused:
        s.resume(ws)
    assert refused.value.status == 410
    s.open("ada")
    s.recorder.wait_for("connect", "ada", 2)
    assert s.recorder.hooks("ada") == ["connect", "disconnect", "connect"]


def test_heartbeat_timeout(stage) -> None:
    """A peer that is silent after a ping is given up after write_timeout; one that answers is not."""
    s = stage(ping_interval=20.0, write_timeout=10.0)
    silent, alive = s.open("silent"), s.open("alive")
    for ws in (silent, alive):  # both are being read from, on_connect is behind them
        ws.ping()
        assert ws.wait_for_pong(1, PATIENCE)

    s.clock.advance(20)
    assert alive.wait_for_ping(1, PATIENCE)
    alive.ping()  # comes back when the pong before it has been read
    assert alive.wait_for_pong(2, PATIENCE)
    s.clock.advance(9.9)
    assert not s.hub.get("silent").suspended
    s.clock.advance(0.1)

    assert isinstance(s.recorder.wait_for("drop", "silent"), HeartbeatTimeout)
    assert s.hub.get("silent").suspended
    assert s.recorder.hooks("alive") == ["connect"]
    with pytest.raises(TransportClosed) as closed:
        silent.receive(PATIENCE)
    assert closed.value.code == 1006
    assert len(silent.pings) == 1


def test_replay_order(stage) -> None:
    """What was sent and broadcast while a client was away comes in that order, before anything newer."""
    s = stage()
    ws = s.open("ada")
    s.drop(ws, "ada")
    for n in range(0, 20, 2):
        s.say("ada", n)
        s.hub.broadcast("lobby", Message("n", n + 1))

    again = s.resume(ws)
    s.say("ada", *range(20, 40))

    assert [read(again) for _ in range(40)] == [("n", n) for n in range(40)]


def test_drop_then_disconnect_order(stage) -> None:
    """When the window ends, on_disconnect comes after on_transport_drop has returned, with its error."""
    s = stage()
    slow, dropping = threading.Event(), threading.Event()

    @s.hub.on_transport_drop
    def linger(connection, error) -> None:
        dropping.set()
        assert slow.wait(PATIENCE)
        s.recorder.note("drop returned", connection.id, error)

    ws = s.open("ada")
    connection = s.hub.get("ada")
    ws.drop()
    assert dropping.wait(PATIENCE)

    s.clock.advance(30)
    assert connection.closed
    assert not connection.wait_closed(0)
    slow.set()

    assert connection.wait_closed(PATIENCE)
    assert s.recorder.hooks("ada") == ["connect", "drop", "drop returned", "disconnect"]
    assert s.recorder.wait_for("disconnect") is s.recorder.wait_for("drop")


def test_restore_before_message(stage) -> None:
    """A message that comes right behind the resume's handshake is handled after on_transport_restore."""
    s = stage()
    slow, restoring = threading.Event(), threading.Event()

    @s.hub.on_transport_restore
    def linger(connection) -> None:
        restoring.set()
        assert slow.wait(PATIENCE)
        s.recorder.note("restore returned", connection.id, None)

    ws = s.open("ada")
    s.drop(ws, "ada")

    s.open("ada", query="&resume=true", early=client_frame("text", text("quick").encode()))
    assert restoring.wait(PATIENCE)
    slow.set()

    s.recorder.wait_for("message", "ada")
    assert s.recorder.hooks("ada") == ["connect", "drop", "restore", "restore returned", "message"]
