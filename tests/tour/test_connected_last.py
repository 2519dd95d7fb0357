"""The solution of the exercise in docs/tour/11-overtaken-replay.md:
the gap is smaller, and a message falls into it.
"""

from __future__ import annotations

import pytest

from resumehub.testing import ScheduleFailed, explore
from tests.test_docs_generated import TOOL

RACE = TOOL._tour.Race("overtaken_replay").module


class ConnectedLast(RACE.Session):
    """Nobody can overtake what waits, since everybody waits until it has gone."""

    def resume(self):
        while self.backlog:
            self.write(self.backlog.pop(0))
        self.nothing_is_left()
        self.connected = True

    def nothing_is_left(self):
        """Between two lines of Python another thread can run; in the lab, only where there is a stop."""


class ConnectedLastAndAStop(ConnectedLast):
    def nothing_is_left(self):
        self.lab.pause("nothing is left")


def test_without_a_stop_in_the_gap_the_lab_sees_nothing():
    assert explore(lambda lab: RACE.scene(lab, ConnectedLast(lab)), twice=False).complete


def test_with_one_a_message_stays_behind():
    """It was put into a backlog that nobody empties any more: until the next resume it is lost."""
    with pytest.raises(ScheduleFailed, match=r"the client reads \['ada leaves room 1'\]"):
        explore(lambda lab: RACE.scene(lab, ConnectedLastAndAStop(lab)))
