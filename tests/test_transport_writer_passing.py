"""Straight from the sender into the socket: only when nothing is in the way, and never out of order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resumehub.message import Frame, Opcode
from resumehub.outgoing.items import Retention
from resumehub.outgoing.write_results import BARRED, BEGUN, PASSED, Passage
from tests.writer_stage import WriterStage

HELLO = 2 + len("hello")
"""Bytes of the frame "hello" on the wire."""


def try_to_pass(stage: WriterStage, payload: str) -> Passage:
    return stage.writer.pass_through(Frame(Opcode.TEXT, payload.encode()), len(payload))


def test_a_frame_passes_an_idle_writer() -> None:
    """It is written, and has been in the buffer for no time at all; the ledger knows of it."""
    stage = WriterStage()
    assert try_to_pass(stage, "hello") is PASSED
    assert stage.wire() == ["text hello"]
    assert (stage.waiting(), len(stage.outbox)) == ([], 0)
    assert (stage.outbox.ledger.accepted, stage.outbox.ledger.written, stage.outbox.sent_to) == (1, 1, 1)


@pytest.mark.parametrize(
    "keep", [Retention.HISTORY, Retention.UNTIL_ACKED], ids=["a client that counts", "v1"]
)
def test_what_has_passed_is_kept_for_a_resume(keep: Retention) -> None:
    stage = WriterStage(keep=keep)
    assert [try_to_pass(stage, name) for name in "abc"] == [PASSED] * 3
    with stage.outbox.lock:
        stage.writer.detach()
        stage.outbox.rewind(1)
    assert stage.waiting() == ["b", "c"]
    assert stage.outbox.ledger.accepted == stage.outbox.ledger.settled + stage.outbox.held


def test_the_rest_of_a_half_taken_frame_stays_the_next_to_go() -> None:
    """The peer must get all of a frame that it has the beginning of."""
    stage = WriterStage(window=3)
    assert try_to_pass(stage, "hello") is BEGUN
    stage.writer.flush()
    assert stage.outbox.started
    stage.peer.window = None
    stage.run_writer()
    assert stage.wire() == ["text hello"]
    assert stage.waiting() == []


IN_THE_WAY: dict[str, Callable[[WriterStage], None]] = {
    "a frame that waits": lambda stage: stage.queue("first"),
    "a close frame": lambda stage: stage.writer.close(1000, "bye", after_data=True),
    "a peer that takes nothing": lambda stage: setattr(stage.peer, "window", 0),
    "a writer at work": lambda stage: (setattr(stage.peer, "window", 0), stage.put("first"))[0],
    "a connection that is broken": lambda stage: stage.writer.writer_failed(),
}


@pytest.mark.parametrize("obstacle", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_nothing_passes(obstacle: Callable[[WriterStage], None]) -> None:
    """It is not accepted then: it goes by way of the buffer, behind what was there before."""
    stage = WriterStage()
    obstacle(stage)
    before = stage.waiting()
    assert try_to_pass(stage, "hello") is BARRED
    assert stage.waiting() == before
    assert "text hello" not in stage.wire()


def test_nothing_passes_compression() -> None:
    """Compressed bytes must be written once they are made, so a buffer holds them until they are."""
    assert try_to_pass(WriterStage(stateful=True), "hello") is BARRED


def test_no_more_passes_than_there_is_room_for() -> None:
    """A v1 client that acknowledges nothing gets one window, however fast it reads."""
    stage = WriterStage(max_frames=2, keep=Retention.UNTIL_ACKED)
    assert [try_to_pass(stage, name) for name in "abc"] == [PASSED, PASSED, BARRED]
    assert stage.writer.acknowledge(1)
    assert try_to_pass(stage, "c") is PASSED
    assert stage.wire() == ["text a", "text b", "text c"]
