"""A line to the hub for a process that takes no part in the cluster: a worker of a task queue, cron, a shell.

Such a process never holds the hub. The first call connects; when the link has ended, the next call connects
again. Until then nothing is open and no thread runs, so it may be built before a fork; a forked child has a
line of its own. Where no process holds the hub, none is about to, and nothing is parked, there are no
sessions: ``NoSessions``. Any thread. Read next: ``call_client.py``, ``../publisher.py``.
"""

from __future__ import annotations

import os
import secrets
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final

from ...clock import now
from ...errors import ClusterRefused, HubUnavailable, NoHub
from ...runtime.base import Runtime
from ..folder import Folder, open_folder
from ..greetings import Greeting
from ..link_listener import connect
from ..link_thread import start
from ..local import LocalCluster
from ..member_parts import Linked, LinkHandler, LinkWatcher
from .call_messages import Answer

_LOOK_AGAIN: Final = 0.05
"""Seconds between two looks for a hub that is about to be there."""

_LOCKS: Final = "/proc/locks"


class NoSessions(Exception):
    """No process holds the hub, none is about to, and nothing is parked: a call meets an empty hub."""


class CallLine:
    """See the module. ``Places`` for a ``CallClient``, which is its watcher and has the handlers.

    ``named``: gives the process's name; None: the line makes one.
    """

    def __init__(
        self, cluster: LocalCluster, runtime: Runtime, named: Callable[[], str] | None = None
    ) -> None:
        self._named = named
        self._cluster = cluster
        self._runtime = runtime
        self._handlers: Mapping[type, LinkHandler] = {}
        self._watcher: LinkWatcher | None = None
        self._begin()
        _lines.add(self)

    def _begin(self) -> None:
        self._own_name = secrets.token_hex(16)
        self._lock = self._runtime.lock("the line to the hub")
        self._place: Linked | None = None
        self._thread: Any = None
        self._folder: Folder | None = None

    @property
    def process(self) -> str:
        """Who calls."""
        return self._named() if self._named is not None else self._own_name

    def serve(self, handlers: Mapping[type, LinkHandler], watcher: LinkWatcher) -> None:
        """What messages of the link go to, and who is told of its end. Before the first call."""
        self._handlers, self._watcher = handlers, watcher

    def place(self, timeout: float | None = None) -> Linked:
        """The hub, at the end of a link.

        Raises: NoSessions; HubUnavailable(sent=False); ClusterError for the folder. Blocks: up to
        ``timeout``.
        """
        place = self._place
        if place is not None and not place.link.ended:
            return place
        patience = self._cluster.timeout if timeout is None else timeout
        give_up = now() + patience
        pause = self._runtime.event("the hub to be there")
        with self._lock:
            while True:
                if self._place is not None and not self._place.link.ended:
                    return self._place
                try:
                    return self._connect(max(0.01, give_up - now()))
                except (NoHub, TimeoutError) as error:
                    why = str(error)
                    self._check_for_sessions()
                except ClusterRefused as error:
                    if error.code != "not_now":
                        raise
                    why = str(error)
                if now() >= give_up:
                    raise HubUnavailable(False, f"{why} (within {patience:g} s)")
                pause.wait(_LOOK_AGAIN)

    def close(self) -> None:
        """End the link, if there is one; the next call connects again. Blocks: for its thread, a moment."""
        with self._lock:
            place, self._place = self._place, None
            thread, self._thread = self._thread, None
        if place is not None:
            place.link.close()
        if thread is not None:
            thread.join(self._cluster.timeout)

    def _connect(self, timeout: float) -> Linked:
        if self._folder is None:
            self._folder = open_folder(self._cluster.folder)
        greeting = Greeting(self.process, os.getpid(), "publisher", self._cluster.name or "")
        link, welcome = connect(self._folder, greeting, self._runtime, timeout)
        self._thread = start(link, self._handlers, self._link_ended, self._runtime, quick={Answer})
        self._place = Linked(link, welcome.hub_life)
        return self._place

    def _link_ended(self, link: Any) -> None:
        if self._watcher is not None:
            self._watcher.on_link_end(link, False)

    def _check_for_sessions(self) -> None:
        """Raises: NoSessions."""
        assert self._folder is not None, "it was looked for there"
        folder = self._folder
        parked = any(os.path.exists(path) for path in (folder.parked, folder.adopting))
        if not parked and not _is_locked(folder.lock):
            raise NoSessions

    def after_fork_in_child(self) -> None:
        """The link is the parent's."""
        self._begin()


def _is_locked(path: str) -> bool:
    """Whether a process holds the hub, or is its heir.

    The file is not opened: to close it again would drop the locks that this process may have on it.
    """
    try:
        inode = os.stat(path).st_ino
    except FileNotFoundError:
        return False
    try:
        with open(_LOCKS, encoding="ascii") as file:
            return any(f":{inode} " in line for line in file)
    except OSError:
        return True  # who knows


_lines: weakref.WeakSet[CallLine] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for line in list(_lines):
        line.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
