"""The solution of the exercise in docs/tour/02-late-drop.md: a timer's report is about one suspension."""

from __future__ import annotations

import pytest

from resumehub.testing import ScheduleFailed, explore
from tests.test_docs_generated import TOOL

race = TOOL._tour.Race("late_drop").module


class AsksForTheState:
    """Compares sockets where they drop, and believes every timer."""

    def __init__(self, lab):
        self.session = race.Table(lab, "session")
        self.inbox = race.Queue(lab, "inbox")
        self.suspensions = 0
        self.cancelled = set()
        self.first_timer_runs = lab.threading.Event()

    def decide(self):
        while True:
            what, which = self.inbox.get()
            state = self.session.get("state")
            if what == "resumed" and state == "suspended":
                self.cancelled.add(self.suspensions)
                self.session["socket"], self.session["state"] = which, "connected"
            elif what == "dropped" and self.session.get("socket") == which:
                self.suspensions += 1
                self.session["state"] = "suspended"
                self.first_timer_runs.set()
            elif what == "expired" and state == "suspended" and self.believes(which):
                self.session["state"] = "ended"

    def believes(self, suspension):
        return True


class AsksForTheSuspension(AsksForTheState):
    """Each suspension has a number, counted up where it begins, and its timer says it."""

    def believes(self, suspension):
        return suspension == self.suspensions


def two_drops_and_the_first_timer(hub_type):
    def scenario(lab):
        hub = hub_type(lab)
        hub.session["socket"], hub.session["state"] = "socket 1", "connected"
        lab.threading.Thread(target=hub.decide, name="hub").start()
        lab.run_until_idle()

        @lab.actor
        def line():
            hub.inbox.put(("dropped", "socket 1"))
            hub.inbox.put(("resumed", "socket 2"))
            hub.inbox.put(("dropped", "socket 2"))

        @lab.actor
        def first_timer():
            hub.first_timer_runs.wait()
            if 1 not in hub.cancelled:
                hub.inbox.put(("expired", 1))

        @lab.at_end
        def the_second_window_is_as_long_as_the_first():
            seen = hub.session.snapshot()
            # On socket 1 it is the first window that has ended, and rightly so.
            assert seen != {"socket": "socket 2", "state": "ended"}, "the first timer ended the second window"

    return scenario


def test_asking_for_the_state_ends_the_second_window_at_once():
    with pytest.raises(ScheduleFailed, match="ended the second window"):
        explore(two_drops_and_the_first_timer(AsksForTheState))


def test_asking_for_the_suspension_is_right_in_every_order():
    assert explore(two_drops_and_the_first_timer(AsksForTheSuspension), twice=False).complete
