"""A thread asks a client, and the hub moves, and moves again, before the answer has come."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from resumehub.cluster.record_lock import HUB
from resumehub.core.cluster.membership import Role
from resumehub.testing import MemoryCluster, Process
from tests.cluster.memory_scenes.lanes import Lanes
from tests.cluster.memory_scenes.stage import an_application, move_on, stage


def asks(cluster: MemoryCluster, process: Process) -> None:
    """A thread of the process asks alice, and has her answer at the end."""
    answers: list[Any] = []

    def asker() -> None:
        connection = process.hub.get("alice")
        assert connection is not None
        answers.append(connection.request("who?", timeout=5.0))

    asker.__name__ = f"asker_of_{process.name}"
    process.actor(asker)

    @cluster.at_end
    def the_asker_has_its_answer() -> None:
        assert answers == ["alice"]


def alice_answers(
    cluster: MemoryCluster, lanes: Lanes, times: int = 1, when: Callable[[], bool] = lambda: True
) -> None:
    """She answers so many requests. ``when``: not before that."""
    alice = lanes.peers["alice"]

    @cluster.actor
    def client() -> None:
        for _ in range(times):
            said = json.loads(alice.receive())
            cluster.scheduler.pause("answer", when)
            alice.ws.send(json.dumps({"re": said["id"], "payload": "alice"}))


def two_moves_and_an_asker(cluster: MemoryCluster) -> None:
    """A thread of a worker waits for a client; the hub moves twice, the second time to that worker."""
    lanes, (one, two, three) = stage(cluster, "one", "two", "three")
    asks(cluster, two)
    alice_answers(cluster, lanes)
    move_on(cluster, one, three)


def a_hub_that_comes_back_and_askers(cluster: MemoryCluster) -> None:
    """Threads of the hub's process and of a worker ask; the hub goes to one of its own, and comes back.

    It comes back to one of the two: to the worker only if the other one has not linked itself again yet.
    """
    one = cluster.process("one", build=an_application)
    two = cluster.process("two", build=an_application)
    assert two.hub.member is not None
    two.hub.member.kind_name = "sync"
    lanes = Lanes(cluster)
    for process in (one, two):
        process.start()
        cluster.settle()
    lanes.peers["alice"] = two.dial("/?id=alice")
    cluster.run_until_idle()
    cluster.at_end(lanes.check_all)
    asks(cluster, one)
    asks(cluster, two)
    three = cluster.process("three", build=an_application, alone=True)
    alice_answers(cluster, lanes, 2, when=lambda: three.told)

    @cluster.actor
    def starter() -> None:
        three.start()

    move_on(cluster, three)


def an_answer_while_the_hub_leaves(cluster: MemoryCluster) -> None:
    """The next process goes on already, and has the answer; the one before has not come to the move's end."""
    lanes, (one, two, three) = stage(cluster, "one", "two", "three")
    alice = lanes.peers["alice"]
    answers: list[Any] = []

    def ask() -> None:
        connection = two.hub.get("alice")
        assert connection is not None
        answers.append(connection.request("who?", timeout=5.0))

    two.runtime.begin("asker", ask)
    cluster.run_until_idle()
    said = json.loads(alice.receive())
    one.tell_to_stop()
    assert cluster.wait_until(lambda: three.role is Role.RECEIVING)
    with cluster.hold("member of three: *"):
        assert cluster.wait_until(lambda: HUB not in cluster.host.held)
        last_steps = cluster.hold("mover of one: *")
    with last_steps:
        assert cluster.wait_until(lambda: three.role is Role.HUB)
        alice.ws.send(json.dumps({"re": said["id"], "payload": "alice"}))
        cluster.run_until_idle()
    assert cluster.wait_until(lambda: answers == ["alice"])
