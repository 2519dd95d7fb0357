"""``tools/bench`` works: servers are started and driven, ratios are made, the core's tasks run.

What it measures is no business of a test: no number is looked at here. The peers of the real benchmark are
not installed where tests run; the bare sockets and resumehub need nothing more.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resumehub.transport.base import DataReceived, PingReceived, PongReceived
from resumehub.transport.deflate import Deflate
from resumehub.transport.websocket import WebSocketTransport
from tools.benching import cluster_report, fairness, micro, report
from tools.benching import run as run_module
from tools.benching.contenders import Contender
from tools.benching.dial import Unanswered
from tools.benching.many import complain
from tools.benching.stage import TINY

ROOT = Path(__file__).parents[1]
NO_STREAM: Any = SimpleNamespace(send=None)
"""All input of a test is there from the beginning."""

TINY_RUN = """
import sys
from tools.benching.contenders import CONTENDERS
from tools.benching.run import dumps, run
from tools.benching.stage import TINY

servers, scenarios = (words.split(";") for words in sys.argv[1:])
print(dumps(run(TINY, [one for one in CONTENDERS if one.name in servers], scenarios, one_visit=True)))
"""


def tiny_run(servers: str, scenarios: str) -> dict[str, Any]:
    """The results of it, in which nothing went wrong. In a process of its own: it keeps to one processor."""
    command = [sys.executable, "-c", TINY_RUN, servers, scenarios]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout)
    assert results["failures"] == []
    return results


def test_a_tiny_run_measures_both_servers_and_is_told_as_a_table() -> None:
    """A server that does not answer, or a resume without the missed message, would be a failure in it."""
    results = tiny_run("bare sockets, direct;resumehub", "fan-out;storm")

    measured = {row["what"]: set(rows) for rows in report.measured(results) for row in rows.values()}

    assert {"fan-out to 5, window 1", "fan-out to 5, window 16", "storm of 4"} <= measured.keys()
    assert all(servers == {"bare sockets, direct", "resumehub"} for servers in measured.values())
    assert "fan-out to 5, window 16 (deliveries/s; more is better)" in report.tell(results)


def test_many_sessions_live_and_end_on_a_server_of_their_own() -> None:
    """With heartbeats that are answered, losses that are made good, and nothing left at the end."""
    results = tiny_run("resumehub;resumehub.v1", "many")

    values = {(row["what"], row["unit"], row["server"]): row["values"]["1"] for row in results["rows"]}
    for server in ("resumehub", "resumehub.v1"):
        assert values["5 silent, pinged every 1.5 s", "pings/s", server] > 0
        assert values["5 come back at once, of whom lost or repeated a message", "clients", server] == 0
        assert values["left over of 5", "descriptors", server] == 0
        assert values["left over of 5", "threads", server] == 0


def test_whatever_many_sessions_lost_or_left_is_told_as_a_failure() -> None:
    complain(clients=0, descriptors=0, threads=0)
    with pytest.raises(Unanswered, match=r"^clients that lost .* message: 2, threads left over: 1$"):
        complain(clients=2, descriptors=0, threads=1)


def test_a_ratio_compares_two_servers_of_the_same_round() -> None:
    """The machine may be slow for a round; what was not measured in a round is not compared in it."""
    ours = {"values": {"1": 10.0, "2": 300.0, "3": 7.0}}
    theirs = {"values": {"1": 20.0, "2": 300.0}}

    assert report.ratios(ours, theirs) == (0.75, 0.5, 1.0)
    assert report.ratios(ours, None) is None


def test_each_figure_of_a_cluster_has_its_goal_and_a_verdict_beside_it() -> None:
    """At least or at most, as it is asked; and what one round could not measure is told."""
    rows = [
        _row("echo, 50 connections", "messages/s", "resumehub", 100.0),
        _row("echo, 50 connections", "messages/s", "resumehub, cluster", 98.0),
        _row("idle, 2,000 connections", "KiB each", "resumehub", 8.0),
        _row("idle, 2,000 connections", "KiB each", "resumehub, cluster", 9.0),
        _row("call: bare Unix socket", "µs", "resumehub, cluster", 20.0),
        _row("call: send", "µs", "resumehub, cluster", 50.0),
        _row("fan-out to 500 members", "deliveries/s", "resumehub, cluster", 90.0),
        _row("fan-out to 500 members", "deliveries/s", "socketio, Redis", 10.0),
    ]
    failure = {"server": "resumehub, cluster", "scenario": "move", "why": "left out", "log": []}
    results = {
        "when": "now",
        "machine": {"processor": "a", "processors": 2, "kernel": "b", "python": "c"},
        "sizes": {"rounds": 1, "seconds": 1.0},
        "seconds": 1,
        "busy_machine": 0.0,
        "contenders": ["resumehub", "resumehub, cluster", "socketio, Redis"],
        "rows": rows,
        "failures": [failure],
    }

    told = {line[:98].strip(): line[98:].split() for line in cluster_report.tell(results).splitlines()}

    assert told["echo, 50 connections (messages/s), cluster ÷ none"][-3:] == ["≥", "0.97", "kept"]
    assert told["idle, 2,000 connections, KiB more each"][-4:] == ["≤", "0.5", "NOT", "KEPT"]
    assert told["call: send ÷ call: bare Unix socket"][-3:] == ["≤", "3", "kept"]
    assert told["fan-out to 500 members, ours ÷ socketio, Redis"][-4:] == ["≥", "10", "NOT", "KEPT"]
    assert "not measured: resumehub, cluster, move, in 1 of 1 rounds: left out" in told


def _row(what: str, unit: str, server: str, value: float) -> dict[str, Any]:
    return {"what": what, "unit": unit, "server": server, "values": {"1": value}, "busy": {}}


WHY = "left out: 35 s were over"


def test_a_run_that_takes_too_long_leaves_out_the_rest_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a busy machine costs some rounds of it, and not the whole table."""
    visited: list[str] = []
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(run_module, "now", lambda: float(next(clock)))
    monkeypatch.setattr(run_module, "prepare_machine", lambda: [0])
    monkeypatch.setattr(run_module, "limits", lambda size: {})
    monkeypatch.setattr(run_module.gc, "disable", lambda: None)

    def visit(*arguments: Any) -> None:
        visited.append(arguments[3][0][0])
        if len(visited) == 2:
            raise run_module.Overrun("while its server started")

    monkeypatch.setattr(run_module, "_visit", visit)

    results = run_module.run(
        replace(TINY, rounds=2),
        [Contender("a", ())],
        ["first", "second", "not for it"],
        table=dict.fromkeys(["first", "second", "not for it"], lambda stage: None),
        takes_part=lambda contender, scenario: scenario != "not for it",
        most_seconds=35.0,
    )

    assert visited == ["first", "second"]
    left_out = [(one["round"], one["scenario"], one["why"]) for one in results["failures"]]
    assert left_out == [(1, "second", WHY), (2, "first", WHY), (2, "second", WHY)]


def test_every_task_of_the_core_runs_and_is_compared_with_the_last_time() -> None:
    """Who changed the core sees each task, and beside it how much faster it has become."""
    before = micro.measure(repeats=1, seconds=0.001)

    told = micro.tell(before, {name: {"least": us["least"] * 2} for name, us in before.items()})

    assert told.count("2.00×") == len(micro.TASKS)


@pytest.mark.parametrize("flood", fairness.FLOODS, ids=lambda one: one.name)
def test_a_flood_is_what_its_name_says(flood: fairness.Flood) -> None:
    """A hub reads just what is counted, and nothing of it is an error."""
    deflate = Deflate()
    deflate.finalize("permessage-deflate; client_no_context_takeover; server_no_context_takeover")
    deflate.limit = 1 << 20
    extensions = [deflate] if flood.name == "deflate" else []
    transport = WebSocketTransport(NO_STREAM, 1 << 20, extensions, flood.wire)
    events = transport.receive_now()
    while transport.has_more:
        events += transport.receive_now()
    assert len(events) == flood.messages
    kinds = {"pings": PingReceived, "pongs": PongReceived}
    assert {type(event) for event in events} == {kinds.get(flood.name, DataReceived)}
