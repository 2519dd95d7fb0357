"""F4: what becomes of each call at each event, cell by cell of docs/reference/calls-and-events.md.

A whole cluster in one process plays all rows of a column at once; each cell is a test.
"""

from __future__ import annotations

import tempfile
from functools import cache

import pytest

from tests.cluster.call_table import Event, Outcome, When, expected, is_played, play
from tests.cluster.cluster_calls import ROWS, Row

CELLS = [
    pytest.param(event, when, row, id=f"{event.name.lower()}-{when.name.lower()}-{row.__name__}")
    for event in Event
    for when in When
    for row in ROWS
    if is_played(row, when)
]


@cache
def seen(event: Event, when: When) -> dict[type[Row], Outcome]:
    """What all rows come to; the first test of a column plays it."""
    with tempfile.TemporaryDirectory() as folder:
        return play(event, when, folder)


@pytest.mark.contract("F4")
@pytest.mark.parametrize(("event", "when", "row"), CELLS)
def test_a_cell(event: Event, when: When, row: type[Row]) -> None:
    """What the caller is told, and what its message comes to, is what the page says."""
    assert seen(event, when)[row] == expected(event, when, row)


@pytest.mark.contract("F4")
@pytest.mark.parametrize("event", [Event.MOVE, Event.OTHER, Event.PARK])
def test_what_was_answered_is_there_as_long_as_its_session(event: Event) -> None:
    """The rule itself: of the cells in which a session goes on, none loses what was answered."""
    assert {expected(event, When.ANSWERED, row).becomes for row in ROWS} <= {"done, once", ""}
