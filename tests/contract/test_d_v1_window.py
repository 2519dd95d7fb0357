"""D2: a full window is pressure for ``send`` and a ``$missed`` for ``broadcast``."""

from __future__ import annotations

import pytest

from resumehub import Message, SendBufferFull
from tests.contract.peers import ROCK, rock
from tests.contract.v1_client import Speaker, dial
from tests.support import Stage


def shout(s: Stage, *payloads: object) -> None:
    for payload in payloads:
        s.hub.broadcast("lobby", Message("b", payload))


def everything(speaker: Speaker, count: int) -> list[object]:
    """The next ``count`` messages: data as its payload, the others as they are."""
    messages = [speaker.read() for _ in range(count)]
    return [payload if event in ("n", "b") else (event, payload) for event, payload in messages]


def gap(first: int, last: int) -> tuple[str, dict[str, int]]:
    return ("$missed", {"from": first, "to": last})


# -- send -------------------------------------------------------------------------------------


@pytest.mark.contract("D2", "C1")
@pytest.mark.parametrize("state", ["connected", "suspended"])
def test_send_raises_when_the_window_is_full_of_what_was_written(stage, state) -> None:
    """Everything is with the client's kernel; but only the client's word makes room."""
    s = stage(send_buffer=3)
    peer = dial(s)
    s.say("u1", 1, 2, 3)
    assert peer.take(3) == [1, 2, 3]
    if state == "suspended":
        peer.drop()

    with pytest.raises(SendBufferFull) as full:
        s.say("u1", 4)
    assert (full.value.connection_id, full.value.frames) == ("u1", 3)

    if state == "suspended":
        peer = peer.resume()
        assert peer.read()[0] == "$replayed"
    else:
        peer.ack_for_sure(1)
    s.say("u1", 4)
    assert peer.take(1) == [4]


@pytest.mark.contract("D2", "C1")
def test_an_ack_makes_as_much_room_as_it_proves(stage) -> None:
    s = stage(send_buffer=4)
    peer = dial(s)
    s.say("u1", 1, 2, 3, 4)
    assert peer.take(4) == [1, 2, 3, 4]
    peer.ack_for_sure(3)
    s.say("u1", 5, 6, 7)
    with pytest.raises(SendBufferFull):
        s.say("u1", 8)
    assert peer.take(3) == [5, 6, 7]


@pytest.mark.contract("D2", "C1")
def test_the_window_is_full_by_bytes(stage) -> None:
    s = stage(send_buffer_bytes=3000)
    peer = dial(s)
    s.say("u1", "x" * 1400, "y" * 1400)
    assert len(peer.take(2)) == 2
    with pytest.raises(SendBufferFull):
        s.say("u1", "z" * 1400)
    peer.ack_for_sure(1)
    s.say("u1", "z" * 1400)
    assert peer.take(1) == ["z" * 1400]


@pytest.mark.contract("D2")
def test_of_messages_that_were_sent_again_none_is_counted_twice(stage) -> None:
    """The window has as much room behind three drops as before them."""
    s = stage(send_buffer=3)
    peer = dial(s)
    s.say("u1", 1, 2)
    for _ in range(3):
        peer.drop()
        peer = peer.resume(received=0)
        assert peer.take(2) == [1, 2]
        peer.received = 0
    s.say("u1", 3)
    with pytest.raises(SendBufferFull):
        s.say("u1", 4)


# -- broadcast --------------------------------------------------------------------------------


@pytest.mark.contract("D2", "C1")
def test_a_client_is_told_at_once_of_a_broadcast_that_it_misses(stage) -> None:
    """In its place in the order; it counts as handled, and the next message has the next number."""
    s = stage(send_buffer=3)
    peer = dial(s)
    s.say("u1", 1, 2, 3)
    shout(s, 4, 5)
    assert everything(peer, 5) == [1, 2, 3, gap(4, 4), gap(5, 5)]

    peer.ack_for_sure()

    assert (peer.received, s.hub.stats().acknowledged, s.hub.stats().dropped) == (5, 3, 2)
    s.say("u1", 6)
    assert peer.read() == ("n", 6)
    peer.drop()
    assert peer.resume().hello["replay_from"] == 7


