"""The soak's measure: what is lost, twice, out of order or astray is entered as just that."""

from __future__ import annotations

from resumehub import Message
from tools.soaking.rows import Account, Row, write


def row_of(*numbers: int) -> Row:
    row = Row("ada")
    for number in numbers:
        row.take(write("ada", number, 0.0), 0.0)
    return row


def account_of(sent: int, row: Row) -> Account:
    account = Account()
    account.add(sent, row.summary())
    return account


def test_an_unbroken_row_is_sound() -> None:
    """Everything that was sent has come, once, in order."""
    account = account_of(3, row_of(1, 2, 3))

    assert (account.sent, account.received, account.lost, account.spoilt) == (3, 3, 0, 0)


def test_a_hole_and_a_missing_end_are_losses() -> None:
    """It makes no difference whether something came behind what was lost."""
    assert account_of(5, row_of(1, 3)).lost == 3


def test_what_comes_twice_is_no_loss_but_is_counted() -> None:
    """A message that was sent again although it had arrived."""
    account = account_of(2, row_of(1, 2, 1))

    assert (account.lost, account.duplicated, account.reordered) == (0, 1, 0)


def test_what_comes_late_is_out_of_order_and_not_lost() -> None:
    """It fills the hole that it left, and it does so once."""
    account = account_of(3, row_of(1, 3, 2, 2))

    assert (account.lost, account.duplicated, account.reordered) == (0, 1, 1)


def test_a_message_for_somebody_else_is_astray() -> None:
    """A frame on the wrong connection, or a damaged one, is nobody's message."""
    row = Row("ada")
    row.take(write("bob", 1, 0.0), 0.0)
    row.take(Message("n", ["ada", 2, 0.0, "padding of the wrong length"]), 0.0)
    row.take(Message("other"), 0.0)

    assert (row.foreign, row.received, account_of(1, row).lost) == (3, 0, 1)


def test_the_longest_way_is_remembered() -> None:
    """From ``send`` to the handler, over whatever lay between."""
    row = Row("ada")
    row.take(write("ada", 1, 10.0), 12.5)
    row.take(write("ada", 2, 20.0), 20.5)

    assert row.longest == 2.5
