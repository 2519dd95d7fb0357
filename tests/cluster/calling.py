"""A hub and the workers that call it, all in one process: real links, and members that a test tells where."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from resumehub import Hub
from resumehub.cluster.calls.call_messages import Answer
from resumehub.cluster.calls.call_server import CallServer
from resumehub.cluster.calls.member_calls import MemberCalls
from resumehub.cluster.door import Door
from resumehub.cluster.link import Link
from resumehub.cluster.link_thread import start
from resumehub.cluster.local import LocalCluster
from resumehub.cluster.member_parts import Here, Linked, Place
from resumehub.errors import HubUnavailable
from resumehub.runtime.system import SystemRuntime
from resumehub.server.hub_runner import HubRunner
from tests.cluster.links import a_greeting, linked_pair
from tests.support import PATIENCE, Stage, from_query, with_users


class ToldMember:
    """Stands for a ``Member``: the test says where the hub is."""

    def __init__(self, hub: Hub, process: int, timeout: float) -> None:
        self.runner: HubRunner = hub.runner
        self.cluster = LocalCluster("/nowhere", timeout=timeout)
        self.door = Door(hub.runner.runtime)
        self.greeting = a_greeting(process)
        self.process = self.greeting.process
        self.started = True
        #: Set when a call waits until the hub has left this process.
        self.waits_for_it_to_leave = threading.Event()
        self.looks = 0
        self._changed = threading.Condition()
        self._place: Place | None = None

    def is_at(self, place: Place | None) -> None:
        """The hub is there; None: nobody knows."""
        with self._changed:
            self._place = place
            self._changed.notify_all()

    def place(self, timeout: float | None = None) -> Place:
        """See ``Member.place``."""

        def known() -> bool:
            place = self._place
            return place is not None and not (isinstance(place, Linked) and place.link.ended)

        self.looks += 1
        with self._changed:
            if not self._changed.wait_for(known, self.cluster.timeout if timeout is None else timeout):
                raise HubUnavailable(False, "the test knows of none")
            assert self._place is not None
            return self._place

    def wait_while_at(self, place: Place, timeout: float) -> None:
        """See ``Member.wait_while_at``; it waits for the test alone."""
        self.waits_for_it_to_leave.set()
        with self._changed:
            self._changed.wait_for(lambda: self._place is not place, PATIENCE)


class Process:
    """One process: a hub object, and its end of calls. ``hub`` calls where the test says that the hub is."""

    def __init__(self, number: int, hub: Hub | None = None, timeout: float = PATIENCE) -> None:
        self.hub = hub or Hub(from_query)
        self.number = number
        self.member = ToldMember(self.hub, number, timeout)
        self.calls = MemberCalls(self.member)
        self.hub._calls = self.calls
        self.life = ""
        self._ends: list[tuple[Link, Any]] = []

    @property
    def server(self) -> CallServer:
        return self.calls.server

    def holds_the_hub(self, life: str) -> None:
        """The hub is in this process from now on."""
        self.life = life
        self.member.door.arrived()
        self.member.is_at(Here(self.hub.runner, life))
        self.calls.client.on_hub_here(life)

    def link_to(self, other: Process, watch: Callable[[Any], bool] = lambda message: True) -> Link:
        """Link this process to the one that holds the hub; return its end.

        ``watch``: called with each answer before this process reads it; False: it is lost.
        """
        ours, theirs = linked_pair(ours=self.member.greeting, theirs=other.member.greeting)
        other.server.on_link(theirs, True)

        def take(link: Link, answer: Any, descriptors: Any) -> None:
            if watch(answer):
                self.calls.client.handlers[Answer](link, answer, descriptors)

        def ended(link: Link) -> None:
            self.calls.client.on_link_end(link, False)

        runtime = SystemRuntime()  # its threads end with their links, and wait for no further work
        at_hub = lambda link: other.server.on_link_end(link, True)  # noqa: E731
        self._serve(theirs, start(theirs, other.server.handlers, at_hub, runtime))
        self._serve(ours, start(ours, {Answer: take}, ended, runtime, quick={Answer}))
        self.member.is_at(Linked(ours, other.life))
        return ours

    def _serve(self, link: Link, thread: Any) -> None:
        self._ends.append((link, thread))

    def knows_nothing(self) -> None:
        """Where the hub is is not known."""
        self.member.is_at(None)

    def end_links(self) -> None:
        """End all links, and wait for their threads."""
        for link, _ in self._ends:
            link.close()
        for _, thread in self._ends:
            assert thread.join(PATIENCE)

    def leave(self) -> None:
        """End all links, and the hub."""
        self.end_links()
        self.hub.close(PATIENCE)


class Pair:
    """The process that holds the hub, with its stage, and a worker. ``hub``: the worker's."""

    def __init__(self, stage: Stage, **options: Any) -> None:
        self.stage = stage
        self.holder = Process(1, stage.hub)
        self.holder.holds_the_hub("first life")
        self.worker = Process(2, Hub(with_users, **options))
        self.link = self.worker.link_to(self.holder)
        self.hub = self.worker.hub


@pytest.fixture
def pair(stage: Callable[..., Stage]) -> Iterator[Callable[..., Pair]]:
    """Make any number of ``Pair``s; ``options`` are those of the stage's hub."""
    made: list[Pair] = []

    def make(**options: Any) -> Pair:
        same = {name: options[name] for name in ("codec", "history") if name in options}
        made.append(Pair(stage(with_users, **options), **same))
        return made[-1]

    yield make
    for one in made:
        one.worker.leave()
