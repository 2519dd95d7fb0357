"""A worker beside a hub, in one process: all requests come to the worker, which passes them over a link.

Real sockets, real descriptors and the threads of a link; what is missing is only that the two are processes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from resumehub import Hub
from resumehub.cluster.dials.dial_client import DialClient
from resumehub.cluster.dials.dial_server import DialServer
from resumehub.cluster.dials.member_lookup import MemberLookup
from resumehub.cluster.door import Door
from resumehub.cluster.link import Link
from resumehub.cluster.member_parts import LinkHandler
from resumehub.core.cluster.passing import DialRules
from resumehub.runtime.base import Thread
from resumehub.server.hub_runner import HubRunner
from tests.cluster.links import linked_pair, serve
from tests.support import PATIENCE

RULES = DialRules(wait=PATIENCE, most_waiting=16, patience=PATIENCE)
"""A test that means no time to pass waits as long as it may."""


class _Lookup(MemberLookup):
    """The application has one ``hub.close()`` for all of its processes."""

    hub: HubRunner

    @property
    def closing(self) -> bool:
        return self.hub.closing

    def ready(self) -> bool:
        return self.hub.ready()


class WorkerBeside:
    """From now on requests to ``hub`` are answered as in a worker that has a link to it.

    The worker's part of the hub has the same options and counts with the same collector.
    """

    def __init__(self, hub: Hub, rules: DialRules = RULES, *, linked: bool = True) -> None:
        self.hub = hub
        there = hub.runner
        self.hub_door = Door(there.runtime, here=True)
        self.server = DialServer(there, self.hub_door)
        self.runner = HubRunner(
            there.config,
            there.codec,
            there.metrics,
            there.clock,
            there.runtime,
            dict.fromkeys(there.handlers, ()),
            None,
            None,
        )
        self.door = Door(there.runtime, here=False)
        self.client = DialClient(self.runner, self.door, rules)
        self.lookup = _Lookup(self.runner, self.door, self.client, there.start, lambda: there.drain)
        self.lookup.hub = there
        hub.lookup = lambda: self.lookup
        self.links: list[Link] = []
        self._threads: list[Thread] = []
        if linked:
            with contextlib.suppress(RuntimeError):  # a test may leave it no threads
                there.start()  # as in a process that others have a link to
            self.link_up()

    def link_up(
        self,
        hub_life: str = "one",
        others: Mapping[type, LinkHandler] | None = None,
        *,
        serves: bool = True,
        reads: bool = True,
    ) -> tuple[Link, Link]:
        """Make a link; the worker's end and the hub's.

        ``others``: handlers of the hub's end instead of its own. ``serves``, ``reads``: whether the hub's and
        the worker's thread of it run; if not, next ``serve_hub`` or ``read``.
        """
        ours, theirs = linked_pair(self.runner.runtime)
        ours.hub_life = hub_life
        self.client.on_link(ours, hub_life)
        self.links += [ours, theirs]
        if reads:
            self.read(ours)
        if serves:
            self.serve_hub(theirs, others)
        return ours, theirs

    def read(self, ours: Link) -> None:
        """Start the thread of the worker's end."""
        self._threads.append(serve(ours, self.client.handlers, self.client.on_link_end))

    def serve_hub(self, theirs: Link, others: Mapping[type, LinkHandler] | None = None) -> None:
        """Start the thread of the hub's end."""
        self._threads.append(serve(theirs, {**self.server.handlers, **(others or {})}))

    def leave(self) -> None:
        """End the links and their threads. The hub is closed by whoever has made it."""
        for link in self.links:
            link.close()
        for thread in self._threads:
            assert thread.join(PATIENCE), thread.stack()
        for link in self.links:
            link.finish("the test is over")
        assert self.client.copies == 0
        assert self.server.held == 0
