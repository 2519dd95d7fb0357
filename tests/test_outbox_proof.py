"""The outgoing buffer of a client that acknowledges, and the moment of a resume, for it and for a plain one.

What is not acknowledged counts against the bounds; a gap is told; control messages go with their
transport. While a resume is being decided (``pin``) nothing may go away that it needs.
"""

from __future__ import annotations

import pytest

from resumehub.outgoing.items import Gap, Retention
from resumehub.outgoing.ledger import Ledger
from resumehub.outgoing.outbox import Outbox
from resumehub.reasons import DropReason
from tests.test_outbox_numbers import BEYOND, GOES_ON, frame, gap, note, outbox, put, row, sent

BOTH = pytest.mark.parametrize(
    "keep", [Retention.HISTORY, Retention.UNTIL_ACKED], ids=["plain", "acknowledging"]
)


# -- proof -----------------------------------------------------------------------------------------


def test_what_is_not_acknowledged_fills_the_buffer() -> None:
    """A full window is pressure on the sender, not loss."""
    box = outbox(Retention.UNTIL_ACKED, written="ab", waiting="c", max_frames=3)
    assert (box.used_frames, box.used_bytes) == (3, 3)
    assert not box.put(frame("d"))
    assert box.acknowledge(1)
    assert box.put(frame("d"))
    assert not box.put(frame("e"))


def test_its_bytes_count_as_well() -> None:
    box = outbox(Retention.UNTIL_ACKED, max_bytes=10)
    assert box.put(frame("a", 8))
    sent(box)
    assert not box.put(frame("b", 3))
    assert box.put(frame("b", 2))


def test_an_acknowledgement_that_cannot_be_changes_nothing() -> None:
    """Beyond what was sent, or backwards; saying the same again is no harm."""
    box = outbox(Retention.UNTIL_ACKED, written="abc", waiting="d")
    assert box.acknowledge(2)
    assert not box.acknowledge(4)
    assert not box.acknowledge(1)
    assert box.acknowledge(2)
    assert (box.ledger.acknowledged, box.held) == (2, 2)


def test_what_was_acknowledged_cannot_be_had_again() -> None:
    box = outbox(Retention.UNTIL_ACKED, written="abc")
    box.acknowledge(2)
    assert box.resume_position(1) == gap(3)
    assert row(box, 2) == "c"


# -- gaps are told ---------------------------------------------------------------------------------


def test_a_hole_is_told_in_its_place_and_has_its_numbers() -> None:
    """The client moves its count to the end of it, and no resume is refused for it."""
    box = outbox(Retention.UNTIL_ACKED, written="a", waiting="bcd", max_frames=4)
    assert box.put_dropping(frame("e")) == 1
    assert box.put_dropping(frame("f")) == 1
    assert sent(box) == "[2-3]def"
    assert box.sent_to == 6
    assert [box.resume_position(received) for received in range(8)] == [GOES_ON] * 7 + [BEYOND]


def test_nothing_goes_past_a_hole_that_is_not_yet_in_words() -> None:
    """Its words are made without the lock; until they are there the others wait."""
    box = outbox(Retention.UNTIL_ACKED, waiting="ab", max_frames=2)
    box.put_dropping(frame("c"))
    gap = box.unannounced()
    assert isinstance(gap, Gap)
    assert (gap.first, gap.last, box.first(9, 99)) == (1, 1, [])
    gap.frame = frame("missed")
    assert box.first(9, 99)[0] is gap
    assert box.unannounced() is None


def test_a_hole_that_grows_needs_new_words() -> None:
    """Else the client would wait for a message that never comes."""
    box = outbox(Retention.UNTIL_ACKED, waiting="ab", max_frames=2)
    box.put_dropping(frame("c"))
    gap = box.unannounced()
    assert gap is not None
    gap.frame = frame("missed")
    box.put_dropping(frame("d"))
    grown = box.unannounced()
    assert grown is not None
    assert (grown.first, grown.last, grown.frame) == (1, 2, None)


def test_holes_that_meet_are_one() -> None:
    """A message that never fitted is at the end; then those in front of it have to go, too."""
    box = outbox(Retention.UNTIL_ACKED, waiting="ab", max_frames=9, max_bytes=4)
    box.put_dropping(frame("too large", 9))
    box.put_dropping(frame("c", 4))
    assert sent(box) == "[1-3]c"
    assert box.sent_to == 4


