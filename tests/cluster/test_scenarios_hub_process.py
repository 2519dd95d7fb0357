"""A process for the hub alone comes and goes, a program publishes, and workers take long to import."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cluster.counting import Crowd
from tests.cluster.gate import PATIENCE, until
from tests.cluster.harness import Cluster, Setup
from tests.cluster.verdict import NOTHING
from tests.integration.servers import ROOT


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    """Two workers with threads."""
    with Cluster(Setup()) as cluster:
        cluster.wait_until_serving()
        yield cluster


def test_the_hub_moves_to_a_process_of_its_own_and_back(pair) -> None:
    """``python -m resumehub hub``: when it starts, the hub moves to it; when it stops, to a worker again."""
    with Crowd(pair, ours=2, theirs=2, room="own") as crowd:
        crowd.wait_until(echoes=5)
        process = pair.start_hub()
        until(lambda: pair.hub_pid() == process.pid, "the hub to move to its own process")
        crowd.wait_until(echoes=5, requests=5)
        process.send_signal(signal.SIGTERM)
        until(lambda: pair.hub_pid() in pair.workers(), "the hub to be in a worker again")
        assert process.wait(PATIENCE) == 0
        crowd.wait_until(echoes=5, requests=5)
        verdict = crowd.verdict()

    assert verdict.counts == NOTHING, verdict
    assert verdict.hub_pids[1] == process.pid
    heard_by = [note.pid for note in pair.journal.notes("up") if note.words[0].startswith("own-")]
    assert heard_by[-1] == pair.hub_pid(), "which may be the worker where the hub was at first"


PUBLISHER = """
import json, os, sys
from resumehub import Message
from resumehub.cluster import LocalCluster, Publisher
from tests.cluster.journal import pad

publisher = Publisher(LocalCluster(sys.argv[1]))
children = [os.fork() for _ in range(2)] if sys.argv[2] == "fork" else []
if 0 in children or not children:
    for n in range(1, 6):
        publisher.broadcast("told", Message("broadcast", [f"program-{os.getpid()}", n, pad(n)]))
else:
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_a_program_without_a_hub_publishes(pair, how: str) -> None:
    """Cron, Celery, a shell: its broadcasts reach all, each thread's in order, also over a fork."""
    with Crowd(pair, ours=1, theirs=1, views=0, room="told") as crowd:
        crowd.wait_until(echoes=1)
        before = {lane for member in crowd.members for lane in member.heard.lanes}
        command = [sys.executable, "-c", PUBLISHER, str(pair.folder), how]
        subprocess.run(command, cwd=ROOT, check=True, timeout=PATIENCE)
        for member in crowd.members:
            until(lambda heard=member.heard: len(heard.lanes.keys() - before) > 0, "what was published")
            crowd.wait_until(echoes=1)
            told = {lane: numbers for lane, numbers in member.heard.lanes.items() if lane not in before}
            assert all(numbers == [1, 2, 3, 4, 5] for numbers in told.values()), json.dumps(str(told))


def test_an_import_that_takes_long_is_waited_for(pair) -> None:
    """SIGHUP: the new workers are not ready when the old ones are told to stop. Clients notice nothing."""
    with Crowd(pair, ours=2, theirs=2, room="import") as crowd:
        crowd.wait_until(echoes=5)
        old = pair.workers()
        with pair.slow_imports():
            pair.signal(pair.master, signal.SIGHUP)
            coming = [pair.gate.wait_for_one() for _ in old]
            crowd.wait_until(echoes=20)
            assert pair.hub_pid() in old
            for *_, let_go in coming:
                let_go()
        pair.wait_until_gone(*old)
        pair.wait_until_serving()
        crowd.wait_until(echoes=5, requests=5)
        verdict = crowd.verdict()

    assert verdict.counts == NOTHING, verdict
