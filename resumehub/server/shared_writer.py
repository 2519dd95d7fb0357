"""Writes for transports that need a writer thread and got none, because the system starts no more threads.

That happens at a limit of threads, and at any end of a process on Python 3.12.0 to 3.12.2, which start no
thread once the main thread has returned. The watcher does this work: it exists as long as the hub does, and
it never runs a handler, so that a close frame meets its deadline even if every other thread is stuck in one.
It knows nothing of sessions. ``IOThreads.start_writer`` hands writers over, on any thread. Read next:
``watcher.py``, ``outgoing/transport_writer.py``.
"""

from __future__ import annotations

from collections.abc import Callable

from ..clock import now
from ..outgoing.transport_writer import TransportWriter
from ..runtime.base import Runtime
from ..runtime.foreign_code import passes

PAUSE = 0.02
"""Seconds between two attempts to write. One wait for all these sockets is not possible: with TLS a write may
have to wait for input."""

_SHARE = 4
# The pause is at least so many times as long as the attempts took, so that thousands of slow peers do not
# cost the process all its time.


class SharedWriter:
    """Writers whose work the watcher does. ``take``: any thread. The others: the watcher. Nothing blocks."""

    def __init__(
        self,
        runtime: Runtime,
        wake: Callable[[], None],
        failed: Callable[[TransportWriter, BaseException], None],
    ) -> None:
        self._lock = runtime.lock("the shared writer")
        self._wake = wake
        self._failed = failed
        self._new: list[TransportWriter] = []
        self._writers: list[TransportWriter] = []
        self._pause = PAUSE

    def take(self, writer: TransportWriter) -> None:
        """Do the work of ``writer.write_until_drained``, beside that of the others."""
        with self._lock:
            self._new.append(writer)
        self._wake()

    def pause(self) -> float | None:
        """Seconds until ``write`` should be called; None: not before ``wake`` was called."""
        with self._lock:
            if self._new:
                return 0.0
        return self._pause if self._writers else None

    def write(self) -> None:
        """Write what the peers take now."""
        with self._lock:
            self._writers += self._new
            self._new = []
        if not self._writers:
            return
        began = now()
        self._writers = [writer for writer in self._writers if not self._is_done(writer)]
        self._pause = max(PAUSE, _SHARE * (now() - began))

    def _is_done(self, writer: TransportWriter) -> bool:
        try:
            return writer.write_once()
        except BaseException as error:
            if passes(error):
                raise
            self._failed(writer, error)
            return True
