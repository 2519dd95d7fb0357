"""A session enters a room while others broadcast to it, and the room may be empty in between.

Promised is: each broadcast once, from the history or live; the history first; in the order of the room. Two
steps must not fall apart for that. The thread that broadcasts lists the receivers and enters the message; the
hub thread gives the history and adds the member. Variants in which one of them does fall apart are caught: a
message comes twice, never, or in front of an older one.
"""

from __future__ import annotations

import contextlib
import json

import pytest

from resumehub import ConnectionNotFound, Hub, Message
from resumehub.server import local_calls
from resumehub.server.registry import SessionRegistry
from resumehub.server.room import broadcast
from resumehub.testing import Lab, explore
from resumehub.testing.explorer import ScheduleFailed
from resumehub.testing.lab import Peer
from resumehub.testing.strategies import PCT, Deepening, Random

SHARE = pytest.mark.parametrize("share", [False, True], ids=["a reader each", "shared readers"])
HISTORY = {"lobby": 10, "news": 10}


def heard(*peers: Peer) -> list[tuple[int, bool]]:
    """Each payload, and whether it has the mark."""
    said = [json.loads(one) for peer in peers for one in peer.received()]
    return [(one["payload"], one.get("history", False)) for one in said]


def check_newcomer(got: list[tuple[int, bool]], expected: list[int]) -> None:
    assert [payload for payload, _ in got] == expected, "each once, in order"
    marks = [mark for _, mark in got]
    assert marks == sorted(marks, reverse=True), "the history first"


def dials(lab: Lab, url: str) -> list[Peer]:
    """A client that dials beside all else; it is in the list when it has its answer."""
    peers: list[Peer] = []

    @lab.actor
    def client() -> None:
        peers.append(lab.dial(url))

    return peers


def broadcasts(lab: Lab, hub: Hub) -> None:
    """An application sends three messages to the room."""

    @lab.actor
    def application() -> None:
        for number in range(3):
            hub.broadcast("lobby", Message("n", number))


def newcomer_beside_broadcasts(lab: Lab) -> None:
    hub = lab.open(history=HISTORY)
    bob = lab.dial("/?id=bob")
    lab.run_until_idle()
    alice = dials(lab, "/?id=alice")

    broadcasts(lab, hub)

    @lab.at_end
    def each_has_all() -> None:
        assert heard(bob) == [(number, False) for number in range(3)]
        check_newcomer(heard(*alice), [0, 1, 2])


def newcomer_in_an_empty_room(lab: Lab) -> None:
    """The only member is kicked, and the newcomer makes the room anew."""
    hub = lab.open(history=HISTORY)
    lab.dial("/?id=bob")
    lab.run_until_idle()
    alice = dials(lab, "/?id=alice")

    broadcasts(lab, hub)

    @lab.actor
    def moderator() -> None:
        with contextlib.suppress(ConnectionNotFound):
            hub.kick("bob")

    @lab.at_end
    def she_has_all() -> None:
        check_newcomer(heard(*alice), [0, 1, 2])


def join_beside_broadcasts_to_both(lab: Lab) -> None:
    """She is in the lobby, and joins the other room: what went to both she has already, or gets live."""
    hub = lab.open(history=HISTORY)
    alice = lab.dial("/?id=alice")
    lab.run_until_idle()
    connection = hub.get("alice")
    assert connection is not None
    hub.broadcast("news", Message("n", 0))

    @lab.actor
    def member() -> None:
        connection.join("news")

    @lab.actor
    def application() -> None:
        hub.broadcast(["news", "lobby"], Message("n", 1))
        hub.broadcast("news", Message("n", 2))

    @lab.at_end
    def she_has_each_once() -> None:
        got = heard(alice)
        assert sorted(payload for payload, _ in got) == [0, 1, 2]
        assert (1, False) in got, "she was in the lobby"
        assert [payload for payload, _ in got if payload != 1] == [0, 2]
        assert (0, True) in got


def join_while_away(lab: Lab) -> None:
    """Her network fails, she comes back, and meanwhile she is joined: what she got counts once."""
    hub = lab.open(history=HISTORY, resume_window=1000)
    alice = lab.dial("/?id=alice")
    lab.run_until_idle()
    connection = hub.get("alice")
    assert connection is not None
    for number in range(2):
        hub.broadcast("news", Message("n", number))
    alice.drop()
    lab.run_until_idle()
    again = dials(lab, "/?id=alice&resume=true")

    @lab.actor
    def member() -> None:
        connection.join("news")

    @lab.actor
    def application() -> None:
        hub.broadcast("news", Message("n", 2))

    @lab.at_end
    def she_has_each_once() -> None:
        check_newcomer(heard(*again), [0, 1, 2])


SCENARIOS = [
    newcomer_beside_broadcasts,
    newcomer_in_an_empty_room,
    join_beside_broadcasts_to_both,
    join_while_away,
]


@SHARE
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_holds_in_every_order_that_is_tried(scenario, share) -> None:
    explore(scenario, Deepening(), max_schedules=40, share=share)
    explore(scenario, PCT(seed=13, count=40), share=share, stop_at_locks=True)
    explore(scenario, Random(seed=13, count=40), share=share, stop_at_locks=True)


# -- variants that are caught -------------------------------------------------------------


def keeps_first(history, counts, room_ids, found, frame, marked, excluded, observers, cork) -> None:
    """Enters the message, and then lists the receivers: who comes in between gets it twice."""
    with history.lock:
        history.keep(counts, room_ids, marked, excluded)
    broadcast(found(room_ids), frame, excluded, observers, cork)


def keeps_last(history, counts, room_ids, found, frame, marked, excluded, observers, cork) -> None:
    """The other way round: who comes in between never gets it."""
    broadcast(found(room_ids), frame, excluded, observers, cork)
    with history.lock:
        history.keep(counts, room_ids, marked, excluded)


@pytest.mark.parametrize("naive", [keeps_first, keeps_last])
@pytest.mark.parametrize("scenario", [newcomer_beside_broadcasts, newcomer_in_an_empty_room])
def test_a_broadcast_in_two_steps_is_caught(scenario, naive, monkeypatch) -> None:
    monkeypatch.setattr(local_calls, "broadcast_and_keep", naive)
    with pytest.raises(ScheduleFailed, match="each once, in order"):
        explore(scenario, PCT(seed=1, count=300), stop_at_locks=True)


def enters_first(self, session) -> None:
    """Becomes a member, and is then given the history: what is said in between comes first."""
    self.enter(session)
    with self.history.lock:
        self.history.give(session, session.room_id)


def test_an_entry_in_two_steps_is_caught(monkeypatch) -> None:
    monkeypatch.setattr(SessionRegistry, "begin", enters_first)
    with pytest.raises(ScheduleFailed, match="each once, in order"):
        explore(newcomer_beside_broadcasts, PCT(seed=1, count=300), stop_at_locks=True)


def does_not_look_again(history, counts, room_ids, found, frame, marked, excluded, observers, cork) -> None:
    """Finds the rooms once: one that comes into being behind that is missed."""
    rooms = found(room_ids)

    def look():
        with history.lock:
            history.keep(counts, room_ids, marked, excluded)
            return [room.members() for room in rooms]

    broadcast(rooms, frame, excluded, observers, cork, look)


def test_a_broadcast_that_does_not_see_a_new_room_is_caught(monkeypatch) -> None:
    monkeypatch.setattr(local_calls, "broadcast_and_keep", does_not_look_again)
    with pytest.raises(ScheduleFailed, match="each once, in order"):
        explore(newcomer_in_an_empty_room, PCT(seed=1, count=1000), stop_at_locks=True)
