"""What a ``MemoryCluster`` checks in every scenario: who waits for what, what a refusal says, one hub.

* Contract F9: the thread of a hub and the threads of links wait for nothing but their own work, and for
  locks; threads that read for a hub do not wait for a link. None of them opens, renames or deletes a file. A
  callback in the process that has the hub does not wait for a link.
* F5: a client is told 410 only where its life is over.
* One process at most holds the hub.

Used by ``memory_cluster.py``. Read next: ``lab_checks.py``, ``file_watch.py``.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from .controlled import AT_REST
from .tasks import START, Task

if TYPE_CHECKING:
    from .memory_cluster import MemoryCluster

_REST: Final = {
    "hub of *": (AT_REST,),
    # The member's thread answers whether it can be the heir. It waits for no link and no file while it is a
    # worker, which it is here; and the hub's thread answers a worker that ends a session with a gap.
    "link of *": ("wait for a message", AT_REST, "wait for the hub's answer"),
}
"""Thread → where it may stand for long."""

_READERS: Final = ("reader of *", "writer of *", "watcher of *")
"""Threads that serve all sessions: none of them may wait for a link."""

_SHORT: Final = (START, "go on *", "lock *", "tell the hub")
"""Where any of them may stand: no thread that holds a lock waits for anything but a lock."""

_LINKS: Final = (
    "lock an answer",
    "wait for a message",
    "wait for a greeting",
    "wait for an answer of the hub*",
    "wait for a change of a link",
    "wait for a change of the open calls",
    "wait for a change of where the hub is",
)
"""Waits for a link, or for a process at the other end of one. The first one is a lock by name only."""


class WaitsForTheCluster(AssertionError):
    """A thread that must wait for no file and no link is about to do so (contract F9)."""


class ClusterChecks:
    """Of one cluster."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster
        self._told_that_it_is_over: dict[str, str] = {}
        self._failure: BaseException | None = None

    # -- who waits for what -----------------------------------------------------------------

    def about_to_wait(self, task: Task) -> None:
        """A thread has come to a stop."""
        if task.process is None or task.ready is None or task.ready():
            return
        if self._may_not_wait(task):
            self.complain(task, f"is about to {task.where}")

    def touches(self, task: Task, deed: str) -> None:
        """A thread does something with a file."""
        if task.process is not None and not task.application and _is_of(task, (*_REST, *_READERS)):
            self.complain(task, deed)

    def complain(self, task: Task, what: str) -> None:
        """It is a failure of the run."""
        if self._failure is None:
            self._failure = WaitsForTheCluster(
                f"{task.name} {what}: it must wait for no file and no link (contract F9)"
            )

    def _may_not_wait(self, task: Task) -> bool:
        process = next((one for one in self._cluster.all.values() if one is task.process), None)
        has_hub = process is not None and process.has_hub
        if task.application:
            # Handlers only: other threads of the application may call from anywhere.
            handler = any(one[2] is task for one in self._cluster.seen.inside.values())
            return handler and has_hub and _matches(task.where, _LINKS)
        for thread, rest in _REST.items():
            if fnmatchcase(task.plain_name, thread):
                return not _matches(task.where, rest) and (
                    task.where == _LINKS[0] or not _matches(task.where, _SHORT)
                )
        # Where the hub has left, a reader may still answer for a handler that has returned.
        return has_hub and _is_of(task, _READERS) and _matches(task.where, _LINKS)

    # -- refusals ---------------------------------------------------------------------------

    def refused(self, connection_id: str, status: int) -> None:
        """A client was refused. Raises: AssertionError, if that was not the truth."""
        lives = self._cluster.seen.lives.get(connection_id)
        if status != 410 or not lives:
            return
        last = self._cluster.seen.last.get(lives[-1])
        assert last == "on_disconnect" or self._cluster.deaths, (
            f"{connection_id!r} is told 410, and its session has not ended: its last callback was {last}"
        )
        self._told_that_it_is_over[lives[-1]] = connection_id

    # -- the run ----------------------------------------------------------------------------

    def after_step(self) -> None:
        """Raises: what went wrong."""
        if self._failure is not None:
            raise self._failure
        holders = [one.name for one in self._cluster.all.values() if one.has_hub]
        assert len(holders) < 2, f"{' and '.join(holders)} have the hub"

    def at_end(self) -> None:
        """Raises: what went wrong."""
        hub = self._cluster.the_hub()
        loop = hub.hub.runner.loop if hub is not None else None
        if loop is not None:
            for session in loop.registry.sessions.values():
                who = self._told_that_it_is_over.get(session.life)
                assert who is None, f"{who!r} was told 410, and its session lives"


def _is_of(task: Task, names: tuple[str, ...]) -> bool:
    return any(fnmatchcase(task.plain_name, name) for name in names)


def _matches(where: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(where, pattern) for pattern in patterns)
