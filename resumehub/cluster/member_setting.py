"""What a member's loop works with, and the order to stop. Values; any thread.

Read next: ``member_loop.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.cluster.stopping import Kind
from ..runtime.base import Runtime
from ..server.hub_runner import HubRunner
from .door import Door
from .folder import Folder
from .gunicorn_worker import GunicornWorker
from .hub_news import HubNews
from .local import LocalCluster
from .movers import HubMover, HubParker
from .parts import Parts
from .record_lock import ClusterLock
from .whereabouts import Whereabouts


@dataclass(eq=False)
class MemberSetting:
    """What a member's loop works with."""

    runner: HubRunner
    cluster: LocalCluster
    runtime: Runtime
    folder: Folder
    lock: ClusterLock
    door: Door
    parts: Parts
    whereabouts: Whereabouts
    mover: HubMover
    parker: HubParker
    news: HubNews
    kind: Kind
    server: GunicornWorker | None = None


@dataclass(frozen=True, slots=True)
class StopOrder:
    """This process is told to stop: since when, until when, and why.

    ``as_without_a_cluster``: the hub, if it is here, just closes. ``asked``: the application has asked for
    it, so no request under way is waited for. ``close_within``: close the hub then, within so many seconds.
    """

    since: float
    until: float
    why: str
    as_without_a_cluster: bool = False
    asked: bool = False
    close_within: float | None = None
