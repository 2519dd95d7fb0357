"""What the hub itself says in a ``resumehub.v1`` session: ``$hello``, ``$replayed``, ``$ack``, ``$missed``.

It puts these messages into words, with the hub's codec, and hands them to the channel. When to say
what is decided elsewhere: by the machine, by ``session/delayed_ack.py``, by the outbox. A codec that fails
here
costs the transport, whose client would wait for the message. No method waits for the network; the codec
runs without a lock. Read next: ``protocol/control_messages.py`` (the messages),
``outgoing/transport_writer.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..codec import Codec, encode_frame
from ..config import Config
from ..core.commands import AckDue, Command, TransportAborted
from ..core.effects import AttachTransport
from ..message import Frame, Message
from ..outgoing.items import Gap, Notice
from ..outgoing.transport_writer import TransportWriter
from ..protocol import control_messages
from ..session.connection import Connection
from ..session.delayed_ack import AckTiming

log = logging.getLogger("resumehub")


class ControlMessages:
    """One hub's. Methods: any thread, without a lock, unless said otherwise."""

    def __init__(self, codec: Codec, config: Config, put: Callable[[Command], object]) -> None:
        self._codec = codec
        self._config = config
        self._put = put

    def say_hello(
        self,
        connection: Connection,
        writer: TransportWriter,
        attach: AttachTransport,
        handled: int,
        waiting: int,
        last: Notice | None,
    ) -> None:
        """Hub thread: put ``$hello`` in front of all that waits, and ``$replayed`` in its place behind it.

        ``handled``: the client's messages so far. ``waiting``: ours to it. Nobody may write to
        ``channel`` yet.
        """
        assert connection._delayed_ack is not None, "a v1 session acknowledges"
        assert attach.credentials.tokens is not None, "a v1 session has tokens"
        connection._delayed_ack.sent()
        writer.acked = handled
        config = self._config
        hello = control_messages.hello(
            connection_id=connection.id,
            token=attach.credentials.tokens.newest,
            resumed=attach.generation > 1,
            received=handled,
            replay_from=(attach.received or 0) + 1,
            window={"messages": config.send_buffer, "bytes": config.send_buffer_bytes},
            resume_window=config.resume_window,
            ping_interval=config.ping_interval,
            max_message_size=config.max_message_size,
        )
        words = self._encode(writer, hello)
        if last is not None:
            last.frame = self._encode(writer, control_messages.replayed(waiting)) or last.frame
        if words is not None:
            with connection._outbox.lock:
                connection._outbox.notify(Notice("hello", words))

    def handled(self, connection: Connection, size: int) -> None:
        """A message of the client's counts as handled: it is to be told in time."""
        assert connection._delayed_ack is not None, "only a v1 session acknowledges"
        due = connection._delayed_ack.handled(size)
        writer = connection._writer
        if due is AckTiming.NOW:
            self.acknowledge(connection)
        elif due is AckTiming.SOON and writer is not None:
            self._put(AckDue(writer.number))

    def acknowledge(self, connection: Connection) -> None:
        """Tell the client what has been handled."""
        writer, delayed_ack = connection._writer, connection._delayed_ack
        if writer is None or delayed_ack is None:
            return
        delayed_ack.sent()
        received = connection._inbound_fence.handled
        frame = self._encode(writer, control_messages.ack(received))
        if frame is not None:
            writer.send_ack(received, frame)

    def encode_gap(self, writer: TransportWriter, gap: Gap) -> Frame | None:
        """The ``$missed`` that tells of a hole; None if the codec can't (the transport is given up)."""
        return self._encode(writer, control_messages.missed(gap.first, gap.last))

    def _encode(self, writer: TransportWriter, message: Message) -> Frame | None:
        try:
            return encode_frame(self._codec, message, allow_reserved=True)
        except Exception:
            log.exception("the codec cannot encode %s; its transport is dropped", message.event)
            self._put(TransportAborted(writer.number))
            return None
