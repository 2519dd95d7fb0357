"""One transport's outgoing bytes: in order, by one hand at a time, whole frames or their rest."""

from __future__ import annotations

import pytest

from resumehub.outgoing.wire_queue import BATCH_FRAMES, MAX_LANE
from tests.support import Call
from tests.writer_stage import WriterStage

HELLO = 2 + len("text hello") - len("text ")
"""Bytes of the frame "hello" on the wire."""


# -- writing directly --------------------------------------------------------------------------


def test_what_is_put_is_written_at_once() -> None:
    """By the sender itself: no thread is asked for while the peer keeps up."""
    stage = WriterStage()
    stage.put("hello", "", "again")
    assert stage.wire() == ["text hello", "text", "text again"]
    assert stage.waiting() == []
    assert not stage.owner.writers


def test_what_has_waited_goes_with_the_first_write() -> None:
    """More than one system call may carry."""
    stage = WriterStage()
    many = [str(number) for number in range(3 * BATCH_FRAMES)]
    stage.queue(*many)
    stage.writer.flush()
    assert stage.wire() == [f"text {payload}" for payload in many]


def test_each_frame_is_reported_once_it_is_whole() -> None:
    """With its size, and with what is left: that is what the metrics are told."""
    stage = WriterStage(window=HELLO + 3)
    stage.queue("hello", "bye")
    stage.writer.flush()
    assert [(flushed.sizes, flushed.left) for flushed in stage.owner.flushed] == [([5], 1)]
    stage.peer.window = None
    stage.run_writer()
    assert [(flushed.sizes, flushed.left) for flushed in stage.owner.flushed[1:]] == [([3], 0)]


