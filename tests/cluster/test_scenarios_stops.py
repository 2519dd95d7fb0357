"""Real workers are stopped, started, killed and frozen: what clients see of it, and what is left."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.cluster.counting import Crowd
from tests.cluster.gate import until
from tests.cluster.harness import Cluster, Setup
from tests.cluster.members import Ours
from tests.cluster.processes import connections_of, unix_sockets_below
from tests.cluster.verdict import NOTHING


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    """Two workers with threads. Tests kill one of them, and leave two behind."""
    with Cluster(Setup()) as cluster:
        cluster.wait_until_serving()
        yield cluster


def hub_of(cluster: Cluster) -> int:
    pid = cluster.hub_pid()
    assert pid is not None, "no process holds the hub"
    return pid


# -- a full stop ------------------------------------------------------------------------------


@pytest.mark.contract("F1")
def test_a_full_stop_and_a_start_lose_nothing() -> None:
    """All sessions are parked, their clients told 1012, and adopted by the next start: lost 0, doubled 0."""
    with Cluster(Setup()) as cluster:
        cluster.wait_until_serving()
        with Crowd(cluster, ours=4, theirs=1, views=0) as crowd:
            crowd.wait_until(echoes=5)
            cluster.get("/broadcast")
            cluster.stop()
            left, parked = cluster.leftovers(), (cluster.folder / "parked").exists()
            theirs = crowd.members[-1]
            until(lambda: theirs.ended, "the other client to be told")
            cluster.start(cluster.port)
            cluster.wait_until_serving()
            crowd.wait_until(echoes=5)
            verdict = crowd.verdict()
            ours = [member for member in crowd.members if isinstance(member, Ours)]
            assert all(member.dials and not member.ended for member in ours)
        cluster.get(f"/kick?name={theirs.name}")  # it has not come back, and would be parked again

        assert left == []
        assert parked
        assert theirs.why == "1012 service restart"
        assert (verdict.lost, verdict.doubled, verdict.reordered, verdict.foreign) == (0, 0, 0, 0), verdict
        for member in ours:
            assert cluster.journal.count("connect", member.name) == 1
            assert cluster.journal.count("adopt", member.name) == 1
            assert cluster.journal.count("drop", member.name) == 1


# -- kills ------------------------------------------------------------------------------------


def test_a_hub_that_is_killed_takes_its_sessions_and_another_one_serves(pair) -> None:
    """SIGKILL of its process: 410, what is in doubt is handed back, and a new session counts from there."""
    with Crowd(pair, ours=3, theirs=1, room="killed") as crowd:
        crowd.wait_until(echoes=5, requests=5)
        old = hub_of(pair)
        starts = pair.journal.count("start")
        pair.signal(old, signal.SIGKILL)
        first = list(crowd.members)
        until(lambda: all(member.ended for member in first), "all sessions to have ended")
        until(lambda: pair.hub_pid() not in (None, old), "the next hub")
        for member in first[:3]:
            crowd.renew(member).wait_connected()
        pair.wait_until_serving()
        crowd.wait_until(echoes=5, requests=5)
        verdict = crowd.verdict()

    assert all("SessionExpired" in member.why for member in first[:3]), [member.why for member in first]
    assert (verdict.lost, verdict.doubled, verdict.reordered, verdict.foreign) == (0, 0, 0, 0), verdict
    assert pair.journal.count("start") == starts + 1


def test_another_worker_that_is_killed_is_not_noticed(pair) -> None:
    """SIGKILL of a worker that does not hold the hub: no client dials, no message is lost."""
    with Crowd(pair, ours=3, theirs=2, views=0, room="other") as crowd:
        crowd.wait_until(echoes=5)
        hub, other = hub_of(pair), pair.other_worker()
        pair.signal(other, signal.SIGKILL)
        pair.wait_until_gone(other)
        pair.wait_until_serving()
        for pid in pair.workers():
            assert pair.get_at(pid, "/broadcast?room=other")[0] == 200
        crowd.wait_until(echoes=5)
        verdict = crowd.verdict()

    assert verdict.counts == NOTHING, verdict
    assert verdict.hub_pids == [hub]


def test_another_worker_that_is_frozen_disturbs_nobody(pair) -> None:
    """SIGSTOP of a worker that does not hold the hub; it goes on after SIGCONT."""
    with Crowd(pair, ours=2, theirs=2, views=0, room="frozen") as crowd:
        crowd.wait_until(echoes=5)
        other = pair.other_worker()
        pair.signal(other, signal.SIGSTOP)
        try:
            crowd.wait_until(echoes=20)
        finally:
            pair.signal(other, signal.SIGCONT)
        assert pair.get_at(other, "/broadcast?room=frozen")[0] == 200
        crowd.wait_until(echoes=5)
        verdict = crowd.verdict()

    assert verdict.counts == NOTHING, verdict


def test_a_hub_that_is_frozen_is_a_doubt_and_no_end(pair) -> None:
    """SIGSTOP of the hub's process: a resume at the other worker is told 503; after SIGCONT all go on."""
    with Crowd(pair, ours=2, theirs=2, views=0, room="thaw") as crowd:
        crowd.wait_until(echoes=5)
        hub, other = hub_of(pair), pair.other_worker()
        pair.signal(hub, signal.SIGSTOP)
        try:
            status = pair.knock_at(other, "/ws?name=thaw-ours-0&room=thaw&resume=true")
        finally:
            pair.signal(hub, signal.SIGCONT)
        crowd.wait_until(echoes=5)
        verdict = crowd.verdict()

    assert status == 503
    assert verdict.counts == NOTHING, verdict


def test_nothing_is_left_of_ended_sessions_and_killed_workers(pair) -> None:
    """Behind all of the above: no connection of a client, one socket that listens, one link a worker."""
    pair.wait_until_serving()
    until(lambda: pair.get("/stats")[1]["sessions"] == 0, "all sessions to end")
    until(lambda: not any(map(connections_of, pair.workers())), "all connections to be closed")
    until(lambda: len(unix_sockets_below(pair.folder)) == len(pair.workers()), "one link for each worker")
