"""The generated parts of docs/explanation/performance.md, and its pictures, from the kept results.

``tools/bench --docs`` writes the results, ``tools/docs`` draws the page from them, and the tests compare.
Pure but for reading that one file. Called by ``tools/_docs.py``. Read next: ``report.py``, ``plots.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from . import report
from .contenders import PLAIN, V1
from .plots import Axis, axis, plot

ROOT = Path(__file__).resolve().parents[2]
NAME = "docs/explanation/performance.md"
RESULTS = ROOT / "docs/explanation/performance.json"
PICTURES = "docs/explanation/pictures"


def results() -> dict[str, Any]:
    """The results that are kept."""
    kept: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return kept


# -- parts of the page ----------------------------------------------------------------------


def measured_on() -> str:
    """Machine, versions, sizes."""
    kept = results()
    versions = ", ".join(f"{name} {version}" for name, version in kept["machine"]["versions"].items())
    limits = "\n".join(f"| {what} | {value:,.0f} |" for what, value in kept["limits"].items())
    return (
        f"{report.about(kept)}. {versions}.\n\n| the load process alone | messages/s |\n|---|---|\n{limits}\n"
    )


def tables(*scenarios: str) -> str:
    """A table for each thing that these scenarios measure, and what could not be measured."""
    kept = results()
    parts = [
        _table(rows) for rows in report.measured(kept) if next(iter(rows.values()))["scenario"] in scenarios
    ]
    failed = [f"* {failure}." for failure in report.failures(kept, *scenarios)]
    return "\n".join([*parts, *(["Not measured:\n", *failed, ""] if failed else [])])


def _table(rows: dict[str, report.Row]) -> str:
    one = next(iter(rows.values()))
    lines = [
        f"| {one['what']} ({one['unit']}) | median (min – max) | × bare | resumehub × | v1 × |",
        "|---|---|---|---|---|",
    ]
    for server, row in rows.items():
        name = f"**{server}**" if server in (PLAIN, V1) else server
        at_least = "≥ " if report.saturated(row) else ""
        cells = [at_least + _spread(report.values_of(row)), *map(_spread, report.compared(rows, server))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def lossless() -> str:
    """What acknowledgements cost: resumehub.v1 by plain resumehub, where messages are carried."""
    lines = ["| | resumehub | resumehub.v1 | v1 by plain (min – max) |", "|---|---|---|---|"]
    for plain, v1 in _both("echo", "fan-out"):
        cells = [_median(plain), _median(v1), _spread(report.ratios(v1, plain))]
        lines.append(f"| {plain['what']} ({plain['unit']}) | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def many() -> str:
    """What only resumehub does, in one table; with the greatest of all, for one loss is one too many."""
    lines = ["| | resumehub: median (min – max) | resumehub.v1 |", "|---|---|---|"]
    for both in _both("many"):
        cells = [_spread(report.values_of(row)) for row in both]
        lines.append(f"| {both[0]['what']} ({both[0]['unit']}) | {' | '.join(cells)} |")
    if len(lines) == 2:
        return "Not measured yet: the next `tools/bench --docs` does.\n"
    failed = [f"* {failure}." for failure in report.failures(results(), "many")]
    return "\n".join([*lines, "", *(["What went wrong:\n", *failed, ""] if failed else [])])


def _both(*scenarios: str) -> Iterator[tuple[report.Row, report.Row]]:
    """Plain resumehub's row and resumehub.v1's, for each thing that these scenarios measure with both."""
    for rows in report.measured(results()):
        if PLAIN in rows and V1 in rows and rows[PLAIN]["scenario"] in scenarios:
            yield rows[PLAIN], rows[V1]


def _median(row: report.Row) -> str:
    return report.number(median(row["values"].values()))


def _spread(values: report.Spread | None) -> str:
    if values is None:
        return ""
    middle, least, greatest = map(report.number, values)
    return f"{middle} ({least} – {greatest})"


PARTS: Mapping[str, Callable[[], str]] = {
    "measured on": measured_on,
    "numbers: echo": lambda: tables("echo"),
    "numbers: fan-out": lambda: tables("fan-out"),
    "numbers: lossless": lossless,
    "numbers: idle": lambda: tables("idle"),
    "numbers: storm": lambda: tables("storm", "churn"),
    "numbers: stalled": lambda: tables("stalled"),
    "numbers: commands": lambda: tables("commands"),
    "numbers: many": many,
}

# -- pictures -------------------------------------------------------------------------------


def _lines(what: str) -> dict[str, list[tuple[float, float]]]:
    """Server → (x, median over the rounds), of the rows that have this plot's name."""
    points: dict[str, list[tuple[float, float]]] = {}
    for row in results()["rows"]:
        if row.get("plot") == what and "x" in row:
            points.setdefault(row["server"], []).append((row["x"], median(row["values"].values())))
    return {server: sorted(its) for server, its in points.items()}


def _distributions(what: str) -> dict[str, list[tuple[float, float]]]:
    """Server → (milliseconds, percent), each the median over the rounds."""
    return {
        row["server"]: [
            (median(ms for _, ms in marks), marks[0][0] * 100)
            for marks in zip(*row["distributions"], strict=True)
        ]
        for row in results()["rows"]
        if row.get("plot") == what and row["distributions"]
    }


def _names() -> list[str]:
    names: list[str] = results()["contenders"]
    return names


def _latency() -> str:
    lines = dict(sorted(_distributions("echo").items(), key=lambda line: line[1][len(line[1]) // 2]))
    x = axis("milliseconds", [at for points in lines.values() for at, _ in points], logarithmic=True)
    y = Axis("percent that are back by then (left is better)", 0, 100, logarithmic=False)
    return plot(
        "Echo: how long a message takes there and back", x, y, lines, _names(), ours=PLAIN, same_end=True
    )


def _against(what: str, title: str, x_label: str, y_label: str) -> str:
    lines = _lines(what)
    x = axis(x_label, [at for points in lines.values() for at, _ in points], logarithmic=True)
    y = axis(y_label, [value for points in lines.values() for _, value in points])
    return plot(title, x, y, lines, _names(), ours=PLAIN)


FILES: Mapping[str, Callable[[], str]] = {
    f"{PICTURES}/latency.svg": _latency,
    f"{PICTURES}/fan-out.svg": lambda: _against(
        "fan-out, window 16",
        "Fan-out with 16 broadcasts outstanding",
        "receivers",
        "deliveries per second (up is better)",
    ),
    f"{PICTURES}/memory.svg": lambda: _against(
        "memory",
        "Memory of an idle connection",
        "connections",
        "KiB of resident memory each (down is better)",
    ),
}
