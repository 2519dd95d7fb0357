"""A close frame for a peer whose outbox is full.

The order: a peer does not read; its outbox fills up; the application kicks it. A hub that sends the close
frame by the same bounded queue as everything else finds no room and drops it (the peer sees a connection
that just ends, 1006, and comes back at once); one that waits for room hangs with all its sessions. Ours has a
lane of its own for control frames: behind the data for as long as the peer takes any, before it afterwards.
"""

from __future__ import annotations

import pytest

from resumehub import Message, SendBufferFull
from resumehub.outgoing.transport_writer import TransportWriter
from resumehub.testing import TransportClosed
from tests.support import PATIENCE, read

BIG = "x" * 50_000


class SendsItAsAMessage(TransportWriter):
    """A close frame is a message like any other: where there is no room for one, it is dropped."""

    def close(self, code: int, reason: str, *, after_data: bool) -> None:
        with self._lock:
            full = self._outbox is not None and len(self._outbox) >= self._outbox.max_frames
        if not full:
            super().close(code, reason, after_data=after_data)


def fill(one) -> int:
    """Send until the outbox takes no more; how many it took."""
    for number in range(1000):
        try:
            one.hub.send("u1", Message("n", [number, BIG]))
        except SendBufferFull:
            return number
    raise AssertionError("it is never full")


def read_to_the_end(ws) -> list[int]:
    """The numbers of all messages that come before the close frame."""
    got = []
    try:
        while True:
            got.append(read(ws)[1][0])
    except TransportClosed:
        return got


def test_a_close_frame_that_is_a_message_is_lost(stage, monkeypatch):
    monkeypatch.setattr("resumehub.server.effect_runner.TransportWriter", SendsItAsAMessage)
    one = stage(send_buffer=8)
    ws = one.open()
    fill(one)
    one.hub.kick("u1")
    one.clock.advance(100)
    assert ws.receive_close(PATIENCE) == (1006, "")


def test_a_peer_that_reads_after_all_gets_every_message_and_then_the_close_frame(stage):
    """kick does not wait for it, and neither does anybody else."""
    one = stage(send_buffer=8)
    ws, other = one.open(), one.open("u2")
    count = fill(one)
    one.hub.kick("u1")
    one.say("u2", "the hub is not held up")
    assert read(other) == ("n", "the hub is not held up")

    assert [read(ws)[1][0] for _ in range(count)] == list(range(count))
    with pytest.raises(TransportClosed, match="1000 'kicked'"):
        ws.receive(PATIENCE)


def test_a_peer_that_takes_nothing_for_too_long_loses_messages_before_the_close_frame(stage):
    """After write_timeout the whole messages that wait are dropped; what has begun is finished."""
    one = stage(send_buffer=8)
    ws = one.open()
    count = fill(one)
    one.hub.kick("u1")
    one.clock.advance(10)

    got = read_to_the_end(ws)
    assert ws.closed == (1000, "kicked")
    assert got == list(range(len(got)))
    assert len(got) < count


def test_a_peer_that_never_reads_is_dropped_in_the_end(stage):
    """Twice write_timeout, and its socket is gone, with nobody's help."""
    one = stage(send_buffer=8)
    ws = one.open()
    fill(one)
    connection = one.hub.get("u1")
    one.hub.kick("u1")
    assert connection.wait_closed(PATIENCE), "its handlers need not wait for the socket"
    one.clock.advance(20)
    assert one.hub.close(PATIENCE).complete, "nothing is left of it, though it has not read a byte"
    assert ws.receive_close(PATIENCE) == (1006, "")


def test_a_superseded_peer_gets_its_close_frame_before_the_data(stage):
    """What waits belongs to the next transport; the old one gets the rest of its frame and 4101."""
    one = stage(send_buffer=8)
    ws = one.open()
    count = fill(one)
    again = one.resume(ws)
    got = read_to_the_end(ws)
    assert ws.closed == (4101, "superseded")
    rest = [read(again)[1][0] for _ in range(count - len(got) + 1)]
    assert rest[0] in (got[-1], got[-1] + 1), "the half-written one is replayed whole"
    assert rest[-1] == count - 1 or read(again)[1][0] == count - 1
