"""The reader of a transport: messages to their handlers, answers to pings and closes.

One per transport, either with a thread of its own (``Reader``) or in turns with those of others on the
threads of ``readers.py`` (``SharedReader``). It reports what it sees to the hub and decides nothing: each
report carries the transport's number, so that the hub can tell a late one. It is also the last to leave:
once the hub has aborted the transport it waits for the writer to let go, and closes the descriptor.
"""

from __future__ import annotations

import logging
from typing import Protocol, assert_never

from ..channel import Channel
from ..clock import Clock
from ..codec import Undecodable
from ..codes import CloseCode
from ..connection import Connection
from ..core.commands import (
    Acknowledged,
    Command,
    PeerClosed,
    PeerFailed,
    PeerGone,
    Released,
    TransportAborted,
)
from ..message import Message, is_reserved
from ..protocol import ACK, read_ack
from ..transport.base import CloseReceived, DataReceived, Ended, Failed, PingReceived, PongReceived, Received
from .callbacks import Job, Strand
from .jobs import JobHost, MessageJob, read_message
from .link import Link
from .readers import Member, Outcome, Readers

log = logging.getLogger("resumehub")


# Members of an enumeration are looked up, and these are for every message.
_LEFT, _READ_ON = Outcome.LEFT, Outcome.READ_ON


class ReaderHost(JobHost, Protocol):
    """The hub's engine, as a reader sees it."""

    clock: Clock
    readers: Readers | None

    def buffer_changed(self, connection: Connection, used: int, /) -> None: ...
    def put_and_wait(self, command: Command, /) -> None: ...


class Reader:
    """Reads one link for as long as it has the right to. ``run`` is the thread's whole life."""

    def __init__(self, host: ReaderHost, link: Link, token: object) -> None:
        assert link.channel is not None, "the hub gives a link its channel before its reader"
        self._host = host
        self._link = link
        self._channel: Channel = link.channel
        self._connection: Connection | None = link.connection
        self._token = token
        self._queued = False  # whether the last callback had to wait its turn

    def run(self) -> None:
        """Read until the end, or until another thread has taken over the right to."""
        try:
            self._read()
        except Exception:
            self._give_up()

    def _read(self) -> None:
        if not self._begin():
            return
        backlog = self._link.backlog
        while True:
            if not backlog:
                backlog.extend(self._link.transport.receive())
            if not self._handle(backlog.popleft()):
                return

    def _begin(self) -> bool:
        self._channel.flush()  # what was unsent goes first, in order, before anything newer
        return self._run_callbacks()

    def _give_up(self) -> None:
        """In an except block. A bug of ours: this transport is lost, and nothing else."""
        log.exception("reading transport %s failed; please report this", self._link.number)
        self._host.put(TransportAborted(self._link.number))
        self._end()

    def _handle(self, event: Received) -> bool:
        """Deal with one event; False when this thread is done."""
        number = self._link.number
        if self._host.trace is not None:
            self._host.note("reader", type(event).__name__, transport=number, **_details(event))
        match event:
            case DataReceived(data, size):
                return self._message(data, size)
            case PingReceived(payload):
                self._channel.pong(payload)
            case PongReceived():
                pass  # it was heard, which is all there is to it
            case CloseReceived(code, reason):
                # First the report, and only when it is understood the answer: a peer that sees it and
                # connects again must not find its id taken by its own former self.
                self._host.put_and_wait(PeerClosed(number, code, reason))
                self._channel.answer_close(code, "")
            case Failed(code, reason):
                self._fail(code, reason)
            case Ended(reset):
                self._host.put(PeerGone(number, reset))
                self._end()
                return False
            case _:
                assert_never(event)
        return True

    def _message(self, data: str | bytes, size: int) -> bool:
        content: str | bytes | Message | Undecodable = data
        if self._connection is not None and self._connection._receipts is not None:
            # The session's own messages are read here, since a handler may be busy for long.
            content = read_message(self._host.codec, data, allow_reserved=True)
            if isinstance(content, Message) and is_reserved(content.event):
                self._control(self._connection, content)
                return True
        if not self._is_wanted():
            return True  # a close frame is on its way: what still comes is read and discarded
        assert self._connection is not None, "a message is wanted by a session"
        if not self._run_callbacks(
            MessageJob(self._host, self._connection, self._link.generation, content, size)
        ):
            return False
        if self._queued and self._connection._strand.is_full():
            # Nobody reads now, so no deadline for a Pong may run.
            self._link.reading_since = None
            self._wait_for_room(self._connection._strand)
        return True

    def _wait_for_room(self, strand: Strand) -> None:
        strand.wait_for_room(self._may_stop_waiting)
        self._link.reading_since = self._host.clock.monotonic()

    def _control(self, connection: Connection, message: Message) -> None:
        """Obey a control message; one that comes after its session has moved on decides nothing."""
        if message.event != ACK:
            self._host.skip(connection, Undecodable("a control message that is not a client's"))
            return
        try:
            possible = self._channel.acknowledge(read_ack(message))
        except ValueError:
            possible = False
        if possible is False:
            self._fail(CloseCode.POLICY_VIOLATION, "an $ack that cannot be")
        elif possible:
            self._host.buffer_changed(connection, connection._outbox.used_frames)
            if not self._link.acknowledged:
                self._link.acknowledged = True
                self._host.put(Acknowledged(self._link.number))

    def _fail(self, code: int, reason: str) -> None:
        self._host.put_and_wait(PeerFailed(self._link.number, code, reason))
        self._channel.answer_close(code, reason, failed=True)

    def _may_stop_waiting(self) -> bool:
        return self._link.aborted.is_set() or not self._is_wanted()

    def _is_wanted(self) -> bool:
        return self._connection is not None and self._connection._inbox.is_open(self._link.generation)

    def _run_callbacks(self, job: Job | None = None) -> bool:
        """Run the session's callbacks, ``job`` in its turn; False if another thread reads now."""
        link = self._link
        if self._connection is None:
            link.reading_since = self._host.clock.monotonic()
            return True
        link.reading_since = None
        strand = self._connection._strand
        self._about_to_call()
        claimed = job is not None and strand.claim()
        if job is not None and not claimed:
            strand.post(job, runner_coming=True)
        self._queued = not claimed
        # Not before the message has its place among the callbacks: from here on another thread may read the
        # next one (tests/races/test_the_lead.py).
        link.busy = True
        if job is not None and claimed:
            strand.run_claimed(job)
        else:
            strand.run()
        self._have_called()
        with link.lock:
            if link.reader is not self._token:
                return False
            link.busy = False
            link.turns += 1
            link.reading_since = self._host.clock.monotonic()
        return True

    def _about_to_call(self) -> None:
        """Callbacks come next."""

    def _have_called(self) -> None:
        """They are through."""

    def _end(self) -> None:
        """Nothing more is to be read."""
        self.let_go()

    def let_go(self) -> None:
        """Wait for the hub to give the transport up, then for the writer; close the descriptor."""
        link = self._link
        link.aborted.wait()
        self._channel.retire()
        link.transport.release()
        self._host.put(Released(link.number))


