"""The reader of a transport: it runs the handlers of messages, and answers pings and close frames.

There is one for each transport. It has a thread of its own (``Reader``) or takes turns with other readers on
the threads of ``leader_followers.py`` (``shared_reader.py``). It reports what it reads to the hub thread and
decides nothing; each report has the transport's number, by which the hub recognises a late one. It also
closes the descriptor, last of all: once the hub thread has aborted the transport, the reader waits until the
writer has left. Read next: ``session/handler_calls.py`` (what a message becomes), ``transport/base.py``.
"""

from __future__ import annotations

from collections.abc import Callable
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
from .transport_io import TransportIO

log = Log(__name__)


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
        self._rate = io.session.input_rate if io.session is not None else None
        self._overdrawn = False  # whether the client has sent more than it may
        self._fragments = io.transport.fragments  # that have been charged
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
                backlog.extend(self.io.transport.receive(once=True))
                self._charge_fragments()
            if self.io.parting:
                self._leave()
                return
            if backlog and not self._handle(backlog.popleft()):
                return
            if self._overdrawn and self._session is not None:
                may_go_on = self._services.new_event(f"the client of transport {self.io.number} to slow down")
                self._begin_pause(self._session, may_go_on.set)
                may_go_on.wait()
                self._start_reading()

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
        log.error("reading transport %s %s", self.io.number, what, exc_info=why, transport=self.io.number)
        try:
            self._commands.put(c.TransportAborted(self.io.number))
            self._end()
        except BaseException as error:
            if passes(error):
                raise
            log.error(
                "closing transport %s failed; please report this",
                self.io.number,
                exc_info=error,
                transport=self.io.number,
            )

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
                self._charge_control(len(payload))
            case PongReceived():
                self._charge_control(0)  # the transport has noted in ``heard`` that something came
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
                self._charge_control(size)
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
        # The time at which its callbacks had returned: a look at the clock for each message would cost.
        if self._rate is not None and self._rate.message(size, self.io.reading_since or 0.0):
            self._overdrawn = True
        if self._queued and session.serial_queue.is_full():
            self._stop_reading()
            self._wait_for_room(session.serial_queue)
        return True

    def _wait_for_room(self, serial_queue: SerialQueue) -> None:
        serial_queue.wait_for_room(self._may_stop_waiting)
        self._start_reading()

    def _stop_reading(self) -> None:
        # No thread reads now, so no deadline for a Pong or an $ack may run.
        self.io.reading_since, self.io.reads_on_since = None, float("inf")

    def _start_reading(self) -> None:
        self.io.reading_since = self.io.reads_on_since = self._services.clock.monotonic()

    # -- the client's rate ------------------------------------------------------------------

    def _charge_control(self, size: int, number: int = 1) -> None:
        """The client has sent what is no message. One that is to be closed is read without a limit."""
        rate = self._rate
        now = self._services.clock.monotonic()
        if rate is not None and self._is_wanted() and rate.control(size, now, number):
            self._overdrawn = True

    def _charge_fragments(self) -> None:
        before, self._fragments = self._fragments, self.io.transport.fragments
        if self._fragments != before:
            self._charge_control(0, self._fragments - before)

    def _begin_pause(self, session: Session, then: Callable[[], None]) -> None:
        """Read no more until the client may send again; ``then`` is called once, on any thread."""
        assert session.input_rate is not None, "it has been overdrawn"
        self._overdrawn = False
        self._stop_reading()
        until = session.input_rate.until()
        self.io.when_to_read_on(then)
        self._commands.put(c.ReadingPaused(self.io.number, until))

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
        has_turn = call is not None and serial_queue.take_turn(call)
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
