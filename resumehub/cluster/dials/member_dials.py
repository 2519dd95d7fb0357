"""The part of a member that has to do with dials, put together: both ends of it, and what the WSGI side
asks.

A member makes one when it starts, and another one after a fork. Threads: those that ``../member_parts.py``
names. Read next: ``member_lookup.py``.
"""

from __future__ import annotations

from collections.abc import Callable

from ...core.cluster.passing import rules_for
from ...core.drain import Drain
from ...server.hub_runner import HubRunner
from ..door import Door
from ..link import Link
from ..parts import Parts
from .dial_client import DialClient
from .dial_server import DialServer
from .member_lookup import MemberLookup

MANY_THREADS = 64
"""For a server that starts a thread for each request: half of so many may wait long for a verdict."""


class MemberDials:
    """One process's. Next: ``register``.

    ``threads``: for requests, that the server has; 1 for a sync worker. ``timeout``: the cluster's.
    ``serve``: makes sure that this process takes part in its cluster; raises what ``HubRunner.start`` does.
    ``heard_drain``: see ``MemberLookup``.
    """

    def __init__(
        self,
        runner: HubRunner,
        door: Door,
        *,
        threads: int,
        timeout: float,
        serve: Callable[[], object],
        heard_drain: Callable[[], Drain] = lambda: Drain.NONE,
    ) -> None:
        self.client = DialClient(runner, door, rules_for(threads, timeout))
        self.server = DialServer(runner, door)
        self.lookup = MemberLookup(runner, door, self.client, serve, heard_drain)

    def register(self, parts: Parts) -> None:
        """Be told of all that matters to dials."""
        parts.handle_at_hub(self.server.handlers)
        parts.handle_at_worker(self.client.handlers)
        parts.link_watchers.append(self)
        parts.hub_watchers.append(self.client)
        parts.tickers.append(self.client.tick)
        parts.needs.append(lambda: self.client.copies > 0)
        parts.leavers.append(self.client.stop)

    def on_link(self, link: Link, at_hub: bool) -> None:
        """See ``LinkWatcher``."""
        if not at_hub:
            self.client.on_link(link, link.hub_life)

    def on_link_end(self, link: Link, at_hub: bool) -> None:
        """See ``LinkWatcher``."""
        if not at_hub:
            self.client.on_link_end(link)
