"""A cluster whose hub is drained: from whatever worker, told to all of them, and over a move."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from resumehub.testing import MemoryCluster, Process, UpgradeRefused
from tests.cluster.memory_scenes.stage import an_application, stage


@pytest.fixture
def cluster() -> Iterator[MemoryCluster]:
    with MemoryCluster() as made:
        yield made


def test_a_worker_drains_the_hub_for_all_and_each_says_so(cluster: MemoryCluster) -> None:
    """Nobody has to know where the hub is, and a load balancer may ask any process."""
    lanes, (one, two) = stage(cluster, "one", "two")
    assert two.run("drain", lambda: two.hub.drain(accept_resumes=True)).left == 1
    for process in (one, two):
        assert cluster.wait_until(lambda process=process: not process.hub.ready())
        with pytest.raises(UpgradeRefused) as refused:
            process.dial("/?id=bob")
        assert (refused.value.status, refused.value.header("Retry-After")) == (503, "5")
        assert process.run("stats", process.hub.stats).draining == "newcomers"
        ready = process.hub.ready()
        assert (ready.draining, ready.detail) == (True, "the hub is drained (newcomers are refused)")
    lanes.peers["alice"] = process.dial("/?id=alice&resume=true")

    assert one.run("undrain", one.hub.undrain) == 1
    assert cluster.wait_until(lambda: all(process.hub.ready() for process in (one, two)))
    two.dial("/?id=bob")
    cluster.run_until_idle()


def test_a_hub_that_moves_stays_drained_and_leaves_nothing_of_it_behind(cluster: MemoryCluster) -> None:
    """A reload in the middle of a drain must not open the door again."""
    _, (one, two) = stage(cluster, "one", "two")
    one.run("drain", lambda: one.hub.drain(accept_resumes=True))
    one.tell_to_stop()
    assert cluster.wait_until(lambda: two.has_hub)
    cluster.run_until_idle()
    assert two.run("stats", two.hub.stats).draining == "newcomers"
    with pytest.raises(UpgradeRefused):
        two.dial("/?id=bob")
    assert one.hub.runner.drain.value == ""
    three = cluster.process("three", build=an_application)
    three.start()
    assert cluster.wait_until(lambda: three.hub.ready().draining), "a new worker is told"
    two.run("undrain", two.hub.undrain)
    assert cluster.wait_until(lambda: bool(three.hub.ready()))
    three.dial("/?id=bob")
    cluster.run_until_idle()


def test_the_probes_of_each_process_say_what_is_wrong_with_the_cluster(cluster: MemoryCluster) -> None:
    """Drained: no process is ready, all are alive. The hub's process is stopped: a worker is not ready."""
    _, (one, two) = stage(cluster, "one", "two")

    def failed(process: Process) -> list[str]:
        health = process.hub.health()
        assert all(check.ok for check in health.alive(1e9).values())
        return [name for name, check in health.ready(1e9).items() if not check.ok]

    assert (failed(one), failed(two)) == ([], [])
    one.run("drain", lambda: one.hub.drain(accept_resumes=True))
    assert cluster.wait_until(lambda: failed(two) == ["draining"])
    assert failed(one) == ["draining"]
    one.run("undrain", one.hub.undrain)
    assert cluster.wait_until(lambda: not failed(two))
    two.tell_to_stop()
    assert cluster.wait_until(lambda: failed(two) == ["draining"])
    assert two.hub.health().ready()["draining"].detail == "this process is told to stop"
