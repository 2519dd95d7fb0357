"""A whole run: who is visited when, and the JSON that comes of it.

Servers run one at a time, each visit on a fresh one, and rounds are interleaved: every contender once, then
every contender again, beginning with another one, so that a noisy minute is nobody's own. Called by
``__main__.py`` and by the tests. Read next: ``scenarios.py``; ``report.py`` for what is made of it.
"""

from __future__ import annotations

import datetime
import gc
import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .contenders import CONTENDERS, Contender
from .dial import Unanswered
from .flows import now
from .limit import limits
from .process import ServerProcess, prepare_machine
from .scenarios import SCENARIOS
from .stage import Measure, Sizes, Stage, wait_until_it_serves

Results = dict[str, Any]
Tell = Callable[[str], None]


class Overrun(Unanswered):
    """The whole run takes too long: what is being measured is given up."""


_PACKAGES = (
    "flask",
    "werkzeug",
    "gunicorn",
    "flask-sock",
    "simple-websocket",
    "websockets",
    "python-socketio",
    "redis",
)


def run(
    sizes: Sizes,
    contenders: Sequence[Contender] = CONTENDERS,
    scenarios: Iterable[str] = tuple(SCENARIOS),
    *,
    one_visit: bool = False,
    table: Mapping[str, Callable[[Stage], None]] = SCENARIOS,
    takes_part: Callable[[Contender, str], bool] = lambda contender, scenario: True,
    most_seconds: float = math.inf,
    tell: Tell = lambda text: None,
) -> Results:
    """Measure. ``one_visit``: all scenarios of a round on one server, instead of a fresh one for each.

    ``table``: where the scenarios are found. ``takes_part``: whether a scenario is for a contender.
    ``most_seconds``: no visit begins later; those left out are told among the failures.
    """
    processors = prepare_machine()
    gc.disable()
    begun = now()
    results: Results = {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "machine": machine(processors),
        "sizes": asdict(sizes),
        "contenders": [contender.name for contender in contenders],
        "limits": limits(sizes.limit),
        "rows": [],
        "failures": [],
    }
    visits = [tuple(scenarios)] if one_visit else [(scenario,) for scenario in scenarios]
    for number in range(sizes.rounds):
        for visit in visits:
            for turn in range(len(contenders)):
                contender = contenders[(turn + number) % len(contenders)]
                names = [name for name in visit if takes_part(contender, name)]
                if not names:
                    continue
                if now() - begun > most_seconds:
                    results["failures"] += _left_out(number + 1, contender, names, most_seconds)
                    continue
                tell(f"{now() - begun:5.0f} s  round {number + 1}: {contender.name}: {', '.join(names)}")
                try:
                    found = [(name, table[name]) for name in names]
                    _visit(results, number + 1, contender, found, sizes, processors)
                except Overrun:  # while a server started or stopped
                    results["failures"] += _left_out(number + 1, contender, names, most_seconds)
                gc.collect()
    results["seconds"] = round(now() - begun)
    results["busy_machine"] = os.getloadavg()[0]
    return results


def _left_out(number: int, contender: Contender, names: list[str], seconds: float) -> list[dict[str, Any]]:
    about = {
        "round": number,
        "server": contender.name,
        "why": f"left out: {seconds:g} s were over",
        "log": [],
    }
    return [{**about, "scenario": name} for name in names]


def _visit(
    results: Results,
    number: int,
    contender: Contender,
    scenarios: Iterable[tuple[str, Callable[[Stage], None]]],
    sizes: Sizes,
    processors: list[int],
) -> None:
    with ServerProcess(contender.command, processors) as server:
        wait_until_it_serves(contender, server)
        for scenario, measure_all in scenarios:
            stage = Stage(contender, server, sizes)
            about = {"round": number, "server": contender.name, "scenario": scenario}
            try:
                measure_all(stage)
            except (Unanswered, OSError) as error:
                results["failures"].append(
                    {**about, "why": str(error), "log": server.log().splitlines()[-1:]}
                )
            # What was measured before it failed, was measured.
            for measure in stage.measures:
                _enter(results["rows"], about, measure)
            server.settle(1.0)


def _enter(rows: list[dict[str, Any]], about: dict[str, Any], measure: Measure) -> None:
    """A row has one server's values of all rounds, and what else was seen in them."""
    key = {name: about[name] for name in ("scenario", "server")} | {
        "what": measure.what,
        "unit": measure.unit,
    }
    row = next((row for row in rows if key.items() <= row.items()), None)
    if row is None:
        row = {**key, **measure.about, "values": {}, "busy": {}, "distributions": []}
        rows.append(row)
    number = str(about["round"])
    row["values"][number] = float(f"{measure.value:.5g}")
    if measure.busy:
        row["busy"][number] = measure.busy
    if measure.distribution:
        row["distributions"].append(measure.distribution)


def dumps(results: Results) -> str:
    """The JSON of a run, a row a line, so that two runs can be compared with ``diff``."""
    rest = {name: value for name, value in results.items() if name != "rows"}
    rows = ",\n".join("  " + json.dumps(row) for row in results["rows"])
    return json.dumps({**rest, "rows": []}, indent=1).replace('"rows": []', f'"rows": [\n{rows}\n ]') + "\n"


def machine(processors: list[int]) -> dict[str, Any]:
    """What it ran on."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return {
        "processor": model[0].partition(":")[2].strip() if model else platform.machine(),
        "processors": len(processors),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": versions,
    }
