"""``TransportIO``: what the threads of one transport share. Made at the upgrade, filled in by the hub thread.

Read next: ``reader.py`` (who reads), ``outgoing/transport_writer.py`` (who writes), ``server/io_threads.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ..outgoing.transport_writer import TransportWriter
from ..runtime.base import Event, Runtime
from ..session.session import Session
from ..transport.base import Received, Transport


class TransportIO:
    """One transport with its writer, its session (if it has one) and its reading state.

    The right to read belongs to the thread whose token is ``reader``. A reader that runs
    callbacks is ``busy``; if it stays so, the watcher gives the right to a new thread, and the
    old one goes on with the callbacks only (and then leaves).
    """

    def __init__(self, number: int, transport: Transport, runtime: Runtime, *, data: Any = None) -> None:
        self.number = number
        self.transport = transport
        #: For a new session's ``connection.data``.
        self.data = data
        self.generated = False
        #: Sent ahead of everything: the 101 response.
        self.handshake_response = b""
        self.writer: TransportWriter | None = None
        self.session: Session | None = None
        self.generation = 0
        #: Whether an ``$ack`` has come in. Belongs to the reader.
        self.acknowledged = False
        self.aborted = runtime.event(f"transport {number} to be given up")
        self.lock = runtime.lock(f"the right to read transport {number}")
        #: Read, not yet looked at. Belongs to the reader.
        self.backlog: deque[Received] = deque()
        #: What the transport's ``heard`` was at the last Ping.
        self.ping_mark = 0
        self.pinged_at = float("-inf")
        self.reader: object = None
        self.busy = False
        #: Changes with every callback run, so that the watcher can tell one long one from many.
        self.callback_runs = 0
        self.seen_callback_runs = -1
        #: Since when a thread reads; None while none does.
        self.reading_since: float | None = None
        self._ended = False
        self._closing = False
        #: Whether its reader is to leave (``part``), and set once the reader has.
        self.parting = False
        self.reader_left: Event | None = None
        #: Whether it counts against ``MAX_REFUSALS``.
        self.counts_as_refusal = False
        #: The request thread that must do the reading (TLS inside the WSGI server); None: one of ours.
        self.host_thread: HostThread | None = None

    def part(self, runtime: Runtime) -> Event:
        """Have the reader leave, touching nothing; give what is set once it has. Any thread; never blocks.

        Next: ``IOThreads.part`` wakes a reader that waits.
        """
        left = self.reader_left = runtime.event(f"the reader of transport {self.number} to leave")
        self.parting = True
        self.transport.part()
        return left

    def rejoin(self) -> None:
        """Undo ``part``, once the reader has left. Next: start a reader."""
        self.transport.rejoin()
        self.parting = False
        self.reader_left = None

    def is_to_be_closed(self, *, ended: bool = False) -> bool:
        """Whether the caller, and nobody else, is to close the transport now.

        That is so once its input has ``ended``, for a reader that shares its thread and goes to do other
        things, and once the hub has given it up, in whichever order.
        """
        with self.lock:
            self._ended = self._ended or ended
            if self._closing or not (self._ended and self.aborted.is_set()):
                return False
            self._closing = True
            return True

    @property
    def whose(self) -> str:
        """A name for people."""
        if self.session is None or self.generated:
            return f"transport {self.number}"
        return self.session.connection_id


class HostThread:
    """A thread of the WSGI server's that stays for as long as its transport does, and reads it.

    The hub offers it the reader; ``serve`` runs that and returns once the transport is released.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._ready = runtime.event("the hub to lend this thread a reader")
        self._released = runtime.event("the transport to be released")
        self._run: Callable[[], None] | None = None

    def offer(self, run: Callable[[], None]) -> None:
        """Hub thread: this is what to do. Never blocks."""
        self._run = run
        self._ready.set()

    def release(self) -> None:
        """Whoever releases the transport: nobody uses the socket any more. Never blocks."""
        self._released.set()
        self._ready.set()

    def serve(self) -> None:
        """The request thread: blocks for as long as the transport lives."""
        self._ready.wait()
        if self._run is not None:
            self._run()
        self._released.wait()
