"""A plain client and one of v1 come to a process while the hub moves, stays, or is killed."""

from __future__ import annotations

from resumehub import Connection, Hub, Message
from resumehub.testing import MemoryCluster
from tests.cluster.memory_scenes.comebacks import comes_back, loses_its_connection
from tests.cluster.memory_scenes.stage import an_application, dials_until_let_in, kill, stage, tell_to_stop


def a_dial_beside_a_move(cluster: MemoryCluster) -> None:
    """A client comes to a worker while the hub moves there, and then to the other one."""
    lanes, (one, two) = stage(cluster, "one", "two")
    tell_to_stop(cluster, one)
    dials_until_let_in(cluster, lanes, "bob", two, two)
    dials_until_let_in(cluster, lanes, "victor", two, two, v1=True)


def a_dial_beside_a_move_that_fails(cluster: MemoryCluster) -> None:
    """The target gets no descriptors, so that everything thaws; a client comes to it meanwhile."""
    lanes, (one, two, three) = stage(cluster, "one", "two", "three")
    three.out_of_descriptors = True
    tell_to_stop(cluster, one)
    dials_until_let_in(cluster, lanes, "bob", two, two)
    dials_until_let_in(cluster, lanes, "victor", two, two, v1=True)

    @cluster.actor
    def administrator() -> None:
        three.out_of_descriptors = False


def a_dial_and_a_killed_hub(cluster: MemoryCluster) -> None:
    """The hub is killed before and after it has taken a connection, and after its first byte."""
    lanes, (one, two) = stage(cluster, "one", "two")
    dials_until_let_in(cluster, lanes, "bob", two, two, two)
    dials_until_let_in(cluster, lanes, "victor", two, two, two, v1=True)
    kill(cluster, one)


def a_comeback_beside_a_move(cluster: MemoryCluster) -> None:
    """Clients lose their connections and come back to a worker, while the hub moves and that worker sends."""
    lanes, (one, two) = stage(cluster, "one", "two", v1=True)
    lanes.broadcaster(two, "there")
    tell_to_stop(cluster, one)
    for name in ("alice", "vera"):
        loses_its_connection(cluster, lanes, name, two)


def a_comeback_beside_a_move_that_fails(cluster: MemoryCluster) -> None:
    """The same; the target gets no descriptors, so that everything thaws."""
    lanes, (one, two, three) = stage(cluster, "one", "two", "three", v1=True)
    three.out_of_descriptors = True
    lanes.broadcaster(two, "there", 1)
    tell_to_stop(cluster, one)
    for name in ("alice", "vera"):
        loses_its_connection(cluster, lanes, name, two)

    @cluster.actor
    def administrator() -> None:
        three.out_of_descriptors = False


def a_comeback_and_a_killed_hub(cluster: MemoryCluster) -> None:
    """The hub is killed while clients come back to a worker: they go on, or are told that it is over."""
    lanes, (one, two) = stage(cluster, "one", "two", v1=True)
    lanes.broadcaster(two, "there", 1)
    for name in ("alice", "vera"):
        loses_its_connection(cluster, lanes, name, two)
    kill(cluster, one)


def a_connection_that_breaks_at_a_freeze(cluster: MemoryCluster) -> None:
    """A write has failed, and the reader has not come to the end yet, when the hub is about to move.

    The sessions move without a connection; they are told so once, and their clients come back there.
    """
    drops: list[str] = []

    def build(hub: Hub) -> None:
        an_application(hub)

        @hub.on_transport_drop
        def dropped(connection: Connection, error: Exception) -> None:
            drops.append(connection.id)

    lanes, (one, two) = stage(cluster, "one", "two", build=build, v1=True)
    names = ("alice", "vera")
    with cluster.hold("reader of one*: wait for input"):
        for name in names:
            lanes.read(name)
            lanes.peers[name].drop()
        one.run("tell", lambda: one.hub.broadcast("lobby", Message("n", ["last", 0])))
        lanes.answered["last"] = [0]
        one.tell_to_stop()
        assert cluster.wait_until(lambda: two.has_hub)
    cluster.settle()
    cluster.run_until_idle()
    assert sorted(drops) == list(names), f"on_transport_drop ran for {drops}"
    for name in names:
        comes_back(cluster, lanes, name, two)
