"""The runtime of the lab: a ``Runtime`` in which every wait is a stop of the scheduler.

With it, the very threads that run in production (hub loop, readers, writers, callbacks, watcher, and the
application's own) run one at a time, in the order that a test chooses. Sockets are real ones; a thread that
waits for a socket goes on once the socket is ready.

A stop has a name that a reader of a failure understands: "reader of alice" is about to "wait for input". A
thread always stops before it puts a command on the hub's queue: most races are about what comes before and
after that. At other locks that are free the application's threads always stop, and the hub's own if
``stop_at_locks``. Read next: ``scheduler.py``.
"""

from __future__ import annotations

import inspect
import select
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..incoming.reader import Reader
from ..outgoing.transport_writer import TransportWriter
from ..runtime.base import Bell, Condition, Event, Lock, Mailbox, Poller, Thread, Waits
from .controlled_sockets import ControlledBell, ControlledPoller, ControlledWaits, polled
from .scheduler import Scheduler
from .tasks import TEST, Task

#: Locks at which a thread always stops, and what it is about to do there.
ALWAYS = {"the hub's mailbox": "tell the hub"}

#: Where the hub's thread stands when it has nothing half done.
AT_REST = "take the next command"


class ControlledRuntime:
    """Threads under the control of a scheduler."""

    #: No time passes here, so no callback would turn out to be slow.
    eager = True
    spare_threads = 1

    def __init__(self, scheduler: Scheduler, *, stop_at_locks: bool = True, share: bool = False) -> None:
        self._scheduler = scheduler
        self._share = share
        #: False: a lock that is free is taken without a stop, which leaves far fewer orders.
        self.stop_at_locks = stop_at_locks
        #: Set it, and the system has no more threads to give.
        self.out_of_threads = False
        #: Set it, and at its next look the watcher finds the main thread gone, as after a SIGTERM.
        self.main_returned = False

    def lock(self, what: str = "a lock") -> Lock:
        return _Lock(self._scheduler, self, what)

    def silent_lock(self) -> Lock:
        """A lock at which only a thread that has to wait for it stops."""
        return _Lock(self._scheduler, self, "the clock", silent=True)

    def condition(self, lock: Lock) -> Condition:
        assert isinstance(lock, _Lock), "a condition needs a lock of the same runtime"
        return _Condition(self._scheduler, lock)

    def event(self, what: str = "an event") -> Event:
        return _Event(self._scheduler, what)

    def mailbox(self) -> Mailbox:
        return _Mailbox(self._scheduler)

    def spawn(self, name: str, run: Callable[[], None], *, daemon: bool = True) -> Thread:
        if self.out_of_threads:
            self._scheduler.did("find no more threads")
            raise RuntimeError("can't start new thread")
        task = self._begin(_readable(name, run), run)
        self._scheduler.did(f"start {task.name}")
        if self.stop_at_locks:
            self._scheduler.pause(f"go on behind the start of {task.name}")
        return _ControlledThread(self._scheduler, task)

    def _begin(self, name: str, run: Callable[[], None]) -> Task:
        return self._scheduler.spawn(name, run)

    def bell(self) -> Bell:
        return ControlledBell()

    def wait_readable(self, sock: socket.socket, bell: Bell | None = None) -> None:
        self._scheduler.pause("wait for input", polled(sock, select.POLLIN, bell))

    def wait_writable(self, sock: socket.socket, bell: Bell | None = None) -> None:
        self._scheduler.pause("wait for the peer to read", polled(sock, select.POLLOUT, bell))

    def waits(self, events: Mapping[int, int], bells: Sequence[Bell]) -> Waits:
        return ControlledWaits(self._scheduler, events, bells)

    def before_receive(self, sock: socket.socket) -> None:
        self._scheduler.pause("wait for input", polled(sock, select.POLLIN))

    def poller(self) -> Poller | None:
        return ControlledPoller(self._scheduler) if self._share else None

    def dismiss(self, timeout: float) -> None:
        """Nothing: each thread here ends with its work."""

    def after_fork_in_child(self) -> None:
        """Nothing is kept."""

    def main_thread_returned(self) -> bool:
        return self.main_returned

    def stopwatch(self) -> Callable[[], float]:
        return float  # always 0: no thread of the lab computes for long

    def chance(self) -> float:
        return 0.5  # every schedule can be played again

    def now(self) -> float:
        return 0.0  # the same

    def current(self) -> Thread:
        task = self._scheduler.current
        assert task is not None, "asked for by a controlled thread"
        return _ControlledThread(self._scheduler, task)


def _readable(name: str, run: Callable[[], None]) -> str:
    """``reader of alice`` for "resumehub-7f3e-reader-3"."""
    parts = name.rsplit("-", 2)
    role = parts[-2] if len(parts) == 3 else name
    owner = getattr(inspect.unwrap(run), "__self__", None)
    if isinstance(owner, Reader):
        return f"{role} of {owner.io.whose}"
    return f"{role} of {owner.whose}" if isinstance(owner, TransportWriter) and owner.whose else role