@pytest.mark.contract("D2", "C1")
def test_what_is_missed_in_a_row_is_told_as_one(stage) -> None:
    """A broadcast drops the oldest that has not begun; a hundred of them are one line, not a hundred."""
    s = stage(send_buffer=3)
    peer = dial(s)
    s.say("u1", 1)
    assert peer.take(1) == [1]
    peer.drop()
    shout(s, *range(2, 103))

    back = peer.resume(received=0)

    assert everything(back, 5) == [1, gap(2, 100), 101, 102, ("$replayed", {"messages": 3})]


@pytest.mark.contract("D2", "C1")
def test_behind_a_message_that_has_begun_the_oldest_goes(stage) -> None:
    """What is half written is never dropped, and the gap stands behind it."""
    s = stage(send_buffer=3)
    peer = dial(s)
    rock(s)
    s.say("u1", 2, 3)
    shout(s, 4, 5)
    assert peer.read() == ("rock", "r" * ROCK)
    assert everything(peer, 3) == [gap(2, 3), 4, 5]


@pytest.mark.contract("D2")
def test_a_hole_is_told_again_until_it_is_acknowledged(stage) -> None:
    """The connection that carried it was lost: on each of the next ones it stands in the same place."""
    s = stage(send_buffer=2)
    peer = dial(s)
    s.say("u1", 1, 2)
    shout(s, 3)
    peer.ack_for_sure(1)
    s.say("u1", 4)
    shout(s, 5)
    expected = [2, gap(3, 3), 4, gap(5, 5)]
    assert everything(peer, 5) == [1, *expected]
    for _ in range(2):
        peer.drop()
        peer = peer.resume(received=1)
        assert everything(peer, 5) == [*expected, ("$replayed", {"messages": 2})]

    peer.ack_for_sure(5)

    peer.drop()
    peer = peer.resume(received=5)
    assert everything(peer, 1) == [("$replayed", {"messages": 0})]


@pytest.mark.contract("D2")
@pytest.mark.parametrize("received", [1, 2, 3, 4])
def test_a_client_may_know_of_a_part_of_a_hole(stage, received) -> None:
    """It is told of the rest: what it knows when it comes back, or says in an $ack, is not told again."""
    s = stage(send_buffer=1)
    peer = dial(s)
    s.say("u1", 1)
    assert peer.take(1) == [1]
    peer.drop()
    shout(s, 2, 3, 4)
    peer = peer.resume(received=0)
    assert everything(peer, 3) == [1, gap(2, 4), ("$replayed", {"messages": 1})]
    peer.ack_for_sure(received)
    peer.drop()

    back = peer.resume(received=received)

    rest = [gap(received + 1, 4)] if received < 4 else []
    assert everything(back, len(rest) + 1) == [*rest, ("$replayed", {"messages": 0})]
    assert back.hello["replay_from"] == received + 1


@pytest.mark.contract("D2")
def test_one_who_does_not_keep_up_costs_the_others_nothing(stage) -> None:
    """Each receiver has a window of its own."""
    s = stage(send_buffer=2)
    slow, quick = dial(s, "slow"), dial(s, "quick")
    for number in range(1, 5):
        shout(s, number)
        assert quick.take(1) == [number]
        quick.ack_for_sure()
    assert everything(slow, 4) == [1, 2, gap(3, 3), gap(4, 4)]


@pytest.mark.contract("D2", "C2")
def test_sends_and_broadcasts_keep_their_order_around_a_hole(stage) -> None:
    s = stage(send_buffer=4)
    peer = dial(s)
    peer.drop()
    s.say("u1", 1)
    shout(s, 2)
    s.say("u1", 3)
    shout(s, 4, 5)
    with pytest.raises(SendBufferFull):
        s.say("u1", 6)
    assert everything(peer.resume(), 6) == [gap(1, 1), 2, 3, 4, 5, ("$replayed", {"messages": 4})]
