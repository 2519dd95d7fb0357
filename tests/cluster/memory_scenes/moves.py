"""A hub moves: beside calls, while a process is killed or stopped, or while a third one looks for it."""

from __future__ import annotations

import contextlib

from resumehub import HubUnavailable
from resumehub.testing import MemoryCluster
from tests.cluster.memory_scenes.stage import an_application, dials_until_let_in, kill, stage, tell_to_stop


def a_move_beside_calls(cluster: MemoryCluster) -> None:
    """The hub moves while both processes send and broadcast."""
    lanes, (one, two) = stage(cluster, "one", "two", v1=True)
    lanes.broadcaster(one, "here")
    lanes.broadcaster(two, "there")
    tell_to_stop(cluster, one)


def the_old_process_is_killed(cluster: MemoryCluster) -> None:
    """The process that gives its hub away is killed at any step; a worker broadcasts."""
    lanes, (one, two) = stage(cluster, "one", "two", v1=True)
    lanes.broadcaster(two, "there")
    tell_to_stop(cluster, one)
    kill(cluster, one)


def the_target_is_killed(cluster: MemoryCluster) -> None:
    """The process that takes the hub is killed at any step: before held, the commit, before it goes on."""
    lanes, (one, _, three) = stage(cluster, "one", "two", "three", v1=True)
    lanes.broadcaster(one, "here", 1)
    tell_to_stop(cluster, one)

    @cluster.actor
    def killer() -> None:
        three.kill()


def the_old_process_is_stopped(cluster: MemoryCluster) -> None:
    """It is stopped at any step, so also between its commit and the lock, and thawed later."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.sender(two, "there", 1)
    tell_to_stop(cluster, one)

    @cluster.actor
    def stopper() -> None:
        one.stop()
        cluster.pause("let it stand")
        one.thaw()


def a_third_process_polls(cluster: MemoryCluster) -> None:
    """The hub moves while a third process looks for it."""
    _, (one, _) = stage(cluster, "one", "two")
    three = cluster.process("three", build=an_application)
    tell_to_stop(cluster, one)

    @cluster.actor
    def starter() -> None:
        three.start()


def a_drain_beside_a_dial_and_a_move(cluster: MemoryCluster) -> None:
    """A worker drains the hub while it moves, and a client comes: what was counted is what there is."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.may_end = True  # bob may be closed with 4503 behind his 101
    counted: list[int] = []
    dials_until_let_in(cluster, lanes, "bob", two)
    tell_to_stop(cluster, one)

    @two.actor
    def operator() -> None:
        with contextlib.suppress(HubUnavailable):
            counted.append(two.hub.drain(accept_resumes=True).left)

    @cluster.at_end
    def no_session_has_begun_behind_it() -> None:
        stats = two.hub.runner.stats()
        if counted:
            assert (stats.draining, stats.sessions) == ("newcomers", counted[0])