def test_a_broadcast_that_finds_only_unproven_messages_is_the_hole_itself() -> None:
    """What was written cannot be dropped: it is the client's to acknowledge."""
    box = outbox(Retention.UNTIL_ACKED, written="ab", max_frames=2)
    assert box.put_dropping(frame("c")) == 1
    assert sent(box) == "[3-3]"
    box.acknowledge(3)
    assert (box.ledger, box.held) == (Ledger(accepted=3, acknowledged=2, dropped=1), 0)


def test_of_a_hole_the_client_is_told_again_what_it_does_not_know() -> None:
    box = outbox(Retention.UNTIL_ACKED, waiting="abcd", max_frames=4)
    for name in "ef":
        box.put_dropping(frame(name))
    assert sent(box) == "[1-2]cdef"
    assert row(box, 1) == "[2-2]cdef"
    assert row(box, 2) == "cdef"


def test_holes_that_meet_behind_a_transport_are_one() -> None:
    """One was told on the old transport, one had begun, one came while the client was away."""
    box = outbox(Retention.UNTIL_ACKED, written="a", max_frames=1)
    box.put_dropping(frame("b"))
    assert sent(box) == "[2-2]"
    box.put_dropping(frame("c"))
    gap = box.unannounced()
    assert gap is not None
    gap.frame = frame("missed")
    box.started = True
    box.put_dropping(frame("d"))
    assert box.used_frames == 4  # one message and three gaps: what has begun stays as it is
    box.unbegin()
    assert box.used_frames == 3
    assert row(box, 1) == "[2-4]"
    assert box.used_frames == 1  # to resume behind the message is to acknowledge it


def test_a_control_message_between_holes_keeps_them_apart_only_while_it_is_there() -> None:
    box = outbox(Retention.UNTIL_ACKED, written="a", max_frames=1)
    box.put_dropping(frame("b"))
    box.place_last("replayed").frame = frame("$")
    box.put_dropping(frame("c"))
    assert box.used_frames == 3
    box.forget_notices()
    assert box.used_frames == 2
    assert sent(box) == "[2-3]"


def test_a_window_is_full_until_something_is_acknowledged() -> None:
    box = outbox(Retention.UNTIL_ACKED, max_frames=2)
    put(box, "a")
    assert not box.full
    put(box, "b")
    assert box.full
    sent(box)
    assert box.acknowledge(0)
    assert box.full
    assert box.acknowledge(1)
    assert not box.full


def test_a_window_is_full_when_a_message_finds_no_room() -> None:
    """Not for one that is too large for any window: that says nothing of the client."""
    box = outbox(Retention.UNTIL_ACKED, waiting="a", max_bytes=10)
    assert box.put_dropping(frame("b", 11)) == 1
    assert not box.full
    assert not box.put(frame("b", 10))
    assert box.full


# -- control messages ------------------------------------------------------------------------------


def test_a_control_message_goes_ahead_of_what_has_not_begun() -> None:
    """And takes no place and no bytes, so that a full window can still be talked about."""
    box = outbox(Retention.UNTIL_ACKED, waiting="ab", max_frames=2, max_bytes=2)
    box.notify(note("hello", "!"))
    assert (box.used_frames, box.used_bytes, len(box)) == (2, 2, 2)
    box.started = True  # the hello is on its way
    box.notify(note("ack", "?"))
    assert sent(box) == "!?ab"
    assert box.sent_to == 2


def test_a_newer_control_message_replaces_one_of_its_kind() -> None:
    """Acknowledgements are cumulative; a peer that does not read gets the last."""
    box = outbox(Retention.UNTIL_ACKED, waiting="a")
    for kind, name in (("hello", "!"), ("ack", "1"), ("ack", "2")):
        box.notify(note(kind, name))
    assert sent(box) == "!2a"


def test_a_newer_acknowledgement_goes_behind_what_must_come_before_it() -> None:
    """A rejection that waits behind an older acknowledgement is told before the newer one covers it."""
    box = outbox(Retention.UNTIL_ACKED, waiting="a")
    for kind, name in (("rejected 1", "x"), ("ack", "1"), ("rejected 2", "y"), ("ack", "2")):
        box.notify(note(kind, name))
    assert sent(box) == "xy2a"


def test_one_that_has_begun_is_not_replaced() -> None:
    box = outbox(Retention.UNTIL_ACKED, waiting="a")
    box.notify(note("ack", "1"))
    box.started = True
    box.notify(note("ack", "2"))
    assert sent(box) == "12a"


def test_control_messages_go_with_their_transport() -> None:
    """The next one gets its own."""
    box = outbox(Retention.UNTIL_ACKED, waiting="ab")
    box.notify(note("hello", "!"))
    box.place_last("replayed").frame = frame("$")
    assert row(box, 0) == "ab"


