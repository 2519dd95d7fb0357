"""What an outbox lets go when all buffers of a hub hold too much."""

from __future__ import annotations

import random

import pytest

from resumehub.message import Frame, Opcode
from resumehub.outgoing.items import Gap, Retention
from resumehub.outgoing.outbox import Outbox
from resumehub.runtime.system import SystemRuntime

RUNTIME = SystemRuntime()


def frame(size: int, *, kept: bool = False) -> Frame:
    return Frame(Opcode.TEXT, b"x" * size, kept=kept)


def outbox(keep: Retention, *sizes: int, written: int = 0) -> Outbox:
    box = Outbox(RUNTIME.lock(), 256, 1 << 20, keep)
    for size in sizes:
        assert box.put(frame(size))
    for _ in range(written):
        box.first(1, 1)
        box.written()
    return box


def balanced(box: Outbox) -> bool:
    sizes = [item.size for row in (box._sent, box.unsent) for item in row if isinstance(item, Frame)]
    return box.ledger.accepted == box.ledger.settled + box.held and box.held_bytes == sum(sizes)


def test_history_goes_first_and_counts_as_written():
    box = outbox(Retention.HISTORY, 10, 20, 30, 40, written=2)
    assert box.shed(90) == 0
    assert (box.ledger.written, box.held_bytes) == (1, 90)
    assert box.shed(70) == 0
    assert (box.ledger.written, box.held_bytes) == (2, 70)
    assert balanced(box)


def test_then_the_oldest_that_have_not_begun():
    box = outbox(Retention.HISTORY, 10, 20, 30, 40, written=1)
    box.started = True
    assert box.shed(70) == 1
    assert [type(item) for item in box.unsent] == [Frame, Gap, Frame]
    assert (box.ledger.written, box.ledger.dropped) == (1, 1)
    assert balanced(box)


def test_what_a_client_has_to_acknowledge_stays():
    box = outbox(Retention.UNTIL_ACKED, 10, 20, 30, written=2)
    assert box.shed(0) == 1
    assert box.held_bytes == 30
    gap = box.unsent[0]
    assert isinstance(gap, Gap)
    assert (gap.first, gap.last) == (3, 3)
    assert balanced(box)


def test_requests_and_answers_stay():
    box = outbox(Retention.UNTIL_ACKED, 10)
    assert box.put_kept(frame(50, kept=True))
    assert box.put(frame(20))
    assert box.shed(0) == 2
    assert box.held_bytes == 50
    assert balanced(box)


@pytest.mark.parametrize("keep", Retention)
@pytest.mark.parametrize("seed", range(10))
def test_the_ledger_stays_right_whatever_happens(keep, seed):
    chance = random.Random(seed)
    box = outbox(keep)
    for _ in range(300):
        match chance.randrange(5):
            case 0:
                box.put(frame(chance.randrange(1, 50)))
            case 1:
                box.put_dropping(frame(chance.randrange(1, 50)))
            case 2 if box.first(1, 1):
                box.written()
            case 3 if box.unsent and isinstance(box.unsent[0], Frame):
                box.started = True
            case 4:
                size = chance.randrange(0, 200)
                box.shed(size)
                frames = [item for item in box.unsent if isinstance(item, Frame)]
                may_stay = frames[:1] if box.started else []
                assert box.held_bytes <= size or frames == may_stay
        assert balanced(box)
