"""From the outbox to the socket: the client's one writer thread, and the transport that it writes to.

The application puts messages in and never waits. One thread writes for the client's whole life: a Pong first,
then an acknowledgement, then the next message, and a close frame behind all messages. It gives bytes to the
kernel with the lock held and without waiting, so that the server can have read nothing that is not counted
as written; it waits for the peer without the lock. The sender knows no sessions and decides nothing.
Any thread. Used by ``client.py`` (puts), ``client_loop.py`` (attaches, detaches), ``transport.py`` (Pongs,
acknowledgements). Read next: ``outbox.py``.
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
    """What the sender uses of a transport; the stream is there once it is attached."""

    dial: int
    stream: ByteStream | None


class Sender:
    """Accepts messages, and writes them. Methods: any thread, unless said otherwise.

    ``on_drained`` is called with the lock held, once ``stop_accepting`` was called and the outbox is empty.
    """

    def __init__(self, runtime: Runtime, outbox: ClientOutbox, on_drained: Callable[[], None]) -> None:
        self._lock = runtime.lock("the client's outbox")
        self._changed = runtime.condition(self._lock)
        self._outbox = outbox
        self._on_drained = on_drained
        self._accepts_no_more = self._ended = False
        self._transport: OpenTransport | None = None
        # The transport that the writer waits for, without the lock: its socket must not be closed.
        self._waiting_on: OpenTransport | None = None
        self._window = (_NO_LIMIT, _NO_LIMIT)
        self._piece: memoryview | None = None
        self._writing: OutgoingMessage | None = None
        self._was_cut = False
        self._pong: bytes | None = None
        self._ack: Frame | None = None
        # The first acknowledgement on a transport goes ahead of all messages; until then none is written.
        self._awaits_first_ack = False
        self._close: bytes | None = None
        self._close_sent = False
        #: How many messages were written, those written again included.
        self.written = 0

    # -- accepting --------------------------------------------------------------------------

    def put(self, outgoing: OutgoingMessage) -> tuple[int, int] | None:
        """Accept a message; where there is no room, give how many messages and bytes are in the outbox.

        Raises: ConnectionClosed. Never blocks.
        """
        with self._lock:
            if self._accepts_no_more:
                raise ConnectionClosed("", "the client is closed; nothing can be sent")
            if not self._outbox.put(outgoing):
                return len(self._outbox), self._outbox.used_bytes
            self._changed.notify_all()
            return None

    def wait_for_room(self, outgoing: OutgoingMessage) -> None:
        """Return when ``put`` would accept the message, or raise. Blocks: until then."""
        with self._lock:
            while not self._accepts_no_more and not self._outbox.has_room(outgoing):
                self._changed.wait()

    def stop_accepting(self) -> bool:
        """Accept no more; True if nothing is left to be sent or acknowledged."""
        with self._lock:
            self._accepts_no_more = True
            self._changed.notify_all()
            return not len(self._outbox)

    def acknowledge(self, dial: int, received: int) -> bool:
        """The server says, on this dial, how many messages it has handled; False if that can't be true."""
        with self._lock:
            if self._transport is None or self._transport.dial != dial:
                return True  # an old transport: the next $hello says the same
            if not self._outbox.knows(received):
                return False
            self._outbox.acknowledge(received)
            self._changed.notify_all()
            self._report_if_drained()
            return True

    def reject(self, number: int) -> OutgoingMessage | None:
        """The server could not decode the message of this number; give it, the first time."""
        with self._lock:
            return self._outbox.reject(number)

    def knows(self, received: int) -> bool:
        """Whether a server can have handled so many messages."""
        with self._lock:
            return self._outbox.knows(received)

    def waiting(self) -> tuple[int, int]:
        """How many messages are to be sent or acknowledged, and how many the server has acknowledged."""
        with self._lock:
            return len(self._outbox), self._outbox.acknowledged

    # -- the transport ----------------------------------------------------------------------

    def attach(
        self,
        transport: OpenTransport,
        received: int | None,
        window: tuple[int, int] | None,
        *,
        leave_out_first: bool,
        largest: int | None = None,
    ) -> list[OutgoingMessage]:
        """Write to ``transport`` from now on, and begin with what the server has not handled.

        ``received``: how many messages a ``resumehub.v1`` server has handled; None: a plain server.
        ``window``: how many messages and bytes may be unacknowledged; None: no limit. ``leave_out_first``:
        the server has rejected the first message, if one had been written. ``largest``: the server takes no
        message of more bytes; None: that is not known. Both kinds are taken out, and given.
        """
        with self._lock:
            self._outbox.keeps_until_acked = received is not None
            if received is not None:
                self._outbox.acknowledge(received)
            had_begun = self._outbox.rewind() or self._was_cut
            left_out = (
                [self._outbox.drop_first()] if leave_out_first and had_begun and len(self._outbox) else []
            )
            if largest is not None:
                left_out += self._outbox.drop_larger(largest)
            self._window = window or (_NO_LIMIT, _NO_LIMIT)
            self._was_cut = False
            self._awaits_first_ack = received is not None
            self._transport = transport
            self._changed.notify_all()
            self._report_if_drained()
            return left_out

    def detach(self, transport: OpenTransport) -> None:
        """Write no more to ``transport``; a message that was written in part is written anew to the next."""
        with self._lock:
            self._detach(transport)

    def drop_answers(self) -> None:
        """A plain session is over, and no transport attached: what answers its requests is not sent."""
        with self._lock:
            if self._outbox.keeps_until_acked:
                return  # this session has ended, and so has the client
            if self._outbox.drop_answers():
                self._was_cut = False
            self._report_if_drained()

    def detach_and_wait(self, transport: OpenTransport) -> None:
        """The same, and block until the writer does not use the socket any more, which must be shut down."""
        with self._lock:
            self._detach(transport)
            while self._waiting_on is transport:
                self._changed.wait()

    def pong(self, transport: OpenTransport, payload: bytes) -> None:
        """Answer a Ping. Of several that wait, the latest alone is answered (RFC 6455 §5.5.3)."""
        with self._lock:
            if self._transport is transport:
                self._pong = wire.encode_pong(payload)
                self._changed.notify_all()

    def ack(self, dial: int, frame: Frame) -> None:
        """Send an acknowledgement; it replaces one that still waits."""
        with self._lock:
            if self._transport is not None and self._transport.dial == dial:
                self._ack = frame
                self._awaits_first_ack = False
                self._changed.notify_all()

    def close(self, dial: int, code: int) -> None:
        """Send a close frame behind all messages."""
        with self._lock:
            if self._transport is not None and self._transport.dial == dial:
                self._close = wire.encode_close(code)
                self._changed.notify_all()

    def answer_close(self, transport: OpenTransport, code: int) -> None:
        """Answer the server's close frame, unless a frame is written in part; write no more. Never blocks."""
        with self._lock:
            if self._transport is transport and self._piece is None and not self._close_sent:
                assert transport.stream is not None, "it was attached"
                try:
                    transport.stream.send([wire.encode_close(code)])
                except OSError:
                    pass  # the server has hung up without waiting for the answer
            self._detach(transport)

    def end(self) -> list[OutgoingMessage]:
        """The client has ended: the writer leaves. Give what was not sent, or not acknowledged."""
        with self._lock:
            self._accepts_no_more = self._ended = True
            self._changed.notify_all()
            return self._outbox.clear()

    def give_up(self) -> int | None:
        """Writing has failed: write no more to the present transport. Give its dial. Next: abort it."""
        with self._lock:
            transport, self._transport = self._transport, None
            self._waiting_on = None
            self._forget_pieces()
            self._changed.notify_all()
            return transport.dial if transport is not None else None

    # -- the writer's thread ------------------------------------------------------------------

    def run(self) -> None:
        """Write, until the end. The writer's only step (``steps.py``), which may be called again."""
        while True:
            with self._lock:
                self._stop_waiting()
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
            stream.wait_writable()

    def _stop_waiting(self) -> None:
        if self._waiting_on is not None:
            self._waiting_on = None
            self._changed.notify_all()

    def _next_piece(self) -> bool:
        """Choose what is written next, and encode it; False if there is nothing."""
        if self._transport is None or self._piece is not None:
            return self._piece is not None
        if self._close_sent:
            return False
        data: bytes | None = None
        if self._pong is not None:
            data, self._pong = self._pong, None
        elif self._ack is not None:
            data, self._ack = wire.encode_frame(self._ack), None
        elif self._awaits_first_ack:
            return False
        elif (outgoing := self._outbox.next(*self._window)) is not None:
            data, self._writing = wire.encode_frame(outgoing.frame), outgoing
        elif self._close is not None:
            data, self._close = self._close, None
            self._close_sent = True
        self._piece = memoryview(data) if data is not None else None
        return self._piece is not None

    def _write(self, stream: ByteStream) -> bool:
        """Give the kernel what it takes; False if it takes no more now."""
        assert self._piece is not None, "there is something to write"
        try:
            taken = stream.send([self._piece])
        except OSError:
            # The reader notices as well, but first it reads what has come: a close frame, perhaps.
            self._transport = None
            self._forget_pieces()
            return True
        if taken < len(self._piece):
            self._piece = self._piece[taken:]
            return False
        self._piece = None
        if self._writing is not None:
            self._writing = None
            self.written += 1
            self._outbox.written()
            if not self._outbox.keeps_until_acked:
                self._changed.notify_all()  # there is room
            self._report_if_drained()
        return True

    def _detach(self, transport: OpenTransport) -> None:
        if self._transport is transport:
            self._transport = None
            self._forget_pieces()
            self._changed.notify_all()

    def _forget_pieces(self) -> None:
        self._was_cut = self._writing is not None
        self._piece = self._writing = self._pong = self._ack = self._close = None
        self._close_sent = False

    def _report_if_drained(self) -> None:
        if self._accepts_no_more and not len(self._outbox):
            self._on_drained()
