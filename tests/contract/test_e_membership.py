"""Who is in a room is told to the application as it changes: on_join and on_leave (E1)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resumehub import Message
from resumehub.testing import WebSocketClient
from tests.contract.peers import Gate, handled_all, running
from tests.support import PATIENCE, Call, Stage, text


def listening(s: Stage) -> Stage:
    """Its recorder notes each on_join and on_leave, with the count that the hook sees."""

    @s.hub.on_join
    def joined(connection, room_id, reason):
        s.recorder.note("join", connection.id, (room_id, reason, s.hub.count(room_id)))

    @s.hub.on_leave
    def left(connection, room_id, reason):
        s.recorder.note("leave", connection.id, (room_id, reason, s.hub.count(room_id)))

    return s


def told(s: Stage, connection_id: str = "u1") -> list[object]:
    """Every callback of an id, in order; a join as ``+room reason``, a leave as ``-room reason``."""
    signs = {"join": "+", "leave": "-"}
    return [
        f"{signs[hook]}{detail[0]} {detail[1]}" if hook in signs else hook
        for hook, one, detail in s.recorder.events
        if one == connection_id
    ]


@pytest.mark.contract("E1", "B1")
def test_a_life_in_three_rooms(stage) -> None:
    """contract E1: home behind on_connect; then what joins and leaves; all rooms before on_disconnect."""
    s = listening(stage())
    ws = s.open()
    connection = s.hub.get("u1")
    ws.send(text("hi"))
    handled_all(s, ws)
    connection.join("news")
    connection.join("sports")
    connection.leave("news")
    s.drop(ws)
    connection.join("attic")
    s.resume(ws)
    s.hub.kick("u1")

    assert connection.wait_closed(PATIENCE)
    assert told(s) == [
        "connect",
        "+lobby connect",
        *["message", "+news join", "+sports join", "-news leave"],
        *["drop", "+attic join", "restore"],
        *["-attic kick", "-sports kick", "-lobby kick"],
        "disconnect",
    ]


@pytest.mark.contract("E1")
def test_what_changes_nothing_is_told_to_nobody(stage) -> None:
    """contract E1: a second join, a leave of a room that it is not in, a resume, a takeover."""
    s = listening(stage())
    ws = s.open()
    connection = s.hub.get("u1")
    for room in ("news", "news", "lobby"):
        connection.join(room)
    for room in ("news", "news", "nowhere"):
        connection.leave(room)
    s.resume(ws)  # which takes the session over
    s.recorder.wait_for("restore")
    connection.close()
    connection.leave("news")

    assert connection.wait_closed(PATIENCE)
    assert [what for what in told(s) if what[0] in "+-"] == [
        *["+lobby connect", "+news join", "-news leave"],
        "-lobby normal",
    ]


ENDS: dict[str, Callable[[Stage, object], object]] = {
    "normal": lambda s, ws: ws.send_close(1000),
    "kick": lambda s, ws: s.hub.kick("u1"),
    "transport_lost": lambda s, ws: ws.drop(),
    "duplicate": lambda s, ws: s.open(),
    "hub_close": lambda s, ws: close_hub(s, ws),
}


def close_hub(s: Stage, ws: WebSocketClient) -> None:
    with running(ws.receive_close):
        s.hub.close(PATIENCE)


@pytest.mark.contract("E1")
@pytest.mark.parametrize("reason", ENDS)
def test_the_end_of_a_session_says_why(stage, reason: str) -> None:
    """contract E1: the reason is that of ``connection_closed``, for each of its rooms."""
    s = listening(stage(resume_window=0))
    ws = s.open()
    connection = s.hub.get("u1")
    connection.join("news")
    ENDS[reason](s, ws)

    assert connection.wait_closed(PATIENCE)
    assert told(s)[1:6] == [
        *["+lobby connect", "+news join", f"-news {reason}", f"-lobby {reason}"],
        "disconnect",
    ]


@pytest.mark.contract("E1")
def test_a_session_that_expires_leaves_then_and_not_at_its_drop(stage) -> None:
    """contract E1: a suspended session is a member."""
    s = listening(stage())
    connection = s.drop(s.open())
    assert told(s) == ["connect", "+lobby connect", "drop"]
    s.clock.advance(30)

    assert connection.wait_closed(PATIENCE)
    assert told(s)[3:] == ["-lobby grace_expired", "disconnect"]


@pytest.mark.contract("E1")
def test_a_handler_that_raises_ends_a_session_without_a_window(stage) -> None:
    s = listening(stage(resume_window=0))
    s.hub.on_message(lambda connection, message: 1 / 0)
    ws = s.open()
    connection = s.hub.get("u1")
    ws.send(text("hi"))

    assert connection.wait_closed(PATIENCE)
    assert told(s)[2:] == ["message", "-lobby handler_error", "disconnect"]


@pytest.mark.contract("E1", "B4")
def test_a_session_that_on_connect_refuses_was_never_in_a_room(stage) -> None:
    """contract E1: neither on_join nor on_leave, also of a room that on_connect let it into before."""
    s = listening(stage())

    @s.hub.on_connect
    def check(connection):
        connection.join("news")
        raise PermissionError("not this one")

    ws = s.open()
    assert ws.receive_close() == (1011, "handler error")
    s.recorder.wait_for("disconnect")

    assert told(s) == ["connect", "disconnect"]
    assert s.hub.rooms() == []


@pytest.mark.contract("E1", "B4")
def test_a_hook_that_raises_is_logged_and_the_membership_stands(stage, caplog) -> None:
    """contract E1: it is told of what has happened; the next handler runs all the same."""
    s = stage()
    s.hub.on_join(lambda connection, room_id, reason: 1 / 0)
    s.hub.on_leave(lambda connection, room_id, reason: 1 / 0)
    listening(s)
    ws = s.open()
    s.hub.get("u1").join("news")
    handled_all(s, ws)
    assert s.hub.count("news") == s.hub.count("lobby") == 1
    s.hub.get("u1").leave("news")
    handled_all(s, ws)

    assert told(s)[:4] == ["connect", "+lobby connect", "+news join", "-news leave"]
    assert not s.hub.get("u1").suspended
    assert "a handler of on_join raised for 'u1'" in caplog.text
    assert "a handler of on_leave raised for 'u1'" in caplog.text


@pytest.mark.contract("E1", "B1")
def test_they_run_in_the_sessions_turn(stage) -> None:
    """contract E1: a handler that joins a room is not interrupted; on_join comes when it has returned."""
    s = listening(stage())

    @s.hub.on_message
    def enter(connection, message):
        connection.join("news")
        s.recorder.note("joined", connection.id, None)
        connection.leave("news")
        s.recorder.note("gone", connection.id, None)

    ws = s.open()
    ws.send(text("hi"))
    s.recorder.wait_for("leave")

    assert told(s)[2:] == ["message", "joined", "gone", "+news join", "-news leave"]


@pytest.mark.contract("E1")
def test_the_count_is_that_of_now_in_an_on_join_that_comes_late(stage) -> None:
    """contract E1: it shows this change and perhaps later ones, whose hooks come after."""
    s = listening(stage())
    slow = Gate()
    s.hub.on_message(lambda connection, message: slow.hold())
    ws = s.open("u1")
    s.open("u2")
    ws.send(text("hi"))
    slow.wait_reached()
    s.hub.get("u1").join("news")  # its on_join waits for the handler
    s.hub.get("u2").join("news")
    s.recorder.wait_for("join", "u2", 2)
    s.hub.get("u1").leave("news")
    slow.open()
    s.recorder.wait_for("leave", "u1")

    details = [detail for hook, _, detail in s.recorder.events if hook in ("join", "leave")]
    assert [detail for detail in details if detail[0] == "news"] == [
        *[("news", "join", 2), ("news", "join", 1), ("news", "leave", 1)],
    ]


@pytest.mark.contract("E1")
def test_a_hook_may_do_all_that_a_handler_may(stage) -> None:
    """contract E1: no lock is held and the hub thread is free: it may join, broadcast, kick."""
    s = stage()

    @s.hub.on_join
    def joined(connection, room_id, reason):
        if reason == "connect":
            connection.join("news")
            s.hub.broadcast("news", Message("who", [one.id for one in s.hub.connections("news")]))
        else:
            s.hub.kick(connection.id)

    @s.hub.on_leave
    def left(connection, room_id, reason):
        s.recorder.note("left", connection.id, (room_id, reason, connection.closed))

    ws = s.open()
    s.recorder.wait_for("disconnect")
    assert ws.receive() == '{"event":"who","payload":["u1"]}'
    assert [detail for hook, _, detail in s.recorder.events if hook == "left"] == [
        *[("news", "kick", True), ("lobby", "kick", True)],
    ]


@pytest.mark.contract("E1")
def test_two_threads_that_join_and_leave_at_once_are_told_in_turns(stage) -> None:
    """contract E1: a join is told once, and each join has one leave."""
    s = listening(stage())
    s.open()
    connection = s.hub.get("u1")

    def to_and_fro() -> None:
        for _ in range(20):
            connection.join("news")
            connection.leave("news")

    for call in [Call(to_and_fro) for _ in range(2)]:
        call.result()
    connection.close()
    assert connection.wait_closed(PATIENCE)
    hooks = [what for what in told(s) if "news" in what]
    assert hooks == ["+news join", "-news leave"] * (len(hooks) // 2)
    assert len(hooks) >= 40
