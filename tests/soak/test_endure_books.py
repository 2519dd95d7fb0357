"""The oracles of an endurance run: each is shown the books of a sound run, and those with a fault in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from resumehub.metrics import Counters
from resumehub.stats import Stats
from tools.soaking.endure_bench import account_faults
from tools.soaking.endure_books import Books, ledger_faults
from tools.soaking.rows import Row, write


def played(*more: Callable[[Books], None]) -> Books:
    """One session that was dropped, came back, sent two numbers, got two, and left. ``more`` come before."""
    books = Books()
    books.begin("life", "ada")
    books.join("life", "home")
    books.suspend("life")
    books.resume("life")
    for number in (1, 2):
        books.hear("life", write("ada", number, 0.0), 1.0, is_number=True)
        assert books.number("life") == number
        books.sent("life")
    for one in more:
        one(books)
    books.leave("life", "home")
    books.end("life", "")
    return books


def counted() -> Counters:
    """What a collector was told of the same session."""
    counters = Counters()
    counters.connection_opened("home", "ada")
    counters.room_created("home")
    counters.suspension_ended("home", "ada", 1.0, True)
    counters.resume_attempt("home", "ada", True)
    for _ in range(2):
        counters.message_received("home", 10)
        counters.message_sent("home", "ada", 10)
    counters.room_destroyed("home")
    counters.connection_closed("home", "ada", 2.0, "normal")
    return counters


STATS = Stats(accepted=2, acknowledged=2)


def faults_of(books: Books, stats: Stats = STATS, counters: Counters | None = None) -> list[str]:
    return ledger_faults("main", books.told(), asdict(stats), dict((counters or counted()).snapshot()))


def row(*numbers: int) -> Row:
    """What a client got."""
    taken = Row("ada")
    for number in numbers:
        taken.take(write("ada", number, 0.0), 1.0)
    return taken


def test_sound_books_have_no_fault() -> None:
    """The session above, on both sides."""
    books = played()
    assert faults_of(books) == []
    [account] = played().account("ada")
    assert account_faults("ada", 2, account, row(1, 2), lossless=(True, True)) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda books: books.begin("life", "ada"), "on_connect of ada came twice"),
        (lambda books: books.suspend("other"), "drop of a session that is not there"),
        (lambda books: [books.suspend("life"), books.suspend("life")], "drop of ada came twice in a row"),
        (lambda books: books.resume("life"), "restore of ada came twice in a row"),
        (lambda books: books.join("life", "home"), "on_join of ada and home came twice"),
        (lambda books: books.leave("life", "away"), "on_leave of ada and away without on_join"),
        (lambda books: books.join("life", "away"), "ada has ended and is still in ['away']"),
    ],
)
def test_a_callback_that_may_not_be_is_found(fault: Callable[[Books], None], said: str) -> None:
    """Doubled, for nobody, or one without the other."""
    assert f"main: {said}" in faults_of(played(fault))


def test_a_session_without_an_end_is_found() -> None:
    """on_disconnect never came."""
    books = played()
    books.begin("another", "ben")
    found = faults_of(books)
    assert "main: sessions without on_disconnect 1, none 0" in found
    assert "main: on_connect 2, on_disconnect 1" in found


@pytest.mark.parametrize(
    ("stats", "said"),
    [
        (replace(STATS, accepted=3), "main: frames accepted 3, in the columns 2"),
        (replace(STATS, sessions=1), "main: stats: sessions 1, none 0"),
        (replace(STATS, accepted=3, held=1), "main: stats: held 1, none 0"),
        (replace(STATS, accepted=3, dropped=1), "main: stats: dropped 1, message_dropped 0"),
        (replace(STATS, accepted=3, written=1), "main: fewer messages were sent than have arrived"),
        (
            replace(STATS, undecodable=1),
            "main: -1 messages were received that neither a handler nor an asker got",
        ),
    ],
)
def test_a_ledger_that_does_not_fit_is_found(stats: Stats, said: str) -> None:
    """The hub's own sums, and beside those of its collector."""
    assert said in faults_of(played(), stats)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            lambda counters: counters.connection_opened("home", "ada"),
            "main: connection_opened 2, on_connect 1",
        ),
        (lambda counters: counters.room_created("home"), "main: room_created 2, room_destroyed 1"),
        (lambda counters: counters.request_asked("home", "ada"), "main: request_asked 1, settled 0"),
        (
            lambda counters: counters.message_dropped("home", "ada", "closed"),
            "main: stats: closed 0, message_dropped 1",
        ),
        (
            lambda counters: counters.resume_attempt("home", "ada", True),
            "main: resumes without on_transport_restore 1, suspensions without on_transport_drop 0",
        ),
        (
            lambda counters: counters.client_request_settled("home", "ada", "answered"),
            "main: client_request_taken 0, settled 1",
        ),
    ],
)
def test_a_collector_that_was_told_otherwise_is_found(told: Callable[[Counters], None], said: str) -> None:
    """What it was told once more than it happened."""
    counters = counted()
    told(counters)
    assert said in faults_of(played(), counters=counters)


@pytest.mark.parametrize(
    ("sent", "came", "said"),
    [
        (3, (1, 2), "ada: 1 of 3 messages up lost"),
        (2, (1,), "ada: 1 of 2 messages down lost"),
        (2, (1, 2, 2), "ada: 1 of 2 messages down doubled"),
        (2, (2, 1), "ada: 1 of 2 messages down in the wrong order"),
        (2, (1, 2, 3), "ada: 1 of 2 messages down from nowhere"),
    ],
)
def test_a_message_that_was_lost_or_doubled_is_found(sent: int, came: tuple[int, ...], said: str) -> None:
    """Number by number, in both directions."""
    [account] = played().account("ada")
    assert said in account_faults("ada", sent, account, row(*came), lossless=(True, True))


def test_what_may_get_lost_is_no_fault() -> None:
    """A plain client loses what was on its way; it still gets nothing twice."""
    [account] = played().account("ada")
    assert account_faults("ada", 3, account, row(2), lossless=(False, False)) == []
    assert account_faults("ada", 3, account, row(2, 2), lossless=(False, False)) != []


def test_an_account_is_given_once() -> None:
    """So nothing of a session stays in the server behind its end."""
    books = played()
    first: list[dict[str, Any]] = books.account("ada")
    assert len(first) == 1
    assert books.account("ada") == []
