"""``TransportIO``: what the threads of one transport share. Made at the upgrade, filled in by the hub thread.

It decides nothing. Read next: ``reader.py``, ``outgoing/transport_writer.py``, ``server/io_threads.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ..outgoing.transport_writer import TransportWriter
from ..runtime.base import Event, Runtime
from ..session.handler_calls import MessageCall
from ..session.session import Session
from ..session.session_state import LiveTransport
from ..transport.as_wire import as_wire
from ..transport.base import (
    CloseReceived,
    DataReceived,
    Ended,
    Failed,
    PingReceived,
    PongReceived,
    Received,
    Transport,
)

_HANDED_ON = (DataReceived, PingReceived, PongReceived)


class TransportIO:
    """One transport with its writer, its session (if it has one) and its reading state.

    The right to read belongs to the reader whose token is in ``reader``. A reader that runs
    callbacks is ``busy``. If it stays in one, the watcher gives the right to another thread; the
    old one finishes its callbacks and leaves.
    """

    def __init__(self, number: int, transport: Transport, runtime: Runtime, *, data: Any = None) -> None:
        self.number = number
        self.transport = transport
        #: For a new session's ``connection.data``.
        self.data = data
        #: The subprotocol that was negotiated; "" for none.
        self.subprotocol = ""
        #: The 101 response, sent before everything else.
        self.handshake_response = b""
        self.writer: TransportWriter | None = None
        self.session: Session | None = None
        self.generation = 0
        #: Whether an ``$ack`` has come in. Belongs to the reader.
        self.acknowledged = False
        self.aborted = runtime.event(f"transport {number} to be aborted")
        self.lock = runtime.lock(f"the right to read transport {number}")
        #: Events that were read and not handled yet. Belongs to the reader.
        self.backlog: deque[Received] = deque()
        #: When the hub was given it; 0 where nobody wants to know.
        self.given_at = 0.0
        #: What the transport's ``heard`` was at the last Ping.
        self.ping_mark = 0
        self.pinged_at = float("-inf")
        self.reader: object = None
        self.busy = False
        #: Changes after every run of callbacks, so that the watcher can tell one long run from many.
        self.callback_runs = 0
        self.seen_callback_runs = -1
        #: Since when a thread reads; None while none does.
        self.reading_since: float | None = None
        #: Since when no reader waits for room for messages; infinite while one does.
        self.reads_on_since = float("-inf")
        #: ``reading_since`` of a transport from another process, until its reader begins here.
        self.listened_since: float | None = None
        self._ended = False
        self._closing = False
        #: Whether its reader must leave (``part``). Whether it has, and the event for that: under ``lock``.
        self.parting = False
        self._reader_has_left = False
        self._reader_left: Event | None = None
        # What has the reader go on that pauses. Under ``lock``.
        self._read_on: Callable[[], None] | None = None
        #: Whether the input has ended: there is no reader any more. Changes under ``lock``.
        self.input_ended = False
        #: Whether it counts against ``MAX_REFUSALS``.
        self.counts_as_refusal = False
        #: The request thread that must read (TLS inside the WSGI server); None: a thread of the hub reads.
        self.host_thread: HostThread | None = None

    def when_to_read_on(self, then: Callable[[], None]) -> None:
        """The reader: have ``then`` called once ``read_on`` is. At once where it may not pause (any more)."""
        with self.lock:
            pauses = not (self.parting or self.aborted.is_set())
            if pauses:
                self._read_on = then
        if not pauses:
            then()

    def read_on(self) -> None:
        """Any thread: have the reader go on, if it pauses. Never blocks."""
        with self.lock:
            then, self._read_on = self._read_on, None
        if then is not None:
            then()

    def part(self) -> None:
        """Have the reader leave. Any thread; never blocks.

        Next: ``IOThreads.take_back``, where no thread works on it; else ``reader_left`` and
        ``IOThreads.recall``, which wakes a reader that waits.
        """
        with self.lock:
            self.parting = True
        self.transport.part()

    def reader_left(self, runtime: Runtime) -> Event:
        """Behind ``part``: an event that is set once the reader has left. Any thread; never blocks."""
        left = runtime.event(f"the reader of transport {self.number} to leave")
        with self.lock:
            self._reader_left = left
            if self._reader_has_left or self.input_ended:
                left.set()
        return left

    def reader_leaves(self) -> None:
        """The reader, because of ``part``: it reads no more."""
        with self.lock:
            self._reader_has_left = True
            if self._reader_left is not None:
                self._reader_left.set()

    def no_more_input(self) -> None:
        """The reader: nothing more will come, and it reads no more."""
        with self.lock:
            self.input_ended = True
            if self._reader_left is not None:
                self._reader_left.set()

    def rejoin(self) -> None:
        """Undo ``part``, once the reader has left. Next: start a reader."""
        self.transport.rejoin()
        with self.lock:
            self.parting = self._reader_has_left = False
            self._reader_left = None

    def what_keeps_it(self) -> str | None:
        """Once the reader has left: why the session can't be moved; None if it can."""
        if self.input_ended:
            return "its transport has come to an end"
        ends = [event for event in self.backlog if isinstance(event, CloseReceived | Failed | Ended)]
        return f"its transport has come to an end ({type(ends[0]).__name__})" if ends else None

    def export(self, messages: Iterable[MessageCall], now: float) -> LiveTransport:
        """Hub thread, the session's lock held: the state from which the transport goes on.

        ``messages``: those whose handler has not started, oldest first. The reader must have left, and the
        right to write must be held.
        """
        assert self.writer is not None, "a session is attached to it"
        assert self.session is not None, "as above"
        took_at, full_since = self.writer.progress.took_at, self.writer.window.look(self.session.outbox)
        reading_since = now if self.reading_since is None else self.reading_since
        read = [DataReceived(call.data, 0) for call in messages]
        events = [event for event in self.backlog if isinstance(event, _HANDED_ON)]
        return LiveTransport(
            subprotocol=self.subprotocol,
            input=b"".join(map(as_wire, (*read, *events))) + self.transport.unread(),
            wire=self.writer.export(),
            acked=self.writer.acked,
            acknowledged=self.acknowledged,
            took_ago=now - took_at if took_at != float("-inf") else None,
            pinged_ago=now - self.pinged_at if self.pinged_at != float("-inf") else None,
            heard=self.transport.heard != self.ping_mark,
            reading_ago=now - reading_since,
            blocked=self.writer.progress.blocked,
            full_ago=now - full_since if full_since is not None else None,
        )

    def restore(self, live: LiveTransport, now: float) -> None:
        """Go on from what ``export`` returned; nothing has been read here yet."""
        self.subprotocol = live.subprotocol
        self.acknowledged = live.acknowledged
        if live.pinged_ago is not None:
            self.pinged_at = now - live.pinged_ago
        # ``heard`` of a transport that has read nothing yet is 0.
        self.ping_mark = -1 if live.heard else self.transport.heard
        self.listened_since = now - live.reading_ago

    def is_to_be_closed(self, *, ended: bool = False) -> bool:
        """Whether the caller must close the transport now. True for one caller only.

        That is the later of two: the reader that shares its thread, when the input has ``ended``, and the hub
        thread, when it has aborted the transport.
        """
        with self.lock:
            self._ended = self._ended or ended
            if self._closing or not (self._ended and self.aborted.is_set()):
                return False
            self._closing = True
            return True

    @property
    def whose(self) -> str:
        """A name for logs and traces."""
        if self.session is None or self.session.credentials.generated:
            return f"transport {self.number}"
        return self.session.connection_id


class HostThread:
    """A request thread of the WSGI server that reads its transport, and stays until that is released.

    The hub thread gives it a reader; ``serve`` runs that and returns once the transport is released.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._ready = runtime.event("the hub to give this thread a reader")
        self._released = runtime.event("the transport to be released")
        self._run: Callable[[], None] | None = None

    def offer(self, run: Callable[[], None]) -> None:
        """Hub thread: have ``serve`` call ``run``. Never blocks."""
        self._run = run
        self._ready.set()

    def release(self) -> None:
        """The thread that releases the transport: no thread uses the socket any more. Never blocks."""
        self._released.set()
        self._ready.set()

    def serve(self) -> None:
        """The request thread: read the transport. Blocks: until it is released."""
        self._ready.wait()
        if self._run is not None:
            self._run()
        self._released.wait()
