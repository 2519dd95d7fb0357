"""The watcher: the one thread that goes by real time, and the one that keeps the process alive.

Four times a second it checks three things. Does the process end, or was the server told to stop? Then it
closes the hub in time, so that sessions are told and callbacks run without a hook (``core/process_end.py``).
(The watcher is no daemon thread, so the interpreter waits for it.) Has a reader been in the same callback
since the last check? Then it gives the right to read to a new thread, so that pings are answered and closes
are seen however long the callback takes. Have all threads that read for many ended, though there is work?
Then it starts one.

When the system starts no more threads, it also writes (``shared_writer.py``). It runs no handler, and waits
for no other thread until the hub thread has ended. Read next: ``server_state.py``, ``io_threads.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, assert_never

from ..clock import now
from ..core.process_end import EndStep, ProcessEnd
from ..incoming.transport_io import TransportIO
from ..outgoing.transport_writer import TransportWriter
from ..runtime.base import Runtime
from ..runtime.foreign_code import Log, passes
from ..session import handler_calls
from .server_state import look_at_server
from .shared_writer import SharedWriter
from .thread_group import ThreadGroup

log = Log(__name__)

INTERVAL = 0.25


class WatchedHub(Protocol):
    """What the watcher asks of the hub. Nothing here blocks."""

    thread_group: ThreadGroup

    @property
    def transports(self) -> Iterable[TransportIO]: ...

    def stand_in(self, io: TransportIO) -> None: ...
    def look_at_readers(self) -> None: ...
    def writer_failed(self, writer: TransportWriter, error: BaseException) -> None: ...
    def refuse_newcomers(self) -> None: ...
    def shut_down(self) -> None: ...
    def abort_all(self) -> None: ...


class Watcher:
    """``run`` is all that the thread does; it returns after ``stop``, or when the process has to end.

    ``governed``: whether somebody else sees to the end of the process.
    """

    def __init__(
        self,
        runtime: Runtime,
        hub: WatchedHub,
        patience: float,
        governed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._runtime = runtime
        self._governed = governed
        self._hub = hub
        self._end = ProcessEnd(patience)
        self._lock = runtime.lock("the watcher")
        self._woken = runtime.condition(self._lock)
        self._awake = self._stopped = False
        self._look_at = 0.0
        self._has_complained = False
        #: Writes for the writers that got no thread.
        self.shared_writer = SharedWriter(runtime, self._wake, hub.writer_failed)

    def stop(self) -> None:
        """Any thread: the hub thread has ended. Never blocks."""
        self._stopped = True
        self._wake()

    def run(self) -> None:
        """Watch until the hub has stopped, and if the process ends, until no callback runs any more."""
        while not self._stopped:
            try:
                if self._round():
                    return
            except BaseException as error:
                if passes(error):
                    raise
                self._complain(error)
        while self._end.has_begun:
            until = now() + self._seconds_left()
            if self._hub.thread_group.join(until) or self._go_on_with_the_end():
                return

    def _round(self) -> bool:
        """Wait, then write and look if it is time. Returns whether nothing is left to do."""
        timed_out = self._wait()
        self.shared_writer.write()
        if not ((timed_out and self.shared_writer.pause() is None) or self._runtime.now() >= self._look_at):
            return False
        self._look_at = self._runtime.now() + INTERVAL
        self.look()
        return self._go_on_with_the_end()

    def _complain(self, error: BaseException) -> None:
        if not self._has_complained:  # it would be the same four times a second
            self._has_complained = True
            log.error("the watcher's look has failed; it looks on; please report this", exc_info=error)

    def look(self) -> None:
        """Give every transport whose reader is stuck in a callback a new reader."""
        self._hub.look_at_readers()
        for io in self._hub.transports:
            if not io.busy:
                continue
            if io.seen_callback_runs == io.callback_runs:
                self._hub.stand_in(io)
            io.seen_callback_runs = io.callback_runs

    # -- waiting ----------------------------------------------------------------------------

    def _wake(self) -> None:
        with self._lock:
            self._awake = True
            self._woken.notify()

    def _wait(self) -> bool:
        """Wait for the next look, or until ``_wake``. Returns whether nothing has woken it."""
        seconds = self._seconds_left()
        pause = self.shared_writer.pause()
        with self._lock:
            if not self._awake:
                self._woken.wait(seconds if pause is None else min(pause, seconds))
            awake, self._awake = self._awake, False
        return not awake

    def _seconds_left(self) -> float:
        at = self._end.next_at()
        return INTERVAL if at is None else max(0.0, min(INTERVAL, at - now()))

    # -- the end of the process -------------------------------------------------------------

    def _go_on_with_the_end(self) -> bool:
        """Do what is due if the process ends. Returns whether nothing is left to do."""
        if self._governed():
            return False
        borrowed = sum(io.host_thread is not None for io in self._hub.transports)
        steps = self._end.look(now(), look_at_server(self._runtime, borrowed))
        for step in steps:
            match step:
                case EndStep.REFUSE:
                    self._hub.refuse_newcomers()
                case EndStep.CLOSE:
                    self._hub.shut_down()
                case EndStep.ABORT:
                    self._hub.abort_all()
                case EndStep.REPORT:
                    self._report()
                case _:
                    assert_never(step)
        return EndStep.REPORT in steps

    def _report(self) -> None:
        stuck = [(thread.name, thread.stack()) for thread in self._hub.thread_group.others()]
        # If a callback is stuck, so is what waits for its connection; only the callback is the reason.
        callbacks = [(name, stack) for name, stack in stuck if handler_calls.__file__ in stack]
        if stuck:
            log.warning(
                "the process ends while these threads of the hub are busy; what they do is cut off:\n%s",
                "\n".join(f"{name}\n{stack}" for name, stack in callbacks or stuck),
            )
