"""What the hub tells a metrics collector, and two collectors: one for nothing, one for sums.

``Metrics`` is the contract; its docstrings say when each method is called, with what, and on which threads.
The threads also stand in ``CALLED_FROM`` as data, from which docs/ is generated and against which a test
compares the docstrings. This module knows no session and no exporter (Prometheus lives in ``contrib/``), and
does not guard the hub against a collector: the callers do, by logging what it raises and going on.

A collector is called in the middle of the hub's work. **It must be quick** (add a number under a
lock of its own; no I/O, no waiting), since all sessions wait for the hub thread, **and it must not call
the hub**: a ``kick`` out of ``connection_closed`` would wait for the very thread that it runs on.
One that raises is logged and ignored.

The threads:

* *hub thread*: the one thread of the control plane;
* *WSGI request thread*: the server's thread, during the upgrade request;
* *reader thread*: reads for many transports, or for one; *writer thread*: that of one transport;
* *callbacks thread*: runs handlers that have no reader thread to run on;
* *application thread*: whichever thread called ``send`` or ``broadcast``. That can be any of the
  application's own, and a reader or callbacks thread while it runs a handler that sends.

Read next: ``hub.py``, which makes most of the calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, TypedDict

from .reasons import CloseReason, DropReason
from .runtime.system import make_lock

REASONS_CLOSED: Final = tuple(reason.value for reason in CloseReason)
"""Every reason that ``connection_closed`` can give."""

REASONS_DROPPED: Final = tuple(reason.value for reason in DropReason)
"""Every reason that ``message_dropped`` can give."""

_HUB: Final = "hub thread"
_REQUEST: Final = "WSGI request thread"
_READER: Final = "reader thread"
_WRITER: Final = "writer thread"
_CALLBACKS: Final = "callbacks thread"
_APPLICATION: Final = "application thread"

THREADS: Final = (_HUB, _REQUEST, _READER, _WRITER, _CALLBACKS, _APPLICATION)
"""The names of all threads, as ``CALLED_FROM`` and the docstrings use them."""

CALLED_FROM: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "connection_opened": (_HUB,),
        "connection_closed": (_HUB,),
        "resume_attempt": (_HUB, _REQUEST),
        "room_created": (_HUB,),
        "room_destroyed": (_HUB,),
        "message_received": (_READER, _CALLBACKS),
        "message_sent": (_APPLICATION, _READER, _CALLBACKS, _WRITER, _HUB),
        "message_broadcast": (_APPLICATION, _READER, _CALLBACKS),
        "message_dropped": (_APPLICATION, _READER, _CALLBACKS, _HUB),
        "send_buffer": (_APPLICATION, _READER, _CALLBACKS, _WRITER, _HUB),
        "heartbeat_failed": (_HUB,),
        "transport_superseded": (_HUB,),
    }
)
"""Method name → the threads that call it, in the order of the contract."""


class Metrics(Protocol):
    """What a collector must have. Subclass ``NoopMetrics`` to write only the methods you want.

    All arguments are positional, so yours may have other names. Every method must be quick,
    must not call the hub, and is called from the threads its docstring names, several at once
    if there are several; see the top of this module.
    """

    def connection_opened(self, room_id: str, connection_id: str, /) -> None:
        """A new session began. A resume is no new session; see ``resume_attempt``.

        Threads: hub thread.
        """

    def connection_closed(self, room_id: str, connection_id: str, duration: float, reason: str, /) -> None:
        """A session ended, once per ``connection_opened``.

        ``duration`` is its life in seconds of the hub's clock, suspended time included;
        ``reason`` one of ``REASONS_CLOSED``.

        Threads: hub thread.
        """

    def resume_attempt(self, room_id: str, connection_id: str, success: bool, /) -> None:
        """A client came back and got its session (``True``) or was told that it is gone.

        ``room_id`` is that of the session, ``""`` where none was found. A preflight is no attempt.

        Threads: hub thread, for either outcome; WSGI request thread, for ``False`` only (410
        before the upgrade).
        """

    def room_created(self, room_id: str, /) -> None:
        """The first session of a room began.

        Threads: hub thread.
        """

    def room_destroyed(self, room_id: str, /) -> None:
        """The last session of a room ended; a suspended one keeps its room.

        Threads: hub thread.
        """

    def message_received(self, room_id: str, size: int, /) -> None:
        """A message arrived and counts as handled, whether its handler then raises or not.

        ``size`` is that of the encoded message in bytes.

        Threads: the one that runs the handlers of that message: a reader thread, or a callbacks thread.
        """

    def message_sent(self, room_id: str, connection_id: str, size: int, /) -> None:
        """A frame was written to its last byte; once per receiver, and again if it is replayed.

        ``size`` is that of the encoded message in bytes, before compression. Written is not
        received (contract D2).

        Threads: whichever wrote the frame: the sender's own, which is an application thread or, where
        a handler sends, a reader thread or a callbacks thread; a reader thread also for a replay after
        an attach; a writer thread; or the hub thread, whose ping takes along what waits.
        """

    def message_broadcast(self, room_id: str, size: int, recipients: int, /) -> None:
        """A broadcast was put into the outboxes of ``recipients`` sessions, suspended ones included.

        ``size`` is that of the message, encoded once, in bytes.

        Threads: the one that called ``broadcast``: an application thread or, where a handler does, a
        reader thread or a callbacks thread.
        """

    def message_dropped(self, room_id: str, connection_id: str, reason: str, /) -> None:
        """A frame that was accepted for one session is given up: it was not written, or not acknowledged.

        ``reason`` is one of ``REASONS_DROPPED``: ``overflow``, a broadcast met a full buffer;
        ``expired``, the grace window ran out; ``closed``, the session ended otherwise.

        Threads: for an overflow the one that called ``broadcast`` (an application thread, or that of
        a handler: a reader thread or a callbacks thread); for the others, hub thread.
        """

    def send_buffer(self, room_id: str, connection_id: str, used: int, capacity: int, /) -> None:
        """The fill of a session's outgoing buffer changed: ``used`` of ``capacity`` messages.

        ``capacity`` is the hub's ``send_buffer``. Reports of different threads may overtake each
        other: good for a maximum, not for an exact current value.

        Threads: any that sends or writes: an application thread, a reader thread, a callbacks thread, a
        writer thread, or the hub thread.
        """

    def heartbeat_failed(self, room_id: str, connection_id: str, /) -> None:
        """A peer stopped answering and its transport was given up.

        Threads: hub thread.
        """

    def transport_superseded(self, room_id: str, connection_id: str, /) -> None:
        """A resume took a session over from a transport that still looked alive.

        Threads: hub thread.
        """


class NoopMetrics(Metrics):
    """A collector that collects nothing; the default, and the base for your own.

    Threads: any; it has no state. Blocks: never.
    """

    # Written out: a type checker takes what a protocol leaves empty for abstract.
    def connection_opened(self, room_id: str, connection_id: str, /) -> None: ...
    def connection_closed(
        self, room_id: str, connection_id: str, duration: float, reason: str, /
    ) -> None: ...
    def resume_attempt(self, room_id: str, connection_id: str, success: bool, /) -> None: ...
    def room_created(self, room_id: str, /) -> None: ...
    def room_destroyed(self, room_id: str, /) -> None: ...
    def message_received(self, room_id: str, size: int, /) -> None: ...
    def message_sent(self, room_id: str, connection_id: str, size: int, /) -> None: ...
    def message_broadcast(self, room_id: str, size: int, recipients: int, /) -> None: ...
    def message_dropped(self, room_id: str, connection_id: str, reason: str, /) -> None: ...
    def send_buffer(self, room_id: str, connection_id: str, used: int, capacity: int, /) -> None: ...
    def heartbeat_failed(self, room_id: str, connection_id: str, /) -> None: ...
    def transport_superseded(self, room_id: str, connection_id: str, /) -> None: ...


class CountersSnapshot(TypedDict):
    """The sums of a ``Counters`` at one moment; a plain ``dict`` of numbers, ready for JSON.

    Counts are since the ``Counters`` was made, except ``connections`` and ``rooms``, which
    are what there is now. Dicts have every known reason, with 0 where nothing happened.
    """

    connections: int
    """Sessions that live now, suspended ones included."""
    connections_opened: int
    connections_closed: dict[str, int]
    """By reason."""
    connection_seconds: float
    """The lives of all *closed* sessions, added up."""
    resumes_succeeded: int
    resumes_failed: int
    rooms: int
    """Rooms that exist now."""
    rooms_created: int
    rooms_destroyed: int
    messages_received: int
    bytes_received: int
    messages_sent: int
    bytes_sent: int
    messages_broadcast: int
    """Calls of ``broadcast``."""
    bytes_broadcast: int
    """Each broadcast's size once, as it was encoded once."""
    broadcast_recipients: int
    messages_dropped: dict[str, int]
    """By reason."""
    send_buffer_high_water: int
    """The fullest that any one session's outgoing buffer has been, in messages."""
    heartbeat_failures: int
    transports_superseded: int


