"""Says at the end of the run how many orders of events were played."""

from __future__ import annotations

import pytest

PLAYED = pytest.StashKey[int]()


@pytest.fixture
def note_orders(pytestconfig: pytest.Config):
    """Add to the number of orders that were played."""

    def note(count: int) -> None:
        pytestconfig.stash[PLAYED] = pytestconfig.stash.get(PLAYED, 0) + count

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if PLAYED in config.stash:
        terminalreporter.write_line(f"{config.stash[PLAYED]:,} orders of events were played on the machine")
