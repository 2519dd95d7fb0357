"""Every order of what can happen to dials at a worker: no client is told two things, and nothing is left.

Two dials, a hub that is slow, moves (to a third process or to the worker itself), is killed between any two
steps and followed by another; a link that can't be read to its end; a descriptor that does not arrive. The
same orders catch each of the machines below, which lacks one of its guards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from resumehub.core.cluster import dial_events as d
from resumehub.core.cluster import receiving as r
from resumehub.core.cluster.passing import WorkerDials
from tests.core.dial_world import DialWorld, WrongDial, explore

Note = Callable[[int], None]


@pytest.mark.parametrize(
    ("dials", "faults"),
    [
        (2, ("kill", "time")),
        (2, ("move",)),
        (2, ("damage", "descriptors")),
        (2, ("move", "kill")),
        (1, ("move", "kill", "damage", "descriptors", "time")),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, tuple) else f"{value} dials",
)
@pytest.mark.timeout(240)  # it only computes, and on a busy machine for a minute
def test_no_client_is_told_two_things_and_nothing_is_left(
    dials: int, faults: tuple[str, ...], note_orders: Note
) -> None:
    worlds, ends = explore(DialWorld(dials, faults=faults))
    assert ends
    note_orders(worlds)


# -- the same orders catch machines that lack a guard -------------------------------------


class BelievesItHasReadAll(WorkerDials):
    """Takes each end of a link for its real end."""

    def handle(self, event: d.DialEvent, now: float) -> list[d.DialEffect]:
        return super().handle(
            replace(event, to_its_end=True) if isinstance(event, d.LinkEnded) else event, now
        )


class LosesPatience(WorkerDials):
    """Answers a client itself when the hub is slow."""

    def handle(self, event: d.DialEvent, now: float) -> list[d.DialEffect]:
        effects = super().handle(event, now)
        if isinstance(event, d.TimePasses):
            effects += [d.RefuseDial(number, "slow") for number in self._passed]
            self._passed.clear()
        return effects


class PassesAgainAtOnce(WorkerDials):
    """Does not wait for the end of the old link when there is a new one."""

    def _pass_again(self) -> list[d.DialEffect]:
        for passed in self._passed.values():
            passed.link = None
        return super()._pass_again()


class ForgetsThatItIsTaken(WorkerDials):
    """Closes its copy, and keeps the dial in its books."""

    def _comes_off(self, number: int, link: int) -> bool:
        return number in self._passed


class TakesEachHubForOneThatMoved(WorkerDials):
    """A hub that this process is elected to be has not moved here: ``DialTaken`` may still be read."""

    def _hub_is_here(self, hub_life: str) -> list[d.DialEffect]:
        self._hub_life = hub_life
        for passed in self._passed.values():
            passed.hub_life = hub_life
        return super()._hub_is_here(hub_life)


class WaitsForTheEndOfALinkThatStays(WorkerDials):
    """The hub has moved here, along a link that stays open."""

    def _hub_is_here(self, hub_life: str) -> list[d.DialEffect]:
        self._hub_life = ""
        return super()._hub_is_here(hub_life)


class KeepsAsMuchAsItLikes(WorkerDials):
    """Does not count its copies."""

    @property
    def copies(self) -> int:
        return 0


class LetsAllWait(WorkerDials):
    """Does not count its request threads."""

    def _wait_of_one_more(self) -> float:
        return self.rules.wait


class NeverLooksAtTheTime(WorkerDials):
    """A connection waits for ever for a hub that does not come back."""

    def next_at(self) -> float | None:
        return None


class ForgetsWhoWaits(WorkerDials):
    """A question that was under way is not put to the next hub, nor its thread told that the hub is here."""

    def _tell_all(self, result: d.AskedResult) -> list[d.DialEffect]:
        self._questions.clear()
        return []


class TakesWhileUnsure(r.HubDials):
    """Takes what comes while the hub is about to move."""

    def _decide(self, dial: r.PassArrived, place: r.HubPlace) -> list[r.ReceivingEffect]:
        return super()._decide(dial, r.HubPlace.HERE if dial.descriptor else place)


class TakesWhatIsNotThere(r.HubDials):
    """Says that it has taken what has not arrived."""

    def _decide(self, dial: r.PassArrived, place: r.HubPlace) -> list[r.ReceivingEffect]:
        return super()._decide(replace(dial, descriptor=True), place)


class HoldsForEver(r.HubDials):
    """Forgets what it holds when the hub stays."""

    def handle(self, event: r.ReceivingEvent) -> list[r.ReceivingEffect]:
        return [] if isinstance(event, r.PlaceIs) else super().handle(event)


@pytest.mark.parametrize(
    ("naive", "dials", "faults", "complaint"),
    [
        (BelievesItHasReadAll, 1, ("damage",), "client 1 is answered, and first has its connection"),
        (LosesPatience, 1, ("time",), "client 1 is answered, and wire 1 has its connection"),
        (PassesAgainAtOnce, 1, ("move",), "client 1 is told 101 of "),
        (ForgetsThatItIsTaken, 1, (), "1 connections and 0 threads are left"),
        (TakesEachHubForOneThatMoved, 1, ("kill",), "client 1 is told 101 of first and 101 of worker"),
        (WaitsForTheEndOfALinkThatStays, 1, ("move",), "1 connections and 0 threads are left"),
        (KeepsAsMuchAsItLikes, 2, (), "2 connections are kept"),
        (LetsAllWait, 2, (), "2 request threads wait for long"),
        (NeverLooksAtTheTime, 1, ("kill",), "1 connections and 0 threads are left"),
        (ForgetsWhoWaits, 1, ("move",), "gives up, and is not told what to answer"),
        (TakesWhileUnsure, 1, ("move",), "client 1 is told 101 of "),
        (TakesWhatIsNotThere, 1, ("descriptors",), "takes the connection of client 1, which has not come"),
        (HoldsForEver, 1, ("move",), "a hub holds 1 connections for ever"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_machine_without_its_guard_is_caught(
    naive: type[Any], dials: int, faults: tuple[str, ...], complaint: str
) -> None:
    worker, hub = (naive, r.HubDials) if issubclass(naive, WorkerDials) else (WorkerDials, naive)
    with pytest.raises(WrongDial, match=complaint):
        explore(DialWorld(dials, worker, hub, faults=faults))


def test_a_hub_that_writes_before_it_says_so_is_caught() -> None:
    with pytest.raises(WrongDial, match="client 1 is told 101 of first and 503 of the worker"):
        explore(DialWorld(1, faults=("kill",), writes_first=True))
