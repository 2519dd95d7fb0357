"""The table of states: it is total, it gives its reasons, and docs/ shows exactly what it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from resumehub.core.states import TRANSITIONS, Outcome, SessionEvent, State, transition

ROOT = Path(__file__).parents[2]

NOTHING_MOVES = (
    Outcome.IGNORED,
    Outcome.NOT_FOUND,
    Outcome.NOT_MOVED,
    Outcome.REFUSED,
    Outcome.TOO_LATE,
)
"""Outcomes that leave the session where it is."""


def entry_id(value: object) -> str | None:
    return value.name if isinstance(value, State | SessionEvent) else None


@pytest.mark.parametrize("event", SessionEvent, ids=entry_id)
@pytest.mark.parametrize("state", State, ids=entry_id)
class TestEveryEntry:
    """Every state × every event."""

    def test_is_there(self, state: State, event: SessionEvent) -> None:
        """Whatever happens in whatever state, it was thought of."""
        assert transition(state, event) is TRANSITIONS[state, event]

    def test_gives_its_reason(self, state: State, event: SessionEvent) -> None:
        """To ignore something is a decision like any other, and says why it was made."""
        because = transition(state, event).because
        assert len(because.split()) >= 3, f"{because!r} is no reason"
        assert because == because.strip()

    def test_moves_the_session_only_when_something_is_done(self, state: State, event: SessionEvent) -> None:
        entry = transition(state, event)
        if entry.outcome in NOTHING_MOVES:
            assert entry.to is state

    def test_ends_where_its_outcome_says(self, state: State, event: SessionEvent) -> None:
        """An outcome means the same thing in every row."""
        entry = transition(state, event)
        expected = {
            Outcome.OPENED: State.CONNECTED,
            Outcome.RESUMED: State.CONNECTED,
            Outcome.TAKEN_OVER: State.CONNECTED,
            Outcome.DISPLACED: State.CONNECTED,
            Outcome.SUSPENDED: State.SUSPENDED,
            Outcome.ENDED: State.CLOSED,
            Outcome.HANDED_OVER: State.CLOSED,
            Outcome.ADOPTED: State.CONNECTED,
        }.get(entry.outcome, state)
        assert entry.to is expected


def test_the_table_has_nothing_else() -> None:
    assert set(TRANSITIONS) == {(state, event) for state in State for event in SessionEvent}


def test_only_a_new_connect_or_an_arrival_gets_out_of_closed() -> None:
    """An ended session cannot be revived; its id can be used again."""
    out = {event for event in SessionEvent if transition(State.CLOSED, event).to is not State.CLOSED}
    assert out == {
        SessionEvent.CONNECT,
        SessionEvent.CONNECT_OR_REFUSE,
        SessionEvent.CLAIM,
        SessionEvent.CLAIM_OR_REFUSE,
        SessionEvent.ADOPT,
    }
    outcomes = {event: transition(State.CLOSED, event).outcome for event in out}
    assert outcomes.pop(SessionEvent.ADOPT) is Outcome.ADOPTED, "it lives, and comes from elsewhere"
    assert set(outcomes.values()) == {Outcome.OPENED}


def test_a_late_report_decides_nothing_in_any_state() -> None:
    assert {transition(state, SessionEvent.LATE).outcome for state in State} == {Outcome.IGNORED}


# -- the page -------------------------------------------------------------------------


@pytest.fixture
def docs() -> ModuleType:
    """The generator behind tools/docs."""
    spec = importlib.util.spec_from_file_location("_docs", ROOT / "tools" / "_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_diagram_draws_every_transition_that_does_something(docs: ModuleType) -> None:
    lines = docs.state_diagram().splitlines()[1:-1]
    undrawn = (Outcome.IGNORED, Outcome.NOT_FOUND, Outcome.NOT_MOVED)
    drawn = [entry for entry in TRANSITIONS.values() if entry.outcome not in undrawn]
    assert lines[0] == "stateDiagram-v2"
    assert len(lines) == 1 + len(drawn)
    assert "    CONNECTED --> SUSPENDED : DROP, SUSPENDED" in lines
    assert "    [*] --> CONNECTED : CONNECT, OPENED" in lines


def test_the_table_has_a_row_for_every_event_and_the_ignored_ones_too(docs: ModuleType) -> None:
    header, _, *rows = docs.state_table().splitlines()
    assert header == "| event | CONNECTED | SUSPENDED | CLOSED |"
    assert [row.split("**")[1] for row in rows] == [event.name for event in SessionEvent]
    assert "**IGNORED** → CONNECTED: a newer transport has taken over" in docs.state_table()


def test_the_page_shows_what_the_code_says(docs: ModuleType) -> None:
    """The diagram that people read is the table that the machine obeys; if not, run tools/docs."""
    name = "docs/explanation/session-states.md"  # the others: tests/test_docs_generated.py
    page = (ROOT / name).read_text(encoding="utf-8")
    assert docs.redrawn(page, docs.PAGES[name]) == page, f"{name} differs from the code: run tools/docs"


def test_a_page_that_was_changed_by_hand_is_noticed(docs: ModuleType) -> None:
    name = "docs/explanation/session-states.md"
    parts = docs.PAGES[name]
    page = (ROOT / name).read_text(encoding="utf-8")
    changed = page.replace("DROP, SUSPENDED", "DROP, ENDED")
    assert changed != page
    assert docs.redrawn(changed, parts) == page


def test_a_page_without_the_place_for_a_part_is_an_error(docs: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"the page has no part .*state table"):
        docs.redrawn("# Nothing here\n", {"state table": docs.state_table})
