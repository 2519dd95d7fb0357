"""The solution of the exercise in docs/tour/07-woken-too-early.md:
an event that is cleared belongs to one receiver.
"""

from __future__ import annotations

import pytest

from resumehub.testing import ScheduleFailed, explore
from tests.test_docs_generated import TOOL

RACE = TOOL._tour.Race("woken_too_early").module


class Swapped(RACE.Connection):
    """The page's broken code with its two lines in the other order."""

    def close_frame_came(self):
        self.connected = False
        self.bell.set()
        self.lab.pause("answer the close frame")


class NotifiesOne(RACE.ConnectionWithACondition):
    """The page's fix, but it wakes only one of those who wait."""

    def close_frame_came(self):
        with self.changed:
            self.connected = False
            self.changed.notify()


def receivers(count, connection_type):
    def scenario(lab):
        connection = connection_type(lab)
        RACE.scene(lab, connection)
        for number in range(2, count + 1):
            lab.actor(handler(connection, number))

    return scenario


def handler(connection, number):
    def receive():
        with pytest.raises(RACE.ConnectionClosed):
            connection.receive()

    receive.__name__ = f"handler_{number}"
    return receive


def test_in_the_other_order_one_receiver_always_wakes_up():
    assert explore(receivers(1, Swapped), twice=False).complete


def test_of_two_receivers_the_first_clears_what_the_second_waits_for():
    with pytest.raises(ScheduleFailed, match="never ends"):
        explore(receivers(2, Swapped))


def test_waking_one_is_not_enough_for_a_change_that_concerns_all():
    with pytest.raises(ScheduleFailed, match="never ends"):
        explore(receivers(2, NotifiesOne))


def test_waking_all_under_the_lock_is():
    assert explore(receivers(2, RACE.ConnectionWithACondition), twice=False).complete
