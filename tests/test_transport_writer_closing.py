"""How a channel ends: close frames in their lanes, broken writes, and the last to leave."""

from __future__ import annotations

import pytest

from resumehub.reasons import DropReason
from tests.support import Call
from tests.writer_stage import Line

HELLO = 7
"""Bytes of the frame "hello" on the wire."""


# -- close frames ------------------------------------------------------------------------------


def test_a_close_frame_is_written_by_a_writer_thread() -> None:
    """Never by the hub, which asks for it: a socket may block, whatever it promises."""
    line = Line()
    line.writer.close(1000, "kicked", after_data=True)
    assert line.wire() == []
    line.run_writer()
    assert line.wire() == ["close 1000 kicked"]
    assert line.owner.reports() == ["close_sent"]


def test_the_end_of_a_session_goes_behind_its_data() -> None:
    line = Line(window=HELLO - 1)
    line.put("hello", "and", "more")
    line.writer.close(1000, "kicked", after_data=True)
    line.peer.window = None
    line.run_writer()
    assert line.wire() == ["text hello", "text and", "text more", "close 1000 kicked"]


def test_pings_are_answered_while_a_close_frame_waits_behind_data() -> None:
    """Such a peer is downloading; to leave its pings unanswered would end that."""
    line = Line(window=HELLO - 1)
    line.put("hello", "more")
    line.writer.close(1000, "kicked", after_data=True)
    line.writer.pong(b"?")
    line.peer.window = None
    line.run_writer()
    assert line.wire() == ["text hello", "pong ?", "text more", "close 1000 kicked"]


def test_the_end_of_a_transport_goes_right_behind_what_has_begun() -> None:
    """The data is for the next transport."""
    line = Line(window=HELLO - 1)
    line.put("hello", "more")
    line.writer.ping()
    line.writer.close(4101, "superseded", after_data=False)
    line.peer.window = None
    line.run_writer()
    assert line.wire() == ["text hello", "close 4101 superseded"]
    assert line.waiting() == ["more"]


def test_nothing_follows_a_close_frame() -> None:
    """RFC 6455 §5.5.1."""
    line = Line()
    line.writer.close(1000, "", after_data=True)
    line.run_writer()
    line.put("too late")
    line.writer.ping()
    line.writer.pong(b"?")
    line.writer.flush()
    line.writer.answer_close(1000, "")
    assert line.wire() == ["close 1000"]
    assert line.waiting() == ["too late"]


def test_nothing_goes_into_a_close_frame_that_has_begun() -> None:
    line = Line(window=1)
    line.writer.close(1000, "kicked", after_data=True)
    writing = Call(line.run_writer)
    assert line.peer.wait_until(lambda peer: peer.waiting == 1 and peer.window == 0)
    line.put("too late")
    line.writer.pong(b"?")
    line.peer.window = None
    writing.result()
    assert line.wire() == ["close 1000 kicked"]


def test_the_first_close_frame_counts() -> None:
    """The second reason would only say what happened meanwhile."""
    line = Line(window=0)
    line.put("hello")
    line.writer.close(1000, "kicked", after_data=True)
    line.writer.close(1001, "server shutting down", after_data=True)
    line.peer.window = None
    line.run_writer()
    assert line.wire() == ["text hello", "close 1000 kicked"]
    assert not line.owner.writers


def test_a_close_frame_is_added_for_the_writer_that_is_waiting() -> None:
    """There is never a second writer."""
    line = Line(window=0)
    line.put("hello")
    writing = Call(line.run_writer)
    assert line.peer.wait_until(lambda peer: peer.waiting == 1)
    line.writer.close(1000, "", after_data=True)
    assert not line.owner.writers
    line.peer.window = None
    writing.result()
    assert line.wire() == ["text hello", "close 1000"]


def test_what_waits_can_be_dropped_in_favour_of_the_close_frame() -> None:
    """When a peer is too slow for all of it: whole frames go, the one that has begun does not."""
    line = Line(window=HELLO - 1)
    line.queue("hello", "and", "more")
    line.writer.flush()
    line.writer.close(1000, "kicked", after_data=True)
    dropped = line.writer.discard_unsent(DropReason.CLOSED)
    assert [frame.payload for frame in dropped] == [b"and", b"more"]
    assert line.writer.discard_unsent(DropReason.CLOSED) == []
    line.peer.window = None
    line.run_writer()
    assert line.wire() == ["text hello", "close 1000 kicked"]
    assert line.waiting() == []


def test_a_detached_channel_has_nothing_to_drop() -> None:
    """What waits belongs to the next transport by then."""
    line = Line(window=0)
    line.put("hello")
    old = line.writer
    line.attach(window=0)
    assert old.discard_unsent(DropReason.CLOSED) == []
    assert line.waiting() == ["hello"]


