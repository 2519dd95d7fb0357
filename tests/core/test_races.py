"""The table of races counts right: orders that are merged come out as if each had been played."""

from __future__ import annotations

from collections import Counter

from tests.core import race_tables, races
from tests.core.races import ARRIVE, ARRIVE_2, CHECK, CHECK_2

TWO_RESUMES = (CHECK, ARRIVE, CHECK_2, ARRIVE_2, "drop", "expire", "close")


def test_orders_that_are_merged_come_out_as_if_each_had_been_played() -> None:
    """Going on from a state only once loses no outcome, and miscounts none."""
    merged = races.Exploration(TWO_RESUMES)
    one_by_one = Counter(map(races.play, races.orders(TWO_RESUMES)))

    assert {outcome: one.count for outcome, one in merged.classes.items()} == one_by_one
    assert merged.orders == one_by_one.total() == 630


def test_the_example_of_an_outcome_leads_to_it() -> None:
    for outcome, one in race_tables.everything().classes.items():
        assert races.play(one.example) == outcome


def test_every_order_of_the_nine_steps_is_in_the_table() -> None:
    """Of all 9! orders, those with each socket behind its check and the second check behind the first.

    The two checks and the two sockets have 24 orders among themselves, and three of them are such.
    """
    assert race_tables.everything().orders == 362_880 * 3 // 24


def test_only_a_check_whose_socket_arrives_at_once_is_told_as_a_resume() -> None:
    assert (
        race_tables.words_of((CHECK, CHECK_2, ARRIVE, ARRIVE_2))
        == "check, second check, arrive, second arrive"
    )
    assert race_tables.words_of((CHECK, CHECK_2, ARRIVE_2, "drop")) == "check, second resume, drop"
    assert race_tables.words_of(("drop", CHECK, ARRIVE, "send")) == "drop, resume, send"
