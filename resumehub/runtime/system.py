"""The real ``Runtime``: threads, locks, queues and waits of the operating system.

It knows nothing of sessions. Made by ``hub.py`` and ``client/__init__.py``; any thread calls it. Read next:
``thread_cache.py``.
"""

from __future__ import annotations

import os
import queue
import random
import select
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..clock import now, stopwatch
from .base import Bell, Condition, Event, Lock, Mailbox, Poller, Thread, Waits
from .stacks import stack_of
from .thread_cache import ThreadCache

STARTS_NONE_AT_THE_END: Final = (3, 12, 0) <= sys.version_info[:3] < (3, 12, 3)
"""Whether this Python starts no thread once the main thread has returned."""

SPARES_WHERE_NONE_START: Final = 8
"""So many callbacks can run at once then, at the end of a process."""


class SystemRuntime:
    """Threads of the operating system.

    ``reuse``: a thread that has done its work waits a moment for more (``thread_cache.py``). ``share``: a few
    threads read for all transports (``incoming/leader_followers.py``), if the system can wait for many
    sockets at once (Linux).
    """

    eager = False
    spare_threads = SPARES_WHERE_NONE_START if STARTS_NONE_AT_THE_END else 1
    _cache: ThreadCache | None = None
    _share = False

    def __init__(self, *, reuse: bool = False, share: bool = False) -> None:
        self._share = share
        if reuse:
            self._cache = ThreadCache()

    def lock(self, what: str = "a lock") -> Lock:
        return threading.Lock()

    def condition(self, lock: Lock) -> Condition:
        return threading.Condition(lock)  # type: ignore[arg-type]

    def event(self, what: str = "an event") -> Event:
        return threading.Event()

    def mailbox(self) -> Mailbox:
        return _QueueMailbox()

    def spawn(self, name: str, run: Callable[[], None], *, daemon: bool = True) -> Thread:
        if daemon and self._cache is not None:
            return self._cache.start(name, run)
        thread = threading.Thread(target=run, name=name, daemon=daemon)
        thread.start()
        return _SystemThread(thread)

    def current(self) -> Thread:
        return _SystemThread(threading.current_thread())

    def stopwatch(self) -> Callable[[], float]:
        return stopwatch(threading.get_ident())

    def chance(self) -> float:
        return random.random()

    def now(self) -> float:
        return now()

    def bell(self) -> Bell:
        return _PipeBell()

    def wait_readable(self, sock: socket.socket, bell: Bell | None = None) -> None:
        _poll(sock, select.POLLIN, bell)

    def wait_writable(self, sock: socket.socket, bell: Bell | None = None) -> None:
        _poll(sock, select.POLLOUT, bell)

    def waits(self, events: Mapping[int, int], bells: Sequence[Bell]) -> Waits:
        return _Waits(events, bells)

    def before_receive(self, sock: socket.socket) -> None:
        """Nothing: ``recv`` waits as well as ``poll`` does, and costs one system call less."""

    def poller(self) -> Poller | None:
        return _Epoll() if self._share and hasattr(select, "epoll") else None

    def dismiss(self, timeout: float) -> None:
        if self._cache is not None:
            self._cache.close(timeout)

    def after_fork_in_child(self) -> None:
        if self._cache is not None:
            self._cache = ThreadCache()

    def main_thread_returned(self) -> bool:
        # The flag: the main thread has left the program, and waits for threads of concurrent.futures, which
        # it does before it counts as ended. Such a thread may be a request of gunicorn's that takes long.
        return not threading.main_thread().is_alive() or getattr(threading, "_SHUTTING_DOWN", False)


def make_lock() -> Lock:
    """A lock of the system, for values that are used without a hub (``metrics.Counters``)."""
    return threading.Lock()


def on_main_thread() -> bool:
    """Whether the caller runs on the process's main thread, where signals are handled."""
    return threading.current_thread() is threading.main_thread()


def make_local() -> threading.local:
    """An object whose attributes each thread has for itself."""
    return threading.local()


