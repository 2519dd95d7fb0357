"""How a writer ends: close frames in their lanes, broken writes, and the last to leave."""

from __future__ import annotations

import pytest

from resumehub.reasons import DropReason
from tests.support import Call
from tests.writer_stage import WriterStage

HELLO = 7
"""Bytes of the frame "hello" on the wire."""


# -- close frames ------------------------------------------------------------------------------


def test_a_close_frame_is_written_by_a_writer_thread() -> None:
    """Never by the hub, which asks for it: a socket may block, whatever it promises."""
    stage = WriterStage()
    stage.writer.close(1000, "kicked", after_data=True)
    assert stage.wire() == []
    stage.run_writer()
    assert stage.wire() == ["close 1000 kicked"]
    assert stage.owner.reports() == ["close_sent"]


def test_the_end_of_a_session_goes_behind_its_data() -> None:
    stage = WriterStage(window=HELLO - 1)
    stage.put("hello", "and", "more")
    stage.writer.close(1000, "kicked", after_data=True)
    stage.peer.window = None
    stage.run_writer()
    assert stage.wire() == ["text hello", "text and", "text more", "close 1000 kicked"]


def test_pings_are_answered_while_a_close_frame_waits_behind_data() -> None:
    """Such a peer is downloading; to leave its pings unanswered would end that."""
    stage = WriterStage(window=HELLO - 1)
    stage.put("hello", "more")
    stage.writer.close(1000, "kicked", after_data=True)
    stage.writer.pong(b"?")
    stage.peer.window = None
    stage.run_writer()
    assert stage.wire() == ["text hello", "pong ?", "text more", "close 1000 kicked"]


def test_the_end_of_a_transport_goes_right_behind_what_has_begun() -> None:
    """The data is for the next transport."""
    stage = WriterStage(window=HELLO - 1)
    stage.put("hello", "more")
    stage.writer.ping()
    stage.writer.close(4101, "superseded", after_data=False)
    stage.peer.window = None
    stage.run_writer()
    assert stage.wire() == ["text hello", "close 4101 superseded"]
    assert stage.waiting() == ["more"]


def test_nothing_follows_a_close_frame() -> None:
    """RFC 6455 §5.5.1."""
    stage = WriterStage()
    stage.writer.close(1000, "", after_data=True)
    stage.run_writer()
    stage.put("too late")
    stage.writer.ping()
    stage.writer.pong(b"?")
    stage.writer.flush()
    stage.writer.answer_close(1000, "")
    assert stage.wire() == ["close 1000"]
    assert stage.waiting() == ["too late"]


def test_nothing_goes_into_a_close_frame_that_has_begun() -> None:
    stage = WriterStage(window=1)
    stage.writer.close(1000, "kicked", after_data=True)
    writing = Call(stage.run_writer)
    assert stage.peer.wait_until(lambda peer: peer.waiting == 1 and peer.window == 0)
    stage.put("too late")
    stage.writer.pong(b"?")
    stage.peer.window = None
    writing.result()
    assert stage.wire() == ["close 1000 kicked"]


def test_the_first_close_frame_counts() -> None:
    """The second reason would only say what happened meanwhile."""
    stage = WriterStage(window=0)
    stage.put("hello")
    stage.writer.close(1000, "kicked", after_data=True)
    stage.writer.close(1001, "server shutting down", after_data=True)
    stage.peer.window = None
    stage.run_writer()
    assert stage.wire() == ["text hello", "close 1000 kicked"]
    assert not stage.owner.writers


def test_a_close_frame_is_added_for_the_writer_that_is_waiting() -> None:
    """There is never a second writer."""
    stage = WriterStage(window=0)
    stage.put("hello")
    writing = Call(stage.run_writer)
    assert stage.peer.wait_until(lambda peer: peer.waiting == 1)
    stage.writer.close(1000, "", after_data=True)
    assert not stage.owner.writers
    stage.peer.window = None
    writing.result()
    assert stage.wire() == ["text hello", "close 1000"]


def test_what_waits_can_be_dropped_in_favour_of_the_close_frame() -> None:
    """When a peer is too slow for all of it: whole frames go, the one that has begun does not."""
    stage = WriterStage(window=HELLO - 1)
    stage.queue("hello", "and", "more")
    stage.writer.flush()
    stage.writer.close(1000, "kicked", after_data=True)
    dropped = stage.writer.discard_unsent(DropReason.CLOSED)
    assert [frame.payload for frame in dropped] == [b"and", b"more"]
    assert stage.writer.discard_unsent(DropReason.CLOSED) == []
    stage.peer.window = None
    stage.run_writer()
    assert stage.wire() == ["text hello", "close 1000 kicked"]
    assert stage.waiting() == []


def test_a_detached_writer_has_nothing_to_drop() -> None:
    """What waits belongs to the next transport by then."""
    stage = WriterStage(window=0)
    stage.put("hello")
    old = stage.writer
    stage.attach(window=0)
    assert old.discard_unsent(DropReason.CLOSED) == []
    assert stage.waiting() == ["hello"]


