"""Prometheus: names and labels as its guidelines want them, and one truth for all workers."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect
from werkzeug.test import Client

from resumehub import Hub
from resumehub.contrib.prometheus import PrometheusMetrics
from resumehub.errors import HubUnavailable
from tests.cluster.gate import until
from tests.cluster.server import Port, Server, gunicorn_command
from tests.support import Stage
from tests.test_docs_generated import DOCS
from tests.test_metrics import ALL, EXAMPLES, feed

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

LABELS = {
    "reason": 32,
    "outcome": 16,
    "hook": 16,
    "direction": 2,
    "result": 3,
    "answered": 2,
    "state": 2,
    "le": 40,
}
"""Every label, and how many values it may have: none grows with clients."""


def collector() -> PrometheusMetrics:
    return PrometheusMetrics(registry=CollectorRegistry())


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"resumehub_{name}", tuple(sorted(labels.items()))]


def told(metrics: PrometheusMetrics, hub: Hub | None = None) -> Samples:
    return samples(metrics.exposition(hub or Hub()).get_data(as_text=True))


def test_every_method_of_a_collector_is_counted() -> None:
    """But ``send_buffer``, whose sum says nothing: the bytes that are held are a gauge."""
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry=registry)

    def sums() -> list[float]:
        return [sample.value for family in registry.collect() for sample in family.samples]

    quiet = []
    for name, arguments in ALL.items():
        before = sums()
        getattr(metrics, name)(*[EXAMPLES[argument] for argument in arguments])
        if sums() == before:
            quiet.append(name)
    assert quiet == ["send_buffer"]


def test_names_and_labels_follow_the_conventions() -> None:
    """Base units, _total for what only grows, help for all, and no label that grows with the clients."""
    metrics = collector()
    feed(metrics)
    text = metrics.exposition(Hub()).get_data(as_text=True)
    values: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        if family.name.endswith("_created"):
            continue
        assert family.name.startswith("resumehub_")
        assert family.documentation.endswith("."), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        for sample in family.samples:
            assert (family.type == "counter") == sample.name.endswith("_total"), sample.name
            assert "milli" not in sample.name
            for label, one in sample.labels.items():
                values.setdefault(label, set()).add(one)
    assert values.keys() == LABELS.keys()
    assert {label for label, most in LABELS.items() if len(values[label]) > most} == set()
    assert not {"lobby", "ada"} & set().union(*values.values())


def test_all_series_are_there_before_anything_has_happened() -> None:
    """A rate over a series that appears with its first count begins too late."""
    metrics = collector()
    before = told(metrics).keys()
    feed(metrics)
    assert {key[0] for key in told(metrics)} == {key[0] for key in before}
    assert value(told(collector()), "upgrades_refused_total", reason="draining") == 0


def test_what_the_hub_holds_is_asked_when_prometheus_asks(stage: Any) -> None:
    metrics = collector()
    s: Stage = stage(metrics=metrics, ping_interval=None)
    ws = s.open()
    s.recorder.wait_for("connect")
    s.drop(ws)
    s.say("u1", "four")
    found = told(metrics, s.hub)
    assert value(found, "sessions", state="suspended") == 1
    assert value(found, "sessions", state="connected") == 0
    assert value(found, "held_messages") == 1
    assert value(found, "held_bytes") > 4
    assert (value(found, "ready"), value(found, "draining"), value(found, "hub_reachable")) == (1, 0, 1)
    s.hub.drain(accept_resumes=True)
    found = told(metrics, s.hub)
    assert (value(found, "ready"), value(found, "draining")) == (0, 1)
    s.clock.advance(3)
    s.resume(ws)
    s.recorder.wait_for("restore")
    assert value(told(metrics, s.hub), "suspended_seconds_sum", outcome="resumed") == 3


def test_a_hub_that_cannot_be_asked_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process has counted is told all the same."""
    metrics, hub = collector(), Hub()

    def stats() -> None:
        raise HubUnavailable(False, "it is away")

    monkeypatch.setattr(hub, "stats", stats)
    metrics.connection_opened("lobby", "ada")
    found = told(metrics, hub)
    assert (value(found, "hub_reachable"), value(found, "sessions_opened_total")) == (0, 1)
    assert ("resumehub_rooms", ()) not in found