def test_the_last_place_stays_behind_what_waited_and_in_front_of_what_is_new() -> None:
    box = outbox(Retention.UNTIL_ACKED, written="a", waiting="b")
    box.rewind(0)
    box.place_last("replayed").frame = frame("$")
    put(box, "c")
    box.notify(note("hello", "!"))
    assert sent(box) == "!ab$c"


# -- while a resume is being decided ---------------------------------------------------------------


def test_history_that_a_resume_needs_makes_room_for_nobody() -> None:
    """Between the look and the attach a sender finds the buffer as full as it is about to be."""
    box = outbox(Retention.HISTORY, written="abcd", max_frames=4)
    assert box.hold_history(1) == GOES_ON
    assert box.used_frames == 3
    assert box.put(frame("e"))  # a was not needed
    assert not box.put(frame("f"))
    assert box.put_dropping(frame("f")) == 1  # e, and not b
    assert box.rewind(1) == 4
    assert sent(box) == "bcdf"


def test_pinned_bytes_count_as_well() -> None:
    box = outbox(Retention.HISTORY, max_bytes=10)
    for name in "ab":
        box.put(frame(name, 4))
    sent(box)
    assert box.hold_history(1) == GOES_ON
    assert not box.put(frame("c", 7))
    assert box.put(frame("c", 6))
    assert row(box, 1) == "bc"


def test_what_the_old_transport_still_writes_is_sent_again_too() -> None:
    """A takeover: the client has told its count, and hears nothing more on the old connection."""
    box = outbox(Retention.HISTORY, written="ab", waiting="c")
    assert box.hold_history(1) == GOES_ON
    put(box, "d")
    sent(box)
    assert box.rewind(1) == 3
    assert sent(box) == "bcd"


def test_a_loss_behind_the_look_is_a_loss_of_the_resumed_connection() -> None:
    """The old transport has even written past the gap; the client goes on, and the next count sees it."""
    box = outbox(Retention.HISTORY, written="ab", max_bytes=10)
    assert box.hold_history(1) == GOES_ON
    assert box.put_dropping(frame("too large", 11)) == 1
    put(box, "c")
    sent(box)
    assert box.rewind(1) == 2
    assert sent(box) == "bc"
    assert [box.resume_position(received) for received in (1, 2, 3)] == [gap(3), gap(3), GOES_ON]


def test_a_resume_that_was_refused_leaves_no_trace() -> None:
    """What was pinned is history again, and yields."""
    box = outbox(Retention.HISTORY, written="abc", max_frames=3)
    box.hold_history(0)
    assert box.used_frames == 3
    box.release_history()
    assert box.used_frames == 0
    put(box, "de")
    assert box.resume_position(1) == gap(3)
    assert row(box, 2) == "cde"


def test_what_was_put_beside_a_pin_makes_room_behind_it() -> None:
    """Both bounds hold again at once."""
    box = outbox(Retention.HISTORY, written="abc", max_frames=4)
    box.hold_history(2)
    put(box, "def")
    box.release_history()
    assert box.held == 4
    assert box.resume_position(2) == GOES_ON


@BOTH
def test_a_look_at_a_count_that_cannot_be_pins_nothing(keep: Retention) -> None:
    box = outbox(keep, written="ab")
    used = box.used_frames
    assert box.hold_history(3) == BEYOND
    assert box.used_frames == used
    box.release_history()
    assert row(box, 1) == "b"


def test_an_acknowledgement_during_the_look_waits_for_its_outcome() -> None:
    """The old connection's last word must not take away what the new one has just been promised."""
    box = outbox(Retention.UNTIL_ACKED, written="abc")
    assert box.hold_history(1) == GOES_ON
    assert box.acknowledge(3)
    assert box.held == 3
    assert box.rewind(1) == 2
    assert sent(box) == "bc"


def test_it_counts_after_all_if_the_resume_was_refused() -> None:
    box = outbox(Retention.UNTIL_ACKED, written="abc")
    box.hold_history(1)
    box.acknowledge(3)
    box.release_history()
    assert (box.held, box.ledger.acknowledged) == (0, 3)


# -- a client that is ahead ------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("carried", range(5))
def test_a_client_goes_on_with_what_an_older_transport_has_brought(keep: Retention, carried: int) -> None:
    """It dialed when it had handled one of four, and dials again when it has handled three."""
    box = outbox(keep, written="abcd")
    box.rewind(1)
    sent(box, carried)
    assert box.resume_position(5) == BEYOND
    assert row(box, 3) == "d"
    assert (box.ledger.acknowledged, box.sent_to) == (3, 4)
    assert row(box, 4) == ""
    assert (box.held, box.used_frames, box.used_bytes) == (0, 0, 0)


