"""Tells the outcome of an endurance run: what was played, what grew, what does not add up. Pure.

Read next: ``slopes.py``, ``endure_run.py``.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, TextIO

from .endure_run import EndureOutcome, Pause
from .sampling import Sample
from .slopes import Series, behind_warm_up, per_minute, says_something


@dataclass(frozen=True)
class Figure:
    """A figure that must not grow. ``most``: allowed in a minute; None: it must not change at all."""

    name: str
    unit: str
    most: float | None
    of: Callable[[Pause], float]


FIGURES = (
    Figure("RSS", "KiB", 300.0, lambda pause: pause.server.rss),
    Figure("PSS", "KiB", 300.0, lambda pause: pause.server.pss),
    Figure("USS", "KiB", 300.0, lambda pause: pause.server.uss),
    Figure("objects", "", 100.0, lambda pause: pause.objects),
    Figure("blocks", "", 300.0, lambda pause: pause.blocks),
    Figure("malloc", "KiB", 30.0, lambda pause: pause.malloc),
    Figure("threads", "", None, lambda pause: pause.server.threads),
    Figure("descriptors", "", None, lambda pause: pause.server.descriptors),
    Figure("threads of the clients", "", None, lambda pause: pause.load.threads),
    Figure("descriptors of the clients", "", None, lambda pause: pause.load.descriptors),
)
"""What is looked at in each pause. Some are allowed a little, see docs/howto/soak.md."""


def series_of(figure: Figure, pauses: list[Pause]) -> Series:
    """The figure in the pauses behind the warm-up. Seconds of the monotonic clock."""
    return behind_warm_up([(pause.server.at, figure.of(pause)) for pause in pauses])


def growth(figure: Figure, pauses: list[Pause]) -> str:
    """What is wrong with a figure, in a sentence; "" if nothing is, or nothing can be said."""
    if figure.most is None:
        values = {figure.of(pause) for pause in pauses}
        if len(values) > 1:
            return (
                f"{figure.name}: from {min(values):,} to {max(values):,} in pauses, and not always the same"
            )
        return ""
    series = series_of(figure, pauses)
    slope = per_minute(series)
    if says_something(series) and slope > figure.most:
        unit = f"{figure.unit} " if figure.unit else ""
        return f"{figure.name} grows by {slope:,.0f} {unit}in a minute; allowed are {figure.most:,.0f}"
    return ""


def endure_failures(outcome: EndureOutcome) -> list[str]:
    """Sentences, one for each promise that was not kept. None: all is well."""
    found = list(outcome.failures)
    found += filter(None, (growth(figure, outcome.pauses) for figure in FIGURES))
    if not outcome.pauses:
        found.append("no round came to its end")
    return found


def tell_endurance(outcome: EndureOutcome) -> str:
    """All of it, for people."""
    parts = [_title(outcome), _figures(outcome), _ledger(outcome), _scenes(outcome), _verdict(outcome)]
    return "\n\n".join("\n".join(part) for part in parts)


def _title(outcome: EndureOutcome) -> list[str]:
    s = outcome.settings
    return [
        f"{outcome.played.total():,} scenes of {len(outcome.played)} kinds in {len(outcome.pauses)} rounds, "
        f"seed {s.seed}, on {s.server}, {outcome.versions}; {outcome.whole / 60:.1f} minutes"
    ]


def _figures(outcome: EndureOutcome) -> list[str]:
    lines = [f"{'in the pauses':28}{'first':>10}{'warm':>10}{'last':>10}{'a minute':>10}{'allowed':>9}"]
    for figure in FIGURES if outcome.pauses else ():
        series = series_of(figure, outcome.pauses)
        first, warm, last = figure.of(outcome.pauses[0]), series[0][1], series[-1][1]
        allowed = f"{figure.most:,.0f}" if figure.most is not None else "same"
        verdict = "grows" if growth(figure, outcome.pauses) else "ok"
        if figure.most is not None and not says_something(series):
            verdict = "too short to say"
        name = f"{figure.name} {figure.unit}".rstrip()
        slope = per_minute(series)
        lines.append(f"{name:28}{first:>10,}{warm:>10,}{last:>10,}{slope:>10,.1f}{allowed:>9}  {verdict}")
    if outcome.samples:
        most = {
            name: max(getattr(sample, name) for sample in outcome.samples)
            for name in ("rss", "threads", "descriptors")
        }
        lines.append(
            f"at most, in {len(outcome.samples):,} looks: RSS {most['rss']:,} KiB, "
            f"{most['threads']} threads, {most['descriptors']} descriptors"
        )
    return lines


def _ledger(outcome: EndureOutcome) -> list[str]:
    stats, calls, sums = Counter[str](), Counter[str](), Counter[str]()
    refused, closed = Counter[str](), Counter[str]()
    asked, answered = Counter[str](), Counter[str]()
    for told in outcome.books.values():
        stats.update({name: number for name, number in told["stats"].items() if isinstance(number, int)})
        calls.update(told["books"]["calls"])
        sums.update({name: number for name, number in told["sums"].items() if isinstance(number, int)})
        refused.update(told["sums"]["upgrades_refused"])
        closed.update(told["sums"]["connections_closed"])
        asked.update(told["sums"]["requests_settled"])
        answered.update(told["sums"]["client_requests_settled"])
    columns = ("acknowledged", "written", "dropped", "expired", "closed")
    return [
        f"clients:       {_list(outcome.tally)}",
        f"hub.stats():   accepted {stats['accepted']:,} = {_list({name: stats[name] for name in columns})}",
        f"callbacks:     {_list(calls)}",
        f"sessions:      {sums['connections_opened']:,}, ended {_list(closed)}",
        f"resumes:       {sums['resumes_succeeded']:,}, refused {sums['resumes_failed']:,}, "
        f"superseded {sums['transports_superseded']:,}, heartbeats failed {sums['heartbeat_failures']:,}, "
        f"readings paused {sums['readings_paused']:,}",
        f"refused:       {_list(refused)}",
        f"requests down: {_list(asked)}; up: {_list(answered)}",
    ]


def _scenes(outcome: EndureOutcome) -> list[str]:
    return [f"scenes:        {_list(outcome.played)}"]


def _verdict(outcome: EndureOutcome) -> list[str]:
    s = outcome.settings
    lines = [f"FAILED: {failure}" for failure in endure_failures(outcome)]
    again = f"again: tools/soak --minutes {s.minutes:g} --seed {s.seed} --server {s.server}"
    return [
        *(lines or ["ok: nothing grows, nothing is lost or comes twice, all books agree"]),
        again + (f" --only {s.only}" if s.only else ""),
    ]


def _list(numbers: dict[str, Any] | Counter[str]) -> str:
    said = sorted(numbers.items(), key=lambda item: -item[1])
    return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in said if number)


def write_samples(samples: Iterable[Sample], file: TextIO) -> None:
    """One line of CSV for each, with a head."""
    names = [one.name for one in fields(Sample)]
    writer = csv.writer(file)
    writer.writerow(names)
    writer.writerows([getattr(sample, name) for name in names] for sample in samples)
