"""What a cluster costs: ``tools/bench --cluster``. Ratios within one run, beside what is asked of them.

One worker with a cluster takes turns with one without. Then a second server on the same folder, with a port
of its own, is the *other* worker, while the first one holds the hub. All of them share one processor, and the
load process has the other. Called by ``__main__.py``. Read next: ``servers/app_cluster.py``.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from .contenders import PLAIN, Contender, gthread
from .crowd import Crowd
from .dial import PATIENCE, dial
from .dialects import Resumehub, Who
from .flows import now
from .moving import move
from .report import Results, Row, about, failures, measured, number, ratios, spread
from .run import run
from .scenarios import SCENARIOS
from .stage import Sizes, Stage

CLUSTERED = "resumehub, cluster"
AT_HUB, AT_OTHER = "at the hub's own worker", "at another worker"
ONE_AGAINST_NONE = ("idle", "echo", "fan-out", "churn")

SIZES = replace(Sizes(), rounds=3, seconds=1.0, receivers=(500,), windows=(16,), idle=(2_000,), limit=100)

_DIALS = 300
_TIMES = 3
_CALLS = 2_000
_RECEIVERS = 50
_THREADS = 8
_BROADCASTS = f"broadcasts of {_THREADS} threads"


@dataclass(frozen=True)
class Goal:
    """What a ratio shall be. ``what``: how the measure's name begins. ``less``: at most, and not at least."""

    what: str
    unit: str
    ratio: float
    less: bool = False


GOALS = (
    Goal("echo", "messages/s", 0.97),
    Goal("fan-out", "deliveries/s", 0.97),
    Goal("connecting", "connections/s", 0.8),
    Goal("churn", "connections/s", 0.8),
)
"""Of one worker with a cluster against one without."""

IDLE_KIB = 0.5
"""So much more memory may an idle session take."""

OTHERS = (
    (f"dials {AT_OTHER}", f"dials {AT_HUB}", 0.7, False),
    ("call: count", "call: bare Unix socket", 3.0, True),
    ("call: send", "call: bare Unix socket", 3.0, True),
    ("call: broadcast to nobody", "call: bare Unix socket", 3.0, True),
    (
        f"{_BROADCASTS} {AT_OTHER}",
        f"{_BROADCASTS} {AT_HUB}",
        0.5,
        False,
    ),
)
"""Two measures of the other worker, what their ratio shall be, and whether at most."""


def main(
    rounds: int | None, seconds: float | None, only: Sequence[str], tell: Callable[[str], None]
) -> Results:
    """Measure. ``rounds``, ``seconds``: None for the usual ones. ``only``: these scenarios; empty: all."""
    changes: dict[str, Any] = {"rounds": rounds, "seconds": seconds}
    sizes = replace(SIZES, **{name: value for name, value in changes.items() if value is not None})
    with TemporaryDirectory(prefix="resumehub-bench-") as folder:
        contenders = (
            Contender(PLAIN, gthread("app_resumehub", 8), Resumehub()),
            Contender(CLUSTERED, command(f"{folder}/one"), Resumehub()),
        )
        table: dict[str, Callable[[Stage], None]] = {
            **SCENARIOS,
            "other worker": partial(_if_clustered, partial(other_worker, folder=folder)),
            "move": partial(_if_clustered, partial(move, command=lambda name: command(f"{folder}/{name}"))),
        }
        return run(
            sizes, contenders, only or (*ONE_AGAINST_NONE, "other worker", "move"), table=table, tell=tell
        )


def _if_clustered(scenario: Callable[[Stage], None], stage: Stage) -> None:
    if stage.contender.name == CLUSTERED:
        scenario(stage)


def command(folder: str) -> tuple[str, ...]:
    """A worker of the folder."""
    return ("env", f"BENCH_FOLDER={folder}", *gthread("app_cluster", 8))


_GAP = "sessions, longest gap between two echoes at a move, p99"
BOUNDS = (
    (f"1,000 {_GAP}", 250.0, True),
    (f"10,000 {_GAP}", 2000.0, True),
    ("1,000 sessions, moved", 2000.0, False),
    ("10,000 sessions, moved", 2000.0, False),
)
"""Measures by themselves, what they shall be, and whether at most."""


# -- the other worker -------------------------------------------------------------------------


