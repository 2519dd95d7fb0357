"""The solution of the exercise in docs/tour/10-recycled-number.md:
closing is a right, and one thread has it.
"""

from __future__ import annotations

import contextlib
import os

import pytest

from resumehub.testing import ScheduleFailed, explore
from tests.test_docs_generated import TOOL

RACE = TOOL._tour.Race("recycled_number").module


class LineThatLooks(RACE.Line):
    """Looks whether somebody else has closed it, and closes it. Between the two, others may come."""

    def end(self):
        if self.open:
            self.lab.pause("close it")
            self.open = False
            with contextlib.suppress(OSError):  # "it was closed already": as if that were harmless
                self.close()


class LineClosedOnce(RACE.Line):
    """Takes the right to close under a lock: looking and taking are one step, so one thread gets it."""

    def __init__(self, lab, whose):
        super().__init__(lab, whose)
        self.lock = lab.threading.Lock()

    def end(self):
        with self.lock:
            mine, self.open = self.open, False
        if mine:
            self.lab.pause("close it")
            self.close()


def two_notice_the_end(line_type):
    def scenario(lab):
        ada, lines = line_type(lab, "Ada"), []

        @lab.actor
        def reader():
            ada.end()

        @lab.actor
        def heartbeat():
            ada.end()

        @lab.actor
        def server():
            lines.append(line_type(lab, "Bob"))

        @lab.at_end
        def bob_can_be_written_to():
            bob = lines[0]
            with ada.client, bob.client:
                try:
                    os.write(bob.number, b"hello")
                except OSError as error:
                    raise AssertionError(f"Bob's line is dead: {error}") from None
                bob.close()

    return scenario


def test_looking_first_closes_the_next_ones_line():
    with pytest.raises(ScheduleFailed, match="Bob's line is dead"):
        explore(two_notice_the_end(LineThatLooks))


def test_the_right_to_close_is_taken_by_one():
    assert explore(two_notice_the_end(LineClosedOnce), twice=False).complete
