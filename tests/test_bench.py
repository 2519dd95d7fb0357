"""``tools/bench`` works: servers are started and driven, ratios are made, the core's tasks run.

What it measures is no business of a test: no number is looked at here. The peers of the real benchmark are
not installed where tests run; the bare sockets and resumehub need nothing more.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tools.benching import micro, report

ROOT = Path(__file__).parents[1]

TINY_RUN = """
import json, sys
from tools.benching.contenders import BASELINE, CONTENDERS, PLAIN
from tools.benching.run import dumps, run
from tools.benching.stage import TINY

ours = [one for one in CONTENDERS if one.name in (BASELINE, PLAIN)]
print(dumps(run(TINY, ours, ["fan-out", "storm"], one_visit=True)))
"""


def test_a_tiny_run_measures_both_servers_and_is_told_as_a_table() -> None:
    """A server that does not answer, or a resume without the missed message, would be a failure in it."""
    done = subprocess.run(
        [sys.executable, "-c", TINY_RUN], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results["failures"] == []

    measured = {row["what"]: set(rows) for rows in report.measured(results) for row in rows.values()}

    assert {"fan-out to 5, window 1", "fan-out to 5, window 16", "storm of 4"} <= measured.keys()
    assert all(servers == {"bare sockets, direct", "resumehub"} for servers in measured.values())
    assert "fan-out to 5, window 16 (deliveries/s; more is better)" in report.tell(results)


def test_a_ratio_compares_two_servers_of_the_same_round() -> None:
    """The machine may be slow for a round; what was not measured in a round is not compared in it."""
    ours = {"values": {"1": 10.0, "2": 300.0, "3": 7.0}}
    theirs = {"values": {"1": 20.0, "2": 300.0}}

    assert report.ratios(ours, theirs) == (0.75, 0.5, 1.0)
    assert report.ratios(ours, None) is None


def test_every_task_of_the_core_runs_and_is_compared_with_the_last_time() -> None:
    """Who changed the core sees each task, and beside it how much faster it has become."""
    before = micro.measure(repeats=1, seconds=0.001)

    told = micro.tell(before, {name: {"least": us["least"] * 2} for name, us in before.items()})

    assert told.count("2.00×") == len(micro.TASKS)
