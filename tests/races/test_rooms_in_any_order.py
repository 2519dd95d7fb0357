"""Threads join and leave a room while others broadcast, and its client drops, resumes, or is kicked.

Two things are promised. Every broadcast that is accepted after ``join`` has returned arrives, and none that
is accepted after ``leave`` has. And all members get the broadcasts to their rooms in one order, also when two
threads broadcast to the same two rooms, which they name in different orders: a hub that locks the rooms in
the order in which they are named has two threads that wait for each other for ever.
"""

from __future__ import annotations

import json

import pytest

from resumehub import Connection, ConnectionClosed, ConnectionNotFound, Message
from resumehub.server import room as room_module
from resumehub.testing import Lab, explore
from resumehub.testing.explorer import ScheduleFailed
from resumehub.testing.lab import Peer
from resumehub.testing.strategies import PCT, Deepening, Random

SHARE = pytest.mark.parametrize("share", [False, True], ids=["a reader each", "shared readers"])


def heard(*peers: Peer) -> list[int]:
    return [json.loads(said)["payload"] for peer in peers for said in peer.received()]


def join_beside_broadcasts(lab: Lab) -> None:
    hub = lab.open()
    alice = lab.dial("/?id=alice")
    lab.run_until_idle()
    connection = hub.get("alice")
    assert connection is not None
    joined, must, may = [False], list[int](), list[int]()

    @lab.actor
    def member() -> None:
        connection.join("news")
        joined[0] = True

    @lab.actor
    def application() -> None:
        for number in range(3):
            (must if joined[0] else may).append(number)
            hub.broadcast(["lobby", "news"] if number == 2 else "news", Message("n", number))

    @lab.at_end
    def it_got_what_it_must() -> None:
        got = heard(alice)
        assert got == sorted(set(got)), "each once, in order"
        assert set(must) | {2} <= set(got) <= set(must) | set(may)


def leave_beside_broadcasts(lab: Lab) -> None:
    hub = lab.open()
    alice = lab.dial("/?id=alice")
    lab.run_until_idle()
    connection = hub.get("alice")
    assert connection is not None
    connection.join("news")
    left, must_not = [False], list[int]()

    @lab.actor
    def member() -> None:
        connection.leave("news")
        left[0] = True

    @lab.actor
    def application() -> None:
        for number in range(3):
            if left[0]:
                must_not.append(number)
            hub.broadcast("news", Message("n", number))

    @lab.at_end
    def it_got_nothing_more() -> None:
        assert not set(heard(alice)) & set(must_not)


def rooms_and_ends(lab: Lab) -> None:
    """A member is joined, drops, comes back, is kicked, or expires; the tables agree in the end."""
    hub = lab.open(resume_window=10)
    alice, bob = lab.dial("/?id=alice"), lab.dial("/?id=bob")
    lab.run_until_idle()
    connection = hub.get("alice")
    assert connection is not None
    outcome: list[str] = []

    @lab.actor
    def member() -> None:
        try:
            connection.join("news")
            outcome.append("joined")
        except ConnectionClosed:
            outcome.append("closed")

    @lab.actor
    def network() -> None:
        alice.drop()

    @lab.actor
    def application() -> None:
        hub.broadcast(["news", "lobby"], Message("n", 1))
        try:
            hub.kick("alice")
        except ConnectionNotFound:
            outcome.append("gone")

    @lab.at_end
    def nothing_is_left() -> None:
        assert heard(bob) == [1]
        assert connection.closed
        assert len(outcome) == 1
        assert hub.rooms() == ["lobby"], "the room that only the kicked session was in is gone"
        assert hub.count("lobby") == 1


def two_to_both(lab: Lab) -> None:
    """Alice and Bob are in both rooms; two threads broadcast to both."""
    hub = lab.open()
    peers = [lab.dial("/?id=alice&room=a"), lab.dial("/?id=bob&room=b")]
    lab.run_until_idle()
    for name, other in (("alice", "b"), ("bob", "a")):
        connection: Connection | None = hub.get(name)
        assert connection is not None
        connection.join(other)

    @lab.actor
    def one() -> None:
        hub.broadcast(["a", "b"], Message("n", 1))

    @lab.actor
    def two() -> None:
        hub.broadcast(["b", "a"], Message("n", 2))

    @lab.at_end
    def both_got_both_in_one_order() -> None:
        alice, bob = heard(peers[0]), heard(peers[1])
        assert sorted(alice) == [1, 2]
        assert alice == bob


SCENARIOS = [join_beside_broadcasts, leave_beside_broadcasts, rooms_and_ends, two_to_both]


@SHARE
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_holds_in_every_order_that_is_tried(scenario, share) -> None:
    explore(scenario, Deepening(), max_schedules=40, share=share)
    explore(scenario, PCT(seed=13, count=25), share=share, stop_at_locks=True)
    explore(scenario, Random(seed=13, count=25), share=share, stop_at_locks=True)


def test_a_hub_that_locks_the_rooms_as_they_are_named_waits_for_ever(monkeypatch) -> None:
    monkeypatch.setattr(room_module, "sorted", lambda rooms, key: rooms, raising=False)
    with pytest.raises(ScheduleFailed, match="the order of room"):
        explore(two_to_both, PCT(seed=1, count=300), stop_at_locks=True)


def test_a_hub_that_locks_no_room_but_the_first_mixes_the_order(monkeypatch) -> None:
    monkeypatch.setattr(room_module, "sorted", lambda rooms, key: rooms[:1], raising=False)
    with pytest.raises(ScheduleFailed):
        explore(two_to_both, PCT(seed=1, count=300), stop_at_locks=True)
