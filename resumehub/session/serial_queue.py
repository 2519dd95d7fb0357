"""User callbacks: one at a time and in order for each connection id, many ids side by side.

A serial queue holds the callbacks of one id (of one id, not of one session: the next session under an id
starts after on_disconnect of the one before has returned, contract B2). The thread that comes by runs it: a
reader with a message in its hand, so that a message costs no thread switch, or a thread of the pool where
there is no reader. User code never runs under a lock, and never on the hub thread. Read next:
``handler_calls.py`` (what is queued).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..runtime.base import Runtime, Thread

log = logging.getLogger("resumehub")

# Messages that one session may have read ahead of a slow handler, before its reader stops reading.
PARKED_MESSAGES = 64
# A pool thread gives way to other sessions after so many callbacks of one.
_TURN = 16
# From here on, a restore and the drop that follows it cancel out instead of queueing up.
_MERGE_BEYOND = 64


class Callback(Protocol):
    """One callback to run, of one session. ``size``: bytes of input it holds, None if it is no message."""

    hook: str
    size: int | None

    @property
    def session(self) -> object: ...

    def run(self) -> None: ...
    def is_stale(self) -> bool: ...


class SerialQueue:
    """The callbacks of one connection id. Any thread; ``run`` blocks as long as user code does."""

    def __init__(self, runtime: Runtime, pool: CallbackPool, parked_bytes: int, whose: str = "an id") -> None:
        self._pool = pool
        self._lock = runtime.lock(f"the callbacks of {whose}")
        self._room = runtime.condition(self._lock)
        self._calls: deque[Callback] = deque()
        self._running = False
        self._parked = 0
        self._parked_bytes = 0
        self._max_parked_bytes = parked_bytes
        self._told_of_room: list[Callable[[], None]] = []
        # To be told once no callback runs; from then on none starts (``hold``).
        self._holder: Callable[[], None] | None = None

    def post(self, call: Callback, *, runner_coming: bool = False) -> None:
        """Queue a callback. With ``runner_coming`` the caller sees to it that ``run`` is called."""
        with self._lock:
            crowded = len(self._calls) > _MERGE_BEYOND
            if (
                crowded
                and call.hook == "on_transport_drop"
                and self._calls[-1].hook == "on_transport_restore"
            ):
                self._calls.pop()
                return
            self._calls.append(call)
            if call.size is not None:
                self._parked += 1
                self._parked_bytes += call.size
            wanted = not self._running and not runner_coming
        if wanted:
            self._pool.submit(self)

    def call_pool(self) -> None:
        """The runner that was promised to ``post`` does not come: let the pool run what waits."""
        self._pool.submit(self)

    def run(self, turn: int | None = None) -> None:
        """Run what waits until nothing does, unless another thread is at it already.

        ``turn``: after so many callbacks, leave the rest to the pool's next free thread.
        """
        with self._lock:
            if self._running:
                return
            self._running = True
        self._run_on(self._next(turn), turn)

    def take_turn(self) -> bool:
        """Have the next turn without queueing for it; False if others are first. ``run_in_turn`` must follow.

        That nothing waits and nobody runs is how it is with nearly every message.
        """
        with self._lock:
            if self._running or self._calls:
                return False
            self._running = True
            return True

    def run_in_turn(self, call: Callback) -> None:
        """Run a callback in the turn that was claimed, and then what has come meanwhile."""
        self._run_on(call, None)

    def hold(self, told: Callable[[], None]) -> None:
        """Let no callback start until ``let_go``; ``told``, once, when none runs: at once, if so."""
        with self._lock:
            if self._running:
                self._holder = told
                return
            self._running = True
        told()

    def waiting(self) -> list[Callback]:
        """The callbacks that have not started, oldest first. Between ``told`` and ``let_go``."""
        with self._lock:
            return list(self._calls)

    def let_go(self, *, without: Callable[[Callback], bool] | None = None) -> None:
        """Undo ``hold``; forget the callbacks for which ``without`` is true. The pool runs the others."""
        with self._lock:
            self._running = False
            if without is not None:
                self._forget(without)
            left = bool(self._calls)
        if left:
            self._pool.submit(self)

    def _run_on(self, call: Callback | None, turn: int | None) -> None:
        while call is not None:
            try:
                call.run()
            except Exception:  # a bug of ours: jobs deal with what user code raises
                log.exception("a callback could not be run; please report this")
            if turn is not None:
                turn -= 1
            call = self._next(turn)

    def wait_for_room(self, given_up: Callable[[], bool]) -> None:
        """Block until few enough messages are parked, or ``given_up`` (see ``wake``)."""
        with self._lock:
            while self._full() and not given_up():
                self._room.wait()

    def when_room(self, tell: Callable[[], None]) -> None:
        """``tell``, once, when few enough messages are parked or somebody calls ``wake``; at once if so."""
        with self._lock:
            if self._full():
                self._told_of_room.append(tell)
                return
        tell()

    def is_full(self) -> bool:
        """Whether a reader should stop reading ahead."""
        with self._lock:
            return self._full()

    def wake(self) -> None:
        """Throw away what is stale, and have those in ``wait_for_room`` look at ``given_up`` again.

        Dead messages would take the room of the next transport's, whose reader would then stop
        reading, and keep a restore and a drop from being merged.
        """
        with self._lock:
            self._forget(lambda call: call.is_stale())
            told = self._there_is_room()
        for tell in told:
            tell()

    def _forget(self, which: Callable[[Callback], bool]) -> None:
        self._calls = deque(call for call in self._calls if not which(call))
        sizes = [call.size for call in self._calls if call.size is not None]
        self._parked, self._parked_bytes = len(sizes), sum(sizes)

    def _there_is_room(self) -> list[Callable[[], None]]:
        """Lock held: wake those who wait; give those who are to be told without it."""
        self._room.notify_all()
        told, self._told_of_room = self._told_of_room, []
        return told

    def _full(self) -> bool:
        return self._parked >= PARKED_MESSAGES or self._parked_bytes > self._max_parked_bytes

    def _next(self, turn: int | None) -> Callback | None:
        told: list[Callable[[], None]] = []
        with self._lock:
            holder = self._holder
            if holder is not None:
                self._holder = None  # and the queue stays taken, by the thread that asked for it
                call = None
            elif not self._calls:
                self._running = False
                return None
            else:
                call = self._calls.popleft() if turn != 0 else None
            if call is None:
                self._running = holder is not None
            elif call.size is not None:
                was_full = self._full()
                self._parked -= 1
                self._parked_bytes -= call.size
                if was_full:
                    told = self._there_is_room()
        if holder is not None:
            holder()
        elif call is None:
            self._pool.submit(self)
        for tell in told:
            tell()
        return call


class CallbackPool:
    """At most ``limit`` threads for callbacks that have no reader thread to run on.

    Plain threads and not ``concurrent.futures``, whose executor refuses work once the main
    thread has returned: that is when a server that was told to stop drains its sessions.
    """

    def __init__(
        self, runtime: Runtime, spawn: Callable[[str, Callable[[], None]], Thread], limit: int
    ) -> None:
        self._spawn = spawn
        self._limit = limit
        self._lock = runtime.lock("the callback pool")
        self._work = runtime.condition(self._lock)
        self._waiting: deque[SerialQueue] = deque()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def submit(self, serial_queue: SerialQueue) -> None:
        """Have a thread run the strand. Never blocks."""
        with self._lock:
            self._waiting.append(serial_queue)
            self._work.notify()
            grow = len(self._waiting) > self._idle and self._threads < self._limit
            if grow:
                self._threads += 1
        if grow:
            try:
                self._spawn("callbacks", self._serve)
            except RuntimeError:
                # Nothing is lost: it waits for the threads there are, or for the next submit.
                log.exception("no thread for callbacks could be started; they wait")
                with self._lock:
                    self._threads -= 1

    def close(self) -> None:
        """Let the threads go once nothing waits."""
        with self._lock:
            self._closed = True
            self._work.notify_all()

    def _serve(self) -> None:
        while (serial_queue := self._take()) is not None:
            serial_queue.run(_TURN)

    def _take(self) -> SerialQueue | None:
        with self._lock:
            while not self._waiting:
                if self._closed:
                    self._threads -= 1
                    return None
                self._idle += 1
                self._work.wait()
                self._idle -= 1
            return self._waiting.popleft()
