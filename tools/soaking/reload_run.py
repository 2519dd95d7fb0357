"""Reloads under traffic, one after the other: nobody may notice, and how long each client's pause was.

``soak_reloads(settings)`` gives a ``ReloadOutcome``; ``reload_report.py`` tells it. The clients are of four
kinds: ``resumehub.client``, resumehub.js in node, ``websockets``, and resumehub.js on a page in Chromium. A
pause is the longest time between two echoes of one client, from the order to reload until all workers serve
again. Called by ``__main__.py``. Read next: ``cluster_deeds.py``, ``js_clients.py``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum

from tests.cluster.counting import Crowd
from tests.cluster.harness import Cluster, Setup
from tests.cluster.members import Counted
from tests.cluster.verdict import Verdict

from . import cluster_deeds as deeds
from .js_clients import Group, InNode, OnPage

ECHOES = 3
"""So many echoes each client must have had between two reloads."""

WINDOW = 4
"""So many of its numbers a client leaves without an echo."""

QUIET = 5.0
"""Seconds without a reload, in which the pauses are measured that the load alone makes."""

ROOM = "all"


class Way(Enum):
    """How workers are replaced, in the report's words."""

    HUP = "SIGHUP"
    TERM = "SIGTERM of the hub's worker"
    USR2 = "SIGUSR2, SIGTERM of the old master"
    MAX_REQUESTS = "--max-requests"


WAYS = {
    "all": (Way.HUP, Way.TERM, Way.USR2),
    "hup": (Way.HUP,),
    "term": (Way.TERM,),
    "usr2": (Way.USR2,),
    "max-requests": (Way.MAX_REQUESTS,),
}
"""The choices of ``--way``."""

_DEEDS: dict[Way, Callable[[Cluster], None]] = {
    Way.HUP: deeds.reload,
    Way.TERM: lambda cluster: deeds.end(cluster, deeds.hub_of(cluster), deeds.signal.SIGTERM),
    Way.USR2: deeds.replace_master,
    Way.MAX_REQUESTS: deeds.use_up_requests,
}


@dataclass(frozen=True)
class ReloadSettings:
    """What to do. ``minutes``: begin no reload behind them. ``pace``: seconds between two of a client's
    numbers. ``node``, ``page``: whether clients in node, and one in Chromium, are among ``clients``."""

    reloads: int = 20
    clients: int = 200
    way: str = "all"
    server: str = "gthread"
    workers: int = 2
    preload: bool = False
    pace: float = 0.1
    minutes: float = 10.0
    node: bool = True
    page: bool = True
    max_requests: int = 500

    @property
    def in_node(self) -> int:
        return self.clients // 4 if self.node else 0

    @property
    def theirs(self) -> int:
        return self.clients // 4

    @property
    def ours(self) -> int:
        return self.clients - self.in_node - self.theirs - self.page


@dataclass(frozen=True)
class Reload:
    """One reload. ``way``: None for the time without one. ``pauses``: of each kind of client, in seconds.

    ``moves``: how often the hub moved. ``dials``, ``ended``: of all clients.
    """

    way: Way | None
    pauses: dict[str, list[float]]
    moves: int = 0
    dials: int = 0
    ended: int = 0


@dataclass
class ReloadOutcome:
    """What came of it. ``stuck``: why it ended before its time; "" if it did not."""

    settings: ReloadSettings
    reloads: list[Reload] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    stuck: str = ""
    left: list[str] = field(default_factory=list)
    log: str = ""
    whole: float = 0.0


def soak_reloads(settings: ReloadSettings, tell: Callable[[str], None] = lambda text: None) -> ReloadOutcome:
    """Run it. ``tell`` is given a line for each reload."""
    s = settings
    outcome = ReloadOutcome(s)
    begun = time.monotonic()
    setup = Setup(
        server=s.server,
        workers=s.workers,
        preload=s.preload,
        max_requests=s.max_requests if Way.MAX_REQUESTS in WAYS[s.way] else 0,
        app="tools.soaking.page_app:app",
    )
    with deeds.started(setup) as cluster:
        with ExitStack() as stack:
            others = [member for group in _groups(s, cluster, stack) for member in group.members]
            crowd = Crowd(cluster, s.ours, s.theirs, pace=s.pace, window=WINDOW, room=ROOM, others=others)
            with crowd:
                try:
                    _reload_all(s, cluster, crowd, outcome, tell)
                except AssertionError as error:
                    outcome.stuck = f"at reload {len(outcome.reloads)}: {error}"
                outcome.verdict = crowd.verdict()
        outcome.left = [*deeds.unsettled(cluster), *deeds.stop(cluster)]
        outcome.log = cluster.log_text()
    outcome.whole = time.monotonic() - begun
    return outcome


def _reload_all(
    s: ReloadSettings, cluster: Cluster, crowd: Crowd, outcome: ReloadOutcome, tell: Callable[[str], None]
) -> None:
    begun, ways = time.monotonic(), WAYS[s.way]
    crowd.wait_until(echoes=ECHOES)
    outcome.reloads.append(_without(crowd))
    for number in range(s.reloads):
        if time.monotonic() - begun > 60 * s.minutes:
            return
        reload = _reload(ways[number % len(ways)], cluster, crowd)
        outcome.reloads.append(reload)
        tell(f"{time.monotonic() - begun:4.0f} s: {_told(reload)}")


def _groups(s: ReloadSettings, cluster: Cluster, stack: ExitStack) -> list[Group]:
    """The clients of resumehub.js; at the end they leave."""
    groups = []
    if names := [f"{ROOM}-node-{number}" for number in range(s.in_node)]:
        groups.append(Group(InNode(cluster, ROOM, names, s.pace, WINDOW), "resumehub.js", ROOM, names))
        stack.callback(groups[-1].leave)
    if s.page:
        name = f"{ROOM}-page-0"
        groups.append(Group(OnPage(cluster, ROOM, name, s.pace, WINDOW), "Chromium", ROOM, [name]))
        stack.callback(groups[-1].leave)
    return groups


def _without(crowd: Crowd) -> Reload:
    crowd.begin_again()
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        crowd.wait_until(echoes=1)
    return Reload(None, _pauses(crowd.members))


def _reload(way: Way, cluster: Cluster, crowd: Crowd) -> Reload:
    dials = sum(member.dials for member in crowd.members)
    ended = sum(member.ended for member in crowd.members)
    moves = _moves(cluster)
    crowd.begin_again()
    _DEEDS[way](cluster)
    cluster.wait_until_serving()
    crowd.wait_until(echoes=ECHOES)
    return Reload(
        way,
        _pauses(crowd.members),
        _moves(cluster) - moves,
        sum(member.dials for member in crowd.members) - dials,
        sum(member.ended for member in crowd.members) - ended,
    )


def _pauses(members: list[Counted]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for member in members:
        if not member.ended:
            found.setdefault(member.kind, []).append(member.heard.gap)
    return found


def _moves(cluster: Cluster) -> int:
    return len(re.findall(r"has moved from process", cluster.log_text()))


def _told(reload: Reload) -> str:
    pauses = [pause for of_kind in reload.pauses.values() for pause in of_kind]
    way = reload.way.value if reload.way is not None else "none"
    return (
        f"{way}: {reload.moves} moves, {reload.dials} dials, {reload.ended} ended, "
        f"longest pause {max(pauses, default=0.0) * 1000:.0f} ms"
    )
