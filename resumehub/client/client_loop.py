"""The running client: its driver, the effects that it carries out, and its other workers.

The driver runs a ``CommandLoop``: it takes commands one by one, the pure machine decides, and the driver
carries out. There are four kinds of workers: the driver; one for each transport, which reads; the writer; and
one that calls the application's callbacks, if there are any. Each is a flow of steps (``steps.py``), and the
shell runs it: as a thread, or as a task of an event loop. Made by ``connect``. Read next: ``machine.py``,
``transport.py``, ``sender.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, assert_never

from ..clock import Clock
from ..codec import encode_frame
from ..codes import CloseCode
from ..errors import (
    ConnectionClosed,
    MessageRejected,
    ResumeHubError,
    SendBufferFull,
    SessionExpired,
    TransportLost,
)
from ..message import Frame, Message
from ..protocol import control_messages
from ..protocol.control_messages import Hello, Rejection
from ..runtime.command_loop import CommandLoop, Reply
from ..runtime.foreign_code import Log, passes
from ..runtime.steady_clock import steady
from . import commands as c
from . import effects as e
from .asked_requests import AskedRequest, AskedRequests
from .callbacks import Callbacks
from .inbox import Inbox
from .machine import ClientMachine
from .options import Options, chance
from .outbox import ClientOutbox, OutgoingMessage
from .requester import ClientRequester
from .responder import ClientResponder
from .sender import Sender
from .stats import ClientCounters
from .status import Status
from .steps import ClientShell, ClientWorker, Steps
from .taken_requests import TakenRequests
from .transport import ClientTransport

log = Log(__name__)

_serials = itertools.count(1)


class ClientLoop:
    """One client's workers. Methods: any thread, unless said otherwise.

    ``callbacks``: hook → the application's function; a hook may have none. ``send_buffer`` and
    ``send_buffer_bytes``: how many messages, and bytes of payload, may wait to be sent or acknowledged;
    ``max_requests``: how many requests may be unanswered, each way.
    """

    def __init__(
        self,
        options: Options,
        callbacks: Mapping[str, Callable[..., Any]],
        clock: Clock,
        shell: ClientShell,
        send_buffer: int,
        send_buffer_bytes: int,
        max_requests: int,
    ) -> None:
        self.options = options
        self.clock = clock = steady(clock)
        self.runtime = runtime = shell.runtime
        self._shell = shell
        self.send_buffer_bytes = send_buffer_bytes
        self.counters = ClientCounters()
        #: From the last ``$hello``: the session's id, the largest message, and the token for the next dial.
        self.connection_id = ""
        self.max_message_size: int | None = None
        self.token = ""
        self.in_doubt: list[Message] = []
        # Not max_requests alone: those that are answered and not acknowledged yet take up room as well.
        outbox = ClientOutbox(send_buffer, send_buffer_bytes, max_requests + send_buffer)
        self.sender = Sender(runtime, outbox, self._drained)
        self.requester = ClientRequester(
            runtime, AskedRequests(options.request_prefix, max_requests), self._ask, self._time, self.name
        )
        self.responder = ClientResponder(
            runtime, TakenRequests(max_requests), self.counters, self._encode_correlated, self._answer
        )
        self.inbox = Inbox(runtime, self._handled, self._missed)
        self.finished = runtime.event("the client to end")
        self._machine = ClientMachine(options.rules)
        self.status = Status(runtime, self._machine)
        self._callbacks = Callbacks(callbacks, self.responder.serve, self.inbox, self.counters, runtime)
        self._serial = next(_serials)
        self._commands: CommandLoop[c.Command] = CommandLoop(
            "the client",
            self._machine,
            runtime,
            clock,
            tick=c.TimePassed(),
            perform=self._perform,
            refuse=lambda command, reply: None,  # the client has ended: too late
            log=log,
        )
        self._timeline = shell.timeline(self._commands, self._machine.next_deadline)
        self._transports: dict[int, ClientTransport] = {}
        self._workers: list[ClientWorker] = []

    # -- for the application --------------------------------------------------------------------

    def start(self) -> None:
        """Start to dial. Raises: RuntimeError when the system gives no thread; then nothing goes on."""
        self.clock.follow(self._timeline)
        try:
            self._spawn("client driver", self._drive)
            self._spawn("client writer", self._write)
            if self._callbacks.any:
                self._spawn("client callbacks", self._callbacks.steps)
        except RuntimeError:
            # If the driver could not start, the next step of the clock would wait for it forever.
            self.clock.unfollow(self._timeline)
            self.put(c.Leave(1000, 0.0, True))
            self.inbox.end()
            self.sender.end()
            raise
        self.put(c.Start())

    def is_own_worker(self) -> bool:
        """Whether the caller is a step of one of the client's workers: it is a callback."""
        return any(worker.is_current() for worker in list(self._workers))

    def wait_until_over(self, timeout: float | None) -> bool:
        """Block until the client has ended and the last callback has returned.

        False if one of the two took longer than ``timeout`` real seconds.
        """
        return self.finished.wait(timeout) and self._callbacks.over.wait(timeout)

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` real seconds for each worker; True if all have ended."""
        ended = [worker.is_current() or worker.join(timeout) for worker in list(self._workers)]
        return all(ended)

    def name(self) -> str:
        """How errors call the session: by its id, or by its address while that is not known."""
        return self.connection_id or self.options.targets.shown

    def encode(self, message: Message, *, correlated: bool = False) -> Frame:
        """Encode ``message``. Raises: TypeError, ValueError; whatever the codec raises."""
        frame = encode_frame(self.options.codec, message, correlated=correlated)
        for limit, name in (
            (self.max_message_size, "the server's max_message_size"),
            (self.send_buffer_bytes, "send_buffer_bytes"),
        ):
            if limit is not None and frame.size > limit:
                raise ValueError(f"the encoded message has {frame.size} bytes, more than {name} ({limit})")
        return frame

    def post(self, outgoing: OutgoingMessage) -> None:
        """Have a message sent. Raises: ConnectionClosed, SendBufferFull. Never blocks."""
        full = self.sender.put(outgoing)
        if full is not None:
            raise SendBufferFull(self.name(), *full)

    def _ask(self, message: Message, request: AskedRequest) -> None:
        self.post(OutgoingMessage(self._encode_correlated(message), message, request))

    def _answer(self, frame: Frame, message: Message) -> None:
        self.post(OutgoingMessage(frame, message, is_answer=True))

    def _encode_correlated(self, message: Message) -> Frame:
        return self.encode(message, correlated=True)

    def _time(self, request_id: str, timeout: float | None) -> None:
        self.put(c.Requested(request_id, timeout))

    def put(self, command: c.Command) -> bool:
        """Queue a command for the driver; False if it has left. Never blocks."""
        return self._commands.put(command)

    # -- the driver ---------------------------------------------------------------------------

    def _drive(self) -> Steps[None]:
        if not (yield self._commands.run):
            self._die("the client has failed; its log says why")
        self._finish()

    def abandon(self) -> None:
        """The driver has been cancelled, which an event loop may do: the client ends, if it has not yet."""
        if not self.finished.is_set():
            self._die("the event loop has cancelled the client's tasks")
            self._finish()

    def _finish(self) -> None:
        self.inbox.end()
        self.clock.unfollow(self._timeline)
        self.finished.set()

    def _die(self, why: str) -> None:
        """The driver is no more: the client ends, so that nothing waits for it."""
        error = ConnectionClosed(self.connection_id, why)
        for transport in self._transports.values():
            transport.abort()
        self._end(error)
        self.status.die(error)
        self._callbacks.queue("on_disconnect", error)

    def _perform(self, command: c.Command, now: float, reply: Reply | None) -> None:
        waiting = [command]
        while waiting:
            for effect in self._machine.handle(waiting.pop(0), now):
                try:
                    answer = self._carry_out(effect)
                except BaseException as error:  # a bug of ours: say so, and go on
                    if passes(error):
                        raise
                    what = type(effect).__name__
                    log.error("the client could not %s; please report this", what, exc_info=error)
                    continue
                if answer is not None:
                    waiting.append(answer)
        self.status.show(self._machine)

    def _carry_out(self, effect: e.Effect) -> c.Command | None:
        match effect:
            case e.Dial():
                self._dial(effect)
            case e.Attach():
                self._attach(effect)
            case e.Detach(dial, replay):
                self.counters.drops += 1
                self.sender.detach(self._transports[dial])
                self.inbox.freeze(replay=replay)
                if not replay:
                    self._session_over(ended=False)
            case e.Abort(dial):
                if dial in self._transports:
                    self._transports[dial].abort()
            case e.GiveUpAddress(dial, left):
                self._transports[dial].give_up_address(left)
            case e.AskLastHeard(dial):
                # While the inbox is full the transport does not read: then its silence says nothing.
                heard = self.clock.monotonic() if self.inbox.is_full() else self._transports[dial].heard_at
                return c.LastHeard(dial, heard)
            case e.DrawPause(upto, at_least):
                return c.Drawn(at_least + upto * chance(self.options.random))
            case e.Acknowledge(dial, received):
                self._acknowledge(dial, received)
            case e.SendCloseFrame(dial, code):
                self.sender.close(dial, code)
            case e.QueueCallback(hook, error):
                self._callbacks.queue(hook, *([error] if hook != "on_transport_restore" else []))
            case e.TimeOutRequest(request_id):
                self.requester.time_out(request_id)
            case e.End(error):
                self._end(error)
            case e.LogIgnored(because):
                log.debug("ignored: %s", because)
            case _:
                assert_never(effect)
        return None

    def _dial(self, effect: e.Dial) -> None:
        self.counters.dials += 1
        # Those before the last one have ended, or have been aborted.
        self._transports = {dial: it for dial, it in self._transports.items() if dial >= effect.dial - 1}
        transport = ClientTransport(
            client=self,
            dial=effect.dial,
            resume=effect.resume,
            offer=effect.offer,
            asked=self.inbox.last_taken() if effect.resume else 0,
            token=self.token if effect.resume else "",
            # From above 0 to 1: where a test draws 0.0 each time, no acknowledgement is early.
            phase=1.0 - chance(self.options.phase),
        )
        self._transports[effect.dial] = transport
        try:
            transport.interrupt = self._spawn("client transport", transport.steps).interrupt
        except RuntimeError:
            self.put(c.DialFailed(effect.dial, TransportLost(1006, "the system gives no thread")))

    def _attach(self, effect: e.Attach) -> None:
        transport, hello = self._transports[effect.dial], effect.hello
        self.options.order.worked()
        self.counters.connections += 1
        if hello is not None:
            self.token, self.connection_id = hello.token, hello.connection_id
            self.max_message_size = hello.max_message_size
            for rejection in hello.rejected:
                self.not_decoded(rejection)
        left_out = self.sender.attach(
            transport,
            hello.received if hello is not None else None,
            (hello.window_messages, hello.window_bytes) if hello is not None else None,
            leave_out_first=effect.rejected_with is not None,
            largest=hello.max_message_size if hello is not None else None,
        )
        for one in left_out:
            self._reject(one, effect.rejected_with, hello)
        counted = hello is not None or (self.options.rules.plain and self.options.rules.resume)
        self.inbox.begin(effect.dial, transport.asked if counted else None)
        transport.go_on()

    def _acknowledge(self, dial: int, received: int) -> None:
        try:
            frame = encode_frame(self.options.codec, control_messages.ack(received), allow_reserved=True)
        except BaseException as error:
            if passes(error):
                raise
            # The server would wait for it, and so would the client's own messages.
            log.error("the codec cannot encode $ack; the transport is dropped", exc_info=error)
            self._transports[dial].abort()
        else:
            self.sender.ack(dial, frame)

    def _reject(self, left_out: OutgoingMessage, code: int | None, hello: Hello | None) -> None:
        size = left_out.frame.size
        if code is None or (hello is not None and size > hello.max_message_size):
            code = CloseCode.TOO_BIG
        log.warning("the server rejects a message of %d bytes (%d): it is not sent again", size, code)
        self._tell_rejected(left_out, TransportLost(code))

    def _tell_rejected(self, outgoing: OutgoingMessage, error: ResumeHubError) -> None:
        self.counters.rejected += 1
        if outgoing.request is not None:
            self.requester.reject(outgoing.request, error)
        elif not outgoing.is_answer:
            self._callbacks.queue("on_rejected", outgoing.message, error)

    def _session_over(self, *, ended: bool) -> None:
        """Ahead of any other transport: nothing of this session may be taken for a part of the next one."""
        self.responder.session_over()
        if not ended:
            self.sender.drop_answers()
        self.requester.session_over(self.connection_id, ended=ended)

    def _end(self, error: ResumeHubError | None) -> None:
        left = self.sender.end()
        self.in_doubt = [one.message for one in left if one.request is None and not one.is_answer]
        self._session_over(ended=True)
        if isinstance(error, SessionExpired):
            error.in_doubt = list(self.in_doubt)

    # -- the writer ---------------------------------------------------------------------------

    def _write(self) -> Steps[None]:
        while True:
            try:
                yield self.sender.run
                return
            except BaseException as error:  # a bug of ours: only the transport is lost
                if passes(error):
                    raise
                log.error("the client's writer failed; please report this", exc_info=error)
                dial = self.sender.give_up()
                if dial is None or dial not in self._transports:
                    raise
                self._transports[dial].abort()

    # -- reports ------------------------------------------------------------------------------

    def not_decoded(self, rejection: Rejection) -> None:
        """The server could not decode a message of ours; before it acknowledges that."""
        outgoing = self.sender.reject(rejection.number)
        if outgoing is not None:
            log.warning("the server can't decode a message of %d bytes", outgoing.frame.size)
            self._tell_rejected(outgoing, MessageRejected(rejection.number, rejection.reason))

    def _handled(self, number: int, size: int) -> None:
        # A plain server gets no acknowledgements, so the driver need not know.
        if self._machine.lossless:
            self.put(c.Handled(number, size))

    def _missed(self, first: int, last: int) -> None:
        self.counters.missed += last - first + 1
        self._callbacks.queue("on_missed", first, last)

    def _drained(self) -> None:
        self.put(c.Drained())

    def _spawn(self, role: str, steps: Callable[[], Steps[None]]) -> ClientWorker:
        self._workers = [worker for worker in self._workers if worker.is_alive()]
        self._workers.append(self._shell.start(f"resumehub-{role}-{self._serial}", steps))
        return self._workers[-1]
