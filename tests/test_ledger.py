"""The sums of what became of every frame, over sessions that begin and end meanwhile."""

from __future__ import annotations

import threading
from dataclasses import fields

from resumehub.outgoing.items import Retention
from resumehub.outgoing.ledger import Ledger, LedgerTotals
from resumehub.reasons import DropReason
from tests.test_outbox_numbers import outbox, put, sent

COLUMNS = [field.name for field in fields(Ledger) if field.name != "accepted"]


def test_each_column_is_part_of_what_is_settled() -> None:
    """A column that was forgotten would make the sums lie."""
    for column in COLUMNS:
        assert Ledger(**{column: 2}).settled == 2


def test_each_reason_of_a_drop_has_a_column_of_its_own() -> None:
    ledger = Ledger()
    for frames, reason in enumerate(DropReason, 1):
        ledger.enter(reason, frames)
    assert ledger == Ledger(dropped=1, expired=2, closed=3)


def test_ledgers_are_added_column_by_column() -> None:
    total, other = Ledger(*range(6)), Ledger(*range(10, 16))
    total.add(other)
    assert total == Ledger(10, 12, 14, 16, 18, 20)
    assert other == Ledger(*range(10, 16))


def test_the_sum_is_over_all_that_are_open() -> None:
    totals = LedgerTotals(threading.Lock())
    for box in (outbox(Retention.HISTORY, written="ab", waiting="c"), outbox(Retention.NOTHING, written="d")):
        totals.open(box)
    assert totals.sum() == (Ledger(accepted=4, written=1), 3, 3)


def test_what_has_closed_stays_in_the_sum() -> None:
    """And is counted once, however often the session is said to be over."""
    totals, box = LedgerTotals(threading.Lock()), outbox(Retention.HISTORY, written="ab", waiting="c")
    totals.open(box)
    box.close_out(DropReason.EXPIRED)
    for _ in range(2):
        totals.close(box)
    assert totals.sum() == (Ledger(accepted=3, written=2, expired=1), 0, 0)


def test_the_sum_is_a_copy() -> None:
    """Asking changes nothing, and what was given does not change any more."""
    totals, box = LedgerTotals(threading.Lock()), outbox(Retention.NOTHING, waiting="a")
    totals.open(box)
    before, held, held_bytes = totals.sum()
    put(box, "b")
    sent(box)
    assert (before, held, held_bytes) == (Ledger(accepted=1), 1, 1)
    assert totals.sum() == (Ledger(accepted=2, written=2), 0, 0)


def test_a_session_that_has_not_begun_to_be_booked_may_end() -> None:
    """It has no frames, and nobody needs to know which came first."""
    totals = LedgerTotals(threading.Lock())
    totals.close(outbox(Retention.NOTHING))
    assert totals.sum() == (Ledger(), 0, 0)
