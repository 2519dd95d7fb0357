"""The core alone, in this process: what a command, a frame, an encoding and a resume cost.

For one question: did a change make it faster or slower? ``tools/bench --micro --save before.json``, change,
``tools/bench --micro --against before.json``. Each task is done often enough to take a while, several
times, and the tasks take turns, so that a noisy moment hits all alike. The median says what it costs, the
least what it costs when nothing disturbs; the ratio compares the least. Called by ``__main__.py``; the
tasks are in ``tasks.py``.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from .tasks import TASKS, Task

REPEATS = 15
SECONDS = 0.05
"""How long one repeat shall take, about."""

Outcome = dict[str, dict[str, float]]


def measure(
    tasks: Mapping[str, Callable[[], Task]] = TASKS, repeats: int = REPEATS, seconds: float = SECONDS
) -> Outcome:
    """Microseconds of each operation: their median, the least and the greatest."""
    ready = {name: make() for name, make in tasks.items()}
    rounds = {name: _calibrated(task, seconds) for name, task in ready.items()}
    took: dict[str, list[float]] = {name: [] for name in ready}
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeats):
            for name, task in ready.items():
                took[name].append(_timed(task, rounds[name]) / (rounds[name] * task.operations) * 1e6)
    finally:
        gc.enable()
        for task in ready.values():
            task.close()
    return {name: {"median": median(us), "least": min(us), "greatest": max(us)} for name, us in took.items()}


def _calibrated(task: Task, seconds: float) -> int:
    rounds = 1
    while (took := _timed(task, rounds)) < seconds / 4:
        rounds *= 4
    return max(1, round(rounds * seconds / took))


def _timed(task: Task, rounds: int) -> float:
    run = task.run
    begun = time.perf_counter()
    for _ in range(rounds):
        run()
    return time.perf_counter() - begun


def tell(outcome: Outcome, before: Outcome | None = None) -> str:
    """A table; with ``before``, what the least of then is to the least of now."""
    width = max(map(len, outcome)) + 2
    lines = [
        f"{'':{width}}{'per second':>12}{'median µs':>12}{'min':>10}{'max':>10}"
        + ("    faster" if before else "")
    ]
    for name, now in outcome.items():
        line = f"{name:{width}}{1e6 / now['median']:>12,.0f}{now['median']:>12.2f}"
        line += f"{now['least']:>10.2f}{now['greatest']:>10.2f}"
        if before:
            line += f"{before[name]['least'] / now['least']:>9.2f}×" if name in before else f"{'new':>10}"
        lines.append(line)
    return "\n".join(lines)


def main(save: Path | None, against: Path | None, **options: Any) -> int:
    """The command ``tools/bench --micro``."""
    outcome = measure(**options)
    before: Outcome | None = json.loads(against.read_text(encoding="utf-8")) if against is not None else None
    print(tell(outcome, before))
    if save is not None:
        save.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
    return 0
