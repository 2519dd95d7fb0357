"""A hub alone is told to stop, and parks its sessions; the next process adopts them. Either may be killed."""

from __future__ import annotations

import os

from resumehub.core.cluster.membership import Role
from resumehub.testing import MemoryCluster, Process
from tests.cluster.memory_scenes.comebacks import come_back
from tests.cluster.memory_scenes.lanes import Lanes
from tests.cluster.memory_scenes.stage import an_application, stage, tell_to_stop


def kill_during(cluster: MemoryCluster, process: Process, *roles: Role) -> None:
    """Kill it at any step from the one on at which it begins to be the first of these; they are the rest."""

    @cluster.actor
    def killer() -> None:
        cluster.scheduler.pause(f"see {process.name} at work", lambda: process.role in roles)
        process.kill()


def start_behind(cluster: MemoryCluster, before: Process, process: Process) -> None:
    """Start a process when the one before it has ended."""

    @cluster.actor
    def starter() -> None:
        cluster.scheduler.pause(
            f"see {before.name} gone", lambda: not before.is_alive or before.role is Role.GONE
        )
        process.start()


def all_come_back(cluster: MemoryCluster, lanes: Lanes, *at: Process) -> None:
    """Each client comes back once its connection has ended. Who was told 1012 is let in."""
    for name in list(lanes.peers):

        def client(name: str = name) -> None:
            told = lanes.read_to_the_end(name)
            cluster.scheduler.pause(f"{name} to see a hub", lambda: any(one.has_hub for one in at))
            refused = come_back(cluster, lanes, name, *at)
            if refused is not None:
                assert told != 1012 or len(at) > 1, f"{name} was told to come back, and then {refused}"

        client.__name__ = f"client_{name}"
        cluster.actor(client)


def _nothing_is_left_in_the_folder(cluster: MemoryCluster) -> None:
    folder = cluster.host.folder

    @cluster.at_end
    def no_file() -> None:
        for path in (folder.parked, folder.adopting):
            assert not os.path.exists(path), "a file of parked sessions is left, to be adopted again"


def a_killed_parking(cluster: MemoryCluster) -> None:
    """It is killed at any step of its parking: all sessions are in the file, or they are gone."""
    lanes, (one,) = stage(cluster, "one", v1=True)
    two = cluster.process("two", build=an_application)

    @one.actor
    def application() -> None:
        cluster.scheduler.pause("see one parking", lambda: one.role in (Role.PARKING, Role.GONE))
        for number in range(2):
            lanes.call("late", number, lambda message: one.hub.broadcast("lobby", message))

    tell_to_stop(cluster, one)
    kill_during(cluster, one, Role.PARKING, Role.GONE)
    start_behind(cluster, one, two)
    all_come_back(cluster, lanes, two)
    _nothing_is_left_in_the_folder(cluster)


def a_killed_adoption(cluster: MemoryCluster) -> None:
    """It is killed at any step of its adoption: no session goes on twice, and the next start serves."""
    lanes, (one,) = stage(cluster, "one", v1=True)
    lanes.call("parked", 0, lambda message: one.hub.broadcast("lobby", message))
    one.tell_to_stop()
    assert cluster.wait_until(lambda: one.role is Role.GONE)
    two = cluster.process("two", build=an_application)
    three = cluster.process("three", build=an_application)
    start_behind(cluster, one, two)
    kill_during(cluster, two, Role.ADOPTING, Role.HUB)
    start_behind(cluster, two, three)
    all_come_back(cluster, lanes, two, three)
    _nothing_is_left_in_the_folder(cluster)
