"""An endurance run: scene after scene on one server, round after round, until the minutes are over.

Each round plays all scenes in an order of its own, and then waits until the server is quiet: no session, and
as many threads and descriptors as after the first round. Then it looks at the memory and compares the books.
The report needs nothing else. Called by ``__main__.py`` and by a test. Read next: ``endure_scenes.py``,
``endure_report.py``.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from tests.integration.servers import ServerProcess, gunicorn, werkzeug

from . import endure_limits, endure_scenes
from .cluster_deeds import tracebacks
from .endure_bench import Bench
from .endure_books import ledger_faults
from .sampling import Sample, Sampler, look_at

APP = "tools.soaking.endure_app:app"

POOL = 8
"""Request threads of gunicorn."""

Scene = Callable[[Bench], None]

SCENES: Mapping[str, Scene] = MappingProxyType(
    {
        scene.__name__: scene
        for scene in (
            endure_scenes.talk,
            endure_scenes.cut,
            endure_scenes.storm,
            endure_scenes.expire,
            endure_scenes.expire_of_ours,
            endure_scenes.kick,
            endure_scenes.supersede,
            endure_scenes.rooms,
            endure_scenes.users,
            endure_scenes.requests,
            endure_scenes.doubts,
            endure_scenes.answers_over_drops,
            endure_scenes.generated,
            endure_limits.full_hub,
            endure_limits.overflow,
            endure_limits.deaf,
            endure_limits.throttle,
            endure_limits.crowd_at_the_gate,
            endure_limits.over_budget,
            endure_limits.compress,
            endure_limits.dead_peer,
            endure_limits.drain,
            endure_limits.observers,
            endure_limits.bad_requests,
            endure_limits.bad_frames,
            endure_limits.raising,
            endure_limits.codes,
            endure_limits.half_a_frame,
        )
    }
)

MOST_FAILURES = 50
"""The run ends early when so much is wrong."""

_STEADY = 3.0
"""Seconds without a change: the first round's count. Idle threads of the hub live for one."""

_NEVER = threading.Event()
_TUNABLES = "GLIBC_TUNABLES"
_NO_CACHES = "glibc.malloc.tcache_count=0"
# What lies in a thread's cache counts as given: that would hide a small leak for half an hour.

_PLANTED = "ArithmeticError: a"


@dataclass(frozen=True)
class EndureSettings:
    """What to do. ``only``: the scenes that have this word in their name. ``rounds``: end behind so many.

    ``quiet``: seconds in which the server must be quiet behind a round, with as many threads and descriptors
    as behind the first one.
    """

    minutes: float = 30.0
    seed: int = 1
    server: str = "gthread"
    only: str = ""
    rounds: int | None = None
    quiet: float = 10.0

    @property
    def scenes(self) -> Sequence[str]:
        chosen = [name for name in SCENES if self.only in name]
        if not chosen:
            raise ValueError(f"no scene has {self.only!r} in its name; there are {', '.join(SCENES)}")
        return chosen


@dataclass(frozen=True, slots=True)
class Pause:
    """The server, and this process, between two rounds, when all is quiet.

    ``objects``: those that the garbage collector knows. ``blocks``, ``malloc``: see ``sampling.in_use``.
    """

    server: Sample
    objects: int
    blocks: int
    malloc: int
    names: Mapping[str, int]
    load: Sample


@dataclass
class EndureOutcome:
    """What came of it."""

    settings: EndureSettings
    pauses: list[Pause] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    played: Counter[str] = field(default_factory=Counter)
    tally: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    #: The books of the last look.
    books: dict[str, Any] = field(default_factory=dict)
    whole: float = 0.0
    versions: str = ""