# -- answers to the peer -----------------------------------------------------------------------


def test_a_peers_close_frame_is_answered_at_once() -> None:
    stage = WriterStage()
    stage.writer.answer_close(4000, "")
    assert stage.wire() == ["close 4000"]
    assert stage.owner.reports() == ["close_sent"]
    assert not stage.peer.write_finished


def test_a_breach_of_the_protocol_also_ends_our_half() -> None:
    """So that the peer sees the end, and is not reset while it still sends."""
    stage = WriterStage()
    stage.writer.answer_close(1002, "nonsense", failed=True)
    assert stage.wire() == ["close 1002 nonsense"]
    assert stage.peer.write_finished


def test_our_half_ends_only_once_the_close_frame_is_out() -> None:
    stage = WriterStage(window=0)
    stage.put("hello")
    stage.writer.answer_close(1002, "", failed=True)
    assert not stage.peer.write_finished
    stage.peer.window = None
    stage.run_writer()
    assert stage.wire() == ["close 1002"]
    assert stage.peer.write_finished


def test_a_close_frame_of_ours_that_waits_is_the_answer() -> None:
    """A peer that has said goodbye reads no more data: ours goes ahead of it."""
    stage = WriterStage(window=HELLO - 1)
    stage.put("hello", "more")
    stage.writer.close(1000, "kicked", after_data=True)
    stage.writer.answer_close(1001, "")
    stage.peer.window = None
    stage.run_writer()
    assert stage.wire() == ["text hello", "close 1000 kicked"]


# -- broken writes -----------------------------------------------------------------------------


@pytest.mark.parametrize("stateful", [False, True], ids=["stateless", "stateful"])
@pytest.mark.parametrize("taken", [0, 1, HELLO - 1], ids=["before", "at the start of", "at the end of"])
def test_a_write_error_loses_no_frame(taken: int, stateful: bool) -> None:
    """However much of it was written: it is there for the next transport, and may be dropped again."""
    stage = WriterStage(stateful=stateful)
    stage.peer.fail_writes(after=taken)
    stage.put("hello", "more")
    assert stage.owner.reports() == ["failed"]
    assert stage.waiting() == ["hello", "more"]
    assert not stage.outbox.started
    stage.attach(stateful=stateful)
    stage.writer.flush()
    assert stage.wire() == ["text hello", "text more"]


def test_after_a_write_error_nothing_is_tried_again() -> None:
    """One report is enough, and no writer is wanted for what can't be written."""
    stage = WriterStage()
    stage.peer.fail_writes()
    stage.put("hello", "more")
    stage.writer.ping()
    stage.writer.close(1000, "", after_data=True)
    stage.writer.answer_close(1000, "")
    assert stage.owner.reports() == ["failed"]
    assert not stage.owner.writers


def test_a_writer_leaves_when_the_peer_breaks() -> None:
    stage = WriterStage(window=0)
    stage.put("hello")
    writing = Call(stage.run_writer)
    assert stage.peer.wait_until(lambda peer: peer.waiting == 1)
    stage.peer.hang_up()
    writing.result()
    assert stage.owner.reports() == ["stalled", "failed"]
    assert stage.writer.inspect()[1] is False


def test_without_a_writer_thread_nothing_more_is_written() -> None:
    """The owner gives such a transport up; the frames are for the next."""
    stage = WriterStage(window=1)
    stage.put("hello")
    stage.writer.writer_failed()
    stage.peer.window = None
    stage.put("more")
    assert stage.peer.wire == b"\x81"
    assert stage.waiting() == ["hello", "more"]
    stage.writer.retire()


# -- the last to leave -------------------------------------------------------------------------


def test_retiring_waits_for_the_writer_thread() -> None:
    """The descriptor is closed right after: a number closed too early may be that of another connection."""
    stage = WriterStage(window=0)
    stage.put("hello")
    writing = Call(stage.run_writer)
    assert stage.peer.wait_until(lambda peer: peer.waiting == 1)
    retiring = Call(stage.writer.retire)
    stage.transport.abort()
    retiring.result()
    stage.transport.release()
    writing.result()
    assert stage.wire() == []


def test_a_writer_that_was_asked_for_and_starts_late_is_waited_for_as_well() -> None:
    stage = WriterStage(window=0)
    stage.put("hello")
    stage.transport.abort()
    retiring = Call(stage.writer.retire)
    stage.run_writer()
    retiring.result()
    stage.transport.release()


def test_a_retired_writer_writes_nothing_and_keeps_the_frames() -> None:
    stage = WriterStage(window=HELLO - 1)
    stage.put("hello", "more")
    stage.transport.abort()
    retiring = Call(stage.writer.retire)
    stage.run_writer()
    retiring.result()
    stage.transport.release()
    stage.put("later")
    stage.writer.ping()
    assert stage.waiting() == ["hello", "more", "later"]
    assert not stage.outbox.started