def _poll(sock: socket.socket, events: int, bell: Bell | None) -> None:
    # poll and not select: thousands of sessions have descriptors beyond 1023, which select does not take.
    # A socket that was shut down reports POLLHUP, so an abort always ends this wait.
    poller = select.poll()
    poller.register(sock, events)
    if bell is not None:
        poller.register(bell.fileno(), select.POLLIN)
    poller.poll()


class _Waits:
    """``poll(2)``."""

    # Seconds of one wait; the system counts it in milliseconds, and not without end.
    _LONGEST = 600.0

    def __init__(self, events: Mapping[int, int], bells: Sequence[Bell]) -> None:
        poller = select.poll()
        for number, wanted in events.items():
            poller.register(number, wanted)
        for bell in bells:
            poller.register(bell.fileno(), select.POLLIN)
        self._poll = poller.poll

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        return self._poll(None if seconds is None else min(seconds, self._LONGEST) * 1000)


class _PipeBell:
    """A pipe with a byte in it once it is rung: readable for every thread that polls it."""

    def __init__(self) -> None:
        self._ends = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._rung = False

    def ring(self) -> None:
        if not self._rung:
            self._rung = True
            os.write(self._ends[1], b"!")

    def is_rung(self) -> bool:
        return self._rung

    def silence(self) -> None:
        if self._rung:
            self._rung = False
            os.read(self._ends[0], 16)  # two threads may have rung it at once

    def fileno(self) -> int:
        return self._ends[0]

    def close(self) -> None:
        ends, self._ends = self._ends, (-1, -1)
        for end in ends:
            if end >= 0:
                os.close(end)


class _Epoll:
    """``epoll(7)``, level-triggered, with an ``eventfd(2)`` as the bell."""

    # At most so many at once: the first socket should not wait until thousands have been listed.
    _MOST = 64

    # So often, in seconds, a thread that waits looks whether the poller is retired. A bell cannot tell it: a
    # poller is retired when its bell is gone. Nor can a socket, if another thread is quicker to read it.
    _LOOK = 1.0

    def __init__(self) -> None:
        self._retired = False
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._bell, select.EPOLLIN)

    def watch(self, number: int) -> None:
        self._epoll.register(number, select.EPOLLIN)

    def unwatch(self, number: int) -> None:
        self._epoll.unregister(number)

    def wait(self) -> list[int]:
        found: list[tuple[int, int]] = []
        while not found and not self._retired:
            found = self._epoll.poll(self._LOOK, self._MOST)
        numbers = [number for number, _ in found]
        if self._bell in numbers:
            numbers.remove(self._bell)
            os.eventfd_read(self._bell)
        return numbers

    def look(self) -> list[int]:
        # The bell is for the thread that waits, another one perhaps by now (tests/races/test_the_lead.py).
        return [number for number, _ in self._epoll.poll(0, self._MOST) if number != self._bell]

    def wake(self) -> None:
        os.eventfd_write(self._bell, 1)

    def works(self) -> bool:
        try:
            self._epoll.poll(0, 1)
        except (OSError, ValueError):
            return False
        return True

    def retire(self) -> None:
        self._retired = True

    def close(self) -> None:
        self._epoll.close()
        # Close it once only: a fork closes this again, and by then another file may have this number.
        bell, self._bell = self._bell, -1
        if bell >= 0:
            os.close(bell)


class _QueueMailbox:
    """``queue.Queue`` with a ``get`` that returns None instead of raising."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Any] = queue.Queue()

    def put(self, item: Any) -> None:
        self._queue.put(item)

    def get(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout <= 0:
            timeout = 0.0
        try:
            # threading.TIMEOUT_MAX is about 292 years on 64-bit systems, but 49 days on others.
            return self._queue.get(timeout=None if timeout is None else min(timeout, threading.TIMEOUT_MAX))
        except queue.Empty:
            return None


class _SystemThread:
    """One ``threading.Thread``, started."""

    def __init__(self, thread: threading.Thread) -> None:
        self._thread = thread

    @property
    def name(self) -> str:
        return self._thread.name

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout: float) -> bool:
        self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def is_current(self) -> bool:
        # By the object: the system may have given the number of one that has ended to another one.
        return self._thread is threading.current_thread()

    def stack(self) -> str:
        return stack_of(self._thread.ident)
