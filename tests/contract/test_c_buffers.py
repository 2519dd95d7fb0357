"""What can be sent, and what is refused or dropped when there is no room (C1)."""

from __future__ import annotations

import pytest

from resumehub import Message, SendBufferFull
from resumehub.testing import WebSocketClient
from tests.contract.peers import ROCK, Ledger, rock, running, unread
from tests.support import Stage, read

STATES = ["connected", "suspended"]

# A message's payload so long, and its frame longer by {"event":"n","payload":""}.
AROUND = 26


def sized(number: int, frame_bytes: int) -> Message:
    """A message whose frame has exactly so many bytes; its payload begins with the number."""
    return Message("n", f"{number:03}".ljust(frame_bytes - AROUND, "."))


def numbers(ws: WebSocketClient, count: int) -> list[int]:
    """The numbers of the next messages, stones aside."""
    messages = [read(ws) for _ in range(count)]
    return [int(payload[:3]) for event, payload in messages if event != "rock"]


def nothing_is_written(s: Stage, state: str) -> WebSocketClient:
    """A session whose messages stay in its outbox: it is suspended, or its peer does not read."""
    ws = s.open()
    if state == "suspended":
        s.drop(ws)
    else:
        rock(s)  # it has begun and does not end, until the peer reads
    return ws


def comes_to_read(s: Stage, ws: WebSocketClient, state: str) -> WebSocketClient:
    return s.resume(ws) if state == "suspended" else ws


@pytest.mark.contract("C1")
@pytest.mark.parametrize("state", STATES)
def test_send_to_a_full_outbox_raises_and_queues_nothing(stage, state) -> None:
    """The bound on the number of messages; what was accepted before is still delivered."""
    s = stage(send_buffer=4)
    ws = nothing_is_written(s, state)
    room = 4 if state == "suspended" else 3  # the message that has begun counts until it is written
    for number in range(room):
        s.hub.send("u1", sized(number, 100))

    for _ in range(3):
        with pytest.raises(SendBufferFull) as full:
            s.hub.send("u1", sized(999, 100))
        assert (full.value.connection_id, full.value.frames) == ("u1", 4)

    ws = comes_to_read(s, ws, state)
    assert numbers(ws, 4) == list(range(room))


@pytest.mark.contract("C1")
@pytest.mark.parametrize("state", STATES)
def test_send_beyond_the_bytes_raises_and_smaller_ones_still_fit(stage, state) -> None:
    """The bound on bytes holds beside the other: whichever is reached first."""
    taken = 0 if state == "suspended" else 600_000 + len('{"event":"rock","payload":""}')
    s = stage(send_buffer_bytes=taken + 600_000)
    ws = nothing_is_written(s, state)
    s.hub.send("u1", sized(0, 250_000))
    s.hub.send("u1", sized(1, 250_000))

    with pytest.raises(SendBufferFull) as full:
        s.hub.send("u1", sized(999, 100_001))

    assert full.value.used_bytes == taken + 500_000
    s.hub.send("u1", sized(2, 100_000))
    with pytest.raises(SendBufferFull):
        s.hub.send("u1", sized(999, AROUND + 3))
    ws = comes_to_read(s, ws, state)
    assert numbers(ws, 3 + bool(taken)) == [0, 1, 2]


@pytest.mark.contract("C1")
@pytest.mark.parametrize("state", STATES)
def test_a_full_outbox_takes_more_once_the_peer_has_read(stage, state) -> None:
    """SendBufferFull is for now and not for ever."""
    ledger = Ledger()
    s = stage(send_buffer=4, metrics=ledger)
    ws = nothing_is_written(s, state)
    for number in range(4 if state == "suspended" else 3):
        s.hub.send("u1", sized(number, 100))
    with pytest.raises(SendBufferFull):
        s.hub.send("u1", sized(999, 100))

    ws = comes_to_read(s, ws, state)
    for _ in range(4):
        read(ws)
    ledger.wait_for("message_sent", 4)

    s.hub.send("u1", sized(77, 100))
    assert numbers(ws, 1) == [77]


