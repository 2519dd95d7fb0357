"""The hub's own messages in a ``resumehub.v1`` session: ``$hello``, ``$ack``, ``$rejected``, ``$missed``, ….

It encodes them with the hub's codec and hands them to the transport's writer. The machine, ``delayed_ack.py``
and the outbox decide when each is due. If the codec fails, the transport is dropped, since its client would
wait for the message. No method waits for the network; the codec runs without a lock. Read next:
``protocol/control_messages.py`` (the messages), ``outgoing/transport_writer.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..codec import Codec, encode_frame
from ..core.commands import AckDue, Command, TransportAborted
from ..core.effects import AttachTransport
from ..message import Frame, Message
from ..outgoing.items import Gap, Notice
from ..outgoing.transport_writer import TransportWriter
from ..protocol import control_messages
from ..runtime.foreign_code import Log, passes
from .delayed_ack import AckTiming
from .session import Session

log = Log(__name__)


class ControlMessages:
    """One hub's. Methods: any thread, without a lock, unless said otherwise."""

    def __init__(self, codec: Codec, put: Callable[[Command], object]) -> None:
        self._codec = codec
        self._put = put

    def say_hello(
        self,
        session: Session,
        writer: TransportWriter,
        attach: AttachTransport,
        handled: int,
        waiting: int,
        last: Notice | None,
    ) -> None:
        """Hub thread: put ``$hello`` before all frames that wait, and fill in ``$replayed`` behind them.

        ``handled``: how many of the client's messages have been handled. ``waiting``: how many of ours wait.
        ``last``: the place of ``$replayed``; None: send none. No thread may write to ``writer`` yet.
        """
        assert session.delayed_ack is not None, "a v1 session acknowledges"
        assert attach.credentials.tokens is not None, "a v1 session has tokens"
        session.delayed_ack.sent()
        writer.acked = handled
        limits, outbox = session.limits, session.outbox
        hello = control_messages.hello(
            connection_id=session.connection_id,
            token=attach.credentials.tokens.newest,
            resumed=attach.generation > 1,
            received=handled,
            replay_from=(attach.received or 0) + 1,
            window={"messages": outbox.max_frames, "bytes": outbox.max_bytes},
            resume_window=limits.resume_window,
            ping_interval=limits.ping_interval,
            max_message_size=limits.max_message_size,
            **self._rejections(session, handled),
        )
        frame = self._encode(writer, hello)
        if last is not None:
            last.frame = self._encode(writer, control_messages.replayed(waiting)) or last.frame
        if frame is not None:
            with session.outbox.lock:
                session.outbox.notify(Notice("hello", frame))

    def handled(self, session: Session, size: int) -> None:
        """A message of the client counts as handled: acknowledge it now, or ask for a deadline."""
        assert session.delayed_ack is not None, "only a v1 session acknowledges"
        due = session.delayed_ack.handled(size)
        writer = session.writer
        if due is AckTiming.NOW:
            self.acknowledge(session)
        elif due is AckTiming.SOON and writer is not None:
            self._put(AckDue(writer.number))

    def acknowledge(self, session: Session) -> None:
        """Tell the client how many of its messages have been handled."""
        writer, delayed_ack = session.writer, session.delayed_ack
        if writer is None or delayed_ack is None:
            return
        delayed_ack.sent()
        received = session.inbound_fence.handled
        notices: list[Notice] = []
        # First what was rejected: by the acknowledgement the client forgets the messages that it covers.
        for rejection in session.inbound_fence.rejected(writer.acked, received):
            # Of a client that reads nothing no more of them wait than its window has messages.
            kind = f"rejected {rejection.number % session.outbox.max_frames}"
            self._add(notices, writer, kind, control_messages.rejected(rejection))
        if self._add(notices, writer, "ack", control_messages.ack(received)):
            writer.send_ack(received, notices)

    def encode_gap(self, writer: TransportWriter, gap: Gap) -> Frame | None:
        """The ``$missed`` that tells of a gap; None if the codec can't (then the transport is dropped)."""
        return self._encode(writer, control_messages.missed(gap.first, gap.last))

    def _rejections(self, session: Session, handled: int) -> dict[str, Any]:
        rejected = session.inbound_fence.rejected(0, handled)
        return {"rejected": [control_messages.rejection_payload(one) for one in rejected]} if rejected else {}

    def _add(self, notices: list[Notice], writer: TransportWriter, kind: str, message: Message) -> bool:
        frame = self._encode(writer, message)
        if frame is not None:
            notices.append(Notice(kind, frame))
        return frame is not None

    def _encode(self, writer: TransportWriter, message: Message) -> Frame | None:
        try:
            return encode_frame(self._codec, message, allow_reserved=True)
        except BaseException as error:
            if passes(error):
                raise
            log.error("the codec cannot encode %s; its transport is dropped", message.event, exc_info=error)
            self._put(TransportAborted(writer.number))
            return None
