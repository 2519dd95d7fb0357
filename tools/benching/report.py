"""A run as a table: every measure of every server, beside the bare sockets and beside resumehub.

Ratios are made within a round, between two servers that were measured a moment apart, and of those ratios
the median, the least and the greatest are told. Pure: the JSON in, text out. Called by ``__main__.py``, and
by ``page.py`` for the documentation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import median
from typing import Any

from .contenders import BASELINE, PLAIN, V1

Results = dict[str, Any]
Row = dict[str, Any]
Spread = tuple[float, float, float]

LESS_IS_BETTER = {
    *("ms", "s", "KiB each", "threads each", "threads for all", "% of a processor"),
    *("clients", "descriptors", "threads"),  # that lost something, or were left over
}
SATURATED = 0.9
"""From here on the load process was as busy as the server: the server can do at least so much."""

HEADINGS = ("median", "min", "max", "× bare", "min", "max", "resumehub ×", "min", "max", "v1 ×", "min", "max")


def measured(results: Results) -> list[dict[str, Row]]:
    """For each thing that was measured: server → row. Both in the order of their lists."""
    by_what: dict[tuple[str, str], dict[str, Row]] = {}
    for row in results["rows"]:
        by_what.setdefault((row["what"], row["unit"]), {})[row["server"]] = row
    order = results["contenders"]
    return [{name: rows[name] for name in order if name in rows} for rows in by_what.values()]


def spread(values: Iterable[float]) -> Spread | None:
    """Median, least, greatest."""
    values = list(values)
    return (median(values), min(values), max(values)) if values else None


def ratios(ours: Row | None, theirs: Row | None) -> Spread | None:
    """Ours by theirs, round by round."""
    if ours is None or theirs is None:
        return None
    pairs = [(value, theirs["values"].get(number)) for number, value in ours["values"].items()]
    return spread(value / other for value, other in pairs if other)


def compared(rows: dict[str, Row], server: str) -> list[Spread | None]:
    """This server by the bare sockets; resumehub by this server; resumehub.v1 by this server."""
    ours = [ratios(rows.get(name), rows[server]) if name != server else None for name in (PLAIN, V1)]
    return [ratios(rows[server], rows.get(BASELINE)), *ours]


def tell(results: Results) -> str:
    """The whole report as text for a terminal."""
    width = max(map(len, results["contenders"])) + 2
    lines = [about(results), "", limits(results), ""]
    lines.append(f"{'':{width}}" + "".join(f"{heading:>11}" for heading in HEADINGS))
    for rows in measured(results):
        one = next(iter(rows.values()))
        better = "less" if one["unit"] in LESS_IS_BETTER else "more"
        lines.append(f"{one['what']} ({one['unit']}; {better} is better)")
        for server, row in rows.items():
            cells = "".join(map(_cells, [values_of(row), *compared(rows, server)]))
            mark = "  at least: the load process was busy" if saturated(row) else ""
            lines.append(f"  {server:{width - 2}}{cells}{mark}")
    lines += ["", *(f"not measured: {failure}" for failure in failures(results))]
    return "\n".join(lines)


def _cells(values: Spread | None) -> str:
    return "".join(f"{number(value):>11}" for value in values) if values else " " * 33


def values_of(row: Row) -> Spread | None:
    """The spread of a server's values."""
    return spread(row["values"].values())


def saturated(row: Row) -> bool:
    """Whether the load process may have been what was measured."""
    loads = [busy["load"] for busy in row["busy"].values()]
    return bool(loads) and median(loads) >= SATURATED


def number(value: float) -> str:
    """Three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def about(results: Results) -> str:
    """Where and when, in one line."""
    machine, sizes = results["machine"], results["sizes"]
    return (
        f"{results['when']}: {machine['processor']}, {machine['processors']} processors, "
        f"{machine['kernel']}, Python {machine['python']}; "
        f"{sizes['rounds']} rounds, {sizes['seconds']:g} s a measurement, "
        f"{results['seconds']:,} s in all, load average at the end {results['busy_machine']:.1f}"
    )


def limits(results: Results) -> str:
    """What the load process can do by itself."""
    told = "; ".join(f"{what} {value:,.0f}/s" for what, value in results["limits"].items())
    return f"the load process alone, nobody to wait for: {told}"


def failures(results: Results, *scenarios: str) -> list[str]:
    """What could not be measured, a line for each server and scenario."""
    first: dict[tuple[str, str], dict[str, Any]] = {}
    rounds = Counter((one["server"], one["scenario"]) for one in results["failures"])
    for one in results["failures"]:
        if not scenarios or one["scenario"] in scenarios:
            first.setdefault((one["server"], one["scenario"]), one)
    return [
        f"{server}, {scenario}, in {rounds[server, scenario]} of {results['sizes']['rounds']} rounds: "
        + "; ".join([one["why"], *one["log"]])
        for (server, scenario), one in first.items()
    ]
