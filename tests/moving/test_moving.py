"""A session that is moved goes on as if it had never been: the same bytes on the wire, the same callbacks.

A life is a list of steps. It is lived twice, once in one hub and once with moves before some of the steps,
and what could be seen from outside must be the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resumehub.testing import Lab, client_frame
from tests.moving.world import Life
from tests.transport.transport_kinds import fragments

Step = tuple[str, Any]


def play(life: Life, step: Step) -> None:
    name, argument = step
    method: Callable[..., None] = getattr(life, name)
    if name == "broadcast":
        life.send(argument, broadcast=True)
    elif argument is None:
        method()
    else:
        method(argument)


def lived(steps: Sequence[Step], moves: Iterable[int] = (), **how: Any) -> tuple[list[object], int]:
    """What could be seen of a life with moves before these steps; and how often it was moved."""
    places = set(moves)
    with Lab(stop_at_locks=False) as lab:
        life = Life(lab, **how)
        for at, step in enumerate(steps):
            if at in places:
                life.move()
            play(life, step) if step[0] != "broadcast" else life.send(step[1], broadcast=True)
        return life.end(), life.moved


def text(event: str, payload: Any = None) -> bytes:
    return client_frame("text", json.dumps({"event": event, "payload": payload}).encode())


def request(event: str, request_id: str) -> bytes:
    return client_frame("text", json.dumps({"event": event, "payload": 1, "id": request_id}).encode())


def bytewise(wire: bytes) -> list[Step]:
    return [("say", wire[at : at + 1]) for at in range(len(wire))]


def each_in_turn(steps: int, apart: int = 7) -> list[range]:
    """Some lives in which, together, there is a move before each step, but never before two in a row."""
    return [range(first, steps, apart) for first in range(apart)]


TALK = (
    text("hi", "Grüße")
    + client_frame("ping", b"still there?")
    + text("echo", "x" * 130)
    + fragments([b'{"event":"hi","payl', b'oad":"zer', 'stückelt"}'.encode()], b"p")
    + client_frame("binary", b"no message")
    + client_frame("pong")
    + text("echo", "last")
)


@pytest.mark.parametrize("v1", [False, True], ids=["plain", "v1"])
def test_it_may_be_moved_behind_any_byte_that_the_client_sends(v1: bool) -> None:
    steps = bytewise(TALK)
    expected, _ = lived(steps, v1=v1, window=None)
    assert ("message", "hi", "zerstückelt") in expected
    for moves in each_in_turn(len(steps)):
        seen, moved = lived(steps, moves, v1=v1, window=None)
        assert moved == len(moves)
        assert seen == expected, f"moved before the bytes {moves}"


@pytest.mark.parametrize("v1", [False, True], ids=["plain", "v1"])
def test_it_may_be_moved_behind_any_byte_that_the_client_reads(v1: bool) -> None:
    """A slow client: each message is out to a part when the session moves, and control frames wait."""
    steps: list[Step] = [
        ("send", "one"),
        ("say", client_frame("ping", b"answer me") + text("echo", "two")),
        ("broadcast", "three"),
        *[("read", 1) for _ in range(360 if v1 else 110)],
    ]
    expected, _ = lived(steps, v1=v1, window=0)
    assert b"three" in expected[-1], "it has read all"  # type: ignore[operator]
    for moves in each_in_turn(len(steps)):
        seen, moved = lived(steps, moves, v1=v1, window=0)
        assert moved == len(moves)
        assert seen == expected, f"moved before the steps {moves}"


def test_it_may_be_moved_at_every_step() -> None:
    """To and fro, before each byte."""
    steps = [*bytewise(TALK), ("send", "bye"), ("drop", None), ("wait", 29.0), ("resume", None)]
    expected, _ = lived(steps, v1=True, window=None)
    seen, moved = lived(steps, range(len(steps)), v1=True, window=None)
    assert moved == len(steps)
    assert seen == expected


def test_its_deadlines_go_along() -> None:
    """The window ends when it would have, and so does a heartbeat that is not answered."""
    for steps in (
        [("drop", None), ("wait", 10.0), ("wait", 19.9), ("send", "just in time"), ("wait", 0.2)],
        [
            ("wait", 19.0),
            ("wait", 1.5),
            ("wait", 9.0),
            ("send", "is it there?"),
            ("wait", 1.0),
            ("wait", 31.0),
        ],
        [("wait", 20.5), ("say", client_frame("pong")), ("wait", 9.0), ("wait", 11.0), ("wait", 9.0)],
        [("say", text("hi")), ("wait", 0.5), ("wait", 0.4), ("wait", 0.2)],
    ):
        for v1 in (False, True):
            expected, _ = lived(steps, v1=v1, window=None)
            for at in range(len(steps)):
                assert lived(steps, [at], v1=v1, window=None)[0] == expected, (steps, at, v1)


@pytest.mark.contract("E3")
def test_its_requests_go_along() -> None:
    """contract E3: numbers of its own go on; what is deferred is open, and told so at the end, wherever."""
    steps: list[Step] = [
        ("ask", "who?"),
        ("say", request("later", "a")),
        ("broadcast", "news"),
        ("say", request("later", "a") + request("add", "b")),
        ("ask", "where?"),
        ("kick", None),
    ]
    for v1 in (False, True):
        expected, _ = lived(steps, v1=v1, window=None)
        wire = bytes(expected[-1])  # type: ignore[call-overload]
        assert wire.count(b"internal_error") == 1
        assert wire.index(b'"id":"1"') < wire.index(b'"re":"b"') < wire.index(b'"id":"2"')
        for at in range(len(steps)):
            assert lived(steps, [at], v1=v1, window=None)[0] == expected, (at, v1)


def test_a_peer_that_does_not_read_is_given_up_when_it_would_have_been() -> None:
    steps: list[Step] = [("send", "long"), ("wait", 4.0), ("wait", 5.9), ("wait", 0.2), ("wait", 31.0)]
    expected, _ = lived(steps, v1=False, window=10)
    for at in range(len(steps)):
        assert lived(steps, [at], v1=False, window=10)[0] == expected, at


def test_a_client_that_acknowledges_nothing_is_cut_when_it_would_have_been() -> None:
    """Its window is full since before the move, or since after it; gaps beside each other stay one."""
    steps: list[Step] = [
        ("wait", 3.0),
        ("send", "all"),
        ("broadcast", "missed"),
        ("wait", 14.0),
        ("broadcast", "missed, too"),
        ("wait", 15.9),
        ("wait", 0.2),
        ("resume", None),
        ("wait", 29.9),
        ("say", text("$ack", {"received": 3})),
        ("wait", 0.2),
        ("wait", 31.0),
    ]
    how: dict[str, Any] = {"v1": True, "window": None, "send_buffer": 1, "ping_interval": None}
    expected, _ = lived(steps, **how)
    assert b"no $ack" in expected[-2], "it was cut"  # type: ignore[operator]
    for at in range(len(steps)):
        assert lived(steps, [at], **how)[0] == expected, at


SMALL = {"send_buffer": 4, "send_buffer_bytes": 200}

STEPS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(["a", "bb", "c" * 30])),
    st.tuples(st.just("broadcast"), st.sampled_from(["A", "B" * 40])),
    st.tuples(st.just("read"), st.integers(1, 60)),
    st.tuples(st.just("wait"), st.sampled_from([0.4, 1.0, 9.5, 10.0, 20.0, 30.0])),
    st.tuples(st.just("drop"), st.none()),
    st.tuples(st.just("resume"), st.none()),
    st.tuples(st.just("kick"), st.none()),
    st.tuples(st.just("join"), st.sampled_from(["attic", "news"])),
    st.tuples(st.just("leave"), st.sampled_from(["attic", "news"])),
    st.tuples(st.just("ask"), st.sampled_from(["who?", "where?"])),
    st.tuples(
        st.just("say"),
        st.sampled_from(
            [
                text("hi", 1),
                text("echo", "é"),
                text("raise"),
                text("$ack", {"received": 1}),
                request("add", "1"),
                request("later", "2"),
                client_frame("text", b'{"re":"1","payload":"me"}'),
                client_frame("ping", b"!"),
                client_frame("close", (1001).to_bytes(2)),
                client_frame("text", b"no JSON"),
                fragments([b'{"eve', b'nt":"hi"}'], b"p"),
                fragments([b'{"eve', b'nt":"hi"}'])[:9],
            ]
        ),
    ),
)


@pytest.mark.parametrize("v1", [False, True], ids=["plain", "v1"])
@pytest.mark.parametrize("window", [None, 30], ids=["a quick reader", "a slow reader"])
def test_any_life_may_be_moved_at_any_steps(v1: bool, window: int | None) -> None:
    moves_made = 0

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(steps=st.lists(STEPS, min_size=3, max_size=12), data=st.data())
    def live(steps: list[Step], data: st.DataObject) -> None:
        nonlocal moves_made
        moves = data.draw(st.sets(st.integers(0, len(steps) - 1), min_size=1, max_size=4))
        how = {"v1": v1, "window": window, **SMALL}
        expected, _ = lived(steps, **how)
        seen, moved = lived(steps, moves, **how)
        moves_made += moved
        assert seen == expected

    live()
    assert moves_made > 20, "most of them are moved"


def test_a_session_whose_connection_the_hub_gave_up_may_be_moved() -> None:
    """The close code of its last error is one of ours; it is told to on_disconnect as without a move."""
    steps: list[Step] = [("say", text("$ack", {"received": 7})), ("wait", 31.0)]
    expected, _ = lived(steps, v1=True, window=None)
    seen, moved = lived(steps, [1], v1=True, window=None)
    assert moved == 1
    assert seen == expected
