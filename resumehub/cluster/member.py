"""One process's part in a cluster: it holds the hub, or a link to it, and tells all others where the hub is.

A ``Hub`` with ``cluster=`` has one. It is built with the hub. Under gunicorn it starts by itself, when the
worker has imported the application; elsewhere ``start`` is called by the application, or by the first
upgrade. A process that does neither takes no part: a shell, a worker of a task queue. Threads: any may ask;
see ``member_loop.py`` for the member's own. Read next: ``member_loop.py``, ``member_parts.py``.
"""

from __future__ import annotations

import os
import secrets
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ..clock import now
from ..config import Config
from ..core.cluster.membership import Role
from ..core.cluster.stopping import Kind
from ..core.drain import Drain
from ..errors import HubClosed, ResumeHubError
from ..runtime import limits
from ..runtime.base import Runtime
from ..runtime.foreign_code import Log
from ..runtime.system import SystemRuntime
from ..server.hub_runner import HubRunner
from ..stats import Stats
from ..wsgi.session_lookup import SessionLookup
from .assembly import Assembly, LoopOfMoves
from .door import Door
from .greetings import Greeting
from .ground import HOST, Ground
from .gunicorn_worker import (
    GunicornWorker,
    find_gunicorn,
    is_child_of_gunicorn_master,
    is_gunicorn_master,
)
from .local import LocalCluster
from .member_links import KINDS, MemberLinks
from .member_loop import MemberLoop
from .member_parts import Here, LinkHandler, Place
from .member_setting import MemberSetting
from .movers import Carriage, HubParker
from .parking.folder_parker import FolderParker
from .parts import Parts
from .readiness import Readiness, drained, look, role_name
from .record_lock import ClusterLock
from .surroundings import started_at
from .teller import Teller
from .whereabouts import Whereabouts

log = Log(__name__)

_BOOT_LOOK: Final = 0.02
_BOOT_PATIENCE: Final = 3600.0
# So often, and for so long, a new worker of gunicorn's is looked at until it serves.

_FORK_PATIENCE: Final = 5.0
# Seconds for which a fork of gunicorn's master waits until its hub is closed.

_DRAIN_SHARE: Final = 0.8
# Of the time to close: for the hub to move or to be parked.

_members: weakref.WeakValueDictionary[str, Member] = weakref.WeakValueDictionary()
# The members of this process, by the real path of their folder.


