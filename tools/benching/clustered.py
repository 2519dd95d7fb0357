"""What a cluster costs: ``tools/bench --cluster``. Ratios within one run, beside what is asked of them.

One worker with a cluster takes turns with one without. Then a second server on the same folder, with a port
of its own, is the *other* worker, while the first one holds the hub. All of them share one processor, and the
load process has the other. Called by ``__main__.py``. Read next: ``servers/app_cluster.py``,
``two_workers.py``, ``views.py``, ``moving.py``; ``cluster_report.py`` for what is made of it.
"""

from __future__ import annotations

import json
import signal
import threading
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from .contenders import PLAIN, Contender, gthread
from .crowd import Crowd
from .dial import PATIENCE, dial
from .dialects import Resumehub, Who
from .flows import now
from .moving import move
from .report import Results, spread
from .run import Overrun, run
from .scenarios import SCENARIOS
from .stage import Sizes, Stage
from .two_workers import REDIS_PEER, beside_redis, fan_out_over_two
from .views import views

CLUSTERED = "resumehub, cluster"
AT_HUB, AT_OTHER = "at the hub's own worker", "at another worker"
ONE_AGAINST_NONE = ("idle", "echo", "fan-out", "churn")
OF_TWO = ("other worker", "two workers", "views", "move")

MOST_SECONDS = 540.0
"""After so long no visit begins."""

LAST_SECOND = 660.0
"""After so long what is under way is given up: the whole takes less than twelve minutes, on any machine."""

_AGAIN = 10.0

SIZES = replace(Sizes(), rounds=3, seconds=1.0, receivers=(500,), windows=(16,), idle=(2_000,), limit=100)

_DIALS = 300
_TIMES = 3
_CALLS = 2_000
_RECEIVERS = 50
_THREADS = 8
BROADCASTS = f"broadcasts of {_THREADS} threads"


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
            REDIS_PEER,
        )
        table: dict[str, Callable[[Stage], None]] = {
            **SCENARIOS,
            "other worker": partial(other_worker, folder=folder),
            "two workers": partial(_two_workers, command=command(f"{folder}/two")),
            "views": partial(views, command=command(f"{folder}/views")),
            "move": partial(move, command=lambda name: command(f"{folder}/{name}")),
        }
        signal.signal(signal.SIGALRM, _give_up)
        signal.setitimer(signal.ITIMER_REAL, LAST_SECOND, _AGAIN)
        try:
            return run(
                sizes,
                contenders,
                only or (*ONE_AGAINST_NONE, *OF_TWO),
                table=table,
                takes_part=_takes_part,
                most_seconds=MOST_SECONDS,
                tell=tell,
            )
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _give_up(number: int, frame: object) -> None:
    raise Overrun(f"{LAST_SECOND:g} s were over")


def _takes_part(contender: Contender, scenario: str) -> bool:
    if contender is REDIS_PEER:
        return scenario == "two workers"
    return contender.name == CLUSTERED or scenario not in OF_TWO


def _two_workers(stage: Stage, command: Sequence[str]) -> None:
    if stage.contender is REDIS_PEER:
        beside_redis(stage)
    else:
        fan_out_over_two(stage, command)


def command(folder: str) -> tuple[str, ...]:
    """A worker of the folder."""
    return ("env", f"BENCH_FOLDER={folder}", *gthread("app_cluster", 8))


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
                stage.note(f"{BROADCASTS} {where}", "broadcasts/s", middle[0])
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
