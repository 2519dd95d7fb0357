"""A whole cluster in one process: two that may hold the hub, a worker that calls, another one, a Publisher.

Real hubs, links, books of calls, moves and park files; a test says when the hub moves, is parked, or is
killed. ``before_commit`` is called when everything stands still in a move or a park. What is missing is only
that they are processes: a killed one has its sockets shut down, and its links closed.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from resumehub import Hub
from resumehub.clock import now
from resumehub.cluster import LocalCluster, Publisher
from resumehub.cluster.calls.call_messages import Answer
from resumehub.cluster.folder import Folder
from resumehub.cluster.greetings import Greeting
from resumehub.cluster.greetings import answer as greet
from resumehub.cluster.link import Link
from resumehub.cluster.link_listener import LinkListener
from resumehub.cluster.moves.move_parts import HubMoved, HubNotMoved
from resumehub.cluster.parking.disk import Disk
from resumehub.cluster.parking.parking import ParkReport, adopt, park
from resumehub.cluster.record_lock import RecordLock
from resumehub.runtime.system import SystemRuntime
from tests.cluster import calling
from tests.cluster.linked_hubs import LinkedHubs
from tests.support import PATIENCE

Made = Callable[[SystemRuntime], Hub]


class Pausing:
    """Something that travels with a hub, and calls back while everything stands still."""

    def __init__(self, cluster: WholeCluster) -> None:
        self._cluster = cluster

    def export(self) -> bytes:
        self._cluster.before_commit()
        return b""

    def adopt(self, data: bytes) -> None:
        """Nothing has come."""


class PausingDisk(Disk):
    """The same for a park."""

    def __init__(self, cluster: WholeCluster) -> None:
        self._cluster = cluster

    def create(self, path: str) -> int:
        self._cluster.before_commit()
        return super().create(path)


class _Answers:
    """Of one holder of the hub. ``are_held``: they are on their way, and lost when another one follows it."""

    def __init__(self) -> None:
        self.are_held = False
        self.held: list[tuple[Any, Any]] = []

    def is_read(self, handler: Any, answer: Any) -> bool:
        if self.are_held:
            self.held.append((handler, answer))
        return not self.are_held


class WholeCluster:
    """See the module. ``hub``: in the process that holds it; ``caller``: the hub object of the worker.

    ``held``: answers on their way, as long as ``holds_answers`` is true. A move or a kill loses them.
    """

    def __init__(self, folder: str, handled: Any) -> None:
        make: Made = handled.make
        self.handled = handled
        self._folder = Folder(folder)
        self._file_lock = RecordLock(self._folder, SystemRuntime())
        assert self._file_lock.take_hub()
        self.before_commit: Callable[[], None] = lambda: None
        self._answers = _Answers()
        #: Sockets of clients: closed at the end.
        self.clients: list[Any] = []
        self.lives = 0
        self._caller_is_dead = False
        travellers: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        self.linked = LinkedHubs(make, travellers)
        #: The process that holds the hub, and the one that may be next.
        self.holders = [calling.Process(n, p.hub) for n, p in enumerate(self.linked.processes, 1)]
        for holder, process, more in zip(self.holders, self.linked.processes, travellers, strict=True):
            holder.member.door = process.door
            more |= {"calls": holder.server, "pause": Pausing(self)}
        self.worker = calling.Process(3, make(SystemRuntime()))
        self.other_worker = calling.Process(4, make(SystemRuntime()))
        self.publisher = Publisher(LocalCluster(folder, timeout=PATIENCE))
        self._publishers_answers = self.publisher._line._handlers[Answer]
        self.publisher._line._handlers = {Answer: self._answer_of_publisher}
        self._listeners: list[LinkListener] = []
        self._links: list[Link] = []
        self._begin_life()

    @property
    def hub(self) -> Hub:
        return self.holders[0].hub

    @property
    def held(self) -> list[tuple[Any, Any]]:
        return self._answers.held

    @property
    def holds_answers(self) -> bool:
        return self._answers.are_held

    @holds_answers.setter
    def holds_answers(self, value: bool) -> None:
        self._answers.are_held = value

    @property
    def caller(self) -> Hub:
        return self.worker.hub

    def _begin_life(self) -> None:
        """The first of the holders has the hub, a new one."""
        self.lives += 1
        self._hold(f"life {self.lives}")

    def _hold(self, life: str) -> None:
        holder = self.holders[0]
        holder.holds_the_hub(life)
        self._listen(holder, life)
        answers = self._answers = _Answers()
        reads = partial(answers.is_read, self.worker.calls.client.handlers[Answer])
        for worker in (self.worker, self.other_worker):
            self._links.append(worker.link_to(holder, reads))

    def _listen(self, holder: calling.Process, life: str) -> None:
        mine = holder.member.greeting
        listener = LinkListener(
            self._folder,
            lambda theirs: greet(
                Greeting(mine.process, mine.pid, mine.kind, theirs.application), theirs, life
            ),
            holder.server.handlers,
            lambda link: self._linked(holder, link),
            lambda link: holder.server.on_link_end(link, True),
            SystemRuntime(),
        )
        listener.start()
        self._listeners.append(listener)

    def _linked(self, holder: calling.Process, link: Link) -> None:
        self._links.append(link)
        holder.server.on_link(link, True)

    # -- answers ----------------------------------------------------------------------------

    def _answer_of_publisher(self, link: Any, answer: Any, descriptors: Any) -> None:
        if self._answers.is_read(self._publishers_answers, answer):
            self._publishers_answers(link, answer, descriptors)

    def deliver(self) -> None:
        """The answers that were held come now."""
        self.holds_answers = False
        for handler, answer in self.held:
            handler(None, answer, ())

    def waits(self) -> int:
        """How many calls wait at the hub's door, or there for the end of a session."""
        return self.holders[0].server.waits()

    # -- what happens -----------------------------------------------------------------------

    def _cut_links(self) -> None:
        for listener in self._listeners:
            listener.close()
        for link in self._links:
            link.close()
        self._listeners, self._links = [], []

    def _change_holders(self) -> None:
        """Where the hub is, nobody knows at first."""
        for process in (*self.holders, self.worker, self.other_worker):
            process.knows_nothing()
        self._cut_links()
        self.holders.reverse()

    def move(self, seconds: float = PATIENCE) -> HubMoved | HubNotMoved:
        """The hub goes to the other process, unless it stays."""
        old, new = self.linked.processes
        life = self.holders[0].life
        new.came.clear()
        link = self.linked.link()[0]
        outcome = old.source.move(link, life, self.holders[0].calls.sessions, now() + seconds)
        if isinstance(outcome, HubMoved):
            assert new.came.wait(PATIENCE)
            self.holders[0].server.tick()  # as its member does, until it is told that it has no hub
            self.linked.processes.reverse()
            self._change_holders()
            self._hold(life)
            self.holders[1].link_to(self.holders[0])
            self.holders[1].calls.client.on_hub_gone()
        return outcome

    def park(self, read: Callable[[], object]) -> ParkReport:
        """A full stop. ``read``: the clients read to the end, and answer the close frame. Next: ``adopt``."""
        holder, process = self.holders[0], self.linked.processes[0]
        report = park(
            holder.hub.runner,
            self._folder,
            until=now() + PATIENCE,
            park_bytes=1 << 30,
            elsewhere=holder.calls.sessions,
            door=process.door,
            disk=PausingDisk(self),
        )
        read()
        assert not holder.hub.runner.close(PATIENCE), "it is stuck"
        self._next_process()
        return report

    def adopt(self) -> int:
        """A start: what was parked is in the next hub."""
        report = adopt(self.hub.runner, self._folder)
        self.linked.processes[0].door.arrived()
        self._begin_life()
        return report.adopted

    def kill_hub(self) -> None:
        """The hub's process, and its sessions; the next one begins with none."""
        loop = self.hub.runner.loop
        assert loop is not None
        for io in loop.transports:
            pollable = io.transport.pollable
            if pollable is not None:
                with contextlib.suppress(OSError):
                    pollable.shutdown(socket.SHUT_RDWR)
        self._next_process()
        self.hub.runner.start()
        self.linked.processes[0].door.arrived()
        self._begin_life()

    def _next_process(self) -> None:
        self.linked.processes.reverse()
        self._change_holders()
        self.linked.lock.hub = self.linked.processes[0]

    def kill_caller(self) -> None:
        """The worker that calls, and the publisher's process. Its threads wait until ``close``."""
        self._caller_is_dead = True
        self.worker.knows_nothing()
        self.worker.end_links()
        self._listeners.pop().close()
        os.unlink(self._folder.socket)
        for link in self._links:
            if link.peer.kind == "publisher":
                link.close()

    def kill_other_worker(self) -> None:
        """A worker that has nothing to do with it."""
        self.other_worker.knows_nothing()
        self.other_worker.end_links()

    def files(self) -> list[str]:
        """What lies in the folder."""
        return sorted(os.listdir(self._folder.path))

    def close(self) -> None:
        """Everything ends; who still waits is told so."""
        self.before_commit = lambda: None
        for process in self.linked.processes:
            if process.door.is_shut:
                process.door.thaw()
        if self._caller_is_dead:
            self._begin_life()  # its threads find another hub, and give up
        for client in self.clients:
            client.ws.sock.close()
        self.publisher.close()
        self._cut_links()
        for process in (*self.holders, self.worker, self.other_worker):
            process.end_links()
        self.linked.close()
        for process in (self.worker, self.other_worker):
            process.hub.close(PATIENCE)
        self._file_lock.close()
