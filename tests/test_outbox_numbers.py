"""The outgoing buffer of one that may come back: numbers, history, proof, and what a resume sends again.

A *plain* client counts what it gets, and the history is for it; one that *acknowledges* holds what it has
not acknowledged. Frames are letters here: ``sent`` writes them to the present transport, and ``row`` says
what a resume would send.
"""

from __future__ import annotations

import threading

import pytest

from resumehub.message import Frame, Opcode
from resumehub.outgoing.items import Gap, Notice, Retention
from resumehub.outgoing.outbox import Outbox, ResumePosition

GOES_ON = ResumePosition()
BEYOND = ResumePosition(beyond=True)


def gap(first_available: int) -> ResumePosition:
    return ResumePosition(first_available=first_available)


def frame(name: str, size: int = 1) -> Frame:
    """A frame whose payload begins with its name."""
    return Frame(Opcode.TEXT, name.encode().ljust(size, b"."))


def outbox(
    keep: Retention, written: str = "", waiting: str = "", max_frames: int = 100, max_bytes: int = 100
) -> Outbox:
    """One that has sent a frame for each letter of ``written``, and holds those of ``waiting``."""
    made = Outbox(threading.Lock(), max_frames, max_bytes, keep)
    put(made, written)
    sent(made)
    put(made, waiting)
    return made


def put(box: Outbox, names: str) -> None:
    for name in names:
        assert box.put(frame(name))


def sent(box: Outbox, count: int = 1000) -> str:
    """Write up to ``count`` items, encoding gaps as they come; give them by name."""
    names = ""
    while count and (box.first(1, 1 << 30) or box.unannounced()):
        if (gap := box.unannounced()) is not None:
            gap.frame = frame(f"[{gap.first}-{gap.last}]")
        names += named(box.written())
        count -= 1
    return names


def named(item: Frame | Notice | Gap) -> str:
    if isinstance(item, Frame):
        return item.payload.decode()[0]
    assert item.frame is not None, "what is written has words"
    return item.frame.payload.decode()


def note(kind: str, name: str) -> Notice:
    return Notice(kind, frame(name))


def row(box: Outbox, received: int) -> str:
    """What a client that has handled ``received`` messages gets when it resumes."""
    assert box.hold_history(received) == GOES_ON
    box.rewind(received)
    return sent(box)


# -- plain: history --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "comes"), [(0, "abcde"), (1, "bcde"), (3, "de"), (4, "e")], ids="from {}".format
)
def test_a_client_gets_what_comes_after_its_count(received: int, comes: str) -> None:
    """Written or not: from the message behind the last one that it has handled."""
    box = outbox(Retention.HISTORY, written="abcd", waiting="e")
    assert row(box, received) == comes


def test_nobody_has_handled_more_than_was_sent() -> None:
    """What only waits has no number that a client could know."""
    box = outbox(Retention.HISTORY, written="ab", waiting="c")
    assert box.resume_position(3) == BEYOND
    assert box.resume_position(2) == GOES_ON


def test_a_frame_has_its_number_when_it_is_written() -> None:
    """One that has begun, and is dropped with its transport, is sent again, and counted once."""
    box = outbox(Retention.HISTORY, written="a", waiting="bc")
    box.started = True  # half of b is out when the transport dies
    box.started = False
    assert box.sent_to == 1
    assert row(box, 1) == "bc"
    assert box.sent_to == 3


def test_history_makes_room_for_new_frames() -> None:
    """And never the reverse: a full history refuses nobody."""
    box = outbox(Retention.HISTORY, written="abcd", max_frames=4)
    assert box.used_frames == 0
    put(box, "ef")
    assert box.resume_position(1) == gap(3)
    assert row(box, 2) == "cdef"


def test_history_makes_room_by_bytes_as_well() -> None:
    box = outbox(Retention.HISTORY, max_bytes=10)
    for name, size in (("a", 2), ("b", 3), ("c", 5)):
        assert box.put(frame(name, size))
    sent(box)
    assert box.put(frame("d", 1))
    assert box.resume_position(0) == gap(2)
    assert row(box, 1) == "bcd"


