"""What the hub reports to a metrics collector: each method, when it is called, with what, on which threads.

``Metrics`` has the methods that every collector has, ``MoreMetrics`` those that it may have as well.
``CALLED_FROM`` has the threads as data; the documentation is generated from it, and a test compares the
docstrings with it. This module knows no session and no exporter. It does not protect the hub from a
collector: the callers do, they log what a collector raises and go on.

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
  application's own threads, or a reader or callbacks thread while it runs a handler that sends;
* with a cluster, *member thread*: looks after this process's part in it; *mover thread*: moves, parks and
  adopts; *link thread*: reads what the hub's process sends.

Read next: ``metrics.py``, then ``session/observers.py``, through which most of the calls go.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from .reasons import AskOutcome, CloseReason, DropReason, RefusalReason, RequestOutcome

REASONS_CLOSED: Final = tuple(reason.value for reason in CloseReason)
"""Every reason that ``connection_closed`` can give."""

REASONS_DROPPED: Final = tuple(reason.value for reason in DropReason)
"""Every reason that ``message_dropped`` can give."""

REASONS_REFUSED: Final = tuple(reason.value for reason in RefusalReason)
"""Every reason that ``upgrade_refused`` can give."""

OUTCOMES_ASKED: Final = tuple(outcome.value for outcome in AskOutcome)
"""Every outcome that ``request_settled`` can give."""

OUTCOMES_OF_CLIENTS: Final = tuple(outcome.value for outcome in RequestOutcome)
"""Every outcome that ``client_request_settled`` can give."""

_HUB: Final = "hub thread"
_REQUEST: Final = "WSGI request thread"
_READER: Final = "reader thread"
_WRITER: Final = "writer thread"
_CALLBACKS: Final = "callbacks thread"
_APPLICATION: Final = "application thread"
_MEMBER: Final = "member thread"
_MOVER: Final = "mover thread"
_LINK: Final = "link thread"

THREADS: Final = (
    *(_HUB, _REQUEST, _READER, _WRITER, _CALLBACKS, _APPLICATION),
    *(_MEMBER, _MOVER, _LINK),
)
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
        "reading_paused": (_HUB,),
        "request_asked": (_APPLICATION, _READER, _CALLBACKS),
        "request_settled": (_APPLICATION, _READER, _CALLBACKS),
        "client_request_taken": (_READER, _CALLBACKS),
        "client_request_settled": (_APPLICATION, _READER, _CALLBACKS, _HUB),
        "command_waited": (_HUB,),
        "resume_served": (_HUB,),
        "suspension_ended": (_HUB,),
        "callback_ended": (_READER, _CALLBACKS),
        "write_stall_ended": (_APPLICATION, _READER, _CALLBACKS, _WRITER, _HUB),
        "connection_moved_in": (_HUB,),
        "connection_moved_out": (_HUB,),
        "hub_moved_out": (_MOVER,),
        "hub_moved_in": (_MEMBER,),
        "hub_stayed": (_MOVER,),
        "hub_parked": (_MOVER,),
        "hub_taken": (_MEMBER,),
        "call_began": (_APPLICATION, _READER, _CALLBACKS),
        "call_ended": (_APPLICATION, _READER, _CALLBACKS),
        "hub_silent": (_REQUEST,),
        "hub_heard": (_LINK, _MEMBER),
    }
)
"""Method name → the threads that call it, in the order of the contract."""


class Metrics(Protocol):
    """The methods that every collector has. Subclass ``NoopMetrics`` to write only those that you want.

    All arguments are positional, so yours may have other names. Every method must be quick and
    must not call the hub. It is called on the threads that its docstring names, perhaps on several at
    once; see the top of this module.
    """

    def connection_opened(self, room_id: str, connection_id: str, /) -> None:
        """A new session began. A resume is no new session; see ``resume_attempt``.

        Threads: hub thread.
        """

    def connection_closed(self, room_id: str, connection_id: str, duration: float, reason: str, /) -> None:
        """A session ended, once per session: one that was opened here, or came from another process.

        ``duration`` is the session's life in seconds of the hub's clock, suspended time included, in whatever
        process; ``reason`` is one of ``REASONS_CLOSED``.

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
        """A room got its first session here: one that began there, joined it, or came from another process.

        Threads: hub thread.
        """

    def room_destroyed(self, room_id: str, /) -> None:
        """The last session of a room ended, left it, or left this process; a suspended one keeps its rooms.

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


class MoreMetrics(Protocol):
    """The methods that a collector may have as well; what it lacks it is not told. ``NoopMetrics`` has them.

    Those from ``connection_moved_in`` on are called only with a cluster, the others in any hub. Everything
    that ``Metrics`` says of arguments and threads holds here. All durations are seconds, 0 or more: real ones
    with a cluster, those of the hub's clock in the others.
    """

    def reading_paused(self, room_id: str, connection_id: str, duration: float, /) -> None:
        """A client has sent more than ``rate`` allows; the hub does not read it for ``duration`` seconds.

        At most ten times a second for one client. A close frame of ours may end the pause sooner.

        Threads: hub thread.
        """

    def request_asked(self, room_id: str, connection_id: str, /) -> None:
        """A thread of this process asks a client: ``connection.request``.

        Threads: the one that asks: an application thread or, in a handler, a reader thread or a callbacks
        thread.
        """

    def request_settled(self, room_id: str, connection_id: str, outcome: str, /) -> None:
        """Such a request is over, once per ``request_asked``, in the same process.

        ``outcome`` is one of ``OUTCOMES_ASKED``: ``answered``; ``refused``, the client has said no;
        ``timeout``; ``lost``, the session ended, or nobody knows; ``unsent``, the asker's mistake, or a full
        buffer: nothing was sent.

        Threads: the one that asks: an application thread or, in a handler, a reader thread or a callbacks
        thread.
        """

    def client_request_taken(self, room_id: str, connection_id: str, /) -> None:
        """A client asks the hub, and its handlers start, or it is refused since too many are open.

        Threads: the one that runs the message's handlers: a reader thread, or a callbacks thread.
        """

    def client_request_settled(self, room_id: str, connection_id: str, outcome: str, /) -> None:
        """Such a request has its answer, or gets none; once per ``client_request_taken``.

        With a cluster it may be told in another process than that. ``outcome`` is one of
        ``OUTCOMES_OF_CLIENTS``: ``answered``; ``refused``, by a handler; ``failed``, a handler raised, or no
        answer could be sent; ``turned_away``, too many were open; ``lost``, the session ended before.

        Threads: the one that answers: an application thread or, in a handler, a reader thread or a callbacks
        thread; the hub thread, where the session ends.
        """

    def command_waited(self, duration: float, /) -> None:
        """The hub begins a command, which was in its queue for ``duration``: the lag of the hub thread.

        Threads: hub thread.
        """

    def resume_served(self, room_id: str, connection_id: str, delay: float, /) -> None:
        """A client that came back has its session, ``delay`` after the hub was given its socket.

        Threads: hub thread.
        """

    def suspension_ended(self, room_id: str, connection_id: str, duration: float, resumed: bool, /) -> None:
        """A session had no transport for ``duration``, and goes on (``resumed``), or has ended.

        A takeover counts as 0. Not told of one that began in another process.

        Threads: hub thread.
        """

    def callback_ended(self, room_id: str, connection_id: str, hook: str, duration: float, /) -> None:
        """All handlers of ``hook`` have run for one message, or one event, in ``duration``.

        Threads: the one that runs them: a reader thread, or a callbacks thread.
        """

    def write_stall_ended(self, room_id: str, connection_id: str, duration: float, /) -> None:
        """A client takes bytes again, which it had not for ``duration``: its socket was full.

        Threads: those of ``message_sent``: an application thread, a reader thread, a callbacks thread, a
        writer thread, or the hub thread.
        """

    def connection_moved_in(self, room_id: str, connection_id: str, /) -> None:
        """A session came to this process: with the hub, or out of the file of parked sessions.

        In each process opened less closed, and in less out, is how many sessions are there.

        Threads: hub thread.
        """

    def connection_moved_out(self, room_id: str, connection_id: str, /) -> None:
        """A session left this process alive: with the hub, or into the file of parked sessions.

        Threads: hub thread.
        """

    def hub_moved_out(
        self, sessions: int, carried: int, ended: int, release: float, freeze: float, /
    ) -> None:
        """The hub moved from this process to another one, with ``sessions``.

        ``carried``: of these, so many whose handler still ran here; ``ended``: so many more could not move,
        and end. ``release``: until handlers had come to an end, while all else went on; ``freeze``: from when
        everything stood still until the move was committed.

        Threads: mover thread.
        """

    def hub_moved_in(self, sessions: int, adoption: float, /) -> None:
        """The hub moved to this process, with ``sessions``.

        ``adoption``: from the commit, as this process has read it, until all sessions went on.

        Threads: member thread.
        """

    def hub_stayed(self, duration: float, /) -> None:
        """A move from this process failed after ``duration``: the hub goes on here. The log says why.

        Threads: mover thread.
        """

    def hub_parked(self, sessions: int, ended: int, duration: float, /) -> None:
        """The hub stopped, since no process took it: ``sessions`` are parked, and ``ended`` could not be.

        ``duration``: from the order until it was closed.

        Threads: mover thread.
        """

    def hub_taken(self, sessions: int, ended: int, duration: float, /) -> None:
        """This process took a hub that no process held: at a start, or since its process has died.

        ``sessions``: were parked, and go on; ``ended``: were parked, and can't. ``duration``: since this
        process began to look for the hub.

        Threads: member thread.
        """

    def call_began(self) -> None:
        """A thread calls the hub, which is in another process, and waits: a ``send``, a ``count``, any call.

        Threads: the one that calls: an application thread or, where a handler calls, a reader thread or a
        callbacks thread.
        """

    def call_ended(self, duration: float, answered: bool, /) -> None:
        """Such a call is over, once per ``call_began``.

        ``duration``: for so long the thread has waited, for a hub or its answer. ``answered``: whether it has
        an answer, which may be an exception; ``False``: it raised ``HubUnavailable``.

        Threads: the one that calls: an application thread or, where a handler calls, a reader thread or a
        callbacks thread.
        """

    def hub_silent(self) -> None:
        """The hub's process did not answer a dial at this one in time: it is *suspect*, and dials get a 503.

        Threads: WSGI request thread.
        """

    def hub_heard(self, duration: float, /) -> None:
        """It is suspect no more, once per ``hub_silent``: it has answered, or its link has ended.

        ``duration``: for so long it was.

        Threads: link thread; member thread, where the hub is found in another place.
        """
