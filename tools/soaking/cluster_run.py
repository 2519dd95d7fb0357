"""A soak of a cluster: workers that share a folder, clients under traffic, and one fault after the other.

``soak_cluster(settings)`` gives a ``ClusterOutcome``; ``cluster_report.py`` tells it. The processes and the
clients are those of the tests (``tests/cluster/harness.py``, ``tests/cluster/counting.py``). Behind each
fault the run waits until all workers serve and every client has had echoes again. Called by ``__main__.py``.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.cluster.counting import Crowd
from tests.cluster.gate import until
from tests.cluster.harness import Cluster, Setup
from tests.cluster.members import Theirs
from tests.cluster.verdict import Verdict

from . import cluster_deeds as deeds
from .cluster_faults import FREE, PRICES, Fault, plan

ECHOES = 5
"""So many echoes each client must have had between two faults."""

FROZEN_ECHOES = 10
"""So many echoes the others must have had while a worker is frozen."""


@dataclass(frozen=True)
class ClusterSettings:
    """What to do. ``minutes``: begin no fault behind them. ``faults``: at most so many; None: no limit."""

    minutes: float = 10.0
    seed: int = 1
    server: str = "gthread"
    workers: int = 2
    ours: int = 12
    theirs: int = 6
    pace: float = 0.02
    faults: int | None = None
    max_requests: int = 500
    #: Only faults with this in their name; empty: all.
    word: str = ""

    @property
    def only(self) -> list[Fault]:
        """The faults that are chosen by ``word``; empty: all."""
        return [fault for fault in Fault if self.word in fault.value] if self.word else []


@dataclass(frozen=True)
class Strike:
    """One fault that has struck. ``gap``: the longest one between two echoes of a client that lived."""

    fault: Fault
    dials: int
    ended: int
    gap: float
    seconds: float


@dataclass
class ClusterOutcome:
    """What came of it."""

    settings: ClusterSettings
    strikes: list[Strike] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    #: Why it ended before its time; "" if it did not.
    stuck: str = ""
    tracebacks: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    log: str = ""
    whole: float = 0.0


class ClusterSoak:
    """One run, while it runs."""

    def __init__(self, cluster: Cluster, crowd: Crowd) -> None:
        self._cluster = cluster
        self._crowd = crowd
        self._do: dict[Fault, Callable[[], None]] = {
            Fault.RELOAD: lambda: deeds.reload(cluster),
            Fault.STOP_HUB: lambda: deeds.end(cluster, deeds.hub_of(cluster), signal.SIGTERM),
            Fault.STOP_OTHER: lambda: deeds.end(cluster, cluster.other_worker(), signal.SIGTERM),
            Fault.NEW_MASTER: lambda: deeds.replace_master(cluster),
            Fault.RESTART: self._restart,
            Fault.KILL_HUB: lambda: deeds.end(cluster, deeds.hub_of(cluster), signal.SIGKILL),
            Fault.KILL_OTHER: lambda: deeds.end(cluster, cluster.other_worker(), signal.SIGKILL),
            Fault.FREEZE_HUB: lambda: self._freeze(deeds.hub_of(cluster)),
            Fault.FREEZE_OTHER: lambda: self._freeze(cluster.other_worker()),
            Fault.HUB_PROCESS: self._hub_process,
        }

    def strike(self, fault: Fault) -> Strike:
        """Have it strike, and wait until all is well again. Raises: AssertionError when it never is."""
        crowd = self._crowd
        living = [member for member in crowd.members if not member.ended]
        dials = sum(member.dials for member in living)
        crowd.begin_again()
        begun = time.monotonic()
        self._do[fault]()
        if PRICES.get(fault, FREE).ends:
            until(lambda: all(member.ended for member in living), "all sessions to have ended")
        self._cluster.wait_until_serving()
        seconds = time.monotonic() - begun
        self._replace_those_that_ended()
        crowd.wait_until(echoes=ECHOES)
        lived = [member for member in living if not member.ended]
        return Strike(
            fault,
            sum(member.dials for member in living) - dials,
            len(living) - len(lived),
            max((member.heard.gap for member in lived), default=0.0),
            seconds,
        )

    def _replace_those_that_ended(self) -> None:
        latest = {member.name: member for member in self._crowd.members}
        for member in latest.values():
            if member.ended:
                self._crowd.renew(member).wait_connected()

    # -- the faults -------------------------------------------------------------------------

    def _restart(self) -> None:
        self._cluster.stop()
        theirs = [member for member in self._crowd.members if isinstance(member, Theirs)]
        until(lambda: all(member.ended for member in theirs), "the clients to be told")
        self._cluster.start(self._cluster.port)

    def _freeze(self, pid: int) -> None:
        """The hub for a moment, as a laptop's lid does; another worker for as long as others need it."""
        others_go_on = pid != self._cluster.hub_pid()
        self._cluster.signal(pid, signal.SIGSTOP)
        try:
            if others_go_on:
                self._crowd.wait_until(echoes=FROZEN_ECHOES)
            else:
                self._cluster.knock_at(self._cluster.other_worker(), "/ws?name=nobody&resume=true")
        finally:
            self._cluster.signal(pid, signal.SIGCONT)

    def _hub_process(self) -> None:
        process = self._cluster.start_hub()
        until(lambda: self._cluster.hub_pid() == process.pid, "the hub to move to its own process")
        self._crowd.wait_until(echoes=ECHOES)
        deeds.end(self._cluster, process.pid, signal.SIGTERM)
        until(lambda: self._cluster.hub_pid() is not None, "the hub to be in a worker again")


def soak_cluster(
    settings: ClusterSettings, tell: Callable[[str], None] = lambda text: None
) -> ClusterOutcome:
    """Run it. ``tell`` is given a line for each fault."""
    s = settings
    outcome = ClusterOutcome(s)
    begun = time.monotonic()
    setup = Setup(server=s.server, workers=s.workers, max_requests=s.max_requests)
    with deeds.started(setup) as cluster:
        with Crowd(cluster, s.ours, s.theirs, pace=s.pace) as crowd:
            soak = ClusterSoak(cluster, crowd)
            number = 0
            try:
                crowd.wait_until(echoes=ECHOES)
                while time.monotonic() - begun < 60 * s.minutes and number != s.faults:
                    number += 1
                    fault = s.only[number % len(s.only)] if s.only else plan(s.seed, number)
                    strike = soak.strike(fault)
                    outcome.strikes.append(strike)
                    tell(
                        f"{time.monotonic() - begun:4.0f} s: {fault.value}: {strike.dials} dials, "
                        f"{strike.ended} ended, gap {strike.gap * 1000:.0f} ms"
                    )
            except AssertionError as error:
                outcome.stuck = f"at fault {number}: {error}"
            outcome.verdict = crowd.verdict()
        outcome.left = [*deeds.unsettled(cluster), *deeds.stop(cluster)]
        outcome.log = cluster.log_text()
    outcome.tracebacks = deeds.tracebacks(outcome.log)
    outcome.whole = time.monotonic() - begun
    return outcome