def test_the_path_is_answered_in_front_of_the_application() -> None:
    metrics, hub = collector(), Hub()
    browser = Client(metrics.serve(hub, hub, path="/numbers"))
    answer = browser.get("/numbers")
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert browser.get("/numbers", headers={"Accept": "application/openmetrics-text"}).text.endswith(
        "# EOF\n"
    )
    assert browser.get("/metrics").status_code == 501, "the hub's own answer"
    assert Client(metrics.serve(hub)).get("/").status_code == 404
    with pytest.raises(ValueError, match="path is 'metrics': it must begin with \"/\""):
        metrics.serve(hub, path="metrics")


@pytest.fixture
def two_workers(tmp_path: Path) -> Iterator[Server]:
    port, sums = Port(), tmp_path / "sums"
    sums.mkdir()
    server = Server(
        gunicorn_command("tests.contrib.prometheus_app:application", "-w", "2", "--threads", "4"),
        port,
        tmp_path / "log",
        {"FOLDER": str(tmp_path / "chat"), "PROMETHEUS_MULTIPROC_DIR": str(sums)},
    )
    try:
        server.wait_until_answering("/ready")
        until(lambda: server.get("/ready")[0] == 200, "the hub to be there")
        yield server
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.join()
        port.close()


def test_two_workers_of_gunicorn_tell_the_same(two_workers: Server) -> None:
    """With a cluster: what each has counted is added up, and what the hub holds is told once."""
    answers: dict[str, Samples] = {}

    def both_have_answered() -> bool:
        pid, _, text = two_workers.get("/pid-and-metrics")[1].decode().partition("\n")
        found = samples(text)
        if value(found, "sessions_closed_total", reason="normal") == 1:
            answers[pid] = found
        return len(answers) == 2

    with ExitStack() as clients:
        for number in range(2):
            clients.enter_context(connect(f"{two_workers.ws_url}/?id=u{number}"))
        with connect(f"{two_workers.ws_url}/?id=leaves"):
            pass
        until(both_have_answered, "each worker to answer")
    for found in answers.values():
        assert value(found, "sessions_opened_total") == 3
        assert value(found, "sessions", state="connected") == 2
        assert value(found, "hub_takeovers_total") == 1
        assert value(found, "hub_reachable") == 1
        assert value(found, "hub_command_wait_seconds_count") > 3


# -- what the documentation has ---------------------------------------------------------------

RULES, DASHBOARD = DOCS / "prometheus" / "rules.yml", DOCS / "prometheus" / "dashboard.json"


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\bresumehub_\w+", text))


def known_names() -> set[str]:
    metrics = collector()
    feed(metrics)
    return {name for name, _ in told(metrics)}


def test_the_rules_and_the_dashboard_use_metrics_that_exist() -> None:
    """``tools/promcheck`` has the real program read them."""
    known = known_names()
    for file in (RULES, DASHBOARD):
        assert names_in(file.read_text()) <= known, file.name


def test_the_dashboard_is_one_that_grafana_can_import() -> None:
    board = json.loads(DASHBOARD.read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["targets"] for panel in panels if panel["type"] != "row")
    assert {variable["name"] for variable in board["templating"]["list"]} >= {"datasource"}


GRID = 24
"""Columns of a Grafana dashboard."""


def test_no_panel_of_the_dashboard_hides_another_one() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        assert min(at["x"], at["y"]) >= 0 < min(at["w"], at["h"]), panel["title"]
        assert at["x"] + at["w"] <= GRID, f"{panel['title']!r} does not fit into the {GRID} columns"
        for cell in product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])):
            below = taken.setdefault(cell, panel["title"])
            assert below is panel["title"], f"{panel['title']!r} lies on {below!r}"
    assert len(set(taken.values())) > 10


def test_every_query_of_the_dashboard_asks_the_chosen_data_source_for_the_chosen_job() -> None:
    board = json.loads(DASHBOARD.read_text())
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    (job,) = (variable for variable in board["templating"]["list"] if variable["name"] == "job")
    assert job["datasource"] == chosen
    for panel in board["panels"]:
        assert panel["datasource"] == chosen, panel["title"]
        assert all(target["datasource"] == chosen for target in panel["targets"]), panel["title"]
        names = [target["refId"] for target in panel["targets"]]
        assert len(set(names)) == len(names), f"{panel['title']!r}: Grafana tells queries apart by refId"
        for target in panel["targets"]:
            selectors = re.findall(r"\bresumehub_\w+(\{[^}]*\})?", target["expr"])
            assert len(selectors) == target["expr"].count("resumehub_") > 0, target["expr"]
            assert all('job="$job"' in one for one in selectors), target["expr"]
