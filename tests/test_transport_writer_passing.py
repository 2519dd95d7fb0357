"""Straight from the sender into the socket: only when nothing is in the way, and never out of order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resumehub.message import Frame, Opcode
from resumehub.outgoing.items import Retention
from resumehub.outgoing.outbox import Outbox
from resumehub.outgoing.write_results import BARRED, BEGUN, PASSED, Passage
from tests.writer_stage import RUNTIME, Line

HELLO = 2 + len("hello")
"""Bytes of the frame "hello" on the wire."""


def try_to_pass(line: Line, payload: str) -> Passage:
    return line.writer.pass_through(Frame(Opcode.TEXT, payload.encode()), len(payload))


def test_a_frame_passes_an_idle_channel() -> None:
    """It is written, and has been in the buffer for no time at all; the books know of it."""
    line = Line()
    assert try_to_pass(line, "hello") is PASSED
    assert line.wire() == ["text hello"]
    assert (line.waiting(), len(line.outbox)) == ([], 0)
    assert (line.outbox.ledger.accepted, line.outbox.ledger.written, line.outbox.sent_to) == (1, 1, 1)


@pytest.mark.parametrize(
    "keep", [Retention.HISTORY, Retention.UNTIL_ACKED], ids=["a client that counts", "v1"]
)
def test_what_has_passed_is_kept_for_a_resume(keep: Retention) -> None:
    line = Line()
    line.outbox = Outbox(RUNTIME.lock(), 1000, 1 << 20, keep)
    line._number = 0
    line.attach()
    assert [try_to_pass(line, name) for name in "abc"] == [PASSED] * 3
    with line.outbox.lock:
        line.writer.detach()
        line.outbox.rewind(1)
    assert line.waiting() == ["b", "c"]
    assert line.outbox.ledger.accepted == line.outbox.ledger.settled + line.outbox.held


def test_the_rest_of_a_half_taken_frame_stays_the_next_to_go() -> None:
    """The peer must get all of a frame that it has the beginning of."""
    line = Line(window=3)
    assert try_to_pass(line, "hello") is BEGUN
    line.writer.flush()
    assert line.outbox.started
    line.peer.window = None
    line.run_writer()
    assert line.wire() == ["text hello"]
    assert line.waiting() == []


IN_THE_WAY: dict[str, Callable[[Line], None]] = {
    "a frame that waits": lambda line: line.queue("first"),
    "a close frame": lambda line: line.writer.close(1000, "bye", after_data=True),
    "a peer that takes nothing": lambda line: setattr(line.peer, "window", 0),
    "a writer at work": lambda line: (setattr(line.peer, "window", 0), line.put("first"))[0],
    "a connection that is broken": lambda line: line.writer.writer_failed_to_start(),
}


@pytest.mark.parametrize("obstacle", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_nothing_passes(obstacle: Callable[[Line], None]) -> None:
    """It is not accepted then: it goes by way of the buffer, behind what was there before."""
    line = Line()
    obstacle(line)
    before = line.waiting()
    assert try_to_pass(line, "hello") is BARRED
    assert line.waiting() == before
    assert "text hello" not in line.wire()


def test_nothing_passes_compression() -> None:
    """Compressed bytes must be written once they are made, so a buffer holds them until they are."""
    assert try_to_pass(Line(stateful=True), "hello") is BARRED


def test_no_more_passes_than_there_is_room_for() -> None:
    """A v1 client that acknowledges nothing gets one window, however fast it reads."""
    line = Line()
    line.outbox = Outbox(RUNTIME.lock(), 2, 1 << 20, Retention.UNTIL_ACKED)
    line._number = 0
    line.attach()
    assert [try_to_pass(line, name) for name in "abc"] == [PASSED, PASSED, BARRED]
    assert line.writer.acknowledge(1)
    assert try_to_pass(line, "c") is PASSED
    assert line.wire() == ["text a", "text b", "text c"]
