"""The watcher: the one thread that goes by real time, and the one that keeps the process alive.

Four times a second it looks at two things. Whether the main thread has returned: then it closes the
hub, so that a server that was told to stop drains its sessions without a hook (it is no daemon
thread, so the interpreter waits for it; gunicorn gthread waits for its request threads before it
returns, and with TLS they are ours: there the worker is asked). And whether a reader has been inside
the same callback since the last look: then it gives the right to read to a new thread, so that
pings are answered and closes are seen however long the callback takes.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable

from ..incoming.transport_io import TransportIO
from ..runtime.base import Event, Runtime

INTERVAL = 0.25


class Watcher:
    """``run`` is the thread's whole life; it ends when ``stopped`` is set."""

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
        """Whether the server has been told to stop, and its main thread waits for threads that we have."""
        return worker_is_stopping() and any(io.host_thread is not None for io in self._transports)

    def look(self) -> None:
        """Give every link whose reader is stuck in a callback a new reader."""
        for io in self._transports:
            if not io.busy:
                continue
            if io.seen_callback_runs == io.callback_runs:
                self._stand_in(io)
            io.seen_callback_runs = io.callback_runs


def worker_is_stopping() -> bool:
    """Whether this is a gunicorn worker that has been told to stop. Threads: any. Blocks: never."""
    # The worker is not in the environ, but its SIGTERM handler is a method of it, which clears ``alive``.
    worker = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return type(worker).__module__.startswith("gunicorn.") and getattr(worker, "alive", True) is False
