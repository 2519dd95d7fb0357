"""Two processes' worth of hubs in one process, with a real link between them: the hub moves over it.

``Process`` is what a member would be: a hub, a door, a lock that lives in memory, and both sides of a move.
The hub's end of a link is at the process that holds the hub; after each move a new link is made.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from resumehub import Hub
from resumehub.clock import now
from resumehub.cluster.door import Door
from resumehub.cluster.link import Link
from resumehub.cluster.moves.move_parts import HubMoved, HubNotMoved, Traveller
from resumehub.cluster.moves.move_source import MoveSource
from resumehub.cluster.moves.move_target import MoveTarget
from resumehub.runtime.system import SystemRuntime
from tests.cluster.links import linked_pair, serve
from tests.cluster.two_hubs import InOtherHub
from tests.support import PATIENCE


class MemoryLock:
    """The hub's byte and the heir's, of a folder that is not there."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.hub: Process | None = None
        self.heir: Process | None = None

    def let_go(self, process: Process) -> None:
        with self._changed:
            assert self.hub is process
            self.hub = None
            self._changed.notify_all()

    def take(self, process: Process) -> bool:
        """Wait until the hub's byte is free, and take it."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.hub is None, PATIENCE):
                return False
            self.hub, self.heir = process, None
            return True


class Process:
    """See the module. It is its own ``SourceHost`` and ``TargetHost``."""

    def __init__(
        self,
        make: Callable[[SystemRuntime], Hub],
        lock: MemoryLock,
        travellers: Mapping[str, Traveller] | None = None,
    ) -> None:
        self.runtime = SystemRuntime(share=True)
        self.hub = make(self.runtime)
        self.lock = lock
        self.door = Door(self.runtime)
        more = {} if travellers is None else travellers  # one that is empty may get more
        self.source = MoveSource(self.hub.runner, self.door, self, more)
        self.target = MoveTarget(self.hub.runner, self.door, self, more, lambda: self.source.runs_callbacks)
        #: Set when the hub has come here by a move.
        self.came = threading.Event()
        self.was_dropped = threading.Event()

    def begin(self) -> None:
        """It holds the hub."""
        self.lock.hub = self
        self.hub.runner.start()
        self.door.arrived()

    # -- SourceHost, TargetHost -------------------------------------------------------------

    def release_hub(self) -> None:
        self.lock.let_go(self)

    def may_hold(self) -> bool:
        if self.lock.heir not in (None, self):
            return False
        self.lock.heir = self
        return True

    def committed(self, hub_life: str) -> None:
        threading.Thread(target=self._take_the_hub, daemon=True).start()

    def _take_the_hub(self) -> None:
        if self.lock.take(self):
            self.target.go()
            self.came.set()
        else:
            self.target.drop()

    def dropped(self) -> None:
        self.lock.heir = None
        self.was_dropped.set()


class LinkedHubs:
    """Two of them; the hub is in the first one."""

    def __init__(
        self,
        make: Callable[[SystemRuntime], Hub],
        travellers: tuple[Mapping[str, Traveller], Mapping[str, Traveller]] = ({}, {}),
    ) -> None:
        self.lock = MemoryLock()
        self.processes = [Process(make, self.lock, more) for more in travellers]
        self.processes[0].begin()
        #: All links that were made, at the source's end and at the target's.
        self.links: list[tuple[Link, Link]] = []

    @property
    def hub(self) -> Hub:
        return self.processes[0].hub

    def call(self, what: Callable[[Hub], object]) -> None:
        """A call of the application: where the hub is, wholly before a move or behind it."""
        while True:
            for process in list(self.processes):
                if process.door.enter():
                    try:
                        what(process.hub)
                        return
                    finally:
                        process.door.leave()

    def link(self) -> tuple[Link, Link]:
        """A link from the second process to the first, which has the hub."""
        one, other = linked_pair()
        old, new = self.processes
        serve(one, old.source.handlers, old.source.on_link_end)
        serve(other, new.target.handlers, new.target.on_link_end)
        self.links.append((one, other))
        return one, other

    def move(self, seconds: float = PATIENCE, link: Link | None = None) -> HubMoved | HubNotMoved:
        """The hub goes to the second process, which is the first then, unless it stays."""
        old, new = self.processes
        new.came.clear()
        new.was_dropped.clear()
        link = link or self.link()[0]
        there = new.hub
        outcome = old.source.move(link, "a hub's life", InOtherHub(lambda: there, new.came), now() + seconds)
        if isinstance(outcome, HubMoved):
            assert new.came.wait(PATIENCE)
            self.processes.reverse()
        return outcome

    def close(self) -> None:
        for one, other in self.links:
            one.close()
            other.close()
        for process in self.processes:
            report = process.hub.close(PATIENCE)
            assert report.complete, report.stuck
