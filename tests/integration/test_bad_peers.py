"""Peers over real TCP that do not read, do not answer, or break off in the middle: nobody else notices."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from resumehub import Counters, Message, SendBufferFull, TransportLost
from resumehub.testing import WebSocketClient, client_frame
from tests.support import PATIENCE, Stage, read, text

WRITE_TIMEOUT = 10.0

MakeStage = Callable[..., Stage]


def test_one_peer_that_never_reads_among_50_healthy_ones(stage: MakeStage) -> None:
    """All others get all messages; the one that takes nothing is given up after write_timeout."""
    s = stage(write_timeout=WRITE_TIMEOUT)
    stalled = s.open("stalled", tcp=True)
    healthy = {f"u{n}": s.open(f"u{n}", tcp=True) for n in range(50)}
    stuff(s, "stalled")

    for n in range(100):
        s.hub.broadcast("lobby", Message("n", n))
    for ws in healthy.values():
        assert [read(ws) for _ in range(100)] == [("n", n) for n in range(100)]

    # The hub goes on with everything else: a newcomer, a farewell, an echo.
    s.open("late", tcp=True)
    s.recorder.wait_for("connect", "late")
    s.hub.kick("late")
    healthy["u0"].send(text("hello"))
    s.recorder.wait_for("message", "u0")
    assert s.recorder.hooks("stalled") == ["connect"]

    s.clock.advance(WRITE_TIMEOUT)

    error = s.recorder.wait_for("drop", "stalled")
    assert isinstance(error, TransportLost)
    assert error.reason == "the peer stopped reading"
    s.hub.broadcast("lobby", Message("after"))
    for name, ws in healthy.items():
        assert read(ws) == ("after", None)
        assert "drop" not in s.recorder.hooks(name)
    assert stalled.receive_close(PATIENCE)[0] == 1006


def test_the_stalled_one_comes_back_to_its_newest_messages(stage: MakeStage) -> None:
    """Being given up costs a peer its transport, not its session: what was kept waits for it."""
    s = stage(write_timeout=WRITE_TIMEOUT, send_buffer=5)
    stalled = s.open("stalled", tcp=True)
    stuff(s, "stalled")
    for n in range(20):
        s.hub.broadcast("lobby", Message("n", n))
    s.clock.advance(WRITE_TIMEOUT)
    s.recorder.wait_for("drop", "stalled")

    again = s.resume(stalled)

    heard = [read(again) for _ in range(5)]
    # One frame may have been begun: such a one is not dropped, and now comes whole, ahead of the rest.
    assert heard[-4:] == [("n", n) for n in range(16, 20)]
    assert heard[0][0] == "stuffing" or heard[0] == ("n", 15)


def test_a_peer_that_never_answers_a_close_is_not_waited_for(stage: MakeStage) -> None:
    """It has been told, it has had its time; then the socket goes, and nothing of it is left."""
    s = stage(write_timeout=WRITE_TIMEOUT)
    deaf = s.open("deaf", tcp=True)
    ignore_closes(deaf)
    s.hub.kick("deaf")
    assert deaf.receive_close(PATIENCE) == (1000, "kicked")
    writers_have_left()

    s.clock.advance(WRITE_TIMEOUT - 0.1)
    assert not deaf.wait_for_eof(0)
    s.clock.advance(0.1)

    assert deaf.wait_for_eof(PATIENCE)
    assert s.recorder.wait_for("disconnect", "deaf") is None


def test_a_peer_that_neither_reads_nor_answers_cannot_hold_up_a_close(stage: MakeStage) -> None:
    """Its data is given up, then the close frame, then the socket: three times write_timeout at most."""
    s = stage(write_timeout=WRITE_TIMEOUT)
    stalled = s.open("stalled", tcp=True)
    stuff(s, "stalled")
    connection = s.hub.get("stalled")

    s.hub.kick("stalled")
    assert s.hub.get("stalled") is None
    assert connection.wait_closed(PATIENCE)
    s.clock.advance(3 * WRITE_TIMEOUT)

    assert stalled.receive_close(PATIENCE)[0] == 1006
    assert s.recorder.hooks("stalled") == ["connect", "disconnect"]


@pytest.mark.parametrize("cut", [1, 3, 7, 100], ids=lambda cut: f"after {cut} bytes")
def test_a_peer_that_resets_in_mid_frame_says_nothing_half(stage: MakeStage, cut: int) -> None:
    """Half a message is no message; the session waits, and the next transport starts afresh."""
    counters = Counters()
    s = stage(metrics=counters)
    ws = s.open("ada", tcp=True)
    ws.send(text("whole", 1))
    s.recorder.wait_for("message", "ada")
    ws.send_raw(client_frame("text", text("half", "x" * 1000).encode())[:cut])

    s.drop(ws, "ada")

    again = s.resume(ws)
    again.send(text("whole", 2))
    s.recorder.wait_for("message", "ada", 2)
    assert s.recorder.hooks("ada") == ["connect", "message", "drop", "restore", "message"]
    assert [message.payload for hook, _, message in s.recorder.events if hook == "message"] == [1, 2]
    assert counters.snapshot()["messages_received"] == 2


def test_a_reset_in_the_middle_of_our_frame_has_it_sent_whole_again(stage: MakeStage) -> None:
    """What the peer got half of comes whole after the resume, and what waited behind it, in order."""
    s = stage(send_buffer_bytes=1 << 24)
    ws = s.open("ada", tcp=True)
    huge = "x" * (1 << 23)  # more than any socket takes at once
    s.say("ada", huge, 1, 2)
    assert ws.sock.recv(100)

    s.drop(ws, "ada")

    again = s.resume(ws)
    assert [read(again) for _ in range(3)] == [("n", huge), ("n", 1), ("n", 2)]


# -- helpers ---------------------------------------------------------------------------------


def stuff(s: Stage, name: str) -> None:
    """Send until the kernel takes no more and the buffer is full behind it."""
    with pytest.raises(SendBufferFull):
        s.say(name, *["x" * 50_000] * 1000, event="stuffing")


def ignore_closes(ws: WebSocketClient) -> None:
    """Have the client not answer a close frame."""
    ws.answers_closes = False


def writers_have_left() -> None:
    """Wait until every writer thread has ended: all it had to report is in the hub's queue."""
    for thread in threading.enumerate():
        if "-writer-" in thread.name:
            thread.join(PATIENCE)
            assert not thread.is_alive()
