"""User callbacks: one at a time and in order for each connection id; different ids in parallel.

A serial queue holds the callbacks of one id. Of an id and not of a session, since the next session of an id
starts after on_disconnect of the one before has returned (contract B2). A reader that has a message runs the
queue itself, so that a message costs no thread switch; without a reader a thread of the pool runs it. User
code never runs under a lock, and never on the hub thread. Read next: ``handler_calls.py`` (what is queued).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..runtime.base import Event, Runtime, Thread
from ..runtime.foreign_code import Log, passes

log = Log(__name__)

# So many messages may wait for a slow handler before the session's reader stops reading.
PARKED_MESSAGES = 64
# So many times as many, while a thread waits for the session's client to answer.
PATIENCE_OF_ASKERS = 16
# After so many callbacks of one id a pool thread turns to other ids.
_TURN = 16
# With more callbacks than this in the queue, a restore and the drop after it are both removed.
_MERGE_BEYOND = 64


class CallbackOwner(Protocol):
    """What a queue's user may know of a session: its number in this process; set behind its on_disconnect."""

    @property
    def epoch(self) -> int: ...
    @property
    def ended(self) -> Event: ...


class Callback(Protocol):
    """One callback of one session. ``size``: how many bytes a message has; None for any other callback."""

    hook: str
    size: int | None

    @property
    def session(self) -> CallbackOwner: ...

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
        self._current: Callback | None = None
        self._parked = 0
        self._parked_bytes = 0
        self._max_parked_bytes = parked_bytes
        self._asking = 0  # threads that wait for the client of a session
        self._told_of_room: list[Callable[[], None]] = []
        # Called once no callback runs; from then on none starts (``hold``).
        self._holder: Callable[[], None] | None = None
        self._told_of_return: list[Callable[[], None]] = []

    def post(self, call: Callback, *, runner_coming: bool = False) -> None:
        """Queue a callback. With ``runner_coming`` the caller promises that ``run`` will be called."""
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
        """No thread will call ``run`` as ``post`` was promised: let the pool run what waits."""
        self._pool.submit(self)

    def run(self, turn: int | None = None) -> None:
        """Run callbacks until none waits, unless another thread already does.

        ``turn``: after so many callbacks, leave the rest to the pool's next free thread.
        """
        with self._lock:
            if self._running:
                return
            self._running = True
        self._run_on(self._next(turn), turn)

    def take_turn(self, call: Callback | None = None) -> bool:
        """Take the right to run if no callback waits or runs; else False. Next, always: ``run_in_turn``.

        ``call``: what runs then. It succeeds for nearly every message, which then need not be queued.
        """
        with self._lock:
            if self._running or self._calls:
                return False
            self._running, self._current = True, call
            return True

    def run_in_turn(self, call: Callback) -> None:
        """Run a callback after ``take_turn``, and then what was queued meanwhile."""
        self._run_on(call, None)

    def hold(self, told: Callable[[], None]) -> None:
        """Let no callback start until ``let_go``; call ``told`` once, when none runs (perhaps at once)."""
        with self._lock:
            if self._running:
                self._holder = told
                return
            self._running = True
        told()

    def when_returned(self, tell: Callable[[], None]) -> bool:
        """Call ``tell`` once, when the callback that runs has returned; False if none runs. Holds nothing."""
        with self._lock:
            if self._running:
                self._told_of_return.append(tell)
            return self._running

    def waiting(self) -> list[Callback]:
        """The callbacks that have not started, oldest first. Call it between ``told`` and ``let_go``."""
        with self._lock:
            return list(self._calls)

    def running(self) -> Callback | None:
        """The callback that runs, or is about to; None if none does, or it runs alone."""
        return self._current

    def run_alone(self, call: Callback, told: Callable[[], None]) -> None:
        """Between ``told`` and ``let_go``: have the pool run ``call``, ahead of all that waits.

        ``told`` is called when it has returned; then the queue is still held. Never blocks.
        """
        self._pool.submit(_Alone(call, told))

    def let_go(self, *, without: Callable[[Callback], bool] | None = None) -> None:
        """Undo ``hold``; remove the callbacks for which ``without`` is true. The pool runs the others.

        If a callback still runs, so that ``told`` was not called, it is not called any more.
        """
        self._go_on(without, None, held=True)

    def end_with(self, last: Callback, *, without: Callable[[Callback], bool], held: bool) -> None:
        """Remove callbacks, and run ``last`` behind one that still runs and those that are left.

        ``held``: whether the caller has held the queue; that is undone.
        """
        self._go_on(without, last, held)

    def _go_on(self, without: Callable[[Callback], bool] | None, last: Callback | None, held: bool) -> None:
        with self._lock:
            # With a holder a callback still runs: its thread goes on with those that wait.
            told = held and self._holder is None
            self._holder = None
            if without is not None:
                self._forget(without)
            if last is not None:
                self._calls.append(last)
            if told:
                self._running = False
            left = not self._running and bool(self._calls)
        if left:
            self._pool.submit(self)

    def _run_on(self, call: Callback | None, turn: int | None) -> None:
        while call is not None:
            _run(call)
            if turn is not None:
                turn -= 1
            call = self._next(turn)

    def wait_for_room(self, given_up: Callable[[], bool]) -> None:
        """Block until the queue is no longer full, or ``given_up`` is true (``wake`` has it asked again)."""
        with self._lock:
            while self._full() and not given_up():
                self._room.wait()

    def when_room(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` once, when the queue is no longer full or ``wake`` is called; perhaps at once."""
        with self._lock:
            if self._full():
                self._told_of_room.append(tell)
                return
        tell()

    def parked(self) -> tuple[int, int]:
        """How many messages wait for their handler, and their bytes. Never blocks."""
        return self._parked, self._parked_bytes

    def is_full(self) -> bool:
        """Whether so many messages wait that a reader should stop reading."""
        with self._lock:
            return self._full()

    def is_busy(self) -> bool:
        """Whether a callback runs, or the queue is held."""
        return self._running

    def is_asked(self, change: int) -> None:
        """One thread more (or less) waits for an answer, which may come behind many other messages.

        Their handlers may have to wait for that thread, so more of them are let in meanwhile.
        """
        told: list[Callable[[], None]] = []
        with self._lock:
            was_full = self._full()
            self._asking += change
            if was_full and not self._full():
                told = self._there_is_room()
        for tell in told:
            tell()

    def wake(self) -> None:
        """Remove stale messages, and wake the threads in ``wait_for_room`` to ask ``given_up`` again.

        Stale messages would take the room of the next transport's messages, so that its reader would stop
        reading, and would stand between a restore and a drop that could be removed together.
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
        """Lock held: wake the threads that wait; return what must be called without the lock."""
        self._room.notify_all()
        told, self._told_of_room = self._told_of_room, []
        return told

    def _full(self) -> bool:
        times = PATIENCE_OF_ASKERS if self._asking else 1
        return self._parked >= times * PARKED_MESSAGES or self._parked_bytes > times * self._max_parked_bytes

    def _next(self, turn: int | None) -> Callback | None:
        told: list[Callable[[], None]] = []
        with self._lock:
            self._current = None
            if self._told_of_return:
                told, self._told_of_return = self._told_of_return, []
            holder = self._holder
            if holder is not None:
                self._holder = None  # ``_running`` stays true, for the thread that called ``hold``
                call = None
            elif not self._calls and not told:
                self._running = False
                return None
            else:
                call = self._current = self._calls.popleft() if self._calls and turn != 0 else None
            left = bool(self._calls)
            if call is None:
                self._running = holder is not None
            elif call.size is not None:
                was_full = self._full()
                self._parked -= 1
                self._parked_bytes -= call.size
                if was_full:
                    told += self._there_is_room()
        if holder is not None:
            holder()
        elif call is None and left:
            self._pool.submit(self)
        for tell in told:
            tell()
        return call


class _Alone:
    """One callback that the pool runs while its queue is held."""

    def __init__(self, call: Callback, told: Callable[[], None]) -> None:
        self._call = call
        self._told = told

    def run(self, turn: int | None = None) -> None:
        _run(self._call)
        self._told()


def _run(call: Callback) -> None:
    try:
        call.run()
    except BaseException as error:  # a bug of ours: ``call.run`` handles what user code raises
        if passes(error):
            raise
        log.error("a callback could not be run; please report this", exc_info=error)


class CallbackPool:
    """At most ``limit`` threads, for callbacks that no reader thread runs.

    They are not threads of ``concurrent.futures``, which refuses work once the main thread has
    returned: at that time a server that was told to stop drains its sessions. One more, the *spare* thread,
    is started with the hub and joins them when no other can be started: at a limit of threads, and at the end
    of a process on Python 3.12.0 to 3.12.2. On those versions there are a few of them.
    """

    def __init__(
        self, runtime: Runtime, spawn: Callable[[str, Callable[[], None]], Thread], limit: int
    ) -> None:
        self._spawn = spawn
        self._limit = limit
        self._spares_wanted = runtime.spare_threads
        self._lock = runtime.lock("the callback pool")
        self._work = runtime.condition(self._lock)
        self._waiting: deque[SerialQueue | _Alone] = deque()
        self._threads = 0
        self._idle = 0
        self._closed = False
        # Spare threads wait for a call: how many do, and how many have been called and do not know it yet.
        self._called = runtime.condition(self._lock)
        self._spares = self._calls = 0

    def start(self) -> None:
        """Start the spare threads. Raises: RuntimeError if the system can't; then don't use the pool."""
        for _ in range(min(self._spares_wanted, self._limit)):
            self._spawn("spare", self._stand_by)
            with self._lock:
                self._spares += 1

    def submit(self, serial_queue: SerialQueue | _Alone) -> None:
        """Have a thread of the pool run the queue. Never blocks."""
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
                # Nothing is lost: the queue waits for the pool's threads, of which there is at least one.
                with self._lock:
                    if self._spares:
                        self._spares -= 1
                        self._calls += 1
                        self._called.notify()
                    else:
                        self._threads -= 1

    def close(self) -> None:
        """End the threads once no queue waits. Never blocks."""
        with self._lock:
            self._closed = True
            self._work.notify_all()
            self._called.notify_all()

    def _stand_by(self) -> None:
        with self._lock:
            while not (self._closed or self._calls):
                self._called.wait()
            if not self._calls:
                self._spares -= 1
                return
            self._calls -= 1
        self._serve()

    def _serve(self) -> None:
        while (serial_queue := self._take()) is not None:
            serial_queue.run(_TURN)
            del serial_queue  # a thread that waits keeps none, nor a session that has ended

    def _take(self) -> SerialQueue | _Alone | None:
        with self._lock:
            while not self._waiting:
                if self._closed:
                    self._threads -= 1
                    return None
                self._idle += 1
                self._work.wait()
                self._idle -= 1
            return self._waiting.popleft()
