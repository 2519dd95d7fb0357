"""A client comes to a process while the hub moves, stays, or is killed."""

from __future__ import annotations

from resumehub.testing import MemoryCluster
from tests.cluster.memory_scenes.stage import dials_until_let_in, kill, stage, tell_to_stop


def a_dial_beside_a_move(cluster: MemoryCluster) -> None:
    """A client comes to a worker while the hub moves there, and then to the other one."""
    lanes, (one, two) = stage(cluster, "one", "two")
    tell_to_stop(cluster, one)
    dials_until_let_in(cluster, lanes, "bob", two, two)


def a_dial_beside_a_move_that_fails(cluster: MemoryCluster) -> None:
    """The target gets no descriptors, so that everything thaws; a client comes to it meanwhile."""
    lanes, (one, two, three) = stage(cluster, "one", "two", "three")
    three.out_of_descriptors = True
    tell_to_stop(cluster, one)
    dials_until_let_in(cluster, lanes, "bob", two, two)

    @cluster.actor
    def administrator() -> None:
        three.out_of_descriptors = False


def a_dial_and_a_killed_hub(cluster: MemoryCluster) -> None:
    """The hub is killed before and after it has taken a connection, and after its first byte."""
    lanes, (one, two) = stage(cluster, "one", "two")
    dials_until_let_in(cluster, lanes, "bob", two, two, two)
    kill(cluster, one)
