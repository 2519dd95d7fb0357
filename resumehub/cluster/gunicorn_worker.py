"""gunicorn's worker, as a member of a cluster sees it: whether it serves, is told to stop, and how it ends.

No hook is needed. At the application's import the handler of SIGTERM is a method of the worker already; if
the application has taken the signal, a local variable of the main thread's frames is the worker. Nothing is
changed but one thing: ``keep_alive`` sets the time of the worker's heartbeat file, through a copy of its
descriptor, while a move or a parking is under way. After ``--max-requests`` or a reload the master would kill
the worker ``--timeout`` seconds after its main loop has ended.

What is read is not public in gunicorn, and has been there from version 20 on. What is missing is unknown, not
an error. Called on the member's thread. Read next: ``surroundings.py``.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from typing import Any, Final

from ..clock import now
from ..core.cluster.stopping import Kind
from ..runtime.stacks import locals_of_main_thread, main_thread_is_in
from ..server.server_state import DEFAULT_GRACEFUL_TIMEOUT, find_worker

_DEFAULT_TIMEOUT: Final = 30.0


class GunicornWorker:
    """The worker of this process. No method blocks."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self.master: int = worker.ppid
        self.kind = Kind.THREADS if hasattr(worker, "tpool") else Kind.SYNC
        self._beat = -1
        self._quits = False
        with contextlib.suppress(AttributeError, OSError, ValueError):
            self._beat = os.dup(worker.tmp.fileno())
        #: The inodes of the sockets that the server listens on.
        self.listeners = frozenset(_inodes(getattr(worker, "sockets", ())))

    @property
    def serves(self) -> bool:
        """Whether the application is imported and requests come."""
        return bool(getattr(self._worker, "booted", True))

    @property
    def told_to_stop(self) -> bool:
        """Whether the worker is to end: by a signal, its limit of requests, or its master's end."""
        return getattr(self._worker, "alive", True) is False or os.getppid() != self.master

    @property
    def told_to_quit(self) -> bool:
        """Whether it is to end at once, by SIGINT or SIGQUIT, which are no deploy.

        It shows for a tenth of a second, while the handler of the signal runs: ask as soon as
        ``told_to_stop`` is true. An order that is seen later counts as one to stop, which loses no session.
        """
        self._quits = self._quits or main_thread_is_in("handle_quit", self._worker)
        return self._quits

    @property
    def threads(self) -> int:
        """How many threads for requests it has."""
        threads = getattr(getattr(self._worker, "cfg", None), "threads", 1)
        return threads if self.kind is Kind.THREADS and isinstance(threads, int) else 1

    @property
    def workers(self) -> int:
        """How many workers its server keeps up, as far as it is known."""
        workers = getattr(getattr(self._worker, "cfg", None), "workers", 0)
        return workers if isinstance(workers, int) else 0

    @property
    def graceful_timeout(self) -> float:
        """Seconds from a full stop's SIGTERM to the kill."""
        return self._seconds("graceful_timeout", DEFAULT_GRACEFUL_TIMEOUT)

    @property
    def is_stuck(self) -> bool:
        """Whether the heartbeat is older than half of ``--timeout``: a view holds the worker."""
        timeout = self._seconds("timeout", _DEFAULT_TIMEOUT)
        if timeout <= 0 or self._beat < 0:
            return False
        try:
            return now() - os.fstat(self._beat).st_mtime > timeout / 2
        except OSError:
            return False

    def keep_alive(self) -> None:
        """Beat in the worker's place, so that its master does not kill it now."""
        with contextlib.suppress(OSError):
            if self._beat >= 0:
                os.utime(self._beat, (now(), now()))

    def close(self) -> None:
        """Close the copy of the heartbeat's descriptor."""
        beat, self._beat = self._beat, -1
        if beat >= 0:
            os.close(beat)

    def _seconds(self, name: str, default: float) -> float:
        seconds = getattr(getattr(self._worker, "cfg", None), name, default)
        return float(seconds) if isinstance(seconds, int | float) else default


def find_gunicorn() -> GunicornWorker | None:
    """The gunicorn worker whose process this is; None where there is none, as in a child of one."""
    worker = find_worker()
    if not _is_ours(worker):
        worker = next((one for one in locals_of_main_thread("self") if _is_ours(one)), None)
    return GunicornWorker(worker) if worker is not None else None


def is_gunicorn_master() -> bool:
    """Whether this process is gunicorn's master, which forks its workers: it must hold no hub."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2):
        arbiter = getattr(signal.getsignal(number), "__self__", None)
        if _is_of(arbiter, "gunicorn.arbiter") and getattr(arbiter, "pid", None) in (os.getpid(), None):
            return True
    return False


def is_child_of_gunicorn_master() -> bool:
    """Whether this process has just been forked by gunicorn's master, and is about to be a worker."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2):
        arbiter = getattr(signal.getsignal(number), "__self__", None)
        if _is_of(arbiter, "gunicorn.arbiter") and getattr(arbiter, "pid", None) == os.getppid():
            return True
    return False


def _is_ours(worker: Any) -> bool:
    return (
        _is_of(worker, "gunicorn.workers.")
        and getattr(worker, "pid", None) == os.getpid()
        and isinstance(getattr(worker, "ppid", None), int)
    )


def _is_of(found: Any, module: str) -> bool:
    # By the name of a base class: the class itself may be the application's.
    return any(base.__module__.startswith(module) for base in type(found).__mro__)


def _inodes(sockets: Iterable[Any]) -> Iterable[int]:
    for one in sockets:
        with contextlib.suppress(OSError, AttributeError, ValueError):
            yield os.fstat(one.fileno()).st_ino
