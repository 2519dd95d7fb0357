"""What the hub reports to a metrics collector, and two collectors: one that ignores it, one that counts.

``Metrics`` is the contract: its docstrings say when each method is called, with what, and on
which threads. ``CALLED_FROM`` has the threads as data; the documentation is generated from it, and a
test compares the docstrings with it. This module knows no session and no exporter. It does not protect
the hub from a collector: the callers do, they log what a collector raises and go on.

The hub calls a collector in the middle of its work. **A collector must be quick** (add a number under its
own lock; no I/O, no waiting), since all sessions wait for the hub thread. **It must not call the
hub**: a ``kick`` in ``connection_closed`` would wait for the thread on which it runs. What a collector
raises is logged and ignored.

The threads:

* *hub thread*: the one thread of the control plane;
* *WSGI request thread*: the server's thread, during the upgrade request;
* *reader thread*: reads for many transports, or for one; *writer thread*: writes for one transport;
* *callbacks thread*: runs the handlers that no reader thread runs;
* *application thread*: the thread that called ``send`` or ``broadcast``. That can be any of the
  application's own threads, or a reader or callbacks thread while it runs a handler that sends.

Read next: ``session/observers.py``, through which all of the calls go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, TypedDict

from .reasons import CloseReason, DropReason, RefusalReason
from .runtime.system import make_lock

REASONS_CLOSED: Final = tuple(reason.value for reason in CloseReason)
"""Every reason that ``connection_closed`` can give."""

REASONS_DROPPED: Final = tuple(reason.value for reason in DropReason)
"""Every reason that ``message_dropped`` can give."""

REASONS_REFUSED: Final = tuple(reason.value for reason in RefusalReason)
"""Every reason that ``upgrade_refused`` can give."""

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
        "upgrade_refused": (_HUB, _REQUEST),
    }
)
"""Method name → the threads that call it, in the order of the contract."""


class Metrics(Protocol):
    """The methods of a collector. Subclass ``NoopMetrics`` to write only those that you want.

    All arguments are positional, so yours may have other names. Every method must be quick and
    must not call the hub. It is called on the threads that its docstring names, perhaps on several at
    once; see the top of this module.
    """

    def connection_opened(self, room_id: str, connection_id: str, /) -> None:
        """A new session began. A resume is no new session; see ``resume_attempt``.

        Threads: hub thread.
        """

    def connection_closed(self, room_id: str, connection_id: str, duration: float, reason: str, /) -> None:
        """A session ended, once per ``connection_opened``.

        ``duration`` is the session's life in seconds of the hub's clock, suspended time included;
        ``reason`` is one of ``REASONS_CLOSED``.

        Threads: hub thread.
        """

    def resume_attempt(self, room_id: str, connection_id: str, success: bool, /) -> None:
        """A client asked for a session: it got it (``True``), or was told that it is gone or not its own.

        ``room_id`` is the session's home room, ``""`` if no session was found. A resume without intent counts
        when it succeeds, or when the session is another user's. A preflight is no attempt.

        Threads: hub thread, for either outcome; WSGI request thread, for ``False`` only (410
        before the upgrade).
        """

    def room_created(self, room_id: str, /) -> None:
        """A room got its first session: one that began there, or one that joined it.

        Threads: hub thread.
        """

    def room_destroyed(self, room_id: str, /) -> None:
        """The last session of a room ended, or left it; a suspended one keeps its rooms.

        Threads: hub thread.
        """

    def message_received(self, room_id: str, size: int, /) -> None:
        """A message arrived and counts as handled, whether its handler then raises or not.

        ``size`` is the size of the encoded message in bytes.

        Threads: the one that runs the message's handlers: a reader thread, or a callbacks thread.
        """

    def message_sent(self, room_id: str, connection_id: str, size: int, /) -> None:
        """A frame was written to its last byte; once per receiver, and again if it is replayed.

        ``size`` is the size of the encoded message in bytes, before compression. A frame that is
        written need not be received (contract D2).

        Threads: the one that wrote the frame. It is the sender's: an application thread or, where a
        handler sends, a reader thread or a callbacks thread. Or it is a reader thread for a replay after an
        attach, a writer thread, or the hub thread, which writes waiting frames together with its Ping.
        """

    def message_broadcast(self, room_id: str, size: int, recipients: int, /) -> None:
        """A broadcast was put into the outboxes of ``recipients`` sessions, suspended ones included.

        A broadcast to several rooms is reported once for each, and a session that is in several of them
        counts in the first. ``send_to_user`` is no broadcast, and is not reported. ``size`` is the size of
        the message, encoded once, in bytes.

        Threads: the one that called ``broadcast``: an application thread or, where a handler calls it,
        a reader thread or a callbacks thread.
        """

    def message_dropped(self, room_id: str, connection_id: str, reason: str, /) -> None:
        """A frame that was accepted for one session is dropped: it was not written, or not acknowledged.

        ``reason`` is one of ``REASONS_DROPPED``: ``overflow``, a broadcast met a full buffer;
        ``expired``, the client did not come back in time; ``closed``, the session ended otherwise.

        Threads: for ``overflow``, the one that called ``broadcast`` (an application thread or, where a
        handler calls it, a reader thread or a callbacks thread); for the others, the hub thread.
        """

    def send_buffer(self, room_id: str, connection_id: str, used: int, capacity: int, /) -> None:
        """A session's outgoing buffer now holds ``used`` of at most ``capacity`` messages.

        ``capacity`` is the hub's ``send_buffer``. For a client of ``resumehub.v1`` a row of messages that it
        misses counts as one, so ``used`` may be above ``capacity``. Reports of different threads may arrive
        in another order: take a maximum from them, not an exact current value.

        Threads: any that sends or writes: an application thread, a reader thread, a callbacks thread, a
        writer thread, or the hub thread.
        """

    def heartbeat_failed(self, room_id: str, connection_id: str, /) -> None:
        """A peer stopped answering, and its transport was aborted.

        Threads: hub thread.
        """

    def transport_superseded(self, room_id: str, connection_id: str, /) -> None:
        """A resume took over a session whose old transport still looked alive.

        Threads: hub thread.
        """

    def upgrade_refused(self, status: int, reason: str, /) -> None:
        """A client got no session: by a status before the upgrade, or by a close frame behind it.

        ``status`` is the HTTP status, or the one that means the same as the close frame; ``reason`` is one
        of ``REASONS_REFUSED``. With ``reject=close`` a refusal is counted once. A preflight is no upgrade.

        Threads: WSGI request thread, before the upgrade; hub thread, where the hub decides again behind it.
        """


class NoopMetrics(Metrics):
    """A collector that ignores everything: the default, and the base class for your own.

    Threads: any; it has no state. Blocks: never.
    """

    # Written out: to a type checker, the empty methods of a protocol are abstract.
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
    def upgrade_refused(self, status: int, reason: str, /) -> None: ...


class CountersSnapshot(TypedDict):
    """The sums of a ``Counters`` at one moment; a plain ``dict`` of numbers, ready for JSON.

    Counts begin when the ``Counters`` is made; ``connections`` and ``rooms`` are what exists
    now. Dicts by reason have every known reason, with 0 where nothing happened.
    """

    connections: int
    """Sessions that exist now, suspended ones included."""
    connections_opened: int
    connections_closed: dict[str, int]
    """By reason."""
    connection_seconds: float
    """The sum of the lives of all *closed* sessions, in seconds."""
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
    """Each broadcast's size is counted once, since it is encoded once."""
    broadcast_recipients: int
    messages_dropped: dict[str, int]
    """By reason."""
    send_buffer_high_water: int
    """The most messages that any one session's outgoing buffer has held."""
    heartbeat_failures: int
    transports_superseded: int
    upgrades_refused: dict[str, int]
    """By reason."""


class Counters(NoopMetrics):
    """A collector that keeps sums in memory, for tests and a status page.

    Next: ``snapshot()`` gives the sums. It keeps no ids and no rooms, so it never grows.

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
            upgrades_refused=_zeros(REASONS_REFUSED),
        )

    def snapshot(self) -> CountersSnapshot:
        """Return all sums of one moment in a new dict, which you may change.

        Threads: any. Blocks: never.
        """
        with self._lock:
            copy = self._sums.copy()
            copy["connections_closed"] = dict(copy["connections_closed"])
            copy["messages_dropped"] = dict(copy["messages_dropped"])
            copy["upgrades_refused"] = dict(copy["upgrades_refused"])
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

    def upgrade_refused(self, status: int, reason: str, /) -> None:
        with self._lock:
            _count(self._sums["upgrades_refused"], reason)


def _zeros(reasons: Iterable[str]) -> dict[str, int]:
    return dict.fromkeys(reasons, 0)


def _count(sums: dict[str, int], reason: str) -> None:
    # A reason that this version doesn't know is counted too: to raise would only lose the count.
    sums[reason] = sums.get(reason, 0) + 1
