"""The watcher: the one thread that goes by real time, and the one that keeps the process alive.

Four times a second it checks two things. Has the main thread returned? Then it closes the hub, so that a
server that was told to stop drains its sessions without a hook. (The watcher is no daemon thread, so the
interpreter waits for it. gunicorn gthread waits for its request threads before it returns, and with TLS the
hub uses those; there the watcher asks the worker.) Has a reader been in the same callback since the last
check? Then it gives the right to read to a new thread, so that pings are answered and closes are seen however
long the callback takes. Read next: ``io_threads.py``.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable

from ..incoming.transport_io import TransportIO
from ..runtime.base import Event, Runtime

INTERVAL = 0.25


class Watcher:
    """``run`` is all that the thread does; it returns when ``stopped`` is set."""

    def __init__(
        self,
        runtime: Runtime,
        stopped: Event,
        transports: Iterable[TransportIO],
        stand_in: Callable[[TransportIO], None],
        close_hub: Callable[[], None],
    ) -> None:
        self._runtime = runtime
        self._stopped = stopped
        self._transports = transports
        self._stand_in = stand_in
        self._close_hub = close_hub

    def run(self) -> None:
        while not self._stopped.wait(INTERVAL):
            if self._runtime.main_thread_returned() or self._waited_for():
                self._close_hub()
            self.look()

    def _waited_for(self) -> bool:
        """Whether the server was told to stop, and its main thread waits for request threads that we use."""
        return worker_is_stopping() and any(io.host_thread is not None for io in self._transports)

    def look(self) -> None:
        """Give every transport whose reader is stuck in a callback a new reader."""
        for io in self._transports:
            if not io.busy:
                continue
            if io.seen_callback_runs == io.callback_runs:
                self._stand_in(io)
            io.seen_callback_runs = io.callback_runs


def worker_is_stopping() -> bool:
    """Whether this is a gunicorn worker that has been told to stop. Threads: any. Blocks: never."""
    # The environ does not hold the worker, but its SIGTERM handler is a method of it, which clears ``alive``.
    worker = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return type(worker).__module__.startswith("gunicorn.") and getattr(worker, "alive", True) is False
