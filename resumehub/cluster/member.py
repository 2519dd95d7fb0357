"""One process's part in a cluster: it holds the hub, or a link to it, and tells all others where the hub is.

A ``Hub`` with ``cluster=`` has one. It is built with the hub and starts nothing; whoever learns that the
process serves calls ``start``. Threads: any may ask ``place``; the member's own thread looks for a hub, takes
it, gives it away. Read next: ``member_parts.py``, ``local.py``.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping

from ..config import Config
from ..server.hub_runner import HubRunner
from .local import LocalCluster
from .member_parts import LinkHandler, LinkWatcher, Place

_members: weakref.WeakValueDictionary[str, Member] = weakref.WeakValueDictionary()
"""The members of this process, by the real path of their folder."""


class Member:
    """See the module. Methods: any thread, unless said otherwise.

    Raises: RuntimeError for a second one on a folder in one process; ValueError for an option of the hub that
    does not go with a cluster.
    """

    #: Of the hub that this process knows of: the same across moves, another after a kill; "" before one.
    hub_life: str = ""

    def __init__(self, runner: HubRunner, cluster: LocalCluster) -> None:
        check_options(runner.config)
        self.runner = runner
        self.cluster = cluster
        self.hub_handlers: dict[type, LinkHandler] = {}
        self.worker_handlers: dict[type, LinkHandler] = {}
        self._watchers: list[LinkWatcher] = []
        self._enter()

    def _enter(self) -> None:
        path = os.path.realpath(self.cluster.folder)
        other = _members.get(path)
        if other is not None and not other.runner.closed:
            raise RuntimeError(
                f"this process has a Hub on the folder {self.cluster.folder!r} already; a process has one "
                "hub on a folder, so build it once, in a module that all others import, or give this one a "
                "folder of its own"
            )
        _members[path] = self

    # -- for the parts ----------------------------------------------------------------------

    def handle_at_hub(self, handlers: Mapping[type, LinkHandler]) -> None:
        """Call these for messages that arrive while this process holds the hub. Before ``start``."""
        self.hub_handlers.update(handlers)

    def handle_at_worker(self, handlers: Mapping[type, LinkHandler]) -> None:
        """Call these for messages of the hub's, while another process holds it. Before ``start``."""
        self.worker_handlers.update(handlers)

    def watch_links(self, watcher: LinkWatcher) -> None:
        """Tell ``watcher`` of every link. Before ``start``."""
        self._watchers.append(watcher)

    # -- where the hub is -------------------------------------------------------------------

    def place(self, timeout: float | None = None) -> Place:
        """Where the hub is now. ``timeout``: seconds; None for the cluster's.

        Raises: HubUnavailable(sent=False) when it is nowhere by then. Blocks: until it is somewhere.
        """
        raise NotImplementedError("the member's thread is not built yet")


def check_options(config: Config) -> None:
    """Refuse options of a hub that do not go with a cluster. Raises: ValueError."""
    if config.compression:
        raise ValueError(
            "compression=True does not go with cluster=…: a compressed connection can't move to another "
            "process; leave one of the two out"
        )
