"""A newcomer at the moment at which a drain begins.

The order: the check of an upgrade finds a hub that takes new sessions; *the drain begins, and its caller is
told how many sessions there are*; the socket arrives. A hub whose checks alone know of the drain opens one
session more than it has said: who waits until the last one has gone waits for one that nobody has counted, or
ends it. Ours decides again, on the hub thread, where the drain has its place among the sockets.
"""

from __future__ import annotations

import pytest

from resumehub.core.capacity import Capacity
from resumehub.core.refusals import FULL, RefusalByClose
from resumehub.core.states import Outcome
from resumehub.testing import Lab, Peer, ScheduleFailed, UpgradeRefused, explore


def a_newcomer_and_a_drain(lab: Lab) -> None:
    """Ada is there, Bob comes; the hub is drained."""
    hub = lab.open(ping_interval=None)
    lab.dial("/?id=ada")
    lab.run_until_idle()
    peers: list[Peer] = []
    answers: list[int] = []
    counted: list[int] = []

    @lab.actor
    def bob() -> None:
        try:
            peers.append(lab.dial("/?id=bob"))
        except UpgradeRefused as refused:
            answers.append(refused.status)

    @lab.actor
    def operator() -> None:
        counted.append(hub.drain(accept_resumes=True).left)

    @lab.at_end
    def no_session_begins_behind_the_drain() -> None:
        there = hub.stats().sessions
        assert [there] == counted, f"{there} sessions, and the drain counted {counted}"
        closed = [peer.closed() for peer in peers]
        if there == 1:
            assert answers == [503] or [code for code, _ in closed] == [4503], (answers, closed)
        lab.note(f"{there} sessions, {answers or closed}")


class KnowsOfNoDrain(Capacity):
    """Leaves the drain to the checks of the request."""

    def refusal(self, outcome: Outcome) -> RefusalByClose | None:
        return FULL if outcome is Outcome.OPENED and not self.make_room() else None


def test_a_hub_that_leaves_it_to_the_checks_opens_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resumehub.core.machine.Capacity", KnowsOfNoDrain)
    with pytest.raises(ScheduleFailed, match=r"2 sessions, and the drain counted \[1\]"):
        explore(a_newcomer_and_a_drain)


def test_what_the_drain_has_counted_is_what_there_is_in_every_order() -> None:
    """Bob is in and counted, or gets a 503, or a close frame 4503."""
    assert explore(a_newcomer_and_a_drain, twice=False).complete
