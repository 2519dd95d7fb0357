"""Calls beside a move: each is made wholly before it, or wholly behind it."""

from __future__ import annotations

import contextlib

from resumehub import ConnectionClosed, HubUnavailable, Message
from resumehub.testing import MemoryCluster
from tests.cluster.memory_scenes.stage import move_on, stage, tell_to_stop


def every_call_beside_a_move(cluster: MemoryCluster) -> None:
    """Send, join, leave and kick beside a move: each is made wholly before it or wholly behind it."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.may_end = True
    lanes.sender(one, "here", 1)
    connection = one.hub.get("alice")
    assert connection is not None
    said: list[str] = []

    @one.actor
    def joins() -> None:
        # She may have been kicked before, and the process may have left.
        with contextlib.suppress(ConnectionClosed, HubUnavailable):
            connection.join("attic")
            connection.leave("attic")

    @two.actor
    def kicks() -> None:
        two.hub.kick("alice")
        said.append("kicked")

    @cluster.at_end
    def she_is_gone() -> None:
        assert "kicked" in said
        hub = cluster.the_hub()
        assert hub is not None
        assert hub.run("look", lambda: hub.hub.ids("lobby")) == []
        assert lanes.peers["alice"].closed() is not None

    tell_to_stop(cluster, one)


def close_behind_its_send(cluster: MemoryCluster) -> None:
    """A thread sends and closes beside a move: what it has sent is heard before the close."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.may_end = True

    @two.actor
    def leaves() -> None:
        two.hub.send("alice", Message("bye", 1))
        connection = two.hub.get("alice")
        assert connection is not None
        connection.close()

    @cluster.at_end
    def she_heard_it() -> None:
        assert [said["event"] for said in lanes.read("alice")] == ["bye"]

    tell_to_stop(cluster, one)


def every_call_beside_two_moves(cluster: MemoryCluster) -> None:
    """Threads of a worker send, broadcast, count, look, kick; the hub moves twice, then to that worker."""
    lanes, (one, two, three) = stage(cluster, "one", "two", "three")
    bob = two.dial("/?id=bob")
    cluster.run_until_idle()
    lanes.sender(two, "sent", 1)
    lanes.broadcaster(two, "told")
    said: list[object] = []

    @two.actor
    def counts() -> None:
        said.append(two.hub.count("lobby") in (1, 2))

    @two.actor
    def looks() -> None:
        found = {connection.id for connection in two.hub.connections("lobby")}
        said.append(found in ({"alice"}, {"alice", "bob"}))

    @two.actor
    def kicks() -> None:
        two.hub.kick("bob")
        said.append("bob" not in two.hub.ids("lobby"))

    @cluster.at_end
    def each_was_answered() -> None:
        assert said == [True, True, True]
        assert bob.closed() is not None
        hub = cluster.the_hub()
        assert hub is not None
        assert hub.run("look", lambda: hub.hub.ids("lobby")) == ["alice"]

    move_on(cluster, one, three)
