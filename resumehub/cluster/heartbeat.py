"""Gives a sign once a second that the hub of this process lives, for who looks at the folder from outside.

A sign needs two threads: the member's, which calls ``beat``, and the hub's, which must have handled what was
put for the sign before. It is kept in the kernel's table of locks (``record_lock.py``), so no thread waits
for a disk. On the member's thread. Read next: ``record_lock.py``, ``../cluster_commands.py``.
"""

from __future__ import annotations

from ..core.commands import Tick
from ..runtime.base import Runtime
from ..runtime.command_loop import Reply
from ..server.hub_runner import HubRunner
from .record_lock import HUB, ClusterLock


class Heartbeat:
    """One member's."""

    def __init__(self, lock: ClusterLock, runner: HubRunner, runtime: Runtime) -> None:
        self._lock = lock
        self._runner = runner
        self._runtime = runtime
        self._asked: Reply | None = None

    def beat(self) -> None:
        """Call it once a second. Without the hub, or while the hub thread is silent, nothing is said."""
        if not self._lock.holds(HUB):
            self._asked = None
            return
        if self._asked is not None and not self._asked.done.is_set():
            return
        self._lock.sign_of_life()
        loop = self._runner.loop
        asked = Reply(self._runtime.event("the hub thread to run"))
        self._asked = asked if loop is not None and loop.put(Tick(), asked) else None
