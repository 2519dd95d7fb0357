"""Threads that stay for a moment after their work, to do more.

Starting a thread is slow: ``Thread.start`` returns when the new thread runs, which takes a millisecond and
more under load, and the caller (mostly the hub thread) waits for it. When a thousand transports break and
the clients come back, a thousand readers end and a thousand begin. So a thread that has done its work stays
idle for ``IDLE_TIMEOUT`` seconds, and a call that comes meanwhile runs on it at once.

A caller gets, and may join, the *call*; only this module knows which thread runs it, and it knows nothing of
what the call does. Used by ``system.py`` alone, on any thread. Read next: ``base.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..clock import now
from .stacks import stack_of

IDLE_TIMEOUT = 1.0
"""Seconds for which an idle thread waits for its next call."""

MAX_IDLE = 1024
"""At most so many threads are idle; each costs about 10 KiB."""


class ThreadCall:
    """One call of a function on a thread of the cache, as a ``runtime.base.Thread``."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.name = name
        self._run = run
        self._done = threading.Event()
        self._ident = 0

    def execute(self) -> None:
        """Call the function on the calling thread. Raises: what the function raises."""
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
    """Runs calls on idle threads, or on new ones. Threads: any. Blocks: only ``close``.

    ``idle_timeout``: seconds for which a thread waits for its next call. ``max_idle``: at most so many wait.
    """

    def __init__(self, idle_timeout: float = IDLE_TIMEOUT, max_idle: int = MAX_IDLE) -> None:
        self._idle_timeout = idle_timeout
        self._max_idle = max_idle
        self._lock = threading.Lock()
        self._idle: dict[_CachedThread, None] = {}
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def start(self, name: str, run: Callable[[], None]) -> ThreadCall:
        """Run a function on a thread and return at once.

        Raises: RuntimeError, when no thread is idle and the system can't start one.
        """
        call = ThreadCall(name, run)
        with self._lock:
            idle = self._idle.popitem()[0] if self._idle else None
        if idle is not None:
            idle.hand(call)
        else:
            _CachedThread(self, call).thread.start()
        return call

    def close(self, timeout: float) -> None:
        """End the idle threads; each other thread ends with its call.

        Calls may still be started, each on a thread of its own. Blocks: until the present threads have
        ended, up to ``timeout`` seconds.
        """
        with self._lock:
            self._closed = True
            idle, self._idle = list(self._idle), {}
            threads = list(self._threads)
        for thread in idle:
            thread.hand(None)
        until = now() + timeout
        for one in threads:
            if one is not threading.current_thread():
                one.join(max(0.0, until - now()))

    def count(self) -> tuple[int, int]:
        """How many threads there are, and how many of them are idle."""
        with self._lock:
            return len(self._threads), len(self._idle)

    # -- for its threads --------------------------------------------------------------------

    def enter(self, thread: threading.Thread) -> None:
        """A thread of the cache begins."""
        with self._lock:
            self._threads.add(thread)

    def leave(self, thread: threading.Thread) -> None:
        """A thread of the cache is about to end."""
        with self._lock:
            self._threads.discard(thread)

    def next_call(self, thread: _CachedThread) -> ThreadCall | None:
        """Wait for a call. None: end, since none came in time, too many are idle or the cache is closed."""
        with self._lock:
            if self._closed or len(self._idle) >= self._max_idle:
                return None
            self._idle[thread] = None
        if thread.handed.acquire(timeout=self._idle_timeout):
            return thread.call
        with self._lock:
            if thread in self._idle:
                del self._idle[thread]
                return None
        # ``start`` has chosen this thread just before its time was over: the call is about to come.
        thread.handed.acquire()
        return thread.call


class _CachedThread:
    """One thread, and the call that it runs or is about to get."""

    def __init__(self, cache: ThreadCache, call: ThreadCall) -> None:
        self._cache = cache
        self.call: ThreadCall | None = call
        self.handed = threading.Lock()
        self.handed.acquire()
        self.thread = threading.Thread(target=self._work, name=call.name, daemon=True)

    def hand(self, call: ThreadCall | None) -> None:
        """Wake the thread with its next call; None: it must end."""
        self.call = call
        self.handed.release()

    def _work(self) -> None:
        self._cache.enter(self.thread)
        try:
            while self.call is not None:
                self.thread.name = self.call.name
                self.call.execute()
                self.call = None
                self.thread.name = "resumehub-idle"
                self.call = self._cache.next_call(self)
        finally:
            self._cache.leave(self.thread)
