"""The leader dies, at any moment: another thread leads, and no client is forgotten.

The order: the thread that waits for input on all sockets ends by a bug, while messages are on their way and
another thread is in a handler. Nobody waits for input any more: HTTP looks healthy, and no client is heard
again. A leader that does not hand the lead on does just that. Ours hands it on, whatever ends it; and where
no other thread is left, the watcher's next look starts one.
"""

from __future__ import annotations

import json

import pytest

from resumehub.incoming.leader_followers import LeaderFollowers
from resumehub.incoming.read_tasks import Worker
from resumehub.runtime.base import Poller
from resumehub.testing import Lab, explore
from resumehub.testing.explorer import ScheduleFailed
from resumehub.testing.strategies import PCT, Deepening, Random
from tests.support import text


class Panic(BaseException):
    """A bug of ours, or of an extension."""


class LeaderDies(LeaderFollowers):
    """The leader dies when it is about to wait for the second time."""

    waits = 0

    def _wait_for_input(self, me: Worker, poller: Poller | None, goes_on: bool) -> None:
        self.waits += 1
        if self.waits == 2:
            raise Panic
        super()._wait_for_input(me, poller, goes_on)


class KeepsTheLead(LeaderDies):
    """A thread that dies as the leader stays the leader."""

    def _leave(self, me: Worker) -> None:
        led = self._leader is me
        super()._leave(me)
        if led:
            self._leader = me


def three_talk(lab: Lab) -> None:
    """Each client sends two messages; their handlers take a while, and answer."""
    lab.captured_log.expects_bugs = lab.captured_log.quiet = True
    hub = lab.open(ping_interval=None)
    handled: list[tuple[str, int]] = []

    @hub.on_message
    def hear(connection, message) -> None:
        lab.pause("think")
        handled.append((connection.id, message.payload))
        connection.send(message)

    peers = {name: lab.dial(f"/?id={name}") for name in ("alice", "bob", "carol")}

    @lab.actor
    def clients() -> None:
        for number in range(2):
            for peer in peers.values():
                peer.send(text("n", number))

    @lab.at_end
    def all_are_heard() -> None:
        assert hub.runner.loop.leader_followers.waits >= 2, "the leader should have died"
        lab.expire("watcher")  # the last thread that reads may have been the one that died
        lab.run_until_idle()
        for name, peer in peers.items():
            assert [number for who, number in handled if who == name] == [0, 1], f"{name} is not heard"
            assert [json.loads(said)["payload"] for said in peer.received()] == [0, 1]
        assert hub.ready()


STRATEGIES = [Deepening(1), Random(1, 60), PCT(2, 60)]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
def test_another_thread_leads_in_any_order(monkeypatch, strategy):
    monkeypatch.setattr("resumehub.server.hub_loop.LeaderFollowers", LeaderDies)
    explore(three_talk, strategy, share=True, stop_at_locks=True, max_schedules=80)


def test_a_leader_that_keeps_the_lead_is_wrong(monkeypatch):
    monkeypatch.setattr("resumehub.server.hub_loop.LeaderFollowers", KeepsTheLead)
    with pytest.raises(ScheduleFailed, match=r"is not heard|cannot be closed"):
        explore(three_talk, Random(1, 60), share=True, stop_at_locks=True, twice=False)


def test_where_no_thread_is_left_the_watcher_starts_one(monkeypatch):
    """Until then the hub is not ready, and says so."""

    class AllDie(LeaderFollowers):
        waits = 0
        dying = False

        def _wait_for_input(self, me: Worker, poller: Poller | None, goes_on: bool) -> None:
            if self.dying:
                raise Panic
            super()._wait_for_input(me, poller, goes_on)

    monkeypatch.setattr("resumehub.server.hub_loop.LeaderFollowers", AllDie)
    with Lab(share=True, stop_at_locks=False) as lab:
        lab.captured_log.expects_bugs = lab.captured_log.quiet = True
        hub = lab.open(ping_interval=None)
        hub.on_message(lambda connection, message: lab.note("heard"))
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        threads = hub.runner.loop.leader_followers
        threads.dying = True
        alice.send(text("n", 1))
        lab.run_until_idle()
        assert lab.notes == ["heard"]
        assert not hub.ready()

        threads.dying = False
        alice.send(text("n", 2))
        lab.run_until_idle()
        assert lab.notes == ["heard"]
        lab.expire("watcher")
        lab.run_until_idle()
        assert lab.notes == ["heard", "heard"]
        assert hub.ready()


def test_a_deputy_survives_that_its_leader_s_thread_is_gone():
    """The system does not know how long a thread has computed that has ended: EINVAL."""
    with Lab(share=True, stop_at_locks=False) as lab:

        def gone() -> float:
            raise OSError(22, "Invalid argument")

        lab.runtime.stopwatch = lambda: gone
        lab.runtime.eager = False
        hub = lab.open(ping_interval=None)
        opened = lab.threading.Event()
        hub.on_message(lambda connection, message: connection.id == "alice" and opened.wait())
        hub.on_message(lambda connection, message: lab.note(connection.id))
        alice, bob = lab.dial("/?id=alice"), lab.dial("/?id=bob")
        lab.run_until_idle()
        for peer in (alice, bob):
            peer.send(text("n", 1))
            lab.run_until_idle()
        for _ in range(2):
            lab.expire("reader (2)")
            lab.run_until_idle()
        assert lab.notes == ["bob"]
        opened.set()