def test_a_message_as_large_as_the_buffer_takes_all_of_its_history() -> None:
    box = outbox(Retention.HISTORY, written="abc", max_bytes=10)
    assert box.put(frame("d", 10))
    assert [box.resume_position(received) for received in range(4)] == [gap(4), gap(4), gap(4), GOES_ON]


def test_a_client_that_says_how_far_it_got_has_no_use_for_what_was_before() -> None:
    """Its word is an acknowledgement, so it cannot take it back."""
    box = outbox(Retention.HISTORY, written="abcd")
    assert row(box, 2) == "cd"
    assert box.resume_position(1) == gap(3)
    assert (box.ledger.acknowledged, box.held) == (2, 2)
    assert row(box, 4) == ""
    assert (box.ledger.acknowledged, box.held) == (4, 0)


def test_a_client_that_does_not_count_begins_anew() -> None:
    """Its next message is number 1, and of what it has got nothing is kept."""
    box = outbox(Retention.HISTORY, written="abc", waiting="d")
    box.restart()
    assert (box.sent_to, box.ledger.written) == (0, 3)
    assert sent(box) == "d"
    assert box.resume_position(2) == BEYOND
    assert row(box, 0) == "d"


def test_nothing_is_kept_where_nobody_can_come_back() -> None:
    box = outbox(Retention.NOTHING, written="abc", waiting="d")
    assert (box.held, box.ledger.written) == (1, 3)
    assert box.resume_position(2) == gap(4)


# -- plain: gaps ----------------------------------------------------------------------------------


def test_a_dropped_message_is_a_gap_for_all_that_were_before_it() -> None:
    """Whether it was dropped while the client was there or not: the row is not unbroken."""
    box = outbox(Retention.HISTORY, written="ab", waiting="cd", max_frames=2)
    assert box.put_dropping(frame("e")) == 1  # c is gone
    assert [box.resume_position(received) for received in (1, 2)] == [gap(3), gap(3)]
    assert sent(box) == "de"
    assert [box.resume_position(received) for received in (2, 3, 4)] == [gap(3), GOES_ON, GOES_ON]


def test_the_gap_ends_behind_the_last_of_several_holes() -> None:
    box = outbox(Retention.HISTORY, waiting="abc", max_frames=4, max_bytes=5)
    box.put_dropping(frame("too large", 9))
    put(box, "d")
    box.put_dropping(frame("too large", 9))
    box.put_dropping(frame("e"))  # a is gone
    assert box.resume_position(0) == gap(4)
    assert sent(box) == "bcde"
    assert [box.resume_position(received) for received in (2, 3, 4)] == [gap(4), gap(4), GOES_ON]


def test_a_message_that_never_fitted_is_a_gap_even_if_nothing_follows() -> None:
    """The client has handled all that was written, and yet it has missed something."""
    box = outbox(Retention.HISTORY, written="ab", max_bytes=5)
    assert box.put_dropping(frame("too large", 6)) == 1
    assert box.resume_position(2) == gap(3)
    put(box, "c")
    sent(box)
    assert [box.resume_position(received) for received in (2, 3)] == [gap(3), GOES_ON]


def test_a_loss_from_before_the_count_began_is_no_gap() -> None:
    """Who connects without a count has lost what was dropped before; that is not held against him."""
    box = outbox(Retention.HISTORY, waiting="ab", max_frames=2)
    box.put_dropping(frame("c"))
    box.restart()
    assert box.resume_position(0) == GOES_ON
    assert sent(box) == "bc"
    assert box.resume_position(1) == GOES_ON


def test_the_message_that_has_begun_is_in_front_of_the_hole() -> None:
    box = outbox(Retention.HISTORY, waiting="abc", max_frames=3)
    box.started = True
    box.put_dropping(frame("d"))  # b is gone
    box.started = False
    assert box.resume_position(0) == gap(2)
    assert sent(box) == "acd"
    assert [box.resume_position(received) for received in (0, 1, 2)] == [gap(2), gap(2), GOES_ON]
