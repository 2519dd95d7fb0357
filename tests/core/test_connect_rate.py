"""How often the clients of one address may connect: the table, as request threads ask it."""

from __future__ import annotations

import pytest

from resumehub.core.connect_rate import ConnectTable, subscriber_of
from resumehub.limits import ConnectRate

FOUR_A_MINUTE = ConnectRate(connects_per_second=1 / 16, burst=3)


def dials(
    table: ConnectTable, count: int, now: float, address: str = "a", comes_back: bool = False
) -> list[float]:
    return [table.admit(address, comes_back, now) for _ in range(count)]


def test_the_burst_comes_in_and_the_next_one_is_told_when():
    assert dials(ConnectTable(FOUR_A_MINUTE), 4, 100.0) == [0.0, 0.0, 0.0, 16.0]


def test_whoever_comes_at_the_time_that_it_was_told_gets_in():
    table = ConnectTable(FOUR_A_MINUTE)
    [*_, wait] = dials(table, 4, 0.0)
    assert dials(table, 2, wait) == [0.0, 16.0]


def test_to_come_too_soon_costs_nothing():
    """Else a client that does not listen would lock its whole office out."""
    table = ConnectTable(FOUR_A_MINUTE)
    dials(table, 100, 0.0)
    assert dials(table, 1, 16.0) == [0.0]


def test_clients_that_come_back_are_counted_apart():
    table = ConnectTable(FOUR_A_MINUTE)
    dials(table, 10, 0.0)
    assert dials(table, 4, 0.0, comes_back=True) == [0.0, 0.0, 0.0, 16.0]


def test_one_that_has_its_session_again_is_not_counted():
    table = ConnectTable(FOUR_A_MINUTE)
    for _ in range(100):
        assert dials(table, 1, 0.0, comes_back=True) == [0.0]
        table.give_back("a", True)
    table.give_back("unknown", True)


def test_addresses_do_not_disturb_each_other():
    table = ConnectTable(FOUR_A_MINUTE)
    dials(table, 10, 0.0)
    assert dials(table, 1, 0.0, "b") == [0.0]


def test_the_table_is_bounded_and_forgets_the_oldest():
    table = ConnectTable(FOUR_A_MINUTE, most=100)
    for number in range(1000):
        dials(table, 3, 0.0, str(number))
        assert len(table) <= 100
    assert dials(table, 1, 0.0, "999") == [16.0]
    assert dials(table, 1, 0.0, "0") == [0.0]


def test_an_address_that_owes_nothing_is_forgotten_soon():
    table = ConnectTable(FOUR_A_MINUTE, most=100)
    for number in range(100):
        dials(table, 1, 0.0, str(number))
    for number in range(50):
        dials(table, 1, 1000.0, f"later {number}")
    assert len(table) == 50


@pytest.mark.parametrize(
    ("address", "subscriber"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", None),
        ("unix:", None),
        ("localhost", None),
    ],
)
def test_an_address_is_what_one_subscriber_has(address, subscriber):
    assert subscriber_of(address) == subscriber
