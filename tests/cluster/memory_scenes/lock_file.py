"""Somebody cleans the folder up, and removes the file of the lock: the hub goes over to another one."""

from __future__ import annotations

from resumehub.cluster.record_lock import HUB
from resumehub.testing import MemoryCluster
from tests.cluster.memory_scenes.stage import an_application, stage, tell_to_stop


def _clean_up(cluster: MemoryCluster) -> None:
    @cluster.actor
    def cleaner() -> None:
        cluster.host.remove_lock_file()


def _the_lock_has_its_file_at_the_end(cluster: MemoryCluster) -> None:
    @cluster.at_end
    def its_file() -> None:
        def right() -> bool:
            hub = cluster.the_hub()
            return hub is not None and cluster.host.held.get(HUB) is hub

        assert cluster.wait_until(right), "the hub has the lock of a file that is gone"


def the_lock_file_is_removed(cluster: MemoryCluster) -> None:
    """A process starts meanwhile, and finds the old file, the new one, or none. There is always one hub."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.broadcaster(two, "there")
    _clean_up(cluster)
    three = cluster.process("three", build=an_application)

    @cluster.actor
    def starter() -> None:
        three.start()

    _the_lock_has_its_file_at_the_end(cluster)


def the_lock_file_is_removed_beside_a_move(cluster: MemoryCluster) -> None:
    """The same while the hub moves: its two ends may have two files."""
    lanes, (one, _) = stage(cluster, "one", "two")
    lanes.broadcaster(one, "here", 1)
    tell_to_stop(cluster, one)
    _clean_up(cluster)
    three = cluster.process("three", build=an_application)

    @cluster.actor
    def starter() -> None:
        three.start()

    _the_lock_has_its_file_at_the_end(cluster)
