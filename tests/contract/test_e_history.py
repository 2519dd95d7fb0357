"""Who enters a room gets what was said there last, marked, and before anything live (E1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from resumehub import Hub, Message
from resumehub.server import history as history_module
from resumehub.testing import WebSocketClient
from tests.contract.v1_client import dial
from tests.support import PATIENCE, Stage


def heard(ws: WebSocketClient, count: int) -> list[str]:
    """The next messages; those of a history with an ``h`` in front."""
    said = [json.loads(ws.receive(PATIENCE)) for _ in range(count)]
    return [f"{'h' if one.get('history') else ''}{one['payload']}" for one in said]


def all_heard(s: Stage, ws: WebSocketClient, connection_id: str) -> list[str]:
    """All that has been sent to it."""
    s.say(connection_id, "end")
    got: list[str] = []
    while got[-1:] != ["end"]:
        got += heard(ws, 1)
    return got[:-1]


def say(s: Stage, rooms: Any, *numbers: int, **how: Any) -> None:
    for number in numbers:
        s.hub.broadcast(rooms, Message("n", number), **how)


@pytest.mark.contract("E1")
def test_a_newcomer_gets_the_last_messages_and_then_what_is_said(stage) -> None:
    """contract E1: at most as many as the room keeps, oldest first, each with the mark."""
    s = stage(history={"lobby": 3})
    first = s.open("u1")
    say(s, "lobby", 1, 2, 3, 4)
    second = s.open("u2")
    say(s, "lobby", 5)

    assert heard(first, 5) == ["1", "2", "3", "4", "5"]
    assert heard(second, 4) == ["h2", "h3", "h4", "5"]


@pytest.mark.contract("E1")
def test_on_the_wire_it_is_one_field_more(stage) -> None:
    s = stage(history={"lobby": 1})
    s.open("u1")
    say(s, "lobby", 1)
    assert s.open("u2").receive() == '{"event":"n","payload":1,"history":true}'


@pytest.mark.contract("E1")
def test_join_gives_the_history_before_anything_live(stage) -> None:
    """contract E1: also to a session that is suspended, which gets it when it comes back."""
    s = stage(history=lambda room_id: 10 if room_id.startswith("chat:") else 0)
    one, two = s.open("u1"), s.open("u2")
    s.hub.get("u1").join("chat:a")
    say(s, "chat:a", 1, 2)
    say(s, "lobby", 10)
    s.hub.get("u2").join("chat:a")
    say(s, "chat:a", 3)

    assert heard(one, 4) == ["1", "2", "10", "3"]
    assert heard(two, 4) == ["10", "h1", "h2", "3"]
    s.open("u3").drop()
    connection = s.hub.get("u3")
    s.recorder.wait_for("drop", "u3")
    connection.join("chat:a")
    say(s, "chat:a", 4)
    assert heard(s.resume(s.clients[-1]), 4) == ["h1", "h2", "h3", "4"]


@pytest.mark.contract("E1")
def test_a_resume_gets_none_again(stage) -> None:
    s = stage(history={"lobby": 10})
    s.open("u0")
    say(s, "lobby", 1, 2)
    ws = s.open("u1")
    assert heard(ws, 2) == ["h1", "h2"]
    s.drop(ws)
    say(s, "lobby", 3)
    ws = s.resume(ws)
    assert all_heard(s, ws, "u1") == ["3"]


@pytest.mark.contract("E1", "D2")
def test_a_client_that_acknowledges_gets_each_once_though_it_drops_at_once(stage) -> None:
    """contract E1: what it was given is numbered like any other message, and replayed like that."""
    s = stage(history={"lobby": 10})
    s.open("u0")
    say(s, "lobby", 1, 2, 3)
    client = dial(s)  # it has read its $hello
    assert heard(client.ws, 1) == ["h1"]
    client.drop()
    say(s, "lobby", 4)
    client.received = 1
    client = client.resume()
    assert heard(client.ws, 3) == ["h2", "h3", "4"]  # and a $replayed


@pytest.mark.contract("E1")
def test_who_leaves_and_joins_again_is_a_newcomer(stage) -> None:
    s = stage(history={"news": 10})
    ws = s.open("u1")
    connection = s.hub.get("u1")
    connection.join("news")
    say(s, "news", 1)
    connection.join("news")
    connection.leave("news")
    say(s, "news", 2)
    connection.join("news")
    assert all_heard(s, ws, "u1") == ["1", "h1", "h2"]


@pytest.mark.contract("E1")
def test_a_broadcast_to_several_rooms_reaches_a_session_once_however_it_enters(stage) -> None:
    """contract E1: live in one room, then a newcomer in the next; or from one history and not the other."""
    s = stage(history={"a": 10, "b": 10, "c": 10})
    ada = s.open("ada", "a")
    say(s, ["a", "b"], 1)
    say(s, ["b"], 2)
    say(s, ["b", "c"], 3)
    ben = s.open("ben", "b")
    for name in ("ada", "ben"):
        for room in ("a", "b", "c"):
            s.hub.get(name).join(room)

    assert all_heard(s, ada, "ada") == ["1", "h2", "h3"]
    assert all_heard(s, ben, "ben") == ["h1", "h2", "h3"]
    # What a session has only from a room that it has left, it gets again.
    late = s.open("late", "nowhere")
    s.hub.get("late").join("c")
    s.hub.get("late").join("b")
    s.hub.get("late").leave("b")
    s.hub.get("late").join("a")
    assert all_heard(s, late, "late") == ["h3", "h1", "h2", "h1"]


@pytest.mark.contract("E1")
def test_who_was_not_in_the_other_room_at_the_time_gets_it_from_this_one(stage) -> None:
    """contract E1: the other room has no history, and the session has entered it later."""
    s = stage(history={"b": 10})
    s.open("u0", "a")
    say(s, ["a", "b"], 1)
    ws = s.open("u1", "a")
    s.hub.get("u1").join("b")
    say(s, ["a", "b"], 2)
    assert all_heard(s, ws, "u1") == ["h1", "2"]


@pytest.mark.contract("E1")
def test_what_a_session_was_excluded_from_it_never_gets(stage) -> None:
    """contract E1: others get it; whoever has the id does not."""
    s = stage(history={"lobby": 10})
    s.open("u0")
    say(s, "lobby", 1, exclude=["u1"])
    say(s, "lobby", 2)
    assert heard(s.open("u1"), 1) == ["h2"]
    assert heard(s.open("u2"), 2) == ["h1", "h2"]


@pytest.mark.contract("E1")
def test_a_history_outlives_the_members_of_its_room(stage) -> None:
    """contract E1: and has what was said while nobody was there."""
    s = stage(history={"lobby": 10})
    s.open("u1")
    say(s, "lobby", 1)
    s.hub.kick("u1")
    assert s.hub.rooms() == []
    say(s, "lobby", 2)
    say(s, "attic", 3)
    assert heard(s.open("u2"), 2) == ["h1", "h2"]


@pytest.mark.contract("E1", "C1")
def test_a_newcomer_is_given_no_more_than_half_of_its_buffer(stage) -> None:
    """contract E1: the newest that fit, in messages and in bytes; the application can still send."""
    s = stage(history={"lobby": 100}, send_buffer=8, send_buffer_bytes=1000)
    s.open("u0")
    say(s, "lobby", *range(1, 9))
    s.hub.on_connect(lambda connection: [connection.send(Message("n", "mine")) for _ in range(3)])
    assert heard(s.open("u1"), 7) == ["h5", "h6", "h7", "h8", "mine", "mine", "mine"]

    s.hub.broadcast("lobby", Message("n", "x" * 300))
    say(s, "lobby", 9)
    s.hub.broadcast("lobby", Message("n", "y" * 150))
    assert [one[-1] for one in heard(s.open("u2"), 2)] == ["9", "y"]
    s.hub.broadcast("lobby", Message("n", "z" * 600))
    assert [one[-1] for one in heard(s.open("u3"), 2)] == ["9", "y"], "what nobody could be given is not kept"


@pytest.mark.contract("E1")
def test_what_is_no_broadcast_is_no_history(stage) -> None:
    s = stage(history={"lobby": 10})
    s.open("u1")
    s.say("u1", 1)
    s.hub.send_to_user("nobody", Message("n", 2))
    say(s, "lobby", 3)
    assert heard(s.open("u2"), 1) == ["h3"]


@pytest.mark.contract("E1")
def test_nobody_can_say_something_with_the_mark(stage) -> None:
    """contract E1: a handler passes on what a client has marked: it is live."""
    s = stage(history={"lobby": 10})
    s.hub.on_message(lambda connection, message: s.hub.broadcast("lobby", message))
    ws = s.open("u1")
    ws.send('{"event": "n", "payload": 1, "history": true}')
    assert heard(ws, 1) == ["1"]
    assert s.recorder.wait_for("message").history


@pytest.mark.contract("E1")
def test_the_least_recently_used_history_is_forgotten(stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """contract E1: beyond a number of rooms, and of bytes."""
    monkeypatch.setattr(history_module, "MOST_ROOMS", 2)
    s = stage(history=lambda room_id: 5)
    s.open("u0", "elsewhere")
    say(s, "a", 1)
    say(s, "b", 2)
    assert heard(s.open("u1", "a"), 1) == ["h1"]  # which uses it
    say(s, "c", 3)
    assert all_heard(s, s.open("u2", "b"), "u2") == []
    assert all_heard(s, s.open("u3", "a"), "u3") == ["h1"]
    assert all_heard(s, s.open("u4", "c"), "u4") == ["h3"]

    monkeypatch.setattr(history_module, "MOST_BYTES", 150)
    s.hub.broadcast("a", Message("n", "x" * 60))
    assert all_heard(s, s.open("u5", "c"), "u5") == []


@pytest.mark.contract("E1")
def test_a_function_may_change_its_mind(stage) -> None:
    """contract E1: it is asked at each broadcast."""
    counts = {"lobby": 3}
    s = stage(history=lambda room_id: counts[room_id])
    s.open("u0")
    say(s, "lobby", 1, 2, 3)
    counts["lobby"] = 2
    say(s, "lobby", 4)
    assert heard(s.open("u1"), 2) == ["h3", "h4"]
    counts["lobby"] = 0
    say(s, "lobby", 5)
    assert all_heard(s, s.open("u2"), "u2") == []


@pytest.mark.contract("E1")
@pytest.mark.parametrize(
    "count, error",
    [(-1, ValueError), (True, TypeError), ("3", TypeError), (None, TypeError)],
)
def test_a_function_that_gives_something_else_is_told_to_who_broadcasts(
    stage, count: object, error: type[Exception]
) -> None:
    s = stage(history=lambda room_id: count)
    ws = s.open()
    with pytest.raises(error, match=r"history\('lobby'\) is .*: it must be a whole number of messages"):
        say(s, "lobby", 1)
    assert all_heard(s, ws, "u1") == []


@pytest.mark.contract("E1")
@pytest.mark.parametrize(
    "history, error, says",
    [
        (
            50,
            TypeError,
            r'history is 50, an int: it must be None, a dict such as \{"lobby": 50\}, or a function',
        ),
        ({"lobby": -1}, ValueError, r"history\['lobby'\] is -1: it must be a whole number of messages"),
        ({"lobby": True}, TypeError, r"history\['lobby'\] is True, a bool"),
        ({"": 5}, ValueError, "a room id in history is empty"),
        ({7: 5}, TypeError, "a room id in history must be a str, not int"),
        (lambda: 5, TypeError, "history takes a function of \\(room_id\\)"),
    ],
)
def test_a_wrong_option_is_named(history: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Hub(history=history)


class Shouting:
    """A codec that knows no mark, and may be told to fail."""

    def __init__(self) -> None:
        self.fails = False

    def encode(self, message: Message) -> str:
        if self.fails and message.history:
            raise ValueError("no")
        return json.dumps({"payload": str(message.payload).upper()})

    def decode(self, data: str | bytes) -> Message:
        return Message("", json.loads(data)["payload"])


@pytest.mark.contract("E1")
def test_another_codec_decides_how_the_mark_looks(stage) -> None:
    """contract E1: one that knows none leaves it out; an error is told to who broadcasts, before all."""
    codec = Shouting()
    s = stage(history={"lobby": 5}, codec=codec)
    ws = s.open("u1")
    s.hub.broadcast("lobby", Message("", "hello"))
    codec.fails = True
    with pytest.raises(ValueError, match="no"):
        s.hub.broadcast("lobby", Message("", "again"))
    assert s.open("u2").receive() == '{"payload": "HELLO"}'
    assert ws.receive() == '{"payload": "HELLO"}'
    s.hub.send("u1", Message("", "end"))
    assert ws.receive() == '{"payload": "END"}'


@pytest.mark.contract("D6")
def test_the_ledger_counts_what_was_given(stage) -> None:
    s = stage(history={"lobby": 10})
    ws = s.open("u0")
    say(s, "lobby", 1, 2)
    before = s.hub.stats().accepted
    newcomer = s.open("u1")
    assert heard(newcomer, 2) == ["h1", "h2"]
    assert s.hub.stats().accepted == before + 2
    assert heard(ws, 2) == ["1", "2"]
