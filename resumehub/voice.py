"""What the hub itself says in a ``resumehub.v1`` session: ``$hello``, ``$replayed``, ``$ack``, ``$missed``.

It puts these messages into words, with the hub's codec, and hands them to the channel. When to say
what is decided elsewhere: by the machine, by ``receipts.py``, by the outbox. A codec that fails here
costs the transport, whose client would wait for the message. No method waits for the network; the codec
runs without a lock. Read next: ``protocol.py`` (the messages), ``channel.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from . import protocol
from .channel import Channel
from .codec import Codec, encode_frame
from .config import Config
from .connection import Connection
from .core.commands import AckDue, Command, TransportAborted
from .core.effects import AttachTransport
from .items import Missed, Notice
from .message import Frame, Message
from .receipts import Due

log = logging.getLogger("resumehub")


class Voice:
    """One hub's. Methods: any thread, without a lock, unless said otherwise."""

    def __init__(self, codec: Codec, config: Config, put: Callable[[Command], object]) -> None:
        self._codec = codec
        self._config = config
        self._put = put

    def greet(
        self,
        connection: Connection,
        channel: Channel,
        attach: AttachTransport,
        handled: int,
        waiting: int,
        last: Notice | None,
    ) -> None:
        """Hub thread: put ``$hello`` in front of all that waits, and ``$replayed`` in its place behind it.

        ``handled``: the client's messages so far. ``waiting``: ours to it. Nobody may write to
        ``channel`` yet.
        """
        assert connection._receipts is not None, "a v1 session acknowledges"
        assert attach.title.tokens is not None, "a v1 session has tokens"
        connection._receipts.given()
        channel.acked = handled
        config = self._config
        hello = protocol.hello(
            connection_id=connection.id,
            token=attach.title.tokens.newest,
            resumed=attach.generation > 1,
            received=handled,
            replay_from=(attach.received or 0) + 1,
            window={"messages": config.send_buffer, "bytes": config.send_buffer_bytes},
            resume_window=config.resume_window,
            ping_interval=config.ping_interval,
            max_message_size=config.max_message_size,
        )
        words = self._encode(channel, hello)
        if last is not None:
            last.frame = self._encode(channel, protocol.replayed(waiting)) or last.frame
        if words is not None:
            with connection._outbox.lock:
                connection._outbox.notify(Notice("hello", words))

    def handled(self, connection: Connection, size: int) -> None:
        """A message of the client's counts as handled: it is to be told in time."""
        assert connection._receipts is not None, "only a v1 session acknowledges"
        due = connection._receipts.handled(size)
        channel = connection._channel
        if due is Due.NOW:
            self.acknowledge(connection)
        elif due is Due.SOON and channel is not None:
            self._put(AckDue(channel.number))

    def acknowledge(self, connection: Connection) -> None:
        """Tell the client what has been handled."""
        channel, receipts = connection._channel, connection._receipts
        if channel is None or receipts is None:
            return
        receipts.given()
        received = connection._inbox.handled
        frame = self._encode(channel, protocol.ack(received))
        if frame is not None:
            channel.send_ack(received, frame)

    def word(self, channel: Channel, hole: Missed) -> Frame | None:
        """The ``$missed`` that tells of a hole; None if the codec can't (the transport is given up)."""
        return self._encode(channel, protocol.missed(hole.first, hole.last))

    def _encode(self, channel: Channel, message: Message) -> Frame | None:
        try:
            return encode_frame(self._codec, message, allow_reserved=True)
        except Exception:
            log.exception("the codec cannot encode %s; its transport is dropped", message.event)
            self._put(TransportAborted(channel.number))
            return None
