"""The reader of a transport: it runs the handlers of messages, and answers pings and close frames.

There is one for each transport. It has a thread of its own (``Reader``) or takes turns with other readers on
the threads of ``leader_followers.py`` (``SharedReader``). It reports what it reads to the hub thread and
decides nothing; each report has the transport's number, by which the hub recognises a late one. It also
closes the descriptor, last of all: once the hub thread has aborted the transport, the reader waits until the
writer has left. Read next: ``session/handler_calls.py`` (what a message becomes), ``transport/base.py``.
"""

from __future__ import annotations

from typing import assert_never

from ..codec import Undecodable
from ..codes import CloseCode
from ..core import commands as c
from ..message import Message, is_reserved
from ..outgoing.transport_writer import TransportWriter
from ..protocol.control_messages import ACK, read_ack
from ..runtime.foreign_code import Log, passes
from ..session.asking import take_answer
from ..session.handler_calls import MessageCall, read_message
from ..session.serial_queue import Callback, SerialQueue
from ..session.services import Services
from ..session.session import Session
from ..transport.base import (
    CloseReceived,
    DataReceived,
    Ended,
    Failed,
    Parted,
    PingReceived,
    PongReceived,
    Received,
)
from .leader_followers import LeaderFollowers
from .read_tasks import TurnResult, Worker
from .transport_io import TransportIO

log = Log("resumehub")

# A look-up of an enumeration's member costs time, and these are used for every message.
_LEFT, _READ_ON = TurnResult.LEFT, TurnResult.READ_ON

_TURN = 32
"""After so many events a reader that shares its thread lets the others go first."""


