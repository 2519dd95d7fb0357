"""The tables of docs/reference/races.md: what ``races.py`` plays, as Markdown.

Every function gives one table, and plays what is in it anew. Called by tools/docs, and by the test that
compares the page with the code. Nothing here decides anything: a row is what came out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import permutations

from tests.core import races
from tests.core.races import ARRIVE, ARRIVE_2, CHECK, CHECK_2, Outcome

RESUME, SECOND = "resume", "second resume"
SEVEN = (RESUME, SECOND, "drop", "expire", "send", "close", "kick")

WHOLE = {RESUME: (CHECK, ARRIVE), SECOND: (CHECK_2, ARRIVE_2)}
"""A resume with nothing in its gap."""

COLUMNS = ("first client", "resume", "second resume", "message", "session")


# -- which orders -------------------------------------------------------------------------


def steps_of(words: Iterable[str]) -> tuple[str, ...]:
    """Words of the seven as steps: a resume is two."""
    return tuple(step for word in words for step in WHOLE.get(word, (word,)))


def words_of(order: Sequence[str]) -> str:
    """Steps in words: a check whose socket arrives at once is a resume."""
    words: list[str] = []
    for step in order:
        whole = next((word for word, steps in WHOLE.items() if (*words[-1:], step) == steps), None)
        words[-1 if whole else len(words) :] = [whole or step]
    return ", ".join(words)


def few(count: int) -> list[tuple[str, ...]]:
    """The orders of ``count`` of the seven; a second resume is one behind a first."""
    orders = permutations(SEVEN, count)
    return [
        steps_of(order) for order in orders if SECOND not in order or RESUME in order[: order.index(SECOND)]
    ]


def gaps() -> list[tuple[str, ...]]:
    """Whatever can happen between the check and the arrival, with a line that is there or has dropped."""
    orders = [(CHECK, word, ARRIVE) for word in ("drop", "expire", "send", "close", "kick")]
    orders += [(CHECK, CHECK_2, ARRIVE_2, ARRIVE), (CHECK, CHECK_2, ARRIVE, ARRIVE_2)]
    return [*orders, *(("drop", *order) for order in orders if "drop" not in order)]


@cache
def everything() -> races.Exploration:
    """Every order of all steps; played once, for those who ask again."""
    return races.Exploration()


# -- as Markdown --------------------------------------------------------------------------


def pairs() -> str:
    return _each(few(2))


def triples() -> str:
    return f"<details>\n<summary>All {len(few(3))} orders of three</summary>\n\n{_each(few(3))}\n</details>\n"


def gap() -> str:
    return _each(gaps())


def numbers() -> str:
    found = everything()
    rows = {_clients(outcome) for outcome in found.classes}
    return (
        f"**{found.orders:,} orders of {len(races.STEPS)} steps** lead to {len(found.classes)} outcomes: "
        f"{len(rows)} that differ in what the clients saw, or in how the session ended.\n"
    )


def all_orders() -> str:
    """A row for what the clients saw; what became of the message is counted within it."""
    rows: dict[tuple[str, ...], Counter[str]] = {}
    examples: dict[tuple[str, ...], str] = {}
    for outcome, one in sorted(everything().classes.items(), key=lambda item: -item[1].count):
        clients = _clients(outcome)
        rows.setdefault(clients, Counter())[outcome.message] += one.count
        examples.setdefault(clients, words_of(one.example))
    header = ("orders", *COLUMNS[:3], "session", "message", "for example")
    most = sorted(rows.items(), key=lambda item: -item[1].total())
    return _table(
        header,
        (
            (f"{messages.total():,}", *clients, _counted(messages), examples[clients])
            for clients, messages in most
        ),
    )


def _clients(outcome: Outcome) -> tuple[str, ...]:
    return outcome.first, outcome.resume, outcome.second, outcome.session


def _counted(messages: Counter[str]) -> str:
    return ", ".join(f"{message} {count:,}" for message, count in messages.most_common())


def _each(orders: Iterable[tuple[str, ...]]) -> str:
    rows = ((words_of(order), *_cells(races.play(order))) for order in orders)
    return _table(("order", *COLUMNS), rows)


def _cells(outcome: Outcome) -> tuple[str, ...]:
    return outcome.first, outcome.resume, outcome.second, outcome.message, outcome.session


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
