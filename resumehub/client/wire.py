"""RFC 6455 from the client's side: bytes in, events out; messages in, masked frames out.

The only module of the client that knows wsproto, and it does no I/O. The thread that reads feeds ``Wire``;
the ``encode_…`` functions are for the thread that writes, with the sender's lock held. It knows no sessions.
"""

from __future__ import annotations

import email.utils
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection, ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import FrameProtocol
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from ..codes import CloseCode
from ..message import Frame, Opcode
from ..transport.bad_gateway import BadGatewayCode
from ..transport.base import CloseReceived, Failed, PingReceived

_MOST_OF_A_BODY = 64 * 1024
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Accepted:
    """101: ``subprotocol`` is the one that the server selected."""

    subprotocol: str | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Another answer than 101, with its body, cut to 64 KiB."""

    status: int
    body: str = field(repr=False)
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """A message; ``data`` None: it is larger than ``max_message_size``. ``size``: bytes of payload."""

    data: str | bytes | None
    size: int


#: ``Failed``: the server broke HTTP or RFC 6455.
WireEvent = Accepted | Rejected | Data | PingReceived | CloseReceived | Failed


class Wire:
    """What one transport reads, from the handshake on. Feed it what comes, until ``over``.

    Raises: ValueError, when the request cannot be written as HTTP.
    """

    def __init__(
        self,
        authority: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        subprotocols: Sequence[str],
        max_message_size: int,
    ) -> None:
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._bad_gateway = BadGatewayCode()
        self._end_of_head = b""  # as much of it as has come
        self._max_message_size = max_message_size
        self._held = bytearray()
        self._size = 0
        self._rejection: RejectConnection | None = None
        self._body = b""
        self.over = False
        try:
            extra = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            request = Request(
                host=authority, target=target, extra_headers=extra, subprotocols=list(subprotocols)
            )
            #: What to send first.
            self.request = bytes(self._ws.send(request))
        except (LocalProtocolError, UnicodeError) as error:
            raise ValueError(f"the request cannot be written as HTTP: {type(error).__name__}") from None

    def feed(self, data: bytes) -> Iterator[WireEvent]:
        """Give the events in ``data``, in order of arrival; ``b""`` is the end of the stream.

        Exhaust it before the next call, or stop at the event that ends the WebSocket (``over``).
        """
        if not data:
            yield from self._ended()
            return
        try:
            for piece in self._in_two(data) if self._ws.connection is None else (data,):
                self._ws.receive_data(piece)
                for event in self._ws.events():
                    yield from self._translate(event)
                    if self.over:
                        return
        except RemoteProtocolError as error:
            self.over = True
            yield Failed(CloseCode.PROTOCOL_ERROR, str(error))

    def _in_two(self, data: bytes) -> Iterator[bytes]:
        """What belongs to the response's head, and what is behind it: frames, if the response was a 101."""
        known = self._end_of_head + data
        end = known.find(_END_OF_HEAD)
        self._end_of_head = known[1 - len(_END_OF_HEAD) :]
        cut = end + len(_END_OF_HEAD) - (len(known) - len(data)) if end >= 0 else len(data)
        yield data[:cut]
        if end >= 0 and self._ws.connection is not None:
            # The same as wsproto has made, which has read nothing yet; but this one knows 1014.
            self._ws.connection = Connection(ConnectionType.CLIENT, [self._bad_gateway])
        if cut < len(data):
            yield data[cut:]

    def _translate(self, event: object) -> Iterator[WireEvent]:
        match event:
            case AcceptConnection():
                yield Accepted(event.subprotocol)
            case TextMessage() | BytesMessage():
                yield from self._gather(event)
            case Ping():
                yield PingReceived(bytes(event.payload))
            case CloseConnection():
                self.over = True
                code, reason = int(event.code), event.reason or ""
                if self._bad_gateway.told and code == CloseCode.TRY_AGAIN_LATER:
                    code = CloseCode.BAD_GATEWAY.value
                # wsproto also reports a breach of the protocol as a close frame, which nobody has sent.
                real = self._ws.state is ConnectionState.REMOTE_CLOSING
                yield CloseReceived(code, reason) if real else Failed(code, reason)
            case RejectConnection():
                self._rejection = event
                if not event.has_body:
                    yield self._rejected()
            case RejectData():
                self._body = (self._body + bytes(event.data))[:_MOST_OF_A_BODY]
                if event.body_finished:
                    yield self._rejected()

    def _gather(self, part: TextMessage | BytesMessage) -> Iterator[WireEvent]:
        data = part.data
        piece = data.encode() if isinstance(data, str) else data
        self._size += len(piece)
        if self._size <= self._max_message_size:
            self._held += piece
        if not part.message_finished:
            return
        whole, size = bytes(self._held), self._size
        self._held, self._size = bytearray(), 0
        if size > self._max_message_size:
            yield Data(None, size)
        else:
            yield Data(whole.decode() if isinstance(data, str) else whole, size)

    def _ended(self) -> Iterator[WireEvent]:
        self.over = True
        if self._rejection is not None:  # a body that ends with the connection
            yield self._rejected()

    def _rejected(self) -> Rejected:
        self.over = True
        assert self._rejection is not None, "there is no body without a status"
        headers = {bytes(name).lower(): bytes(value) for name, value in self._rejection.headers}
        return Rejected(
            self._rejection.status_code, self._body.decode("utf-8", "replace"), _retry_after(headers)
        )


def encode_frame(frame: Frame) -> bytes:
    """Wire bytes of a message, with a mask of its own (RFC 6455 §5.3): encode again for each writing."""
    payload = frame.payload.decode() if frame.opcode is Opcode.TEXT else frame.payload
    return bytes(FrameProtocol(True, []).send_data(payload))


def encode_pong(payload: bytes) -> bytes:
    return bytes(FrameProtocol(True, []).pong(payload))


def encode_close(code: int, reason: str = "") -> bytes:
    if code in (CloseCode.NO_STATUS, CloseCode.ABNORMAL):
        return bytes(FrameProtocol(True, []).close())
    return bytes(FrameProtocol(True, []).close(code, reason or None))


def _retry_after(headers: dict[bytes, bytes]) -> float | None:
    """Seconds (RFC 9110 §10.2.3). A date is compared with the server's ``Date``, not with our clock."""
    value = headers.get(b"retry-after", b"").decode("latin-1").strip()
    if value.isascii() and value.isdigit() and len(value) <= 9:
        return float(value)
    try:
        at = email.utils.parsedate_to_datetime(value)
        now = email.utils.parsedate_to_datetime(headers.get(b"date", b"").decode("latin-1"))
        return max(0.0, (at - now).total_seconds())
    except (TypeError, ValueError):
        return None