class SharedReader(Reader):
    """Reads one link in turns (``readers.py``), each for as long as there is input or something to call.

    It never waits: not for the network, and not for room where the session's callbacks are behind; then the
    link is nobody's until there is some. When its input ends, the link is left to the hub, which gives it
    up and closes it.
    """

    def __init__(self, host: ReaderHost, link: Link, token: object) -> None:
        super().__init__(host, link, token)
        assert host.readers is not None, "there are threads to share"
        assert link.transport.pollable is not None, "its socket can be waited for"
        self._readers = host.readers
        self.number = link.transport.pollable.fileno()
        self.in_hand = False
        self._begun = False
        self._full = False
        self._me: Member | None = None

    def take(self, me: Member) -> Outcome:
        """A turn: read once, and handle what came."""
        self._me = me
        backlog = self._link.backlog
        try:
            if not self._begun:
                self._begun = True
                if not self._begin():
                    return _LEFT
            if not backlog:
                backlog.extend(self._link.transport.receive_now())
            while backlog:
                if not self._handle(backlog.popleft()):
                    return _LEFT
                if self._full:
                    return Outcome.PAUSED
        except Exception:
            self._give_up()
            return _LEFT
        return _READ_ON

    def when_room(self) -> None:
        """Behind a turn that ended for want of room: have the next one taken once there is some."""
        assert self._connection is not None, "only a session's messages are parked"
        self._full = False
        self._connection._strand.when_room(self._go_on)

    def _go_on(self) -> None:
        self._link.reading_since = self._host.clock.monotonic()
        self._readers.enter(self)

    def _wait_for_room(self, strand: Strand) -> None:
        self._full = True

    def _about_to_call(self) -> None:
        assert self._me is not None, "callbacks run in a turn"
        self._readers.before_callback(self._me, self._link.backlog)

    def _have_called(self) -> None:
        assert self._me is not None, "callbacks run in a turn"
        self._readers.after_callback(self._me)

    def _end(self) -> None:
        self._readers.forget(self.number)
        if self._link.is_to_be_closed(ended=True):
            self.let_go()


class Farewell:
    """The last turn of a link that the hub has given up while its writer still had the socket."""

    in_hand = False

    def __init__(self, reader: Reader, number: int) -> None:
        self._let_go = reader.let_go
        self.number = number

    def take(self, me: Member) -> Outcome:
        self._let_go()
        return Outcome.LEFT

    def when_room(self) -> None:
        raise AssertionError("it reads nothing")


def _details(event: Received) -> dict[str, int | bool]:
    """What a trace says of an event: sizes and codes, no content."""
    match event:
        case DataReceived(size=size):
            return {"size": size}
        case CloseReceived(code=code) | Failed(code=code):
            return {"code": code}
        case Ended(reset=reset):
            return {"reset": reset}
    return {}
