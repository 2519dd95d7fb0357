"""The way out: the outbox, the writer's thread, and its turn on the present connection.

The application puts messages in and never waits. One thread writes for the client's whole life: a Pong first,
then an acknowledgement, then the next message, and a close frame behind all of them. Bytes are given to the
kernel under the lock and without waiting, so that the count of what was written is never behind what the
server has read; waiting happens outside of it. It knows no sessions and decides nothing. Any thread.
Used by ``client.py`` (puts), ``client_loop.py`` (attaches, detaches), ``transport.py`` (Pongs,
acknowledgements).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..errors import ConnectionClosed
from ..message import Frame
from ..runtime.base import Runtime
from ..transport.sockets import ByteStream
from . import wire
from .outbox import ClientOutbox, OutgoingMessage

_NO_LIMIT = 1 << 62


class OpenTransport(Protocol):
    """A connection, as far as writing goes."""

    dial: int
    stream: ByteStream | None


class Sender:
    """``on_drained`` is called, with the lock held, when no more is accepted and nothing of it is left."""

    def __init__(self, runtime: Runtime, outbox: ClientOutbox, on_drained: Callable[[], None]) -> None:
        self._lock = runtime.lock("the client's outbox")
        self._changed = runtime.condition(self._lock)
        self._outbox = outbox
        self._on_drained = on_drained
        self._refusing = self._ended = False
        self._transport: OpenTransport | None = None
        #: The transport that the writer waits on, outside of the lock: nobody may close its socket.
        self._waiting_on: OpenTransport | None = None
        self._window = (_NO_LIMIT, _NO_LIMIT)
        self._piece: memoryview | None = None
        self._begun: OutgoingMessage | None = None
        self._cut = False
        self._pong: bytes | None = None
        self._ack: Frame | None = None
        # Until the first acknowledgement of a connection: it goes ahead of all messages.
        self._greeting = False
        self._close: bytes | None = None
        self._close_sent = False
        #: How many messages were written, those written again included.
        self.written = 0

    # -- accepting --------------------------------------------------------------------------

    def put(self, outgoing: OutgoingMessage) -> tuple[int, int] | None:
        """Accept a message; if there is no room, how many messages and bytes are in the way.

        Raises: ConnectionClosed.
        """
        with self._lock:
            if self._refusing:
                raise ConnectionClosed("", "the client is closed; nothing can be sent")
            if not self._outbox.put(outgoing):
                return len(self._outbox), self._outbox.used_bytes
            self._changed.notify_all()
            return None

    def refuse(self) -> bool:
        """Accept no more; whether nothing is left to be sent."""
        with self._lock:
            self._refusing = True
            return not len(self._outbox)

    def acknowledge(self, dial: int, received: int) -> bool:
        """The server of connection ``dial`` has handled so many; False if that can't be."""
        with self._lock:
            if self._transport is None or self._transport.dial != dial:
                return True  # what it meant is in the next $hello, too
            if not self._outbox.knows(received):
                return False
            self._outbox.acknowledge(received)
            self._changed.notify_all()
            self._look_whether_drained()
            return True

    def knows(self, received: int) -> bool:
        """Whether a server can truly have handled so many."""
        with self._lock:
            return self._outbox.knows(received)

    def waiting(self) -> tuple[int, int]:
        """How many messages wait to be sent or acknowledged, and how many are known to be handled."""
        with self._lock:
            return len(self._outbox), self._outbox.acknowledged

    # -- the connection ---------------------------------------------------------------------

    def attach(
        self,
        transport: OpenTransport,
        received: int | None,
        window: tuple[int, int] | None,
        *,
        without_culprit: bool,
    ) -> OutgoingMessage | None:
        """Write to ``transport`` from now on; give the message that was taken out as the culprit.

        ``received``: what a server that acknowledges has handled. None: it is a plain one.
        """
        with self._lock:
            self._outbox.keeps = received is not None
            if received is not None:
                self._outbox.acknowledge(received)
            begun = self._outbox.rewind() or self._cut
            culprit = self._outbox.drop_first() if without_culprit and begun and len(self._outbox) else None
            self._window = window or (_NO_LIMIT, _NO_LIMIT)
            self._cut = False
            self._greeting = received is not None
            self._transport = transport
            self._changed.notify_all()
            self._look_whether_drained()
            return culprit

    def detach(self, transport: OpenTransport) -> None:
        """Write no more to ``transport``; what has begun begins anew on the next."""
        with self._lock:
            self._detach(transport)

    def let_go(self, transport: OpenTransport) -> None:
        """The same, and wait until the writer does not touch its socket any more, which is shut down."""
        with self._lock:
            self._detach(transport)
            while self._waiting_on is transport:
                self._changed.wait()

    def pong(self, transport: OpenTransport, payload: bytes) -> None:
        """Answer a Ping; the latest alone is enough (RFC 6455 §5.5.3)."""
        with self._lock:
            if self._transport is transport:
                self._pong = wire.encode_pong(payload)
                self._changed.notify_all()

    def ack(self, dial: int, frame: Frame) -> None:
        """Send an acknowledgement, in place of one that still waits."""
        with self._lock:
            if self._transport is not None and self._transport.dial == dial:
                self._ack = frame
                self._greeting = False
                self._changed.notify_all()

    def close(self, dial: int, code: int) -> None:
        """Send a close frame behind all messages."""
        with self._lock:
            if self._transport is not None and self._transport.dial == dial:
                self._close = wire.encode_close(code)
                self._changed.notify_all()

    def farewell(self, transport: OpenTransport, code: int) -> None:
        """Answer the server's close frame, if that can be done at once, and write no more."""
        with self._lock:
            if self._transport is transport and self._piece is None and not self._close_sent:
                assert transport.stream is not None, "it was attached"
                try:
                    transport.stream.send([wire.encode_close(code)])
                except OSError:
                    pass  # it has gone without waiting for an answer
            self._detach(transport)

    def end(self) -> list[OutgoingMessage]:
        """It is over: the writer leaves; give what was not sent, or not acknowledged."""
        with self._lock:
            self._refusing = self._ended = True
            self._changed.notify_all()
            return self._outbox.clear()

    # -- the writer's thread ------------------------------------------------------------------

    def run(self) -> None:
        """Write, until the end."""
        while True:
            with self._lock:
                while not self._ended and not self._next_piece():
                    self._changed.wait()
                if self._ended:
                    return
                transport = self._transport
                assert transport is not None, "there is no piece without a transport"
                stream = transport.stream
                assert stream is not None, "it was attached"
                if self._write(stream):
                    continue
                self._waiting_on = transport
            try:
                stream.wait_writable()
            finally:
                with self._lock:
                    self._waiting_on = None
                    self._changed.notify_all()

    def _next_piece(self) -> bool:
        """Take up what is to be written next; False if that is nothing."""
        if self._transport is None or self._piece is not None:
            return self._piece is not None
        if self._close_sent:
            return False
        data: bytes | None = None
        if self._pong is not None:
            data, self._pong = self._pong, None
        elif self._ack is not None:
            data, self._ack = wire.encode_frame(self._ack), None
        elif self._greeting:
            return False
        elif (outgoing := self._outbox.next(*self._window)) is not None:
            data, self._begun = wire.encode_frame(outgoing.frame), outgoing
        elif self._close is not None:
            data, self._close = self._close, None
            self._close_sent = True
        self._piece = memoryview(data) if data is not None else None
        return self._piece is not None

    def _write(self, stream: ByteStream) -> bool:
        """Give the kernel what it takes; False if it takes nothing more now."""
        assert self._piece is not None, "there is something to write"
        try:
            taken = stream.send([self._piece])
        except OSError:
            # The reader is told, too, and reads what is still there first: a close frame, say.
            self._transport = None
            self._forget_pieces()
            return True
        if taken < len(self._piece):
            self._piece = self._piece[taken:]
            return False
        self._piece = None
        if self._begun is not None:
            self._begun = None
            self.written += 1
            self._outbox.written()
            self._look_whether_drained()
        return True

    def _detach(self, transport: OpenTransport) -> None:
        if self._transport is transport:
            self._transport = None
            self._forget_pieces()
            self._changed.notify_all()

    def _forget_pieces(self) -> None:
        self._cut = self._begun is not None
        self._piece = self._begun = self._pong = self._ack = self._close = None
        self._close_sent = False

    def _look_whether_drained(self) -> None:
        if self._refusing and not len(self._outbox):
            self._on_drained()
