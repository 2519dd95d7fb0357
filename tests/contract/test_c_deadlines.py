"""How long a peer may take no byte, or not answer a close frame (C5)."""

from __future__ import annotations

import threading

import pytest

from resumehub import TransportLost
from resumehub.testing import TransportClosed, WebSocketClient
from tests.contract.peers import (
    Ledger,
    fill,
    heard_all,
    never_answer_close,
    rock,
    running,
    sip,
    unread,
    until,
)
from tests.support import PATIENCE, Stage, read, text


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def s(stage, ledger) -> Stage:
    """write_timeout is 10 seconds; there is no heartbeat to end anything before."""
    return stage(metrics=ledger, send_buffer_bytes=1 << 22, ping_interval=None)


def takes_some(ws: WebSocketClient, ledger: Ledger) -> None:
    """The peer reads what waits for it; returns when the server has seen, and used, the room."""
    sent = len(ledger.of("message_sent"))
    sip(ws, unread(ws))
    ledger.wait_for("message_sent", sent + 1)


def rest(ws: WebSocketClient) -> list[str]:
    """The events of all messages up to the end, which is in ``ws.closed`` then."""
    events = []
    try:
        while True:
            events.append(read(ws)[0])
    except TransportClosed:
        return events


def close_frame_is_out() -> None:
    """Wait until the writer threads have written, reported and gone."""
    until(lambda: not any("-writer-" in thread.name for thread in threading.enumerate()))


@pytest.mark.contract("C5")
def test_a_peer_that_takes_nothing_loses_its_messages_before_its_close_frame(s, ledger) -> None:
    """write_timeout after the kick the queue is dropped, so that the close frame is next."""
    ws = s.open()
    fill(s)
    written = len(ledger.of("message_sent"))
    s.hub.kick("u1")

    s.clock.advance(9.5)
    assert ledger.of("message_dropped") == []
    s.clock.advance(0.5)

    whole = 20 - written - 1  # the one that has begun is not dropped
    assert ledger.of("message_dropped") == [("lobby", "u1", "closed")] * whole
    assert rest(ws) == ["fill"] * (written + 1)
    assert ws.closed == (1000, "kicked")


@pytest.mark.contract("C5")
def test_the_deadline_counts_from_the_last_byte_that_the_peer_took(s, ledger) -> None:
    """A slow peer is not a dead one."""
    ws = s.open()
    fill(s)
    s.hub.kick("u1")
    for _ in range(3):
        s.clock.advance(9.5)
        takes_some(ws, ledger)

    s.clock.advance(9.5)
    assert ledger.of("message_dropped") == []
    s.clock.advance(0.5)
    assert ledger.of("message_dropped") != []

    assert rest(ws)
    assert ws.closed == (1000, "kicked")


@pytest.mark.contract("C5")
def test_a_peer_that_never_reads_is_cut_off_in_the_end(s) -> None:
    """The close frame is given up last."""
    ws = s.open()
    fill(s)
    s.hub.kick("u1")
    taken = unread(ws)

    s.clock.advance(19.5)
    assert unread(ws) == taken
    assert not _hung_up(ws, taken)
    s.clock.advance(0.5)

    assert _hung_up(ws, taken)
    rest(ws)
    assert ws.closed == (1006, "")
    assert s.hub.close(PATIENCE).complete


def _hung_up(ws: WebSocketClient, waiting: int) -> bool:
    """Whether the server has shut the connection, behind ``waiting`` bytes that are unread."""
    assert unread(ws) == waiting
    try:
        ws.sock.send(b"")
        ws.ping()
    except OSError:
        return True
    return False


@pytest.mark.contract("C5")
def test_a_transport_that_was_taken_over_and_never_reads_is_cut_off(s) -> None:
    """Its successor does not notice."""
    ws = s.open()
    rock(s)
    again = s.resume(ws)
    assert read(again)[0] == "rock"
    taken = unread(ws)

    s.clock.advance(20)

    assert _hung_up(ws, taken)
    heard_all(again)
    assert again.closed is None


