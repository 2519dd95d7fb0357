"""Asks the hub, wherever it is, a bounded piece at a time, until a page is full.

With a cluster it is asked over this process's link, whichever process holds it. Between two pieces everybody
else has his turn. Threads: request threads. Blocks: until the hub has answered. Read next:
``../server/looking.py``, ``../cluster/calls/inspecting.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeVar

from ..cluster.asking import ask
from ..cluster.calls.inspecting import inspect
from ..cluster.folder import open_folder
from ..cluster.member_messages import ClusterTold
from ..errors import ResumeHubError
from ..hub import Hub
from ..runtime.system import SystemRuntime
from ..server import looks
from ..server.looking import answer
from ..server.looks import NamesAsked, NamesSeen, Question, Report, SessionsAsked, SessionsSeen

MOST_ASKED: Final = 20
"""Pieces for one page: of more than 10,000 sessions it shows where to go on."""

_PATIENCE: Final = 1.0

ReportT = TypeVar("ReportT", bound=Report)


def _asked(hub: Hub, question: Question) -> Report:
    return answer(hub.runner, question) if hub.member is None else inspect(hub.member, question)


def told(hub: Hub, question: Question, kind: type[ReportT]) -> ReportT:
    """The hub's answer. Raises: HubUnavailable, HubClosed."""
    report = _asked(hub, question)
    if not isinstance(report, kind):
        raise RuntimeError(f"a {type(question).__name__} is answered with a {type(report).__name__}")
    return report


def life(hub: Hub, name: str) -> looks.LifeSeen | None:
    """One session, also if it has ended lately; None if nothing is known of it. Raises: as ``told``."""
    report = _asked(hub, looks.LifeAsked(name))
    return report if isinstance(report, looks.LifeSeen) else None


def sessions(hub: Hub, asked: SessionsAsked) -> SessionsSeen:
    """A page of sessions. Raises: as ``told``."""
    rows: tuple[looks.SessionRow, ...] = ()
    looked, begun_anew = 0, False
    for _ in range(MOST_ASKED):
        seen = told(hub, replace(asked, limit=looks.MOST_ROWS - len(rows)), SessionsSeen)
        begun_anew = begun_anew or seen.begun_anew
        if seen.begun_anew:
            rows = ()
        rows, looked = (*rows, *seen.rows), looked + seen.looked
        asked = replace(asked, after=seen.next, mark=seen.mark)
        if not seen.next or len(rows) >= looks.MOST_ROWS:
            break
    return replace(seen, rows=rows, looked=looked, begun_anew=begun_anew)


def names(hub: Hub, asked: NamesAsked) -> NamesSeen:
    """A page of rooms or users. Raises: as ``told``."""
    rows: tuple[looks.NameRow, ...] = ()
    looked = 0
    for _ in range(MOST_ASKED):
        seen = told(hub, replace(asked, limit=looks.MOST_ROWS - len(rows)), NamesSeen)
        rows, looked = (*rows, *seen.rows), looked + seen.looked
        asked = replace(asked, after=seen.next)
        if not seen.next or len(rows) >= looks.MOST_ROWS:
            break
    return replace(seen, rows=rows, looked=looked)


@dataclass(frozen=True, slots=True)
class Nodes:
    """The processes. ``detail``: where the hub is, as this process sees it; ``told``: as the hub's says."""

    detail: str
    told: ClusterTold | None


def nodes(hub: Hub) -> Nodes | None:
    """The processes of the cluster; None without one. Blocks: for a second, if the hub does not answer."""
    member = hub.member
    if member is None:
        return None
    found = None
    if member.started:
        try:
            found = ask(open_folder(member.cluster.folder), SystemRuntime(), _PATIENCE)
        except (ResumeHubError, OSError, RuntimeError):
            found = None
    return Nodes(member.ready().detail, found)
