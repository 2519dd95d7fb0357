"""However many sessions there are, an inspector looks at few of them at a time, and asks no hub thread."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from resumehub import Hub
from resumehub.core.resume import Credentials
from resumehub.inspector import Inspector, questions
from resumehub.runtime.system import SystemRuntime
from resumehub.server import looks
from resumehub.server.looking import answer, sessions
from resumehub.server.looks import MOST_LOOKED, MOST_ROWS, NamesAsked, SessionsAsked
from resumehub.server.registry import SessionRegistry

MANY = 10_000


class Watched(SimpleNamespace):
    """A session of which only the names are there; it says when it is looked at."""

    looked = 0

    @property
    def is_suspended(self) -> bool:
        Watched.looked += 1
        return self.epoch % 2 == 0


def watched(number: int) -> Any:
    user = f"user {number % 1000}"
    room = f"room {number % 100}"
    return Watched(
        epoch=number,
        life=f"life {number}",
        connection_id=f"id {number}",
        room_id=room,
        rooms=(room, "everybody"),
        generation=1,
        credentials=Credentials(user=user),
        delayed_ack=None,
        outbox=SimpleNamespace(used_frames=0, max_frames=1, used_bytes=0, max_bytes=1),
        serial_queue=SimpleNamespace(parked=lambda: (0, 0)),
    )


@pytest.fixture(scope="module")
def registry() -> SessionRegistry:
    made = SessionRegistry(SystemRuntime())
    for number in range(1, MANY + 1):
        made.enter(watched(number))
    return made


def pieces(registry: SessionRegistry, asked: SessionsAsked) -> list[looks.SessionsSeen]:
    """All answers, one behind the other."""
    found = []
    while True:
        before = Watched.looked
        seen = sessions(registry, None, asked)
        assert seen.looked <= MOST_LOOKED
        # Each is looked at for its state, and each row for its own.
        assert Watched.looked - before <= seen.looked + len(seen.rows) <= MOST_LOOKED + MOST_ROWS
        assert len(seen.rows) <= MOST_ROWS
        found.append(seen)
        if not seen.next:
            return found
        asked = replace(asked, after=seen.next, mark=seen.mark)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (SessionsAsked(), range(1, MANY + 1)),
        (SessionsAsked(state="suspended"), range(2, MANY + 1, 2)),
        (SessionsAsked(room="everybody", state="connected"), range(1, MANY, 2)),
        (SessionsAsked(room="room 7"), range(7, MANY, 100)),
        (SessionsAsked(user="user 7"), range(7, MANY, 1000)),
        (SessionsAsked(user="user 7", room="room 8"), ()),
        (SessionsAsked(text="id 9999"), [9999]),
        (SessionsAsked(text="999"), [n for n in range(MANY + 1) if "999" in str(n)]),
        (SessionsAsked(text="nobody"), ()),
        (SessionsAsked(room="nowhere"), ()),
        (SessionsAsked(user="nobody"), ()),
    ],
)
def test_each_of_ten_thousand_is_told_once_in_pieces(
    registry: SessionRegistry, asked: SessionsAsked, expected: Any
) -> None:
    """No piece looks at more than 500, whatever is asked."""
    told = [row.number for seen in pieces(registry, asked) for row in seen.rows]
    assert told == list(expected)


def test_a_page_asks_for_so_many_pieces_and_no_more(
    registry: SessionRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found nowhere among 10,000 is 20 pieces; among more, the page says where to go on."""
    asked: list[Any] = []

    def count(hub: Hub, question: Any) -> Any:
        asked.append(question)
        return sessions(registry, None, question)

    monkeypatch.setattr(questions, "_asked", count)
    seen = questions.sessions(Hub(), SessionsAsked(text="nobody"))
    assert (len(asked), seen.looked, seen.next) == (20, MANY, 0)
    asked.clear()
    seen = questions.sessions(Hub(), SessionsAsked())
    assert (len(asked), len(seen.rows), seen.next) == (1, MOST_ROWS, 100)


def test_rooms_and_users_come_in_pieces_as_well(registry: SessionRegistry) -> None:
    for users, count in ((True, 1000), (False, 101)):
        after, told = 0, []
        while True:
            seen = answer(SimpleNamespace(registry=lambda: registry), NamesAsked(users, after))
            assert seen.looked <= MOST_LOOKED
            told += [row.name for row in seen.rows]
            after = seen.next
            if not after:
                break
        assert len(set(told)) == len(told) == seen.total == count


def test_sessions_that_end_between_two_pieces_hide_no_other() -> None:
    """The next piece begins behind the last number, whoever has gone meanwhile."""
    registry = SessionRegistry(SystemRuntime())
    ours = [watched(number) for number in range(1, 301)]
    for session in ours:
        registry.enter(session)
    first = sessions(registry, None, SessionsAsked())
    for session in ours[50:100]:
        del registry.sessions[session.connection_id]
    second = sessions(registry, None, SessionsAsked(after=first.next, mark=first.mark))
    assert [row.number for row in second.rows] == list(range(101, 201))


def test_behind_a_move_the_list_begins_again() -> None:
    """The numbers are those of the process that the hub was in."""
    registry = SessionRegistry(SystemRuntime())
    for number in range(1, 4):
        registry.enter(watched(number))
    seen = sessions(registry, None, SessionsAsked(after=2, mark="of the process before"))
    assert seen.begun_anew
    assert [row.number for row in seen.rows] == [1, 2, 3]


def test_to_look_puts_no_command_and_to_end_a_session_puts_one(stage) -> None:
    """No client waits for an operator who looks."""
    one = stage(ping_interval=None)
    Inspector(one.hub, authorize=bool)
    one.open("u1")
    one.recorder.wait_for("connect")
    runner = one.hub.runner
    life = one.hub.get("u1").life
    put: list[str] = []
    commands = runner.loop._commands
    ask, command = commands.ask, commands.put
    commands.ask = lambda value: (put.append(type(value).__name__), ask(value))[1]
    commands.put = lambda value, *more: (put.append(type(value).__name__), command(value, *more))[1]
    for question in (
        SessionsAsked(),
        NamesAsked(users=False),
        NamesAsked(users=True),
        looks.LifeAsked(life),
        looks.EndedAsked(),
    ):
        answer(runner, question)
    one.hub.stats()
    assert put == []
    assert answer(runner, looks.EndAsked(life, expire=True)) == looks.EndSaid(ended=False, connected=True)
    assert answer(runner, looks.EndAsked(life, expire=False)) == looks.EndSaid(ended=True, connected=False)
    assert answer(runner, looks.EndAsked(life, expire=False)) == looks.EndSaid(ended=False, connected=False)
    assert put == ["Expire", "Kick"]


def test_a_session_is_found_by_its_life_where_nothing_is_recorded(stage) -> None:
    """The hub's process was started by something that builds no inspector."""
    one = stage(ping_interval=None)
    one.open("u1")
    one.recorder.wait_for("connect")
    life = one.hub.get("u1").life
    seen = answer(one.hub.runner, looks.LifeAsked(life))
    assert isinstance(seen, looks.LifeSeen)
    assert (seen.recorded, seen.events) == (False, ())
    assert answer(one.hub.runner, looks.LifeAsked("another")) == looks.NotSeen()
    assert not answer(one.hub.runner, looks.EndedAsked()).recorded