# -- answers to the peer -----------------------------------------------------------------------


def test_a_peers_close_frame_is_answered_at_once() -> None:
    line = Line()
    line.writer.answer_close(4000, "")
    assert line.wire() == ["close 4000"]
    assert line.owner.reports() == ["close_sent"]
    assert not line.peer.write_finished


def test_a_breach_of_the_protocol_also_ends_our_half() -> None:
    """So that the peer sees the end, and is not reset while it still sends."""
    line = Line()
    line.writer.answer_close(1002, "nonsense", failed=True)
    assert line.wire() == ["close 1002 nonsense"]
    assert line.peer.write_finished


def test_our_half_ends_only_once_the_close_frame_is_out() -> None:
    line = Line(window=0)
    line.put("hello")
    line.writer.answer_close(1002, "", failed=True)
    assert not line.peer.write_finished
    line.peer.window = None
    line.run_writer()
    assert line.wire() == ["close 1002"]
    assert line.peer.write_finished


def test_a_close_frame_of_ours_that_waits_is_the_answer() -> None:
    """A peer that has said goodbye reads no more data: ours goes ahead of it."""
    line = Line(window=HELLO - 1)
    line.put("hello", "more")
    line.writer.close(1000, "kicked", after_data=True)
    line.writer.answer_close(1001, "")
    line.peer.window = None
    line.run_writer()
    assert line.wire() == ["text hello", "close 1000 kicked"]


# -- broken writes -----------------------------------------------------------------------------


@pytest.mark.parametrize("stateful", [False, True], ids=["stateless", "stateful"])
@pytest.mark.parametrize("taken", [0, 1, HELLO - 1], ids=["before", "at the start of", "at the end of"])
def test_a_write_error_loses_no_frame(taken: int, stateful: bool) -> None:
    """However much of it was written: it is there for the next transport, and may be dropped again."""
    line = Line(stateful=stateful)
    line.peer.fail_writes(after=taken)
    line.put("hello", "more")
    assert line.owner.reports() == ["failed"]
    assert line.waiting() == ["hello", "more"]
    assert not line.outbox.started
    line.attach(stateful=stateful)
    line.writer.flush()
    assert line.wire() == ["text hello", "text more"]


def test_after_a_write_error_nothing_is_tried_again() -> None:
    """One report is enough, and no writer is wanted for what can't be written."""
    line = Line()
    line.peer.fail_writes()
    line.put("hello", "more")
    line.writer.ping()
    line.writer.close(1000, "", after_data=True)
    line.writer.answer_close(1000, "")
    assert line.owner.reports() == ["failed"]
    assert not line.owner.writers


def test_a_writer_leaves_when_the_peer_breaks() -> None:
    line = Line(window=0)
    line.put("hello")
    writing = Call(line.run_writer)
    assert line.peer.wait_until(lambda peer: peer.waiting == 1)
    line.peer.hang_up()
    writing.result()
    assert line.owner.reports() == ["stalled", "failed"]
    assert line.writer.inspect()[1] is False


def test_without_a_writer_thread_nothing_more_is_written() -> None:
    """The owner gives such a transport up; the frames are for the next."""
    line = Line(window=1)
    line.put("hello")
    line.writer.writer_failed_to_start()
    line.peer.window = None
    line.put("more")
    assert line.peer.wire == b"\x81"
    assert line.waiting() == ["hello", "more"]
    line.writer.retire()


# -- the last to leave -------------------------------------------------------------------------


def test_whoever_retires_a_channel_waits_for_its_writer() -> None:
    """The descriptor is closed right after: a number closed too early is somebody else's."""
    line = Line(window=0)
    line.put("hello")
    writing = Call(line.run_writer)
    assert line.peer.wait_until(lambda peer: peer.waiting == 1)
    retiring = Call(line.writer.retire)
    line.transport.abort()
    retiring.result()
    line.transport.release()
    writing.result()
    assert line.wire() == []


def test_a_writer_that_was_asked_for_and_starts_late_is_waited_for_as_well() -> None:
    line = Line(window=0)
    line.put("hello")
    line.transport.abort()
    retiring = Call(line.writer.retire)
    line.run_writer()
    retiring.result()
    line.transport.release()


def test_a_retired_channel_writes_nothing_and_keeps_the_frames() -> None:
    line = Line(window=HELLO - 1)
    line.put("hello", "more")
    line.transport.abort()
    retiring = Call(line.writer.retire)
    line.run_writer()
    retiring.result()
    line.transport.release()
    line.put("later")
    line.writer.ping()
    assert line.waiting() == ["hello", "more", "later"]
    assert not line.outbox.started