@pytest.mark.contract("C1")
@pytest.mark.parametrize("state", STATES)
def test_broadcast_drops_the_oldest_that_has_not_begun(stage, state) -> None:
    """A receiver that is behind loses old news and gets the newest; each loss is counted."""
    ledger = Ledger()
    s = stage(send_buffer=4, metrics=ledger)
    ws = nothing_is_written(s, state)

    for number in range(10):
        s.hub.broadcast("lobby", sized(number, 100))

    kept = [6, 7, 8, 9] if state == "suspended" else [7, 8, 9]
    assert ledger.of("message_dropped") == [("lobby", "u1", "overflow")] * (10 - len(kept))
    ws = comes_to_read(s, ws, state)
    # Read to the end of it: the message that had begun is whole, and first.
    if state == "connected":
        assert read(ws)[0] == "rock"
    assert numbers(ws, len(kept)) == kept


@pytest.mark.contract("C1", "C3")
def test_a_message_that_has_begun_outlives_what_pushes_the_others_out(stage) -> None:
    """It is not written yet, so it is replayed if the transport dies: first, and whole."""
    s = stage(send_buffer=4)
    ws = nothing_is_written(s, "connected")
    for number in range(10):
        s.hub.broadcast("lobby", sized(number, 100))

    s.drop(ws)
    again = s.resume(ws)

    assert read(again) == ("rock", "r" * ROCK)
    assert numbers(again, 3) == [7, 8, 9]


@pytest.mark.contract("C1")
def test_broadcast_drops_as_many_as_its_bytes_need(stage) -> None:
    """Several small ones for one large one."""
    ledger = Ledger()
    s = stage(send_buffer_bytes=1000, metrics=ledger)
    ws = nothing_is_written(s, "suspended")
    for number in range(10):
        s.hub.send("u1", sized(number, 100))

    s.hub.broadcast("lobby", sized(99, 250))

    assert len(ledger.of("message_dropped")) == 3
    assert numbers(s.resume(ws), 8) == [3, 4, 5, 6, 7, 8, 9, 99]


@pytest.mark.contract("C1")
def test_broadcast_never_drops_a_message_that_has_begun(stage) -> None:
    """Half a frame in the stream would be the end of the stream: the newcomer is dropped instead."""
    ledger = Ledger()
    s = stage(send_buffer=1, metrics=ledger)
    ws = nothing_is_written(s, "connected")
    assert 0 < unread(ws) < 600_000

    s.hub.broadcast("lobby", sized(1, 100))

    assert ledger.of("message_dropped") == [("lobby", "u1", "overflow")]
    assert read(ws)[0] == "rock"
    ledger.wait_for("message_sent", 1)
    s.hub.broadcast("lobby", sized(2, 100))
    assert numbers(ws, 1) == [2]


@pytest.mark.contract("C1")
def test_a_slow_receiver_costs_the_others_of_its_room_nothing(stage) -> None:
    """They get every broadcast, and the sender never waits."""
    s = stage(send_buffer=4)
    nothing_is_written(s, "connected")
    quick = s.open("u2")

    for number in range(100):
        s.hub.broadcast("lobby", sized(number, 100))
        assert numbers(quick, 1) == [number]


@pytest.mark.contract("C1")
@pytest.mark.parametrize("state", ["idle", *STATES])
def test_a_message_that_can_never_fit_is_a_value_error(stage, state) -> None:
    """Not SendBufferFull, which says: try again later."""
    s = stage(send_buffer_bytes=700_000)
    ws = s.open() if state == "idle" else nothing_is_written(s, state)

    with pytest.raises(ValueError, match="send_buffer_bytes"):
        s.hub.send("u1", sized(999, 700_001))

    if state == "idle":
        with running(lambda: s.hub.send("u1", sized(1, 700_000))):
            assert numbers(ws, 1) == [1]


@pytest.mark.contract("C1")
def test_a_broadcast_that_can_never_fit_is_dropped_alone(stage) -> None:
    """It evicts nothing on its way to nowhere, and counts as dropped at each receiver."""
    ledger = Ledger()
    s = stage(send_buffer_bytes=1000, metrics=ledger)
    ws = nothing_is_written(s, "suspended")
    two = s.open("u2")
    for number in range(5):
        s.hub.send("u1", sized(number, 200))

    s.hub.broadcast("lobby", sized(999, 1001))

    assert sorted(ledger.of("message_dropped")) == [("lobby", "u1", "overflow"), ("lobby", "u2", "overflow")]
    s.hub.broadcast("lobby", sized(7, 200))
    assert numbers(two, 1) == [7]
    assert numbers(s.resume(ws), 5) == [1, 2, 3, 4, 7]
