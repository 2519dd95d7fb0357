"""Real workers are reloaded and replaced under traffic: no client dials, no message is lost or doubled."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from resumehub import Message
from resumehub.metrics import sum_snapshots
from tests.cluster.counting import Crowd
from tests.cluster.gate import until
from tests.cluster.harness import Cluster, Setup
from tests.cluster.journal import pad
from tests.cluster.members import Ours
from tests.cluster.raw_peer import RawPeer
from tests.cluster.verdict import NOTHING, Verdict
from tests.support import Call


def reload(cluster: Cluster) -> None:
    """SIGHUP, until all workers have been replaced."""
    old = cluster.workers()
    cluster.signal(cluster.master, signal.SIGHUP)
    cluster.wait_until_gone(*old)
    cluster.wait_until_serving()


def hub_of(cluster: Cluster) -> int:
    """The process that holds the hub."""
    pid = cluster.hub_pid()
    assert pid is not None, "no process holds the hub"
    return pid


def nobody_noticed(verdict: Verdict) -> None:
    assert verdict.counts == NOTHING, verdict
    assert verdict.troubles == [], verdict
    print(verdict)


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    """Two workers with threads. Tests reload them, and leave two behind."""
    with Cluster(Setup()) as cluster:
        cluster.wait_until_serving()
        yield cluster


def crowd_of(cluster: Cluster, name: str) -> Crowd:
    return Crowd(cluster, ours=3, theirs=2, room=name)


# -- reloads ----------------------------------------------------------------------------------


@pytest.mark.contract("F6")
def test_a_reload_is_not_noticed(pair) -> None:
    """SIGHUP: all workers are new, the hub is in one of them, and the clients are on their first dial."""
    with crowd_of(pair, "hup") as crowd:
        crowd.wait_until(echoes=5, requests=5)
        reload(pair)
        crowd.wait_until(echoes=5, requests=5)
        verdict = crowd.verdict()

    nobody_noticed(verdict)
    assert len(verdict.hub_pids) >= 2
    assert verdict.hub_pids[-1] == pair.hub_pid()


@pytest.mark.contract("F6")
@pytest.mark.parametrize(
    "setup",
    [
        pytest.param(Setup(server="sync"), id="sync"),
        pytest.param(Setup(preload=True, flask=True), id="preload"),
    ],
)
def test_a_reload_of_other_workers_is_not_noticed(setup: Setup) -> None:
    """The same with workers that handle one request at a time, and with a master that has imported all."""
    with Cluster(setup) as cluster:
        cluster.wait_until_serving()
        test_a_reload_is_not_noticed(cluster)


@pytest.mark.contract("F6", "F12")
def test_a_worker_that_holds_the_hub_may_stop(pair) -> None:
    """SIGTERM of that worker alone: the hub goes to another one, and gunicorn replaces the worker.

    What each process has counted is right, with the process gone to which the clients had come.
    """
    with crowd_of(pair, "term") as crowd:
        crowd.wait_until(echoes=5)
        old = hub_of(pair)
        pair.signal(old, signal.SIGTERM)
        pair.wait_until_gone(old)
        pair.wait_until_serving()
        crowd.wait_until(echoes=5, requests=5)
        sums = {pid: pair.get_at(pid, "/counters")[1]["sums"] for pid in pair.workers()}
        sessions = pair.get("/stats")[1]["sessions"]
        nobody_noticed(crowd.verdict())

    hub = sums[hub_of(pair)]
    assert (hub["hub_moves_in"], hub["hub_moves_out"], hub["hub_takeovers"]) == (1, 0, 0)
    assert hub["connections_moved_in"] >= 5
    assert sum_snapshots(sums.values())["connections"] == hub["connections"] == sessions


@pytest.mark.contract("F6")
def test_workers_that_end_after_so_many_requests_are_not_noticed() -> None:
    """--max-requests: the hub moves when its worker has had enough."""
    setup = Setup(max_requests=100, arguments=("--max-requests-jitter", "50"))
    with Cluster(setup) as cluster:
        cluster.wait_until_serving()
        with Crowd(cluster, ours=2, theirs=1) as crowd:
            first = cluster.hub_pid()
            until(lambda: cluster.hub_pid() not in (None, first), "a move")
            crowd.wait_until(echoes=5)
            nobody_noticed(crowd.verdict())


@pytest.mark.contract("F6")
def test_a_new_master_takes_over(pair) -> None:
    """SIGUSR2, then SIGTERM of the old master: blue and green on one folder, and the clients stay."""
    with crowd_of(pair, "usr2") as crowd:
        crowd.wait_until(echoes=5)
        old_master, old = pair.master, pair.workers()
        pair.signal(old_master, signal.SIGUSR2)
        until(lambda: len(pair.workers()) == 4, "the new master's workers")
        new = [pid for pid in pair.workers() if pid not in old]
        until(lambda: all(map(pair.is_serving, new)), "them to serve")
        pair.signal(old_master, signal.SIGTERM)
        pair.wait_until_gone(old_master, *old)
        pair.wait_until_serving()
        crowd.wait_until(echoes=5, requests=5)
        nobody_noticed(crowd.verdict())
        assert pair.hub_pid() in new


# -- what is under way at a move --------------------------------------------------------------


def test_a_peer_that_does_not_read_gets_every_byte_after_the_move(pair) -> None:
    """Its buffers are full, and a message is half written when the hub moves; then it reads on."""
    with RawPeer(pair, "slow", room="slow", small=True) as peer:
        until(lambda: pair.journal.has("connect", "slow"), "on_connect")
        sent = 0
        while not pair.get_at(hub_of(pair), "/stats")[1]["held"]:
            sent += 1
            assert pair.get(f"/big?room=slow&n={sent}&size=60000")[0] == 200
        reload(pair)
        peer.say()
        got = [peer.read() for _ in range(sent + 1)]

    assert got[:-1] == [("big", [n, "y" * 60000]) for n in range(1, sent + 1)]
    assert got[-1] == ("echo", [1, 1, pad(1)])


def test_a_message_that_is_half_read_is_whole_after_the_move(pair) -> None:
    """Half a frame has come when the hub moves; the rest comes to the next process."""
    with RawPeer(pair, "halves", room="halves") as peer:
        peer.say()
        assert peer.read() == ("echo", [1, 1, pad(1)])
        frame = peer.frame_of_next()
        peer.sock.sendall(frame[:20])
        reload(pair)
        peer.sock.sendall(frame[20:])

        assert peer.read() == ("echo", [1, 2, pad(2)])
    assert pair.journal.count("up", "halves") == 2


@pytest.mark.contract("F2")
def test_a_handler_that_runs_at_the_move_goes_on_where_it_began(pair) -> None:
    """It waits in the old process; the hub moves without it, and what it sends then arrives."""
    with crowd_of(pair, "held") as crowd, Crowd(pair, ours=1, theirs=0, views=0, room="holds") as holders:
        (holder,) = holders.members
        holders.wait_until(echoes=3)
        old = hub_of(pair)
        holder.say(Message("hold", "key"))
        what, key, pid, let_go = pair.gate.wait_for_one()
        assert (what, key, pid) == ("hold", "key", old)
        pair.signal(old, signal.SIGTERM)
        until(lambda: pair.hub_pid() not in (None, old), "the hub to move")
        crowd.wait_until(echoes=5, requests=5)
        assert not holder.heard.others

        let_go()
        until(lambda: holder.heard.others, "what the handler has sent")
        holders.wait_until(echoes=3)
        nobody_noticed(holders.verdict())
        nobody_noticed(crowd.verdict())
        pair.wait_until_gone(old)
        pair.wait_until_serving()
    assert {note.pid for note in pair.journal.notes("held")} == {old}


@pytest.mark.contract("E3", "F1")
def test_a_request_that_is_under_way_at_the_move_is_answered(pair) -> None:
    """A client asks, the handler waits, the hub moves: the answer comes, once."""
    with Crowd(pair, ours=1, theirs=0, views=0, room="asks") as crowd:
        (member,) = crowd.members
        assert isinstance(member, Ours)
        old = hub_of(pair)
        asking = Call(lambda: member.client.request("ask-held", "key"))
        _, _, pid, let_go = pair.gate.wait_for_one()
        assert pid == old
        pair.signal(old, signal.SIGTERM)
        until(lambda: pair.hub_pid() not in (None, old), "the hub to move")
        let_go()

        assert asking.result() == "key"
        assert member.client.request("ask", 7) == 7
        pair.wait_until_gone(old)
        pair.wait_until_serving()
        assert member.dials == 0
    assert pair.journal.count("answered") == 1