@pytest.mark.contract("C5")
@pytest.mark.parametrize("end", ["kicked", "superseded", "handler error"])
def test_the_answer_to_a_close_frame_is_awaited_for_write_timeout(s, end) -> None:
    """A peer that has the close frame and keeps the connection is cut off."""
    s.hub.on_message(lambda connection, message: 1 / 0)
    ws = s.open()
    never_answer_close(ws)
    s.clock.advance(5)
    if end == "kicked":
        s.hub.kick("u1")
    elif end == "superseded":
        s.resume(ws)
    else:
        ws.send(text("hello"))
    assert ws.receive_close()[1] == end
    close_frame_is_out()

    s.clock.advance(9.5)
    assert not ws.wait_for_eof(timeout=0)
    s.clock.advance(0.5)

    assert ws.wait_for_eof()


@pytest.mark.contract("C5")
def test_the_answer_ends_the_connection_at_once(s) -> None:
    """No deadline is needed with a peer that behaves."""
    ws = s.open()
    s.hub.kick("u1")

    assert ws.receive_close() == (1000, "kicked")

    assert ws.wait_for_eof()


@pytest.mark.contract("C5")
@pytest.mark.parametrize("tcp", [False, True], ids=["on a socketpair", "on TCP"])
def test_what_a_peer_says_instead_of_answering_is_read_and_discarded(s, tcp) -> None:
    """So that its answer is found behind it, and nothing that is unread resets the connection."""
    ws = s.open(tcp=tcp)
    never_answer_close(ws)
    s.hub.kick("u1")
    assert ws.receive_close() == (1000, "kicked")
    close_frame_is_out()

    ws.sock.settimeout(PATIENCE)
    for _ in range(100):
        ws.send(text("too late", "x" * 50_000))
    ws.send_close(1000)

    assert ws.wait_for_eof()
    s.recorder.wait_for("disconnect")
    assert s.recorder.hooks() == ["connect", "disconnect"]


@pytest.mark.contract("C5")
def test_a_peer_that_stops_reading_is_dropped_and_can_resume(s, ledger) -> None:
    """Without a heartbeat, too: a send that does not get through for write_timeout is a lost transport."""
    ws = s.open()
    fill(s)
    s.clock.advance(9.5)
    takes_some(ws, ledger)
    s.clock.advance(9.5)
    connection = s.hub.get("u1")
    assert not connection.suspended

    s.clock.advance(0.5)

    assert connection.suspended
    error = s.recorder.wait_for("drop")
    assert type(error) is TransportLost
    written = len(ledger.of("message_sent"))
    again = s.resume(ws)
    assert [int(read(again)[1].split()[0]) for _ in range(20 - written)] == list(range(written, 20))


@pytest.mark.contract("C5")
def test_a_peer_that_reads_everything_in_the_end_is_not_dropped(s, ledger) -> None:
    """The deadline is gone when nothing waits any more."""
    ws = s.open()
    fill(s)
    s.clock.advance(9.5)
    for _ in range(20):
        assert read(ws)[0] == "fill"
    ledger.wait_for("message_sent", 20)

    s.clock.advance(1000)

    heard_all(ws)
    assert s.recorder.hooks() == ["connect"]
    fill(s)
    s.clock.advance(9.5)
    assert not s.hub.get("u1").suspended
    s.clock.advance(0.5)
    assert s.hub.get("u1").suspended


@pytest.mark.contract("C5", "C8")
@pytest.mark.parametrize("peer", ["does not read", "does not answer"])
def test_hub_close_does_not_wait_for_a_peer_beyond_its_own_time(s, peer) -> None:
    """Its timeout is real time, whatever the deadlines of the hub's clock are."""
    ws = s.open()
    if peer == "does not read":
        fill(s)
    else:
        never_answer_close(ws)

    assert s.hub.close(timeout=0.5).complete

    with running(lambda: rest(ws)):
        pass
    assert ws.closed == ((1006, "") if peer == "does not read" else (1001, "server shutting down"))
