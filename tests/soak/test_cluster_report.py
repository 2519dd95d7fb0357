"""What a soak of a cluster makes of what it saw: which fault is next, and which price is too high."""

from __future__ import annotations

import pytest

from tests.cluster.verdict import Lane
from tools.soaking.cluster_deeds import tracebacks
from tools.soaking.cluster_faults import Fault, plan
from tools.soaking.cluster_report import cluster_failures, tell_cluster
from tools.soaking.cluster_run import ClusterOutcome, ClusterSettings, Strike

LOG = """[INFO] Worker exiting (pid: 1)
Traceback (most recent call last):
  File "app.py", line 1, in view
    go()
ValueError: no
[INFO] Booting worker with pid: 2
"""


def outcome(*strikes: Strike) -> ClusterOutcome:
    return ClusterOutcome(ClusterSettings(seed=7), list(strikes))


def test_the_same_seed_has_the_same_faults_and_every_fault_has_its_turn() -> None:
    faults = [plan(7, number) for number in range(1, 101)]

    assert faults == [plan(7, number) for number in range(1, 101)]
    assert faults != [plan(8, number) for number in range(1, 101)]
    assert set(faults) == set(Fault)


@pytest.mark.parametrize(
    "strike, said",
    [
        (Strike(Fault.RELOAD, 0, 0, 0.05, 1.0), []),
        (Strike(Fault.RELOAD, 1, 0, 0.05, 1.0), ["reload (SIGHUP): clients have dialled 1 times"]),
        (Strike(Fault.KILL_OTHER, 0, 2, 0.05, 1.0), ["SIGKILL of another worker: 2 sessions have ended"]),
        (Strike(Fault.RESTART, 9, 2, 0.05, 1.0), []),
        (Strike(Fault.KILL_HUB, 9, 9, 0.05, 1.0), []),
    ],
)
def test_a_fault_may_cost_so_much_and_no_more(strike: Strike, said: list[str]) -> None:
    """A reload is free; a full stop may make clients dial, and a kill of the hub end their sessions."""
    assert cluster_failures(outcome(strike)) == said


def test_what_is_lost_and_what_is_left_fails_the_run() -> None:
    """And the report ends with the command that runs it again."""
    found = outcome()
    assert tell_cluster(found).splitlines()[-2].startswith("ok: nothing lost")
    found.verdict.add(Lane("ada → bob", [1, 2, 3], [1, 3, 3]))
    found.left = ["process 4711"]
    found.tracebacks = tracebacks(LOG)
    found.stuck = "at fault 3: waited for 2 workers to serve"

    told = tell_cluster(found)

    assert "FAILED: 1 messages were lost" in told
    assert "FAILED: 1 messages were doubled" in told
    assert "FAILED: it came to a stop at fault 3: waited for 2 workers to serve" in told
    assert "FAILED: left behind: process 4711" in told
    assert "FAILED: 1 tracebacks in the log, of which this is the first:\nTraceback (most" in told
    assert "    go()\nValueError: no" in told
    assert "Booting" not in told
    assert told.splitlines()[-1].startswith("again: tools/soak --cluster --minutes 10 --seed 7 ")