def other_worker(stage: Stage, folder: str) -> None:
    """Dials, calls and broadcasts at a worker that does not hold the hub, beside the one that does."""
    with stage.elsewhere(command(f"{folder}/one")) as other:
        _dials(stage, other)
        listener = dial(stage.contender.dialect, stage.server.address, [Who("listener")])
        with closing(stage.crowd("hears")) as crowd:
            crowd.add(listener)
            told = _ask_while_reading(crowd, other, f"/calls?n={_CALLS}")
            for name, what in (
                ("bare", "bare Unix socket"),
                ("count", "count"),
                ("send", "send"),
                ("broadcast", "broadcast to nobody"),
            ):
                stage.note(f"call: {what}", "µs", told[name])
            crowd.grow(_RECEIVERS)
            rates: dict[str, list[float]] = {AT_HUB: [], AT_OTHER: []}
            path = f"/broadcasts?threads={_THREADS}&seconds={stage.sizes.seconds / 2}"
            for _ in range(_TIMES):
                for where, worker in ((AT_HUB, stage), (AT_OTHER, other)):
                    rates[where].append(_ask_while_reading(crowd, worker, path)["rate"])
            for where, values in rates.items():
                middle = spread(values)
                assert middle is not None
                stage.note(f"{_BROADCASTS} {where}", "broadcasts/s", middle[0])
            crowd.leave()


def _dials(stage: Stage, other: Stage) -> None:
    took: dict[str, float] = {AT_HUB: 0.0, AT_OTHER: 0.0}
    for turn in range(_TIMES):
        for where, worker in ((AT_HUB, stage), (AT_OTHER, other)):
            with closing(worker.crowd(f"dials{turn}{where[:6]}".replace(" ", "-"))) as crowd:
                begun = now()
                crowd.grow(_DIALS)
                took[where] += now() - begun
                crowd.leave()
            worker.server.settle(1.0)
    for where, seconds in took.items():
        stage.note(f"dials {where}", "connections/s", _DIALS * _TIMES / seconds)


def _ask_while_reading(crowd: Crowd, stage: Stage, path: str) -> dict[str, float]:
    """GET from a worker, while everybody here reads what comes."""
    host, port = stage.server.address
    answers: list[dict[str, float]] = []

    def ask() -> None:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=6 * PATIENCE) as answer:
            answers.append(json.load(answer))

    asking = threading.Thread(target=ask)
    asking.start()
    while asking.is_alive():
        for fd, _ in crowd.poll.poll(0.01):
            crowd.take(fd)
    assert answers, f"{path} was not answered"
    return answers[0]


# -- the report -------------------------------------------------------------------------------


def tell(results: Results) -> str:
    """The ratios, beside what is asked of them."""
    lines = [about(results), "", f"{'':64}{'ratio':>9}{'min':>8}{'max':>8}   asked"]
    rows = measured(results)
    for both in rows:
        plain, clustered = both.get(PLAIN), both.get(CLUSTERED)
        if plain is None or clustered is None:
            continue
        name, unit = plain["what"], plain["unit"]
        goal = next((one for one in GOALS if name.startswith(one.what) and unit == one.unit), None)
        if goal is not None:
            lines.append(
                _line(f"{name} ({unit}), cluster ÷ none", ratios(clustered, plain), goal.ratio, False)
            )
            ratio = ratios(_by_work(clustered), _by_work(plain))
            if ratio is not None:
                lines.append(_line("    the same, by the server's processor time", ratio, goal.ratio, False))
        if unit == "KiB each":
            pairs = [(clustered["values"][n], value) for n, value in plain["values"].items()]
            more = spread(ours - theirs for ours, theirs in pairs)
            lines.append(_line(f"{name}, KiB more each", more, IDLE_KIB, True))
    of_other = {both[CLUSTERED]["what"]: both[CLUSTERED] for both in rows if CLUSTERED in both}
    for ours, theirs, goal_ratio, less in OTHERS:
        if ours in of_other and theirs in of_other:
            ratio = ratios(of_other[ours], of_other[theirs])
            lines.append(_line(f"{ours} ÷ {theirs}", ratio, goal_ratio, less))
    for what, bound, less in BOUNDS:
        if what in of_other:
            lines.append(_line(what, spread(of_other[what]["values"].values()), bound, less))
    lines.append("")
    for both in rows:
        for server, row in both.items():
            values = spread(row["values"].values())
            assert values is not None
            shown = " ".join(f"{number(value):>10}" for value in values)
            lines.append(f"{row['what']:52}{row['unit']:16}{server:20}{shown}")
    lines += [f"not measured: {failure}" for failure in failures(results)]
    return "\n".join(lines)


def _by_work(row: Row) -> Row:
    """The row's values by a second of processor time of the server: they say more on a busy machine."""
    busy = {number: shares["server"] for number, shares in row["busy"].items() if shares["server"]}
    return {"values": {number: row["values"][number] / share for number, share in busy.items()}}


def _line(what: str, found: tuple[float, float, float] | None, goal: float, less: bool) -> str:
    if found is None:
        return f"{what:64}  not measured"
    kept = found[0] <= goal if less else found[0] >= goal
    asked = f"{'≤' if less else '≥'} {goal:g}"
    return (
        f"{what:64}{found[0]:>9.2f}{found[1]:>8.2f}{found[2]:>8.2f}   {asked}{'' if kept else '   NOT KEPT'}"
    )
