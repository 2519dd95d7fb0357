"""All threads of a hub, by name: which of them still run, and where.

Every thread of a hub is spawned here, so that ``HubLoop.close`` can wait for them and report those that
do not end. It knows nothing of what they do. When the system starts no more threads, it says so in the log,
and each caller has the work done by a thread that exists. Read next: ``io_threads.py``, ``runtime/base.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import wraps

from ..clock import now
from ..runtime.base import Runtime, Thread
from ..runtime.foreign_code import Log, passes
from .throttle import Throttle

log = Log(__name__)

# So many threads whose work has ended are kept before ``_ends`` removes those that no longer run.
_FEW = 16


class ThreadGroup:
    """The threads of one hub. Methods: any thread; only ``join`` blocks."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        self._runtime = runtime
        self._name = name
        self._serial = itertools.count(1)
        self._lock = runtime.lock("the thread group")
        self._threads: dict[int, Thread] = {}
        self._ending: list[Thread] = []
        self._sweep_at = _FEW
        # For what the log says of a shortage of threads.
        self._throttle = Throttle()

    def spawn(self, role: str, run: Callable[[], None], *, daemon: bool = True) -> Thread:
        """Start a thread.

        Raises: RuntimeError when the system can't; the log says so. Next: have another thread do the work.
        """
        serial = next(self._serial)

        @wraps(run)  # a lab reads from it for which transport the thread works
        def body() -> None:
            try:
                run()
            except BaseException as error:
                # Not for ``threading.excepthook``, which is the application's.
                if passes(error):
                    raise
                log.critical("a %s thread of the hub has died; please report this", role, exc_info=error)
            finally:
                self._ends(serial)

        try:
            # Under the lock, so that a thread that ends at once is entered before ``_ends`` removes it.
            with self._lock:
                thread = self._runtime.spawn(f"resumehub-{self._name}-{role}-{serial}", body, daemon=daemon)
                self._threads[serial] = thread
        except RuntimeError as error:
            self._say_so(error)
            raise
        return thread

    def _say_so(self, error: RuntimeError) -> None:
        with self._lock:
            count, held_back = len(self._threads), self._throttle.let_through(now())
        if held_back is None:
            return
        # Without the lock: a log handler is the application's code. At its end a process may be unable to
        # start any thread (Python 3.12.0 to 3.12.2): nothing to do about it.
        at_end = self._runtime.main_thread_returned()
        say = log.debug if at_end else log.warning
        say(
            "the system starts no more threads (%s); the hub goes on with the %d that it has, and handlers "
            "may have to wait for each other: raise the limit (TasksMax= of systemd, --pids-limit of Docker, "
            "ulimit -u)",
            error,
            count,
        )

    def adopted(self, run: Callable[[], None]) -> Callable[[], None]:
        """``run`` for a thread that the hub did not start, and which is in the group until it returns."""

        def body() -> None:
            serial = next(self._serial)
            guest = _Guest(self._runtime)
            with self._lock:
                self._threads[serial] = guest
            try:
                run()
            finally:
                with self._lock:
                    del self._threads[serial]
                guest.leaves()

        return body

    def current(self) -> Thread | None:
        """The calling thread, if it is in the group."""
        return next((thread for thread in self.alive() if thread.is_current()), None)

    def alive(self) -> list[Thread]:
        """The threads that still run."""
        with self._lock:
            self._ending = [thread for thread in self._ending if thread.is_alive()]
            return [*self._threads.values(), *self._ending]

    def others(self) -> list[Thread]:
        """The threads that still run, without the calling one."""
        return [thread for thread in self.alive() if not thread.is_current()]

    def join(self, until: float) -> bool:
        """Wait until no other thread runs; False at ``until``, a point in ``SystemClock``'s time."""
        while others := self.others():
            for thread in others:
                if not thread.join(until - now()):
                    return False
        return True

    def _ends(self, serial: int) -> None:
        # The last call of a thread; the system may take a moment longer to end it.
        with self._lock:
            if len(self._ending) > self._sweep_at:
                self._ending = [thread for thread in self._ending if thread.is_alive()]
                self._sweep_at = 2 * len(self._ending) + _FEW
            self._ending.append(self._threads.pop(serial))


class _Guest:
    """A thread that the hub did not start (``adopted``): it leaves the group before it ends."""

    def __init__(self, runtime: Runtime) -> None:
        self._thread = runtime.current()
        self._left = runtime.event("a request thread to leave")

    @property
    def name(self) -> str:
        return self._thread.name

    def leaves(self) -> None:
        self._left.set()

    def is_alive(self) -> bool:
        return not self._left.is_set()

    def join(self, timeout: float) -> bool:
        return self._left.wait(max(0.0, timeout))

    def is_current(self) -> bool:
        return self._thread.is_current()

    def stack(self) -> str:
        return self._thread.stack()
