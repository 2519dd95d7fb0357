"""The harness of the cluster tests: it sees each fault that is planted, and ends all that it starts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.cluster.counting import Crowd
from tests.cluster.harness import Cluster, Setup
from tests.cluster.processes import alive_in_session, holder_of
from tests.cluster.verdict import NOTHING, Lane, Verdict

ALONE = Setup(workers=1, folder=False)


@pytest.mark.parametrize(
    "setup",
    [
        pytest.param(ALONE, id="gthread"),
        pytest.param(Setup(workers=1, folder=False, flask=True, preload=True), id="flask, preloaded"),
    ],
)
def test_one_process_without_a_cluster_keeps_all(setup: Setup) -> None:
    """Clients of both kinds count, and views speak: nothing is lost, doubled or reordered."""
    with Cluster(setup) as cluster:
        (pid,) = cluster.wait_until_serving()
        with Crowd(cluster, ours=3, theirs=2) as crowd:
            crowd.wait_until(echoes=10, requests=10)
            verdict = crowd.verdict()

        assert verdict.counts == NOTHING, verdict
        assert verdict.troubles == []
        assert verdict.sent == verdict.received > 100
        assert (verdict.hub_pids, verdict.speakers) == ([pid], {pid})
        assert set(verdict.statuses) == {"200"}
        assert len(verdict.gaps) == 5
        assert verdict.longest_gap > 0


@pytest.fixture(scope="module")
def alone() -> Iterator[Cluster]:
    """One process of Werkzeug."""
    with Cluster(Setup(server="werkzeug", workers=1, folder=False)) as cluster:
        cluster.wait_until_serving()
        yield cluster


@pytest.mark.parametrize(
    "lane, what, n, found",
    [
        ("echo", "drop", 5, {"lost": 3}),
        ("echo", "double", 5, {"doubled": 3}),
        ("echo", "swap", 5, {"reordered": 3}),
        ("up", "double", 5, {"doubled": 3}),
        ("broadcast", "drop", 1, {"lost": 3}),
        ("broadcast", "double", 1, {"doubled": 3}),
    ],
    ids=lambda one: "" if isinstance(one, dict) else str(one),
)
def test_a_planted_fault_is_found(alone, lane, what, n, found) -> None:
    """A server that drops, doubles or reorders one message of each of three clients is reported."""
    room = f"{lane}-{what}"
    alone.get(f"/plant?lane={lane}&what={what}&n={n}")
    with Crowd(alone, ours=2, theirs=1, window=8, views=0, quiet=0.2, room=room) as crowd:
        if lane == "broadcast":
            alone.get(f"/broadcast?room={room}")
        crowd.wait_until(echoes=10)
        verdict = crowd.verdict()

    assert verdict.counts == {**NOTHING, **found}, verdict


def test_a_client_that_is_cut_off_has_dialled(alone) -> None:
    """Ours dials again and loses nothing; theirs has ended, and the verdict says so."""
    alone.get("/plant?lane=&what=&n=0")
    with Crowd(alone, ours=1, theirs=1, quiet=0.2, room="cut") as crowd:
        crowd.wait_until(echoes=3)
        for member in crowd.members:
            alone.get(f"/cut?name={member.name}")
        crowd.wait_until(echoes=3)
        verdict = crowd.verdict()

    assert verdict.counts == {**NOTHING, "dials": 1}, verdict
    assert [one.split(":")[0] for one in verdict.troubles] == ["cut-theirs-0/1 has ended"]


def test_a_request_reaches_the_worker_that_is_named() -> None:
    """Of two workers that share a port, each can be asked by itself."""
    with Cluster(Setup(workers=2, folder=False)) as cluster:
        cluster.wait_for_log("Booting worker", 2)
        workers = cluster.workers()

        assert [cluster.get_at(pid, "/ready")[1]["pid"] for pid in workers] == workers


def test_what_is_left_behind_is_told() -> None:
    """A process, a lock, a socket and a file are found; and ended with the cluster."""
    with pytest.raises(AssertionError, match="file of nobody"), Cluster(ALONE) as cluster:  # noqa: PT012
        cluster.wait_until_serving()
        cluster.folder.mkdir()
        assert cluster.leftovers() == [f"process {pid}" for pid in _session(cluster)] + [
            f"port {cluster.server.port} listens"
        ]
        (cluster.folder / "file of nobody").touch()

    assert _session(cluster) == []


def test_a_kill_leaves_no_process() -> None:
    """The test fails while a worker is stopped and another one hangs: all are ended with it."""

    class Failure(Exception):
        pass

    with pytest.raises(Failure), Cluster(Setup(workers=2, folder=False)) as cluster:  # noqa: PT012
        cluster.wait_for_log("Booting worker", 2)
        cluster.signal(cluster.workers()[0], signal.SIGSTOP)
        raise Failure

    assert _session(cluster) == []


def test_the_holder_of_a_lock_is_found(tmp_path) -> None:
    """Asked from outside; nobody holds a file that is not there, or that was let go."""
    path = tmp_path / "lock"
    assert holder_of(path) is None
    path.touch()
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        import fcntl

        with path.open("rb+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
            os.write(tell, b"!")
            signal.pause()
    os.read(ready, 1)
    try:
        assert (holder_of(path), holder_of(path, 1)) == (child, None)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(tell)
    assert holder_of(path) is None


def test_a_lane_is_judged() -> None:
    """Each fault by itself, and what is none: a doubt, an end, a late beginning."""
    sent = range(1, 6)

    def faults(lane: Lane) -> tuple[list[int], list[int], list[int], list[int]]:
        return lane.lost, lane.doubled, lane.reordered, lane.foreign

    assert faults(Lane("", sent, [1, 2, 3, 4, 5])) == ([], [], [], [])
    assert faults(Lane("", sent, [1, 2, 4, 5])) == ([3], [], [], [])
    assert faults(Lane("", sent, [1, 2, 3, 4])) == ([5], [], [], [])
    assert faults(Lane("", sent, [])) == ([1, 2, 3, 4, 5], [], [], [])
    assert faults(Lane("", sent, [1, 2, 2, 3, 4, 2, 5])) == ([], [2, 2], [], [])
    assert faults(Lane("", sent, [1, 3, 2, 4, 5])) == ([], [], [2], [])
    assert faults(Lane("", sent, [1, 2, 3, 4, 5, 6])) == ([], [], [], [6])
    assert faults(Lane("", sent, [1, 2, 3, 4, 5, 6], doubtful=[6, 7])) == ([], [], [], [])
    assert faults(Lane("", sent, [3, 5], late=True)) == ([4], [], [], [])
    assert faults(Lane("", sent, [1, 3], ended=True)) == ([2], [], [], [])
    assert faults(Lane("", sent, [], late=True)) == ([], [], [], [])
    assert faults(Lane("", sent, [], ended=True)) == ([], [], [], [])

    verdict = Verdict()
    verdict.add(Lane("ada → bob", sent, [1, 2, 4, 4]))
    assert (verdict.sent, verdict.received, verdict.lost, verdict.doubled) == (5, 4, 2, 1)
    assert "ada → bob: lost 3, 5 of 5 sent" in str(verdict)


def _session(cluster: Cluster) -> list[int]:
    return list(alive_in_session(cluster.server.pid))
