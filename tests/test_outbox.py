"""The outgoing buffer: two bounds, one order, and a frame that has begun is never lost."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from resumehub.message import Frame, Opcode
from resumehub.outgoing.items import Item
from resumehub.outgoing.outbox import Outbox
from resumehub.reasons import DropReason


def frame(name: str, size: int | None = None) -> Frame:
    """A frame whose payload begins with its name."""
    return Frame(Opcode.TEXT, name.encode().ljust(size or len(name), b"."))


def outbox(max_frames: int = 3, max_bytes: int = 100, holding: str = "") -> Outbox:
    """One that holds a frame of one byte for each letter."""
    made = Outbox(threading.Lock(), max_frames, max_bytes)
    for name in holding:
        assert made.put(frame(name))
    return made


def names(items: Sequence[Item]) -> str:
    return "".join(item.payload.decode()[0] for item in items if isinstance(item, Frame))


def held(box: Outbox) -> str:
    return names(box.first(1000, 1 << 30))


# -- putting -----------------------------------------------------------------------------------


def test_frames_leave_in_the_order_in_which_they_came() -> None:
    box = outbox(holding="abc")
    assert names([box.written(), box.written(), box.written()]) == "abc"
    assert not box


def test_no_more_than_the_bound_of_frames_is_accepted() -> None:
    """And a refusal changes nothing."""
    box = outbox(max_frames=2, holding="ab")
    assert not box.put(frame("c"))
    assert (held(box), box.used_bytes) == ("ab", 2)


def test_no_more_than_the_bound_of_bytes_is_accepted() -> None:
    box = outbox(max_bytes=10)
    assert box.put(frame("a", 6))
    assert not box.put(frame("b", 5))
    assert box.put(frame("c", 4))
    assert box.used_bytes == 10


def test_empty_frames_take_a_place_but_no_bytes() -> None:
    box = outbox(max_frames=2, max_bytes=1)
    empty = Frame(Opcode.TEXT, b"")
    assert box.put(empty)
    assert box.put(empty)
    assert not box.put(empty)


def test_a_written_frame_makes_room() -> None:
    box = outbox(max_frames=1, max_bytes=5)
    assert box.put(frame("a", 5))
    box.written()
    assert box.put(frame("b", 5))


# -- dropping ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("started", "dropped", "kept"),
    [(False, "a", "bcd"), (True, "b", "acd")],
    ids=["none has begun", "one has begun"],
)
def test_the_oldest_makes_room_unless_it_has_begun(started: bool, dropped: str, kept: str) -> None:
    """A peer that has half of a frame must get the rest."""
    box = outbox(max_frames=3, holding="abc")
    box.started = started
    assert box.put_dropping(frame("d")) == 1
    assert dropped not in held(box)
    assert held(box) == kept
    assert box.started is started
    assert box.used_bytes == 3


def test_as_many_go_as_the_newcomer_needs_bytes() -> None:
    box = outbox(max_frames=10, max_bytes=10)
    for name in "abc":
        box.put(frame(name, 3))
    assert box.put_dropping(frame("d", 5)) == 2
    assert held(box) == "cd"
    assert box.used_bytes == 8


def test_nothing_goes_while_there_is_room() -> None:
    box = outbox(max_frames=3, holding="ab")
    assert box.put_dropping(frame("c")) == 0


def test_a_frame_that_can_never_fit_goes_alone() -> None:
    """It must not take others with it in vain."""
    box = outbox(max_bytes=10, holding="abc")
    assert box.put_dropping(frame("d", 11)) == 1
    assert held(box) == "abc"


def test_beside_one_that_has_begun_even_less_fits() -> None:
    """The begun frame's bytes are not to be had, nor is its place."""
    box = outbox(max_frames=5, max_bytes=10)
    box.put(frame("a", 6))
    box.put(frame("b", 2))
    box.started = True
    assert box.put_dropping(frame("c", 5)) == 1
    assert held(box) == "ab"
    assert box.put_dropping(frame("d", 4)) == 1
    assert held(box) == "ad"


def test_a_buffer_of_one_frame_that_has_begun_takes_no_other() -> None:
    box = outbox(max_frames=1, holding="a")
    box.started = True
    assert box.put_dropping(frame("b")) == 1
    assert held(box) == "a"


# -- the front ---------------------------------------------------------------------------------


def test_a_batch_is_bounded_by_count_and_bytes() -> None:
    box = outbox(max_frames=10)
    for name in "abcd":
        box.put(frame(name, 10))
    assert names(box.first(2, 1000)) == "ab"
    assert names(box.first(10, 30)) == "abc"
    assert names(box.first(10, 29)) == "ab"
    assert len(box) == 4


def test_a_batch_has_at_least_one_frame_however_large() -> None:
    """Else it would never be written."""
    box = outbox()
    box.put(frame("a", 100))
    assert names(box.first(64, 10)) == "a"
    assert outbox().first(64, 10) == []


def test_the_next_frame_has_not_begun_when_one_is_written() -> None:
    box = outbox(holding="ab")
    box.started = True
    box.written()
    assert not box.started


# -- clearing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("started", "keep", "lost", "kept"),
    [
        (False, False, "abc", ""),
        (False, True, "abc", ""),
        (True, True, "bc", "a"),
        (True, False, "abc", ""),
    ],
    ids=["nothing has begun", "nothing to keep", "the begun one is kept", "the begun one goes, too"],
)
def test_clearing_gives_what_is_lost(started: bool, keep: bool, lost: str, kept: str) -> None:
    """Every frame that was accepted and not written is in one hand: each is counted once."""
    box = outbox(holding="abc")
    box.started = started
    assert names(box.drop_unsent(DropReason.CLOSED, keep_started=keep)) == lost
    assert held(box) == kept
    assert box.used_bytes == len(kept)
    assert box.started is bool(kept)


def test_a_cleared_buffer_can_be_filled_anew() -> None:
    box = outbox(max_frames=3, max_bytes=3, holding="abc")
    box.drop_unsent(DropReason.CLOSED)
    for name in "def":
        assert box.put(frame(name))
    assert held(box) == "def"