class Endurance:
    """One run, while it runs."""

    def __init__(self, outcome: EndureOutcome, server: ServerProcess, tell: Callable[[str], None]) -> None:
        self._outcome, self._server, self._tell = outcome, server, tell
        self._number = 0
        self.pid = self._ask("/books")["pid"]

    def warm_up(self) -> None:
        """Let the server start all of its request threads: each of so many requests waits for all of them."""
        threads = [threading.Thread(target=self._ask, args=("/all",)) for _ in range(POOL)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # The hubs' threads, too: those that read when a handler is slow, and those for callbacks.
        with Bench(self._server, 0, 0, Counter()) as bench:
            for hub in self._ask("/books")["hubs"]:
                user = bench.name()
                peers = [bench.peer(hub, user=user, naps=1) for _ in range(2)]
                peers[0].client.request("nap")
                bench.do(hub, "kick_user", user=user)
            bench.settle()

    def play(self, until: float) -> None:
        """One round; no scene begins after the time ``until``."""
        settings = self._outcome.settings
        names = list(settings.scenes)
        random.Random(f"{settings.seed}/{self._number}").shuffle(names)
        for name in names:
            if time.monotonic() >= until:
                return
            self._number += 1
            self._outcome.played[name] += 1
            try:
                with Bench(self._server, self._number, settings.seed, self._outcome.tally) as bench:
                    SCENES[name](bench)
                    bench.settle()
            except Exception as error:  # the next scenes may be well
                self._fail(f"scene {self._number}, {name}: {type(error).__name__}: {error}")
                for hub in self._ask("/books")["hubs"]:
                    self._ask(f"/{hub}/do/end_all")

    def rest(self) -> None:
        """Wait until all is quiet, look, and compare the books."""
        outcome = self._outcome
        books, found = self._look()
        give_up = time.monotonic() + outcome.settings.quiet
        while found and time.monotonic() < give_up:
            _NEVER.wait(0.5)
            books, found = self._look()
        for failure in found:
            self._fail(f"behind scene {self._number}: {failure}")
        outcome.books = books["hubs"]
        server = self._steady()
        # Each look is the same work: what a look leaves behind is there before each count.
        look = self._ask("/books")
        names = Counter[str](look["threads"])
        memory = look_at(self.pid)
        server = replace(memory, threads=server.threads, descriptors=server.descriptors)
        outcome.pauses.append(
            Pause(server, look["objects"], look["blocks"], look["malloc"], names, look_at(os.getpid()))
        )
        if outcome.pauses[0].server.threads != server.threads:
            before = Counter(outcome.pauses[0].names)
            self._fail(f"threads: {names - before} more and {before - names} fewer than at first")
        self._tell(
            f"{outcome.played.total()} scenes, {len(outcome.failures)} failures; "
            f"RSS {server.rss:,} KiB, {server.threads} threads, {server.descriptors} descriptors, "
            f"{look['objects']:,} objects, {look['blocks']:,} blocks, {look['malloc']:,} KiB of malloc"
        )

    def _look(self) -> tuple[dict[str, Any], list[str]]:
        books = self._ask("/books")
        found = []
        for name, told in books["hubs"].items():
            found += ledger_faults(name, told["books"], told["stats"], told["sums"])
            found += _of_observers(name, told)
        return books, found

    def _steady(self) -> Sample:
        """The server when its threads and descriptors are those of the first pause; or when time is up."""
        pauses = self._outcome.pauses
        since, sample = time.monotonic(), look_at(self.pid)
        give_up = since + self._outcome.settings.quiet
        while time.monotonic() < give_up:
            if pauses and _counts(sample) == _counts(pauses[0].server):
                break
            if not pauses and time.monotonic() - since >= _STEADY:
                break
            _NEVER.wait(0.1)
            before, sample = sample, look_at(self.pid)
            if _counts(before) != _counts(sample):
                since = time.monotonic()
        return sample

    def _fail(self, failure: str) -> None:
        self._outcome.failures.append(failure)
        self._tell(f"FAILED: {failure}")

    def _ask(self, path: str) -> Any:
        status, body = self._server.get(path)
        assert status == 200, f"{path} was answered with {status}: {body!r}"
        return json.loads(body)


def _counts(sample: Sample) -> tuple[int, int]:
    return sample.threads, sample.descriptors


def _of_observers(name: str, told: dict[str, Any]) -> list[str]:
    """What spans and Prometheus were told, beside what the counters were."""
    spans, sums = Counter(told["spans"]), told["sums"]
    pairs = [
        ("spans begun", spans["begun"], sums["connections_opened"]),
        ("spans ended", spans["ended"], spans["begun"]),
        ("callbacks of spans ended", spans["callbacks ended"], spans["callbacks begun"]),
        ("drops told to spans", spans["dropped"], sums["suspensions"]),
        ("restores told to spans", spans["restored"], sums["resumes_succeeded"]),
        ("sessions at Prometheus", told["prometheus"].get("sessions_opened", 0), sums["connections_opened"]),
    ]
    return [
        f"{name}: {what} {number}, and not {wanted}" for what, number, wanted in pairs if number != wanted
    ]


def _start(server: str, env: dict[str, str]) -> ServerProcess:
    if server == "werkzeug":
        return werkzeug(APP, env=env)
    access = ("--access-logfile", os.devnull)
    return gunicorn(APP, "--worker-class", "gthread", "--threads", str(POOL), *access, env=env)


def endure(
    settings: EndureSettings,
    tell: Callable[[str], None] = lambda text: None,
    plant: str = "",
) -> EndureOutcome:
    """Run it. ``tell`` is given a line for each round. ``plant``: see ``endure_app.py``."""
    outcome = EndureOutcome(settings, versions=f"Python {sys.version.split()[0]}")
    begun = time.monotonic()
    until = begun + 60 * settings.minutes
    env = {
        "RESUMEHUB_SOAK_THREADS": str(POOL),
        "RESUMEHUB_SOAK_PLANT": plant,
        _TUNABLES: os.environ.get(_TUNABLES, _NO_CACHES),
    }
    with _start(settings.server, env) as server:
        run = Endurance(outcome, server, tell)
        run.warm_up()
        sampler = Sampler(run.pid, outcome.samples.append)
        try:
            while time.monotonic() < until and len(outcome.failures) < MOST_FAILURES:
                run.play(until)
                run.rest()
                if len(outcome.pauses) == settings.rounds:
                    break
        finally:
            sampler.close()
    log = server.stop()
    outcome.failures += [
        f"the server's log has: {one[-300:]}" for one in tracebacks(log) if _PLANTED not in one
    ]
    outcome.whole = time.monotonic() - begun
    return outcome