class Counters(NoopMetrics):
    """A collector that adds everything up in memory, for tests and a status page.

    ``snapshot()`` gives the sums. It forgets ids and rooms at once, so it never grows.

    Threads: any; one lock per instance. Blocks: never for longer than an addition.
    """

    def __init__(self) -> None:
        self._lock = make_lock()
        self._sums = CountersSnapshot(
            connections=0,
            connections_opened=0,
            connections_closed=_zeros(REASONS_CLOSED),
            connection_seconds=0.0,
            resumes_succeeded=0,
            resumes_failed=0,
            rooms=0,
            rooms_created=0,
            rooms_destroyed=0,
            messages_received=0,
            bytes_received=0,
            messages_sent=0,
            bytes_sent=0,
            messages_broadcast=0,
            bytes_broadcast=0,
            broadcast_recipients=0,
            messages_dropped=_zeros(REASONS_DROPPED),
            send_buffer_high_water=0,
            heartbeat_failures=0,
            transports_superseded=0,
        )

    def snapshot(self) -> CountersSnapshot:
        """Return all sums as they are at one moment: a new dict, yours to change.

        Threads: any. Blocks: never.
        """
        with self._lock:
            copy = self._sums.copy()
            copy["connections_closed"] = dict(copy["connections_closed"])
            copy["messages_dropped"] = dict(copy["messages_dropped"])
        return copy

    def connection_opened(self, room_id: str, connection_id: str, /) -> None:
        with self._lock:
            self._sums["connections"] += 1
            self._sums["connections_opened"] += 1

    def connection_closed(self, room_id: str, connection_id: str, duration: float, reason: str, /) -> None:
        with self._lock:
            self._sums["connections"] -= 1
            self._sums["connection_seconds"] += duration
            _count(self._sums["connections_closed"], reason)

    def resume_attempt(self, room_id: str, connection_id: str, success: bool, /) -> None:
        with self._lock:
            if success:
                self._sums["resumes_succeeded"] += 1
            else:
                self._sums["resumes_failed"] += 1

    def room_created(self, room_id: str, /) -> None:
        with self._lock:
            self._sums["rooms"] += 1
            self._sums["rooms_created"] += 1

    def room_destroyed(self, room_id: str, /) -> None:
        with self._lock:
            self._sums["rooms"] -= 1
            self._sums["rooms_destroyed"] += 1

    def message_received(self, room_id: str, size: int, /) -> None:
        with self._lock:
            self._sums["messages_received"] += 1
            self._sums["bytes_received"] += size

    def message_sent(self, room_id: str, connection_id: str, size: int, /) -> None:
        with self._lock:
            self._sums["messages_sent"] += 1
            self._sums["bytes_sent"] += size

    def message_broadcast(self, room_id: str, size: int, recipients: int, /) -> None:
        with self._lock:
            self._sums["messages_broadcast"] += 1
            self._sums["bytes_broadcast"] += size
            self._sums["broadcast_recipients"] += recipients

    def message_dropped(self, room_id: str, connection_id: str, reason: str, /) -> None:
        with self._lock:
            _count(self._sums["messages_dropped"], reason)

    def send_buffer(self, room_id: str, connection_id: str, used: int, capacity: int, /) -> None:
        with self._lock:
            if used > self._sums["send_buffer_high_water"]:
                self._sums["send_buffer_high_water"] = used

    def heartbeat_failed(self, room_id: str, connection_id: str, /) -> None:
        with self._lock:
            self._sums["heartbeat_failures"] += 1

    def transport_superseded(self, room_id: str, connection_id: str, /) -> None:
        with self._lock:
            self._sums["transports_superseded"] += 1


def _zeros(reasons: Iterable[str]) -> dict[str, int]:
    return dict.fromkeys(reasons, 0)


def _count(sums: dict[str, int], reason: str) -> None:
    # A reason that this version doesn't know is counted too: a collector that raises helps nobody.
    sums[reason] = sums.get(reason, 0) + 1
