"""``MemoryCluster``: several processes of a cluster in one Python process, under the lab's one scheduler.

    with MemoryCluster() as cluster:
        one, two = cluster.processes("one", "two")
        alice = two.dial("/?id=alice")          # comes to the worker; the hub in process one has her
        one.tell_to_stop()                      # the hub moves to process two, with her socket
        cluster.settle()
        two.hub.send("alice", Message("hello"))

Hubs, members, links, calls, dials, moves and parking are the real code. In memory are only the lock and the
way to make a link (``memory_ground.py``). A message on a link is delayed as long as the thread that reads the
link is not chosen. Each process can be killed, stopped and thawed at any step (``memory_process.py``). Time
passes when no thread can go on otherwise, up to the next deadline of a wait. ``explore(scenario,
lab=MemoryCluster)`` runs a scenario in one order after another. One thread at a time. Read next: ``lab.py``.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable
from typing import Any

from ..clock import Timeline
from ..core.cluster.membership import Role
from ..core.invariants import broken
from ..hub import Hub
from .cluster_checks import ClusterChecks
from .controlled import AT_REST
from .file_watch import listen, listen_no_more
from .handshake import UpgradeRefused
from .lab import NO_SWITCH, Lab, by_query
from .lab_checks import CallbacksOfLives
from .lab_time import LabTime
from .memory_ground import MemoryHost
from .memory_peers import ClusterPeer
from .memory_process import Process
from .peers import named_after
from .scheduler import Strategy
from .tasks import Deadlock, Task

#: Seconds of lab time within which a cluster must have found to itself again.
SETTLES_WITHIN = 15.0

#: What a hub of the lab is given unless the test says otherwise: no Ping changes an order.
_DEFAULTS: dict[str, Any] = {"ping_interval": None}


class ClusterClock:
    """The time of the cluster, as a hub's ``Clock``."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster

    def monotonic(self) -> float:
        return self._cluster.time

    def real_wait(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(0.0, deadline - self._cluster.time)

    def follow(self, timeline: Timeline) -> None:
        """Nothing: the hub waits in the time of the lab."""

    def unfollow(self, timeline: Timeline) -> None:
        """Nothing."""


class MemoryCluster(Lab):
    """See the module, and ``Lab``: actors, invariants, holds and the end are the same.

    Checked after each step: the invariants of each hub; the order of callbacks of each session, over all
    processes (contract F2); that no thread of a hub or a link waits for a file or a link (F9). Checked at
    each refusal: a 410 tells the truth (F5). At the end: one hub, to which all others are linked.
    """

    def __init__(
        self, strategy: Strategy | None = None, *, stop_at_locks: bool = False, share: bool = True
    ) -> None:
        super().__init__(strategy, stop_at_locks=stop_at_locks, share=True)
        #: Seconds that have passed in the lab.
        self.time = 0.0
        self.cluster_clock = ClusterClock(self)
        self._folder = tempfile.mkdtemp(prefix="resumehub-memory-")
        self.host = MemoryHost(self._folder)
        self.all: dict[str, Process] = {}
        self.seen = CallbacksOfLives()
        #: How many processes were killed.
        self.deaths = 0
        self.checks = ClusterChecks(self)
        self._lab_time = LabTime(lambda: self.time)
        self._lab_time.begin()
        scheduler = self.scheduler
        scheduler.time = lambda: self.time
        scheduler.let_time_pass = self._let_time_pass
        scheduler.before_run = lambda: self.host.look_at_descriptors(None)
        scheduler.before_wait = self.checks.about_to_wait
        listen(self._touched)

    # -- setting the scene ------------------------------------------------------------------

    def process(
        self,
        name: str,
        connect: Callable[..., Any] | None = None,
        *,
        build: Callable[[Hub], object] | None = None,
        alone: bool = False,
        **options: Any,
    ) -> Process:
        """A process that has not begun; ``Process.start`` has it take part.

        ``build``: registers handlers with its hub. ``connect``: by default room and id are taken from the
        query. ``alone``: a process for the hub alone, to which the hub moves. ``options``: of ``Hub``.
        """
        assert name not in self.all, f"there is a process {name!r} already"
        pid = 100 + len(self.all)
        process = self.all[name] = Process(self, name, pid, connect or by_query, _DEFAULTS | options)
        if build is not None:
            build(process.hub)
        if alone:
            assert process.hub.member is not None, "it has a cluster"
            process.hub.member.kind_name = "hub"
        return process

    def processes(
        self, *names: str, build: Callable[[Hub], object] | None = None, **options: Any
    ) -> list[Process]:
        """So many processes of one application, which have begun; the first one has the hub."""
        made = []
        for name in names:
            process = self.process(name, build=build, **options)
            process.start()
            made.append(process)
            self.settle()
        return made

    def add_actor(self, function: Callable[[], Any], process: Process | None) -> Callable[[], Any]:
        """For ``actor`` and ``Process.actor``."""
        self.actor(function)
        self.actors[-1].process = process
        return function

    def dial_at(self, process: Process, url: str, name: str | None, how: dict[str, Any]) -> ClusterPeer:
        """See ``Process.dial``."""
        who = name or named_after(url)
        try:
            peer = ClusterPeer(self, process, url, who, how)
        except UpgradeRefused as refused:
            self.checks.refused(who, refused.status)
            raise
        self.hang_up_at_end(peer)
        return peer

    # -- time -------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass, and each wait end at its own time."""
        until = self.time + seconds
        self.run_until_idle()
        while self._let_time_pass(until):
            self.run_until_idle()
        self.time = max(self.time, until)

    def wait_until(self, condition: Callable[[], bool], seconds: float = SETTLES_WITHIN) -> bool:
        """Let the threads run and time pass until then; whether it has come within so many seconds."""
        until = self.time + seconds
        while not self.scheduler.run_until(condition):
            if not self._let_time_pass(until):
                return condition()
        return True

    def settle(self) -> None:
        """Let time pass until one process has the hub, and each other one a link to it. Raises: Deadlock."""
        if not self.wait_until(self.is_settled):
            raise Deadlock(f"the cluster does not settle. The threads:\n{self.positions()}")

    def is_settled(self) -> bool:
        """Whether one process has the hub, and each other one that takes part a link to it."""
        running = [one for one in self._running() if one.role is not Role.GONE]
        hubs = [one for one in running if one.has_hub and not one.told]
        if not running:
            return True
        others = [one for one in running if one not in hubs]
        return len(hubs) == 1 and all(one.role is Role.WORKER for one in others)

    def the_hub(self) -> Process | None:
        """The process that has the hub now; None while it is nowhere or on its way."""
        return next((one for one in self.all.values() if one.has_hub), None)

    # -- driving ----------------------------------------------------------------------------

    def play(self) -> None:
        """As ``Lab.play``: until all actors have ended, and the cluster has settled, as time passes."""
        self._acting = True
        began = len(self.scheduler.trace)
        self.scheduler.strategy = self._strategy
        try:
            self.wait_until(self._has_played)
        finally:
            self._acting = False
            self.scheduler.strategy = NO_SWITCH
            self.played = (self.played[0] if self.played else began, len(self.scheduler.trace))

    def _has_played(self) -> bool:
        return all(actor.done or _is_dead(actor) for actor in self.actors) and self.is_settled()

    # -- the end ----------------------------------------------------------------------------

    def finish(self) -> None:
        """Open every hold, play, check what is to be checked, and close every process.

        Raises: as ``Lab.finish``; Deadlock where the cluster does not settle.
        """
        self.scheduler.let_all_go()
        for process in self.all.values():
            process.thaw()
        self.play()
        for actor in self.actors:
            if not actor.done and not _is_dead(actor):
                who = f"{actor.name} never ends: it is about to {actor.waits_for()}"
                raise Deadlock(f"{who}. The threads:\n{self.positions()}")
        self.settle()
        self.run_until_idle()
        for check in self._at_end:
            check()
        self.checks.at_end()

    def abandon(self) -> None:
        """Leave at once: stop every thread where it is, close every descriptor of every process."""
        with warnings.catch_warnings():
            # What a thread of a killed process had open is closed when its frame goes.
            warnings.simplefilter("ignore", ResourceWarning)
            self.host.look_at_descriptors(None)
            self.scheduler.abandon()
            for peer in self._peers:
                peer.hang_up()
            for process in self.all.values():
                process.leave_nothing()
            self.host.close()
            self._close_what_is_left()
        self._lab_time.end()
        listen_no_more(self._touched)
        shutil.rmtree(self._folder, ignore_errors=True)
        super().abandon()

    def _close_what_is_left(self) -> None:
        owned = {number for number, owner in self.host.owners.items() if owner is not None}
        left = owned & {int(name) for name in os.listdir("/proc/self/fd")}
        if not left:
            return
        # Objects of killed processes: somebody may refer to them for longer than this lab lives.
        for found in gc.get_objects():
            if issubclass(type(found), socket.socket) and found.fileno() in left:
                left.discard(found.fileno())
                found.close()
        for number in left:
            with contextlib.suppress(OSError):  # the listing had one itself
                os.close(number)

    # -- inside -----------------------------------------------------------------------------

    def _running(self) -> list[Process]:
        return [one for one in self.all.values() if one.is_alive and one.loop is not None]

    def _touched(self, deed: str) -> None:
        task = self.scheduler.current
        if task is not None and task.thread is not None and task.thread.ident == threading.get_ident():
            self.checks.touches(task, deed)

    def _let_time_pass(self, until: float | None) -> bool:
        waiting = [
            task
            for task in self.scheduler.tasks
            if task.deadline is not None and not (task.expired or task.held or _stands_still(task))
        ]
        at = min((task.deadline for task in waiting if task.deadline is not None), default=None)
        if at is None or (until is not None and at > until):
            return False
        self.time = max(self.time, at)
        for task in self.scheduler.tasks:
            if task.deadline is not None and task.deadline <= self.time:
                task.expired = True
        return True

    def _check(self, task: Task) -> None:
        self.host.look_at_descriptors(task.process)  # type: ignore[arg-type]
        for process in self.all.values():
            loop = process.hub.runner.loop
            if loop is not None and task.plain_name == f"hub of {process.name}" and task.where == AT_REST:
                sentences = broken(loop.machine)
                assert not sentences, "; ".join(sentences)
            if process.failure is not None:
                raise process.failure
        self.checks.after_step()
        if self.captured_log.bug is not None:
            raise AssertionError(self.captured_log.bug)
        for check in self._invariants:
            sentence = check()
            assert not sentence, sentence


def _is_dead(task: Task) -> bool:
    return isinstance(task.process, Process) and not task.process.is_alive


def _stands_still(task: Task) -> bool:
    return task.process is not None and bool(task.process.stands_still)
