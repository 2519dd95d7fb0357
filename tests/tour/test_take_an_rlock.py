"""The solution of the exercise in docs/tour/09-handler-under-a-lock.md:
what an RLock is good for, and what not.
"""

from __future__ import annotations

import pytest

from resumehub.testing import ScheduleFailed, explore
from tests.test_docs_generated import TOOL

RACE = TOOL._tour.Race("handler_under_a_lock").module


class HubWithAnRLock(RACE.Hub):
    def __init__(self, lab):
        super().__init__(lab)
        self.lock = RACE.Lock(lab, "the hub's lock", "RLock")


def says_good_bye(hub_type):
    """A handler that sends: one thread, which asks for the same lock a second time."""

    def scenario(lab):
        hub = hub_type(lab)
        hub.on_leave = lambda name: hub.send("ada", f"{name} has left")

        @lab.actor
        def reader_of_bob():
            hub.leave("bob")

        @lab.at_end
        def ada_is_told():
            assert hub.clients == {"ada": ["bob has left"]}

    return scenario


def test_with_a_lock_a_handler_that_sends_waits_for_itself():
    with pytest.raises(ScheduleFailed, match="which reader_of_bob holds"):
        explore(says_good_bye(RACE.Hub))


@pytest.mark.parametrize("hub_type", [HubWithAnRLock, RACE.HubThatLetsGo])
def test_an_rlock_lets_it_through_and_so_does_letting_go(hub_type):
    explore(says_good_bye(hub_type))


def test_an_rlock_does_nothing_for_two_threads():
    with pytest.raises(ScheduleFailed, match="reader_of_bob never ends"):
        explore(lambda lab: RACE.scene(lab, HubWithAnRLock(lab)))
