"""Threads that have done their work and wait a while for more.

A new thread costs more than it seems: ``Thread.start`` waits until the thread runs, which under load is a
millisecond and more, and whoever starts it (the hub, mostly) waits as well. When a thousand
connections break and come back, a thousand readers end and a thousand begin; so one that ends waits for
``linger`` seconds and takes the next job in no time. What a caller gets and may join is the
*job*; the thread is nobody's business but this module's. Used by ``base.py`` alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..clock import SystemClock
from .stacks import stack_of

LINGER = 1.0
"""Seconds that a thread waits for its next job."""

MOST_SPARES = 1024
"""So many threads wait at most; each costs about 10 KiB."""


_REAL = SystemClock()


class CachedCall:
    """One call of a function on some thread: what a ``runtime.Thread`` is."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.name = name
        self._run = run
        self._done = threading.Event()
        self._ident = 0

    def execute(self) -> None:
        """Run it, on the calling thread."""
        self._ident = threading.get_ident()
        try:
            self._run()
        finally:
            self._ident = 0
            self._done.set()

    def is_alive(self) -> bool:
        return not self._done.is_set()

    def join(self, timeout: float) -> bool:
        return self._done.wait(max(0.0, timeout))

    def is_current(self) -> bool:
        return self._ident == threading.get_ident()

    def stack(self) -> str:
        return stack_of(self._ident)


class ThreadCache:
    """Starts jobs on threads that wait, or on new ones. Any thread; only ``dismiss`` blocks."""

    def __init__(self, linger: float = LINGER, most: int = MOST_SPARES) -> None:
        self._linger = linger
        self._most = most
        self._lock = threading.Lock()
        self._waiting: dict[_CachedThread, None] = {}
        self._threads: set[threading.Thread] = set()
        self._dismissed = False

    def start(self, name: str, run: Callable[[], None]) -> CachedCall:
        """Run a job. Raises RuntimeError when no thread waits and the system has none to give."""
        call = CachedCall(name, run)
        with self._lock:
            worker = self._waiting.popitem()[0] if self._waiting else None
        if worker is not None:
            worker.hand(call)
        else:
            worker = _CachedThread(self, call)
            worker.thread.start()
        return call

    def dismiss(self, timeout: float) -> None:
        """Send home who waits, and who ends from now on; wait for them up to ``timeout`` seconds."""
        with self._lock:
            self._dismissed = True
            waiting, self._waiting = list(self._waiting), {}
            threads = list(self._threads)
        for worker in waiting:
            worker.hand(None)
        until = _REAL.monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - _REAL.monotonic()))

    def enter(self, thread: threading.Thread) -> None:
        with self._lock:
            self._threads.add(thread)

    def leave(self, thread: threading.Thread) -> None:
        with self._lock:
            self._threads.discard(thread)

    def next_job(self, worker: _CachedThread) -> CachedCall | None:
        """Wait for a job; None when there is none for so long that the thread may go."""
        with self._lock:
            if self._dismissed or len(self._waiting) >= self._most:
                return None
            self._waiting[worker] = None
        if worker.handed.acquire(timeout=self._linger):
            return worker.call
        with self._lock:
            if worker in self._waiting:
                del self._waiting[worker]
                return None
        worker.handed.acquire()  # taken off the list at the last moment: the job is about to come
        return worker.call


class _CachedThread:
    """One thread, and the job that it has or is about to get."""

    def __init__(self, pool: ThreadCache, call: CachedCall) -> None:
        self._pool = pool
        self.call: CachedCall | None = call
        self.handed = threading.Lock()
        self.handed.acquire()
        self.thread = threading.Thread(target=self._work, name=call.name, daemon=True)

    def hand(self, call: CachedCall | None) -> None:
        self.call = call
        self.handed.release()

    def _work(self) -> None:
        self._pool.enter(self.thread)
        try:
            while self.call is not None:
                self.thread.name = self.call.name
                self.call.execute()
                self.call = None
                self.thread.name = "resumehub-spare"
                self.call = self._pool.next_job(self)
        finally:
            self._pool.leave(self.thread)