class Member:
    """See the module. Methods: any thread, unless said otherwise.

    Raises: RuntimeError for a second one on a folder in one process; ValueError for an option of the hub that
    does not go with a cluster; ClusterError under gunicorn, for a folder that can't be used.
    """

    def __init__(
        self, runner: HubRunner, cluster: LocalCluster, *, watch: bool = True, ground: Ground = HOST
    ) -> None:
        check_options(runner.config)
        self.runner, self.cluster = runner, cluster
        self._ground = ground
        self.parts = Parts()
        self.process = secrets.token_hex(16)
        # A runtime of its own, since the hub's ends all its threads when the hub closes.
        own = isinstance(runner.runtime, SystemRuntime)
        self._runtime: Runtime = SystemRuntime() if own else runner.runtime
        #: How this process greets; set to "hub" by a process for the hub alone.
        self.kind_name = ""
        self.door = Door(runner.runtime)
        self._enter()
        self._forget()
        self._assembly = Assembly(self, self.serve, LoopOfMoves(lambda: self.loop))
        self.parker: HubParker = FolderParker(
            runner, self.door, self._assembly.calls.sessions, cluster.park_bytes, ground.disk()
        )
        #: The dials of this process's requests, and those that come over links.
        self.dials = self._assembly.dials
        #: The calls of this process's threads, and those that come over links.
        self.calls = self._assembly.calls
        if watch:
            self._watch_gunicorn()

    def _forget(self) -> None:
        """As if it had just been built."""
        runtime = self.runner.runtime
        self._lock = runtime.lock("the cluster's member")
        self.whereabouts = Whereabouts(runtime, self.cluster.folder)
        self.loop: MemberLoop | None = None
        self._links: MemberLinks | None = None
        self._record_lock: ClusterLock | None = None
        self._server: GunicornWorker | None = None
        self._failed = ""

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
        self.parts.handle_at_hub(handlers)

    def handle_at_worker(self, handlers: Mapping[type, LinkHandler]) -> None:
        """Call these for messages of the hub's, while another process holds it. Before ``start``."""
        self.parts.handle_at_worker(handlers)

    # -- where the hub is -------------------------------------------------------------------

    @property
    def hub_life(self) -> str:
        """Of the hub that this process knows of: the same across moves, another after a kill; "" before."""
        return self.whereabouts.hub_life

    @property
    def started(self) -> bool:
        """Whether this process takes part."""
        return self.loop is not None

    def place(self, timeout: float | None = None) -> Place:
        """Where the hub is now. ``timeout``: seconds; None for the cluster's.

        Raises: HubUnavailable(sent=False) when it is nowhere by then. Blocks: until it is somewhere.
        """
        return self.whereabouts.wait(self.cluster.timeout if timeout is None else timeout)

    def wait_while_at(self, place: Place, timeout: float) -> None:
        """See ``Whereabouts``."""
        self.whereabouts.wait_while_at(place, timeout)

    def lookup(self) -> SessionLookup:
        """What the request side asks about a dial that has come to this process, which serves from now on.

        Blocks: for the folder, the first time.
        """
        try:
            self.start()
        except (ResumeHubError, RuntimeError, OSError) as error:
            if str(error) != self._failed:
                self._failed = str(error)
                log.error("this process takes no part in its cluster: %s", error)
        return self.dials.lookup

    def serve(self) -> None:
        """Take part, for a dial that has come. Raises: HubClosed; RuntimeError with the reason."""
        if self.loop is None:
            raise RuntimeError(self._failed or "this process takes no part in its cluster")

    def ready(self) -> Readiness:
        """See ``Readiness``. Never blocks."""
        holder = self._links.last_hub_pid if self._links is not None else 0
        ready = look(self.runner, self.loop, self.whereabouts, self.dials.client, holder, self._failed)
        return drained(ready, self.drain_heard())

    def completed(self, stats: Stats) -> Stats:
        """The hub's, with what this process knows better: its own role, and of a drain. Never blocks."""
        role = self.loop.role if self.loop is not None else Role.IDLE
        return replace(stats, role=role_name(role), draining=self.drain_heard().value)

    def drain_heard(self) -> Drain:
        """Whom the hub refuses, as far as this process knows. Never blocks."""
        return self._assembly.drain_news.drain(here=isinstance(self.whereabouts.place, Here))

    # -- beginning and end ------------------------------------------------------------------

    def start(self) -> None:
        """Take part from now on. Again: nothing.

        Raises: HubClosed; ClusterError for a folder that can't be used; RuntimeError without threads. Blocks:
        for the folder.
        """
        with self._lock:
            if self.runner.closed:
                raise HubClosed
            if self.loop is None:
                self._start()

    def _start(self) -> None:
        runner, runtime = self.runner, self._runtime
        server = self._server or find_gunicorn()
        folder = self._ground.open_folder(self.cluster.folder)
        if not os.path.isabs(self.cluster.given):
            log.warning(
                "the cluster's folder %r is %s: give the absolute path, the same in each process",
                self.cluster.given,
                folder.path,
            )
        for sentence in limits.prepare(runner.config.max_sessions, 0):
            log.info("%s", sentence)
        runner.sealed = (
            "the hub takes part in its cluster already, and may hold sessions: register all handlers where "
            "the hub is built, before the first request"
        )
        greeting = self._greeting(server)
        inbox = runtime.mailbox()
        self._assembly.learn(server)
        lock = self._record_lock = self._ground.lock(folder, runtime)
        links = MemberLinks(folder, greeting, self.parts, self.whereabouts, runtime, inbox.put, self._ground)
        setting = MemberSetting(
            runner,
            self.cluster,
            runtime,
            folder,
            lock,
            self.door,
            self.parts,
            self.whereabouts,
            self._assembly.mover,
            self.parker,
            self._assembly.news,
            KINDS[greeting.kind],
            server,
        )
        loop = MemberLoop(setting, links, inbox)
        Teller(setting, links)
        runner.governed = True
        loop.start()
        self._links, self.loop = links, loop

    def _greeting(self, server: GunicornWorker | None) -> Greeting:
        kind = self.kind_name or ("sync" if server is not None and server.kind is Kind.SYNC else "threads")
        ground, application = self._ground, self.cluster.name or ""
        master_started = started_at(server.master) if server is not None else 0.0
        greeting = Greeting(self.process, ground.pid(), kind, application)
        started = ground.started()
        greeting = replace(greeting, master_started=master_started, started=started)
        return replace(greeting, hears_drains=True, inspects=True)

    def drain(self, timeout: float, why: str) -> Carriage:
        """Move the hub, if it is here, or park it; then take no part any more. Blocks: up to ``timeout``."""
        loop = self.loop
        if loop is None:
            return Carriage()
        loop.stop(timeout, why)
        if not loop.join(timeout + 1.0):
            return Carriage(why="it was not done in time")
        return loop.report or Carriage()

    def close(self, timeout: float, why: str) -> list[tuple[str, str]]:
        """Drain, then close the hub's parts in this process; return the threads that still run, with stacks.

        Called on a thread of the hub, it only starts that, and returns that thread. No session is ended for
        want of time: what is under way goes on, and the hub closes behind it. Blocks: up to ``timeout``.
        """
        loop, runner, end = self.loop, self.runner, now() + timeout
        if loop is None:
            return runner.close(timeout)
        loop.stop(timeout * _DRAIN_SHARE, why, close_within=timeout)
        caller = runner.loop.thread_group.current() if runner.loop is not None else None
        if caller is not None:
            return [(caller.name, caller.stack())]
        if not loop.join(timeout):
            return loop.stuck()
        return runner.close(max(0.0, end - now()))

    # -- gunicorn, and forks ----------------------------------------------------------------

    def _watch_gunicorn(self) -> None:
        """If this is a worker of gunicorn's, start when it serves."""
        server = find_gunicorn()
        if server is not None:
            self._ground.open_folder(
                self.cluster.folder
            )  # now, so that the application's import fails with the reason
            self._start_with(server)

    def _start_with(self, server: GunicornWorker | None) -> None:
        runtime = self._runtime

        def wait_until_it_serves() -> None:
            found, tick = server, runtime.event("gunicorn's worker to boot")
            for _ in range(int(_BOOT_PATIENCE / _BOOT_LOOK)):
                found = found or find_gunicorn()
                if found is not None and found.serves:
                    break
                if runtime.main_thread_returned() or (found is not None and found.told_to_stop):
                    return
                tick.wait(_BOOT_LOOK)
            if found is None or not found.serves:
                return
            self._server = found
            try:
                self.start()
            except (ResumeHubError, RuntimeError, OSError) as error:
                self._failed = str(error)
                log.error("this worker takes no part in its cluster: %s", error)

        runtime.spawn("resumehub-boot", wait_until_it_serves)

    def before_fork(self) -> None:
        """gunicorn's master, which has started it before it forks its workers, lets go."""
        loop = self.loop
        if loop is not None and is_gunicorn_master():
            log.error(
                "hub.start() was called in gunicorn's master (--preload), which must hold no hub: it lets go "
                "of it before it forks; leave the call out, since workers start by themselves"
            )
            loop.stop(0.0, "gunicorn's master must hold no hub")
            loop.join(_FORK_PATIENCE)
            runner = self.runner
            runner.close(_FORK_PATIENCE)
            runner.reset(runner.clock, runner.runtime)
            runner.sealed = ""
            self._forget()

    def after_fork_in_child(self) -> None:
        """In a forked child: what the parent had is the parent's. A new worker of gunicorn's begins anew."""
        self.process = secrets.token_hex(16)
        self.runner.governed = False
        self.door.after_fork_in_child()
        self.runner.sealed = ""
        self._forget()
        self._assembly.drain_news.forget()
        if is_child_of_gunicorn_master():
            self._start_with(None)


def check_options(config: Config) -> None:
    """Refuse options of a hub that do not go with a cluster. Raises: ValueError."""
    if config.compression:
        raise ValueError(
            "compression=True does not go with cluster=…: a compressed connection can't move to another "
            "process; leave one of the two out"
        )


def _before_fork() -> None:
    for member in list(_members.values()):
        member.before_fork()


def _after_fork_in_child() -> None:
    for member in list(_members.values()):
        member.after_fork_in_child()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