@BOTH
def test_what_a_transport_may_finish_from_a_copy_was_sent(keep: Retention) -> None:
    """Its client has it, or half of it."""
    for received, rest in ((1, "bc"), (2, "c")):
        box = outbox(keep, written="a", waiting="bc")
        box.started = True
        box.unbegin()
        assert (box.started, box.resume_position(3)) == (False, BEYOND)
        assert row(box, received) == rest


def test_of_a_hole_that_grew_meanwhile_a_client_is_told_what_it_has_not_had() -> None:
    """It has had b, which was dropped while it dialed; c it has not."""
    box = outbox(Retention.UNTIL_ACKED, written="abcd", max_frames=4)
    box.rewind(0)
    for name in "efg":
        box.put_dropping(frame(name))
    assert row(box, 2) == "[3-3]defg"
    assert row(box, 4) == "efg"
    assert box.ledger == Ledger(accepted=7, acknowledged=1, dropped=3)


def test_a_plain_client_that_is_ahead_of_a_hole_has_a_gap() -> None:
    """Who is not told of gaps counts on over them: it is not known which message its count means."""
    box = outbox(Retention.HISTORY, written="abcd", max_frames=4)
    box.rewind(0)
    assert box.put_dropping(frame("e")) == 1  # a is gone
    assert [box.resume_position(received) for received in (0, 1, 3, 5)] == [gap(1), gap(2), gap(4), BEYOND]
    assert sent(box, 2) == "bc"
    put(box, "fg")  # for which b and c make room, and the gap with them
    assert [box.resume_position(received) for received in (2, 3, 4)] == [GOES_ON, gap(4), gap(5)]


def test_behind_the_look_at_a_client_that_is_ahead_the_new_message_is_dropped() -> None:
    """Were it the oldest, one too many would be skipped."""
    box = outbox(Retention.HISTORY, written="abcd", max_frames=4)
    box.rewind(0)
    assert box.hold_history(2) == GOES_ON
    assert box.put_dropping(frame("e")) == 1
    sent(box, 1)  # a takeover: the old transport writes a after all
    assert box.rewind(2) == 2
    assert box.used_frames == 2
    assert sent(box) == "cd"
    assert box.resume_position(4) == gap(5)


def test_a_client_that_begins_to_count_anew_is_ahead_of_nothing() -> None:
    box = outbox(Retention.HISTORY, written="abcd")
    box.rewind(1)
    box.restart()
    assert box.resume_position(1) == BEYOND


# -- the end ---------------------------------------------------------------------------------------


def left(box: Outbox) -> str:
    return "".join(item.payload.decode()[0] for item in box.undelivered())


@pytest.mark.parametrize(
    ("keep", "lost", "ledger"),
    [
        (Retention.NOTHING, "de", Ledger(accepted=5, written=3, expired=2)),
        (Retention.HISTORY, "de", Ledger(accepted=5, written=3, expired=2)),
        (Retention.UNTIL_ACKED, "bcde", Ledger(accepted=5, acknowledged=1, expired=4)),
    ],
    ids=["not resumable", "plain", "acknowledging"],
)
def test_at_the_end_each_frame_has_its_column(keep: Retention, lost: str, ledger: Ledger) -> None:
    """Written is as far as one knows of a plain client; of the other only its word counts."""
    box = outbox(keep, written="abc", waiting="de")
    if keep is Retention.UNTIL_ACKED:
        box.acknowledge(1)
    assert left(box) == lost
    assert "".join(item.payload.decode()[0] for item in box.close_out(DropReason.EXPIRED)) == lost
    assert (box.ledger, box.held, left(box)) == (ledger, 0, "")


@BOTH
def test_the_message_that_has_begun_may_still_end(keep: Retention) -> None:
    """It is settled once: when its transport has let go, too; and so is what a client has older than it."""
    box = outbox(keep, written="a", waiting="bc")
    box.started = True
    lost = [item.payload for item in box.close_out(DropReason.CLOSED, keep_started=True)]
    assert lost == [b"c"]
    assert box.held == (2 if keep is Retention.UNTIL_ACKED else 1)
    box.written()
    again = [item.payload for item in box.close_out(DropReason.CLOSED)]
    assert again == ([b"a", b"b"] if keep is Retention.UNTIL_ACKED else [])
    plain = Ledger(accepted=3, written=2, closed=1)
    assert box.ledger == (Ledger(accepted=3, closed=3) if keep is Retention.UNTIL_ACKED else plain)