def test_the_handshake_response_goes_first() -> None:
    """The 101, before anything that the session has to say, even if the peer takes it in drops."""
    stage = WriterStage(window=10, handshake_response=b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    stage.writer.ping()
    stage.put("hello")
    assert stage.peer.wire == b"HTTP/1.1 1"
    stage.peer.window = None
    stage.run_writer()
    assert stage.peer.wire.startswith(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    assert stage.wire() == ["ping", "text hello"]


# -- lanes -------------------------------------------------------------------------------------


def test_pings_and_pongs_go_ahead_of_unsent_frames() -> None:
    """But not into the middle of one that has begun."""
    stage = WriterStage(window=HELLO - 1)
    stage.put("hello", "behind")
    stage.writer.pong(b"a")
    stage.writer.ping()
    stage.writer.pong(b"b")
    stage.peer.window = None
    stage.run_writer()
    assert stage.wire() == ["text hello", "pong a", "ping", "pong b", "text behind"]


def test_of_too_many_pongs_only_the_newest_is_added() -> None:
    """A peer that pings and never reads must not fill the memory (RFC 6455 §5.5.3)."""
    stage = WriterStage(window=1)
    stage.put("hello")
    for number in range(1000):
        stage.writer.pong(b"%d" % number)
    stage.peer.window = None
    stage.run_writer()
    pongs = stage.wire()[1:]
    assert len(pongs) == MAX_LANE
    assert pongs[-1] == "pong 999"


# -- a slow peer -------------------------------------------------------------------------------


def test_a_writer_is_asked_for_once_when_the_peer_takes_no_more() -> None:
    stage = WriterStage(window=0)
    stage.put("a", "b")
    stage.writer.ping()
    stage.writer.flush()
    assert len(stage.owner.writers) == 1
    assert stage.owner.reports() == ["stalled"]
    assert stage.waiting() == ["a", "b"]


def test_nobody_else_writes_while_the_writer_is_at_it() -> None:
    """Not even when the peer has begun to read again: that would be overtaking."""
    stage = WriterStage(window=0)
    stage.put("a")
    stage.peer.window = None
    stage.put("b")
    assert stage.wire() == []
    stage.run_writer()
    assert stage.wire() == ["text a", "text b"]


def test_once_the_writer_has_drained_it_senders_write_by_themselves_again() -> None:
    stage = WriterStage(window=0)
    stage.put("a")
    stage.peer.window = None
    stage.run_writer()
    stage.put("b")
    assert stage.wire() == ["text a", "text b"]
    assert not stage.owner.writers


def test_the_writer_stays_for_as_long_as_the_peer_is_slow() -> None:
    """It waits for the peer, not for time to pass, and leaves when nothing waits."""
    stage = WriterStage(window=0)
    stage.put("hello", "again", "bye")
    writing = Call(stage.run_writer)
    for _ in range(2):
        assert stage.peer.wait_until(lambda peer: peer.waiting == 1 and peer.window == 0)
        stage.peer.window = 4
    assert stage.peer.wait_until(lambda peer: peer.waiting == 1 and peer.window == 0)
    stage.peer.trickle(1)
    stage.peer.window = None
    writing.result()
    assert stage.wire() == ["text hello", "text again", "text bye"]


def test_a_stall_is_reported_anew_once_it_was_over_and_looked_at() -> None:
    """One report is enough for the hub's deadline; the next stall needs one of its own."""
    stage = WriterStage(window=0)
    stage.put("a")
    assert stage.writer.inspect() == (0.0, True)
    stage.peer.window = None
    stage.run_writer()
    assert stage.writer.inspect()[1] is False
    stage.peer.window = 0
    stage.put("b")
    assert stage.owner.reports() == ["stalled", "stalled"]


def test_progress_is_told_by_when_the_peer_took_what_it_had_refused() -> None:
    """That is the time from which the hub counts its patience."""
    stage = WriterStage(window=0)
    stage.clock.advance(5)
    stage.put("hello")
    assert stage.writer.inspect() == (5.0, True)
    stage.clock.advance(2)
    assert stage.writer.inspect() == (5.0, True)
    stage.peer.window = 3
    writing = Call(stage.run_writer)
    assert stage.peer.wait_until(lambda peer: peer.waiting == 1 and peer.window == 0)
    assert stage.writer.inspect() == (7.0, True)
    stage.clock.advance(2)
    stage.peer.window = None
    writing.result()
    assert stage.writer.inspect() == (9.0, False)


# -- frames that have begun --------------------------------------------------------------------


def test_a_frame_that_has_begun_stays_in_the_outbox_until_it_is_whole() -> None:
    """So that the next transport can send it whole, if this one fails."""
    stage = WriterStage(window=HELLO - 1)
    stage.put("hello", "behind")
    assert stage.waiting() == ["hello", "behind"]
    assert stage.outbox.started
    stage.peer.window = 1
    writing = Call(stage.run_writer)
    assert stage.peer.wait_until(lambda peer: len(peer.frames) == 1 and peer.waiting == 1)
    assert stage.waiting() == ["behind"]
    assert not stage.outbox.started
    stage.peer.window = None
    writing.result()


def test_what_waits_behind_a_begun_frame_can_still_be_dropped() -> None:
    """It is back in the outbox, although it was about to be written."""
    stage = WriterStage(window=HELLO - 1, max_frames=3)
    stage.queue("hello", "dropped", "kept")
    stage.writer.flush()
    assert stage.queue_dropping("newest") == 1
    stage.peer.window = None
    stage.run_writer()
    assert stage.wire() == ["text hello", "text kept", "text newest"]


@pytest.mark.parametrize("stateful", [False, True], ids=["stateless", "stateful"])
@pytest.mark.parametrize("taken", range(1, HELLO), ids=lambda taken: f"{taken} bytes")
def test_a_detached_writer_finishes_what_has_begun(taken: int, stateful: bool) -> None:
    """The old stream stays parsable, and the new one gets the frame from its first byte on."""
    stage = WriterStage(window=taken, stateful=stateful)
    stage.put("hello", "next")
    old, peer = stage.writer, stage.peer
    stage.attach(stateful=stateful)
    assert not stage.outbox.started
    stage.writer.flush()
    assert stage.wire() == ["text hello", "text next"]
    old.close(4101, "superseded", after_data=False)
    peer.window = None
    stage.run_writer()
    assert [str(frame) for frame in peer.frames] == ["text hello", "close 4101 superseded"]


@pytest.mark.parametrize("stateful", [False, True], ids=["stateless", "stateful"])
def test_a_detached_writer_takes_nothing_more_from_the_outbox(stateful: bool) -> None:
    """Not even from the writer thread that is still waiting for its peer."""
    stage = WriterStage(window=0, stateful=stateful)
    stage.put("a", "b")
    old_peer = stage.peer
    stage.attach(window=0, stateful=stateful)
    stage.put("c")
    old_peer.window = None
    stage.run_writer()
    # What a stateful encoder has made must be written, or its peer could read nothing else any more.
    assert [str(frame) for frame in old_peer.frames] == (["text a"] if stateful else [])
    assert stage.waiting() == ["a", "b", "c"]


def test_a_stateful_stream_has_no_gaps() -> None:
    """Frames are encoded one at a time, and what was encoded is written; the peer counts along."""
    stage = WriterStage(window=1, stateful=True, max_frames=2)
    stage.queue("a", "b")
    stage.writer.flush()
    stage.writer.ping()
    assert stage.queue_dropping("c") == 1
    stage.peer.trickle(3)
    stage.peer.window = None
    stage.run_writer()
    assert stage.wire() == ["text a", "ping", "text c"]


# -- many threads ------------------------------------------------------------------------------


def test_many_senders_and_a_peer_in_fits_and_starts() -> None:
    """Whichever thread writes, and whenever the writer thread takes over: no frame twice or torn."""
    stage = WriterStage(window=0)
    writers: list[Call] = []
    stage.owner.start_writer = lambda writer: writers.append(Call(writer.write_until_drained))

    def send(name: str) -> None:
        for number in range(60):
            stage.put(f"{name} {number}")
            if number % 7 == 0:
                stage.writer.pong(name.encode())

    senders = [Call(lambda name=name: send(name)) for name in "abcd"]
    for step in range(200):
        stage.peer.window = step % 13
    stage.peer.trickle(5)
    stage.peer.window = None
    for call in senders:
        call.result()
    for call in writers:
        call.result()
    texts = [frame.text for frame in stage.peer.frames if frame.kind == "text"]
    for name in "abcd":
        assert [one for one in texts if one[0] == name] == [f"{name} {number}" for number in range(60)]
    assert len(texts) == 240
    assert stage.waiting() == []
