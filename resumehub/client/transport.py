"""One transport of a client, from the dial to the last byte, and the worker that reads it, step by step.

The worker (a thread, or a task of an event loop) connects, shakes hands, reads the ``$hello``, tells the
driver, and waits for its decision. Then it gives each message to the inbox, and each acknowledgement and each
Ping to the sender. The last thing that it tells the driver is how the transport ended. It decides nothing
about the session. Made by ``client_loop.py``. Read next: ``steps.py``, ``dialing.py``, ``wire.py``.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from ..clock import Clock
from ..codec import Undecodable, decode_message
from ..codes import CloseCode
from ..errors import HandshakeRefused, TransportLost
from ..message import Message
from ..protocol import control_messages
from ..protocol.expiry import read_expiry, read_object
from ..protocol.tokens import SUBPROTOCOL
from ..runtime.base import Runtime
from ..runtime.foreign_code import Log, passes
from ..transport.base import CloseReceived, Failed, PingReceived
from ..transport.sockets import RECEIVE_BYTES, ByteStream
from . import commands as c
from .dialing import open_stream
from .inbox import Arrival, Inbox
from .options import Options
from .requester import ClientRequester
from .responder import ClientResponder
from .sender import Sender
from .stats import ClientCounters
from .steps import Aborted, Steps
from .target import Target, TargetFailed
from .wire import Accepted, Data, Rejected, Wire, WireEvent, encode_close

log = Log(__name__)


class ClientParts(Protocol):
    """What a transport uses of its client. ``put``: queue a command for the driver; False if it has left."""

    options: Options
    clock: Clock
    runtime: Runtime
    sender: Sender
    inbox: Inbox
    counters: ClientCounters
    requester: ClientRequester
    responder: ClientResponder

    def put(self, command: c.Command) -> bool: ...

    def not_decoded(self, rejection: control_messages.Rejection) -> None: ...


@dataclass(eq=False, repr=False, kw_only=True)
class ClientTransport:
    """One dial. Made and used by the driver, but for ``steps``, which are its worker's."""

    client: ClientParts
    dial: int
    #: Ask for the session, with ``token``, "" where there is none; offer ``resumehub.v1``.
    resume: bool
    token: str
    offer: bool
    #: How many of the server's messages the dial says have been handled.
    asked: int
    #: What was drawn for the first acknowledgement, to be handed on.
    phase: float
    heard_at: float = 0.0
    stream: ByteStream | None = None
    #: Called behind an abort, with the descriptor of the socket that was shut down, if there is one.
    interrupt: Callable[[int | None], None] | None = None
    _wire: Wire | None = None
    # What has been read and not looked at.
    _events: Iterator[WireEvent] = field(default_factory=lambda: iter(()))
    _sock: socket.socket | None = None
    # How many addresses are left behind the one that it connects to; None: it does not connect.
    _left: int | None = None
    _aborted: bool = False

    def __post_init__(self) -> None:
        self._codec = self.client.options.codec
        self._lock = self.client.runtime.lock("a client transport")
        self._driver_has_decided = self.client.runtime.event("the driver's decision")

    # -- for the driver -----------------------------------------------------------------------

    def go_on(self) -> None:
        """The transport is attached: read on."""
        self._driver_has_decided.set()

    def abort(self) -> None:
        """Shut the socket down, at any moment of the transport's life; the worker then ends. Never blocks."""
        with self._lock:
            self._aborted = True
            number = None
            if self._sock is not None:
                _shut_down(self._sock)
                number = self._sock.fileno()
        self._driver_has_decided.set()
        if self.interrupt is not None:
            self.interrupt(number)

    def give_up_address(self, left: int) -> None:
        """Have the worker try its next address, if it still connects to the one with ``left`` behind it."""
        with self._lock:
            if self._left == left and self._sock is not None:
                _shut_down(self._sock)

    # -- the worker ---------------------------------------------------------------------------

    def steps(self) -> Steps[None]:
        """Dial, read to the end, and release the socket."""
        try:
            try:
                end = (yield from self._connect()) or (yield from self._use())
            except BaseException as error:  # a bug of ours: say so, and dial again
                if passes(error):
                    raise
                log.error("the client's transport failed; please report this", exc_info=error)
                end = self._lost_without_close()
            self.client.put(end)
        finally:
            self.abort()
            if self.stream is not None:
                try:
                    yield partial(self.client.sender.detach_and_wait, self)
                finally:
                    self.stream.release()

    def _guard(self, sock: socket.socket, left: int | None = None) -> None:
        with self._lock:
            if self._aborted:
                raise Aborted
            self._sock, self._left = sock, left
        if left is not None:
            self.client.put(c.Trying(self.dial, left))

    def _connect(self) -> Steps[c.Command | None]:
        """Connect; give what to report if that fails."""
        options, runtime = self.client.options, self.client.runtime
        try:
            target = yield from options.targets.next()
            self._wire = self._request(target)
            self.stream = yield from open_stream(
                target.address, options.opener, target.ssl_context, runtime, self._guard
            )
            return None
        except TargetFailed as failed:
            log.warning("dial %d is given up: %s", self.dial, failed, exc_info=failed.__cause__)
            lost = TransportLost(CloseCode.ABNORMAL, f"nothing to dial: {failed}")
            lost.__cause__ = failed.__cause__
            return c.DialFailed(self.dial, lost)
        except Aborted:
            return self._lost_without_close()
        except ssl.SSLCertVerificationError as error:
            problem = HandshakeRefused(0, f"the server's certificate: {error.verify_message}")
            return c.DialFailed(self.dial, problem, permanent=True)
        except OSError as error:
            lost = TransportLost(CloseCode.ABNORMAL, f"cannot connect: {error.strerror or error}")
            lost.__cause__ = error
            return c.DialFailed(self.dial, lost)

    def _request(self, target: Target) -> Wire:
        try:
            return self.client.options.wire(
                target,
                resume=self.resume,
                offer=self.offer,
                asked=self.asked,
                attempt=self.dial,
                token=self.token,
            )
        except ValueError as error:
            raise TargetFailed(str(error)) from None

    def _use(self) -> Steps[c.Command]:
        """Shake hands and read to the end; give what to report."""
        stream, wire = self.stream, self._wire
        assert stream is not None, "it has been connected"
        assert wire is not None, "there was a request to connect for"
        try:
            yield from self._send_all(stream, wire.request)
        except OSError:
            return c.DialFailed(
                self.dial, TransportLost(CloseCode.ABNORMAL, "the request was cut off"), reached=True
            )
        answer = yield from self._next_event()
        if isinstance(answer, Rejected):
            return self._rejection(answer)
        if isinstance(answer, Failed):
            return c.DialFailed(
                self.dial, HandshakeRefused(0, f"no WebSocket: {answer.reason}"), permanent=True
            )
        if not isinstance(answer, Accepted):
            return c.DialFailed(self.dial, TransportLost(CloseCode.ABNORMAL, "no answer"), reached=True)
        hello: control_messages.Hello | None = None
        if self.offer and answer.subprotocol == SUBPROTOCOL:
            said = yield from self._wait_for_hello()
            if not isinstance(said, control_messages.Hello):
                return said
            hello = said
        self.client.put(c.Opened(self.dial, hello, self.asked, self.phase))
        yield self._driver_has_decided.wait
        if self._aborted:
            return self._lost_without_close()
        return (yield from self._listen(lossless=hello is not None))

    def _send_all(self, stream: ByteStream, data: bytes) -> Steps[None]:
        rest = memoryview(data)
        while rest:
            taken = stream.send([rest])
            rest = rest[taken:]
            if not taken:
                yield stream.wait_writable

    def _next_event(self) -> Steps[WireEvent | None]:
        """What comes next; None at the end. It reads on only when all that was read has been given."""
        stream, wire = self.stream, self._wire
        assert stream is not None, "it has been connected"
        assert wire is not None, "there was a request to connect for"
        while (event := next(self._events, None)) is None and not wire.over:
            try:
                data = yield partial(stream.receive, RECEIVE_BYTES)
            except OSError:
                data = b""
            self.heard_at = self.client.clock.monotonic()
            self._events = wire.feed(data)
        return event

    def _rejection(self, answer: Rejected) -> c.Command:
        said = read_object(answer.body)
        detail = said.get("detail") or said.get("title") or ""
        reason, first_available = read_expiry(answer.body) if said else ("", None)
        return c.DialRefused(
            self.dial,
            answer.status,
            detail if isinstance(detail, str) else "",
            answer.retry_after,
            reason if isinstance(said.get("reason"), str) else "",
            first_available,
        )

    def _wait_for_hello(self) -> Steps[control_messages.Hello | c.Command]:
        while (event := (yield from self._next_event())) is not None:
            match event:
                case Data(data) if data is not None:
                    return self._read_hello(data)
                case PingReceived():
                    pass  # the next one will be answered
                case _:
                    return self._ending(event)
        return self._lost_without_close()

    def _read_hello(self, data: str | bytes) -> control_messages.Hello | c.Command:
        try:
            hello = control_messages.read_hello(decode_message(self._codec, data, allow_reserved=True))
        except (Undecodable, control_messages.Malformed) as problem:
            return self._protocol_broken(str(problem))
        if not self.client.sender.knows(hello.received):
            return self._protocol_broken("$hello covers messages that were never sent")
        return hello

    def _listen(self, *, lossless: bool) -> Steps[c.Command]:
        while (event := (yield from self._next_event())) is not None:
            match event:
                case Data(data, size):
                    problem = yield from self._message(data, size, lossless=lossless)
                    if problem:
                        return self._protocol_broken(problem)
                case PingReceived(payload):
                    self.client.sender.pong(self, payload)
                case _:
                    return self._ending(event)
        return self._lost_without_close()

    # -- what comes ---------------------------------------------------------------------------

    def _message(self, data: str | bytes | None, size: int, *, lossless: bool) -> Steps[str | None]:
        """Pass one data message on; give a sentence if the server breaks the protocol with it."""
        message: Message | None = None
        if data is not None:
            try:
                message = decode_message(self._codec, data, allow_reserved=lossless)
            except Undecodable as problem:
                self._skip(str(problem))
        else:
            self._skip("it is larger than max_message_size")
        if lossless and message is not None and message.event.startswith("$"):
            try:
                return (yield from self._control(message))
            except control_messages.Malformed as malformed:
                return str(malformed)
        if message is not None and message.re is not None:
            # At once: a callback may wait for it. It is handled in its turn all the same.
            self.client.requester.answer(message)
            message = None
        elif message is not None and message.id is not None:
            message = self.client.responder.arrived(message)
        yield partial(self.client.inbox.put, self.dial, Arrival(message, size))
        return None

    def _skip(self, problem: str) -> None:
        """What came is no message: counted, logged once in the client's life, skipped."""
        self.client.counters.undecodable += 1
        if self.client.counters.undecodable == 1:
            log.warning("a message from the server is skipped: %s", problem)

    def _control(self, message: Message) -> Steps[str | None]:
        if message.event == control_messages.ACK:
            if not self.client.sender.acknowledge(self.dial, control_messages.read_ack(message)):
                return "$ack covers messages that were never sent"
        elif message.event == control_messages.MISSED:
            _, last = control_messages.read_missed(message)
            yield partial(self.client.inbox.put, self.dial, Arrival(None, missed_to=last))
        elif message.event == control_messages.REJECTED:
            self.client.not_decoded(control_messages.read_rejected(message))
        return None

    # -- how it ended -------------------------------------------------------------------------

    def _ending(self, event: WireEvent) -> c.Command:
        if isinstance(event, CloseReceived):
            self._send_close(event.code)
            return c.Lost(self.dial, event.code, event.reason, by_peer=True)
        if isinstance(event, Failed):
            return self._protocol_broken(event.reason, event.code)
        return self._protocol_broken("the server sends something that is not allowed here")

    def _protocol_broken(self, problem: str, code: int = CloseCode.PROTOCOL_ERROR) -> c.Command:
        log.warning("the server breaks the protocol: %s", problem)
        self._send_close(code)
        return c.Lost(self.dial, code, problem)

    def _send_close(self, code: int) -> None:
        if self._driver_has_decided.is_set():
            self.client.sender.answer_close(self, code)
            return
        assert self.stream is not None, "it is connected"
        try:
            self.stream.send([encode_close(code)])  # the sender does not write here yet
        except OSError:
            pass  # the server has hung up without waiting for the answer

    def _lost_without_close(self) -> c.Command:
        return c.Lost(self.dial, CloseCode.ABNORMAL)


def _shut_down(sock: socket.socket) -> None:
    try:
        # Not SSLSocket.shutdown, which would go on in the clear.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass  # not connected yet, or no longer
