"""Threads join and leave a room while its session drops, comes back, is refused or ends: who is told what.

Each on_join has exactly one on_leave, behind it, and none comes after on_disconnect: the lab checks that of
every callback, in every order of the threads (``resumehub/testing/lab_checks.py``). The naive variant calls
the hooks where the calls are made, in the thread that joins or leaves: then a leave can be told before its
join, or after the end.

And a recipe: each hook publishes ``hub.count`` under a lock of its own. Whatever the order in which the hooks
of different sessions run, the last number that is published is right.
"""

from __future__ import annotations

import contextlib

import pytest

from resumehub import Connection, ConnectionClosed, ConnectionNotFound
from resumehub.server.effect_runner import EffectRunner
from resumehub.testing import Lab, explore
from resumehub.testing.explorer import ScheduleFailed
from resumehub.testing.strategies import PCT, Deepening, Random

SHARE = pytest.mark.parametrize("share", [False, True], ids=["a reader each", "shared readers"])


def joins_drops_and_ends(lab: Lab) -> None:
    hub = lab.open(resume_window=10)
    told: list[str] = []
    hub.on_join(lambda connection, room_id, reason: told.append(f"+{room_id}"))
    hub.on_leave(lambda connection, room_id, reason: told.append(f"-{room_id}"))
    alice = lab.dial("/?id=alice")
    lab.run_until_idle()
    connection = hub.get("alice")
    assert connection is not None

    @lab.actor
    def member() -> None:
        with contextlib.suppress(ConnectionClosed):
            connection.join("news")
            connection.leave("news")

    @lab.actor
    def another_thread() -> None:
        with contextlib.suppress(ConnectionClosed):
            connection.join("news")

    @lab.actor
    def network() -> None:
        alice.drop()

    @lab.actor
    def application() -> None:
        with contextlib.suppress(ConnectionNotFound):
            hub.kick("alice")

    @lab.at_end
    def each_join_has_its_leave() -> None:
        assert connection.closed
        for room in ("lobby", "news"):
            turns = [what for what in told if what[1:] == room]
            assert turns == [f"+{room}", f"-{room}"] * (len(turns) // 2)
        assert hub.rooms() == []


def refused_beside_a_join(lab: Lab) -> None:
    """On_connect joins a room and raises, while another thread lets the session into a second one."""
    lab.captured_log.quiet = True
    hub = lab.open()
    told: list[str] = []
    known: list[Connection] = []
    hub.on_join(lambda connection, room_id, reason: told.append(room_id))
    hub.on_leave(lambda connection, room_id, reason: told.append(room_id))

    @hub.on_connect
    def check(connection: Connection) -> None:
        known.append(connection)
        connection.join("news")
        raise PermissionError

    lab.dial("/?id=alice")

    @lab.actor
    def another_thread() -> None:
        if (connection := hub.get("alice")) is not None:
            with contextlib.suppress(ConnectionClosed):
                connection.join("sports")

    @lab.at_end
    def nothing_was_told() -> None:
        assert known
        assert told == []
        assert hub.rooms() == []


def the_number_on_the_wall(lab: Lab) -> None:
    """Two sessions come and go; what the hooks published last is how many there are."""
    hub = lab.open(resume_window=0)
    wall, lock = [0], lab.runtime.lock("the wall")

    def publish(connection: Connection, room_id: str, reason: str) -> None:
        with lock:
            wall[0] = hub.count(room_id)

    hub.on_join(publish)
    hub.on_leave(publish)
    peers = [lab.dial("/?id=alice"), lab.dial("/?id=bob")]

    @lab.actor
    def network() -> None:
        peers[0].drop()

    @lab.at_end
    def it_is_right() -> None:
        assert wall[0] == hub.count("lobby")


SCENARIOS = [joins_drops_and_ends, refused_beside_a_join, the_number_on_the_wall]


@SHARE
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_holds_in_every_order_that_is_tried(scenario, share) -> None:
    explore(scenario, Deepening(), max_schedules=40, share=share)
    explore(scenario, PCT(seed=13, count=30), share=share, stop_at_locks=True)
    explore(scenario, Random(seed=13, count=30), share=share, stop_at_locks=True)


class TellsAtOnce(EffectRunner):
    """Has a thread of the pool call the hook, in no queue: it need not wait for a slow handler."""

    def _notify_membership(self, effect) -> None:
        session = self._by_epoch[effect.epoch]
        queue = self._serial_queue(f"{effect.hook} {effect.room_id}", "a hook")
        session.serial_queue, own = queue, session.serial_queue
        try:
            super()._notify_membership(effect)
        finally:
            session.serial_queue = own


@pytest.mark.parametrize("scenario", [joins_drops_and_ends, refused_beside_a_join])
def test_a_hub_that_calls_the_hooks_beside_the_session_is_caught(scenario, monkeypatch) -> None:
    monkeypatch.setattr("resumehub.server.hub_loop.EffectRunner", TellsAtOnce)
    with pytest.raises(ScheduleFailed, match=r"callbacks out of order|AssertionError"):
        explore(scenario, PCT(seed=1, count=300), stop_at_locks=True)