class Reader:
    """Reads one transport for as long as it has the right to. ``run`` is all that its thread does."""

    def __init__(self, services: Services, io: TransportIO, token: object) -> None:
        assert io.writer is not None, "the hub gives a transport its writer before its reader"
        self._services = services
        self._observers = services.observers
        self._commands = services.commands
        self.io = io
        self._writer: TransportWriter = io.writer
        self._session: Session | None = io.session
        self._token = token
        self._queued = False  # whether the last callback had to be queued
        self._ended = False

    def run(self) -> None:
        """Read until the transport ends, or another thread gets the right to read. Blocks: until then."""
        try:
            self._read()
        except BaseException as error:
            if passes(error):
                raise
            self.give_up(error)

    def _read(self) -> None:
        if not self._begin():
            return
        backlog = self.io.backlog
        while True:
            if not backlog:
                backlog.extend(self.io.transport.receive())
            if self.io.parting:
                self._leave()
                return
            if not self._handle(backlog.popleft()):
                return

    def _begin(self) -> bool:
        self._writer.flush()  # what waits in the outbox goes first, in order, before anything newer
        reads_on = self._run_callbacks()
        if reads_on and self.io.listened_since is not None:
            # The process before this one has read from the peer all the time: its time for a Pong goes on.
            self.io.reading_since, self.io.listened_since = self.io.listened_since, None
        return reads_on

    def give_up(self, why: BaseException) -> None:
        """The transport can't be read any more, for a bug of ours or an error of the system: drop it."""
        what = "cannot be read any more" if isinstance(why, OSError) else "failed; please report this"
        log.error("reading transport %s %s", self.io.number, what, exc_info=why)
        try:
            self._commands.put(c.TransportAborted(self.io.number))
            self._end()
        except BaseException as error:
            if passes(error):
                raise
            log.error("closing transport %s failed; please report this", self.io.number, exc_info=error)

    def _handle(self, event: Received) -> bool:
        """Handle one event; False when this thread must read no more."""
        number = self.io.number
        if self._observers.trace is not None:
            self._observers.note("reader", type(event).__name__, transport=number, **_details(event))
        match event:
            case DataReceived(data, size):
                return self._message(data, size)
            case PingReceived(payload):
                self._writer.pong(payload)
            case PongReceived():
                pass  # the transport has noted in ``heard`` that something came
            case CloseReceived(code, reason):
                # The hub thread handles the report before the peer gets the answer: a peer that sees it
                # and connects again must not find its id taken by its own old session.
                self._commands.put_and_wait(c.PeerClosed(number, code, reason))
                self._writer.answer_close(code, "")
            case Failed(code, reason):
                self._fail(code, reason)
            case Ended(reset):
                self._commands.put(c.PeerGone(number, reset))
                self._end()
                return False
            case Parted():
                pass  # ``parting`` is set as well, and is checked before each event
            case _:
                assert_never(event)
        return True

    def _message(self, data: str | bytes, size: int) -> bool:
        message: Message | Undecodable | None = None
        session, services, is_taken = self._session, self._services, False
        if session is not None and (session.delayed_ack is not None or len(session.own_requests)):
            # Control messages and answers are handled here, since a handler may run for long, or ask.
            lossless = session.delayed_ack is not None
            message = read_message(services.codec, data, allow_reserved=lossless)
            if isinstance(message, Message) and is_reserved(message.event):
                self._control(session, message)
                return True
        if not self._is_wanted():
            return True  # a close frame is due: what still comes is read and discarded
        assert session is not None, "only a session wants messages"
        if isinstance(message, Message) and message.re is not None:
            is_taken = take_answer(services, session, message)
        if not self._run_callbacks(
            MessageCall(services, session, self.io.generation, data, size, message, is_taken)
        ):
            return False
        if self._queued and session.serial_queue.is_full():
            # No thread reads now, so no deadline for a Pong may run.
            self.io.reading_since, self.io.reads_on_since = None, float("inf")
            self._wait_for_room(session.serial_queue)
        return True

    def _wait_for_room(self, serial_queue: SerialQueue) -> None:
        serial_queue.wait_for_room(self._may_stop_waiting)
        self.io.reading_since = self.io.reads_on_since = self._services.clock.monotonic()

    def _control(self, session: Session, message: Message) -> None:
        """Handle a control message. It changes nothing once the session is on another transport."""
        if message.event != ACK:
            self._observers.skipped(session, Undecodable("a control message that is not a client's"))
            return
        try:
            possible = self._writer.acknowledge(read_ack(message))
        except ValueError:
            possible = False
        if possible is False:
            self._fail(CloseCode.POLICY_VIOLATION, "an $ack that cannot be")
        elif possible:
            self._observers.buffer_changed(session, session.outbox.used_frames)
            if not self.io.acknowledged:
                self.io.acknowledged = True
                self._commands.put(c.Acknowledged(self.io.number))

    def _fail(self, code: int, reason: str) -> None:
        self._commands.put_and_wait(c.PeerFailed(self.io.number, code, reason))
        self._writer.answer_close(code, reason, failed=True)

    def _may_stop_waiting(self) -> bool:
        return self.io.aborted.is_set() or self.io.parting or not self._is_wanted()

    def _is_wanted(self) -> bool:
        return self._session is not None and self._session.inbound_fence.is_open(self.io.generation)

    def _run_callbacks(self, call: Callback | None = None) -> bool:
        """Run the session's callbacks, ``call`` in its turn; False if another thread reads now."""
        io = self.io
        if self._session is None:
            io.reading_since = self._services.clock.monotonic()
            return True
        io.reading_since = None
        serial_queue = self._session.serial_queue
        self._about_to_call()
        has_turn = call is not None and serial_queue.take_turn()
        if call is not None and not has_turn:
            serial_queue.post(call, runner_coming=True)
        self._queued = not has_turn
        # Only now that the message has its place among the callbacks: from here on another thread may read
        # the next one (tests/races/test_the_lead.py).
        io.busy = True
        if call is not None and has_turn:
            serial_queue.run_in_turn(call)
        else:
            serial_queue.run()
        self._have_called()
        with io.lock:
            if io.reader is not self._token:
                return False
            io.busy = False
            io.callback_runs += 1
            io.reading_since = self._services.clock.monotonic()
        return True

    def _leave(self) -> None:
        """The session is being moved: read no more, and leave the transport as it is."""
        backlog = self.io.backlog
        if backlog and isinstance(backlog[-1], Parted):
            backlog.pop()
        self.io.reader_leaves()

    def _about_to_call(self) -> None:
        """Callbacks run next."""

    def _have_called(self) -> None:
        """The callbacks have returned."""

    def _end(self) -> None:
        """No more input will come. Once only: afterwards the descriptor's number may be another file's."""
        if not self._ended:
            self._ended = True
            self.io.no_more_input()
            self._finish()

    def _finish(self) -> None:
        self.let_go()

    def let_go(self) -> None:
        """Wait until the hub thread has aborted the transport and the writer has left; then close it."""
        io = self.io
        io.aborted.wait()
        self._writer.retire()
        try:
            io.transport.release()
        finally:
            self._commands.put(c.Released(io.number))