class _Lock:
    def __init__(
        self, scheduler: Scheduler, runtime: ControlledRuntime, what: str, *, silent: bool = False
    ) -> None:
        self._scheduler = scheduler
        self._runtime = runtime
        self._always = what in ALWAYS
        self._silent = silent
        self._where = ALWAYS.get(what) or f"lock {what}"
        self.what = what
        self.holder: Task | str | None = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if not blocking and self.holder is not None:
            return False
        if self.holder is not None or self._is_stop():
            self.wait_until_free(timeout if blocking and timeout >= 0 else None)
            if not self.is_free():
                return False
        self.take()
        return True

    def wait_until_free(self, seconds: float | None = None) -> None:
        timed = seconds is not None
        self._scheduler.pause(self._where, self.is_free, timed=timed, obstacle=self._held_by, seconds=seconds)

    def _is_stop(self) -> bool:
        """Whether the caller stops here although the lock is free."""
        if self._always or self._silent:
            return not self._silent
        task = self._scheduler.current
        return self._runtime.stop_at_locks or (task is not None and task.application)

    def take(self) -> None:
        self.holder = self._scheduler.current if self._scheduler.is_inside() else TEST

    def is_mine(self) -> bool:
        return self.holder is (self._scheduler.current or TEST)

    def release(self) -> None:
        if self.holder is None and not self._scheduler.abandoned:
            raise RuntimeError("release unlocked lock")
        self.holder = None

    def locked(self) -> bool:
        return self.holder is not None

    def is_free(self) -> bool:
        return self.holder is None

    def _held_by(self) -> str:
        holder = self.holder.name if isinstance(self.holder, Task) else self.holder
        return f", which {holder} holds" if holder is not None else ""

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()


class _Condition:
    def __init__(self, scheduler: Scheduler, lock: _Lock) -> None:
        self._scheduler = scheduler
        self._lock = lock
        self._waiting: deque[list[bool]] = deque()

    def wait(self, timeout: float | None = None) -> bool:
        ticket = [False]
        self._waiting.append(ticket)
        self._lock.release()
        self._scheduler.pause(
            f"wait for a change of {self._lock.what}",
            lambda: ticket[0] and self._lock.is_free(),
            timed=timeout is not None,
            seconds=timeout,
        )
        if not ticket[0]:
            self._waiting.remove(ticket)
        if not self._lock.is_free():  # its time is up, and the lock is not to be had yet
            self._lock.wait_until_free()
        self._lock.take()
        return ticket[0]

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        while not (result := predicate()):
            if not self.wait(timeout):
                return predicate()
        return result

    def notify(self, n: int = 1) -> None:
        for _ in range(min(n, len(self._waiting))):
            self._waiting.popleft()[0] = True

    def notify_all(self) -> None:
        self.notify(len(self._waiting))

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return self._lock.acquire(blocking, timeout)

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()


class _Event:
    def __init__(self, scheduler: Scheduler, what: str) -> None:
        self._scheduler = scheduler
        self._where = f"wait for {what}"
        self._flag = False

    def set(self) -> None:
        self._flag = True

    def clear(self) -> None:
        self._flag = False

    def is_set(self) -> bool:
        return self._flag

    def wait(self, timeout: float | None = None) -> bool:
        self._scheduler.pause(self._where, self.is_set, timed=timeout is not None, seconds=timeout)
        return self._flag


class _Mailbox:
    """The hub's queue; the trace names its commands."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        self._items.append(item)
        self._scheduler.did(f"put {_named(item)}")

    def get(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout > 0:
            self._scheduler.pause(AT_REST, self._has_items, timed=timeout is not None, seconds=timeout)
        if not self._items:
            return None
        item = self._items.popleft()
        self._scheduler.did(f"take {_named(item)}")
        return item

    def _has_items(self) -> bool:
        return bool(self._items)


def _named(item: Any) -> str:
    """``Kick alice``, ``PeerGone 3``: a command by its name and by its session or transport."""
    command = item[1] if isinstance(item, tuple) and len(item) > 1 else item
    name = type(command).__name__
    for attribute in ("transport", "connection_id", "epoch"):
        about = getattr(command, attribute, None)
        if about is not None:
            return f"{name} {about}"
    return name


class _ControlledThread:
    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        self._scheduler = scheduler
        self._task = task

    @property
    def name(self) -> str:
        return self._task.name

    def is_alive(self) -> bool:
        return not self._task.done

    def join(self, timeout: float) -> bool:
        self._scheduler.pause(
            f"wait for the end of {self._task.name}", lambda: self._task.done, timed=True, seconds=timeout
        )
        return self._task.done

    def is_current(self) -> bool:
        return self._scheduler.current is self._task

    def stack(self) -> str:
        return self._task.position()