class SharedReader(Reader):
    """Reads one transport in turns (``leader_followers.py``), each for as long as there is input.

    It never waits: not for the network, and not when too many messages of the session wait; then no thread
    reads the transport until there is room. When its input ends, the hub thread aborts the transport, and
    the later of the two closes it.
    """

    def __init__(
        self, services: Services, io: TransportIO, token: object, leader_followers: LeaderFollowers
    ) -> None:
        super().__init__(services, io, token)
        assert io.transport.pollable is not None, "its socket can be waited for"
        self._leader_followers = leader_followers
        self.number = io.transport.pollable.fileno()
        self.in_hand = False
        self._begun = False
        self._full = False
        self._me: Worker | None = None

    def begin_idle(self) -> None:
        """Nothing waits to be written or handled: the first turn may come with the first input.

        Hub thread, before a thread knows of it.
        """
        self._begun = True
        if self.io.listened_since is not None:
            self.io.reading_since, self.io.listened_since = self.io.listened_since, None

    def take(self, me: Worker) -> TurnResult:
        """Take a turn: read, if nothing is left of the last turn, and handle some of what came."""
        self._me = me
        backlog = self.io.backlog
        try:
            if not self._begun:
                self._begun = True
                if not self._begin():
                    return _LEFT
            if not backlog:
                backlog.extend(self.io.transport.receive_now())
            for _ in range(min(len(backlog), _TURN)):
                if self.io.parting:
                    self._leave()
                    return _LEFT
                if not self._handle(backlog.popleft()):
                    return _LEFT
                if self._full:
                    return TurnResult.PAUSED
            if backlog or self.io.transport.has_more or self.io.parting:
                self._leader_followers.recall(self.number)  # the socket need not have any
        except BaseException as error:
            if passes(error):
                raise
            self.give_up(error)
            return _LEFT
        return _READ_ON

    def when_room(self) -> None:
        """After a turn that was PAUSED: have the next one taken once there is room."""
        assert self._session is not None, "only a session's messages wait for room"
        self._full = False
        self._session.serial_queue.when_room(self._go_on)

    def _go_on(self) -> None:
        self.io.reading_since = self.io.reads_on_since = self._services.clock.monotonic()
        try:
            self._leader_followers.enter(self)
        except RuntimeError as error:  # a thread that runs callbacks calls this, and must go on
            self.give_up(error)

    def _wait_for_room(self, serial_queue: SerialQueue) -> None:
        self._full = True

    def _about_to_call(self) -> None:
        assert self._me is not None, "callbacks run in a turn"
        self._leader_followers.before_callback(self._me, self.io.backlog)

    def _have_called(self) -> None:
        assert self._me is not None, "callbacks run in a turn"
        self._leader_followers.after_callback(self._me)

    def _leave(self) -> None:
        self._leader_followers.forget(self.number)
        super()._leave()

    def _finish(self) -> None:
        self._leader_followers.forget(self.number)
        if self.io.is_to_be_closed(ended=True):
            self.let_go()


class FinalRelease:
    """The last turn of a transport that was aborted while a writer thread still used the socket."""

    in_hand = False

    def __init__(self, reader: Reader, number: int) -> None:
        self._reader = reader
        self.number = number

    def take(self, me: Worker) -> TurnResult:
        self._reader.let_go()
        return TurnResult.LEFT

    def when_room(self) -> None:
        raise AssertionError("it reads nothing")

    def give_up(self, why: BaseException) -> None:
        log.error("closing transport %s failed; please report this", self._reader.io.number, exc_info=why)


def _details(event: Received) -> dict[str, int | bool]:
    """What a trace shows of an event: sizes and codes, no content."""
    match event:
        case DataReceived(size=size):
            return {"size": size}
        case CloseReceived(code=code) | Failed(code=code):
            return {"code": code}
        case Ended(reset=reset):
            return {"reset": reset}
    return {}
