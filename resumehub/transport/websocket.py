"""The real transport: simple-websocket's handshake, wsproto's framing, our own reading and writing.

simple-websocket reads the handshake from a WSGI environ, and brings wsproto. Its own I/O loop is not used:
its ``send`` is one unlocked ``sock.send``, its reader thread and socket outlive ``close``, its input has no
bound. So the thread that it would start is replaced by an object that starts none. wsproto turns bytes into
events and frames into bytes. The reader thread reads; the encoders run under the session's lock. Only
``deflate.py`` beside it imports wsproto, too, so another transport changes these two. Read next: ``base.py``.
"""

from __future__ import annotations

import base64
import binascii
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import simple_websocket
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Pong, Request, TextMessage
from wsproto.extensions import Extension
from wsproto.frame_protocol import FrameProtocol
from wsproto.utilities import ProtocolError, RemoteProtocolError

from ..codes import CloseCode
from ..message import Frame, Opcode
from .bad_gateway import BadGatewayCode
from .base import CloseReceived, DataReceived, Ended, Failed, Parted, PingReceived, PongReceived, Received
from .deflate import Deflate
from .deflate_offers import answer_to
from .fast_frame_parser import FastFrameParser
from .fast_handshake import answer_ordinary
from .sockets import IDLE_RECEIVE_BYTES, RECEIVE_BYTES, ByteStream, PartedError

# The first byte of a whole message. (Made once: looking up an enumeration's member for every frame costs.)
_TEXT = Opcode.TEXT
_FINAL_TEXT, _FINAL_BINARY = 0x80 | Opcode.TEXT.value, 0x80 | Opcode.BINARY.value

_EXTENSIONS = "HTTP_SEC_WEBSOCKET_EXTENSIONS"

# A call of ``receive`` inflates no more messages once they have so many bytes together, and leaves the others
# compressed: one compressed byte can become a thousand.
_INFLATED_AT_ONCE = RECEIVE_BYTES
_INFLATED_MESSAGES = 64  # nor more messages and control frames than so many
_NO_LIMIT = float("inf")

# A call of ``receive`` parses about so many simple messages at most. A piece for wsproto counts as ``_COST``
# of them. Otherwise a client that sends thousands of empty fragments would hold the others up.
_MOST_COST, _COST = 256, 8
_PARSED_AT_LEAST = 256  # bytes


class HandshakeError(Exception):
    """The request is no valid WebSocket handshake. Answer it with ``status`` and ``headers``."""

    def __init__(self, message: str, status: int = 400, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = list(headers)


class _NoThread:
    """Replaces simple-websocket's reader thread, which must not run."""

    def __init__(self, target: Callable[[], None]) -> None:
        self.name = ""

    def start(self) -> None:
        pass


class Handshake:
    """A client's opening handshake (RFC 6455 §4.2), read from a WSGI environ and checked.

    Next: send a 101 with ``headers`` on the socket, then call ``transport``. Nothing is sent here.
    Raises: HandshakeError. Threads: request threads. Blocks: never.
    """

    def __init__(self, environ: Mapping[str, Any], subprotocols: Sequence[str], compression: bool) -> None:
        opening = answer_ordinary(environ, subprotocols, compression)
        self.headers: list[tuple[str, str]]
        self._extensions: list[Deflate] = []
        if opening is not None:
            self.headers = opening
        else:
            judged = _Judge(environ, subprotocols, compression)
            self.headers, self._extensions = judged.headers, judged.agreed

    @property
    def subprotocol(self) -> str:
        """The subprotocol that was chosen; "" for none."""
        return next((value for name, value in self.headers if name.lower() == "sec-websocket-protocol"), "")

    def transport(self, stream: ByteStream, max_message_size: int, leftover: bytes) -> WebSocketTransport:
        """The transport with the agreed extensions. ``leftover``: bytes already read behind the request."""
        for deflate in self._extensions:
            deflate.limit = max_message_size
        return WebSocketTransport(stream, max_message_size, self._extensions, leftover)


class _Judge(simple_websocket.Server):  # type: ignore[misc]
    """Lets the libraries check a handshake. Raises: HandshakeError."""

    def __init__(self, environ: Mapping[str, Any], subprotocols: Sequence[str], compression: bool) -> None:
        self.headers: list[tuple[str, str]] = []
        self.agreed: list[Deflate] = []
        self._compression = compression
        names = {key: value for key, value in environ.items() if key.startswith("HTTP_")}
        try:
            # The library only checks that the socket's entry is there.
            super().__init__({**names, "werkzeug.socket": True}, list(subprotocols), thread_class=_NoThread)
        except RemoteProtocolError as error:
            hint = error.event_hint
            status = getattr(hint, "status_code", 400)
            headers = [(name.decode(), value.decode()) for name, value in getattr(hint, "headers", [])]
            raise HandshakeError(str(error), status, headers) from error
        except (ProtocolError, ValueError) as error:
            raise HandshakeError("the handshake's headers cannot be read") from error

    def handshake(self) -> None:
        """Check the request and make the headers of the 101. Called by simple-websocket."""
        self.ws.receive_data(self._request_head())
        request = next(iter(self.ws.events()), None)
        if not isinstance(request, Request):
            raise HandshakeError("the handshake's headers cannot be read")
        self._check_key()
        self.subprotocol = self.choose_subprotocol(request)
        head = self.ws.send(AcceptConnection(subprotocol=self.subprotocol))
        for line in head.split(b"\r\n")[1:]:
            name, colon, value = line.partition(b":")
            if colon:
                self.headers.append((name.decode("ascii"), value.strip().decode("latin-1")))
        self._agree_on_compression()
        self.connected = True

    def _agree_on_compression(self) -> None:
        answer = answer_to(self.environ.get(_EXTENSIONS, "")) if self._compression else None
        if answer is not None:
            deflate = Deflate()
            deflate.finalize(answer)
            self.agreed.append(deflate)
            self.headers.append(("Sec-WebSocket-Extensions", answer))

    def _request_head(self) -> bytes:
        head = [b"GET / HTTP/1.1"]
        for key, value in self.environ.items():
            name = key[5:].replace("_", "-").title()
            if key == _EXTENSIONS:
                continue  # an offer is accepted or declined, and never an error
            if key.startswith("HTTP_") and (
                name in ("Host", "Connection", "Upgrade") or name.startswith("Sec-Websocket-")
            ):
                head.append(name.encode("latin-1") + b": " + str(value).encode("latin-1"))
        return b"\r\n".join(head) + b"\r\n\r\n"

    def _check_key(self) -> None:
        # RFC 6455 §4.2.1 item 5; wsproto does not check it.
        try:
            nonce = base64.b64decode(self.environ.get("HTTP_SEC_WEBSOCKET_KEY", ""), validate=True)
        except (binascii.Error, ValueError):
            nonce = b""
        if len(nonce) != 16:
            raise HandshakeError("Sec-WebSocket-Key is not 16 bytes in base64")


class WebSocketTransport:
    """A WebSocket over a byte stream, server side. See the clauses in ``base.py``."""

    def __init__(
        self,
        stream: ByteStream,
        max_message_size: int,
        extensions: Sequence[Extension] = (),
        leftover: bytes = b"",
    ) -> None:
        self._stream = stream
        self._max_message_size = max_message_size
        self._extensions = extensions
        self._compressed = bool(extensions)
        # Whether wsproto holds input, compressed, at which it has not looked yet.
        self._more = False
        self._fast_parser = FastFrameParser(max_message_size)
        self._leftover = leftover
        self._receive_bytes = IDLE_RECEIVE_BYTES
        self._parsed_at_once = RECEIVE_BYTES
        self._held = bytearray()  # the beginning of a message whose rest is still to come
        self._deaf = False
        self.heard = self.fragments = 0
        #: T5. The stream's own method: one call in between costs a tenth of the system call.
        self.write: Callable[[Sequence[bytes | memoryview]], int] = stream.send

    # wsproto's objects, made on first use: most transports need only ``FastFrameParser`` and ``_whole``.

    @cached_property
    def _parser(self) -> Connection:
        return Connection(ConnectionType.SERVER, [*self._extensions, self._bad_gateway])

    @cached_property
    def _bad_gateway(self) -> BadGatewayCode:
        return BadGatewayCode()

    @cached_property
    def _encoder(self) -> FrameProtocol:
        return FrameProtocol(False, list(self._extensions))

    @property
    def stateful(self) -> bool:
        return self._compressed or self._stream.sticky

    @property
    def has_more(self) -> bool:
        return self._more or bool(self._leftover)

    @property
    def movable(self) -> bool:
        return self._stream.movable and not self._compressed

    @property
    def pollable(self) -> socket.socket | None:
        return self._stream.pollable

    # -- reading: the reader thread ---------------------------------------------------------

    def receive(self, *, once: bool = False) -> list[Received]:
        """Wait for input and return its events, at least one (unless ``once``), in order of arrival."""
        while True:
            events = self.receive_now(self._stream.receive)
            if events or once:
                return events

    def receive_now(self, read: Callable[[int], bytes] | None = None) -> list[Received]:
        """Return the events that are complete, without waiting (unless ``read`` waits)."""
        if self._more:
            return self._inflate()
        data, self._leftover = self._leftover, b""
        if not data:
            try:
                data = (read or self._stream.receive_now)(self._receive_bytes)
            except BlockingIOError:
                return []
            except PartedError:
                return [Parted()]
            except OSError:
                self.heard += 1
                return [Ended(reset=True)]
            # A thread that waits in the kernel holds a buffer of this size meanwhile.
            self._receive_bytes = RECEIVE_BYTES if len(data) == self._receive_bytes else IDLE_RECEIVE_BYTES
        self.heard += 1
        if not data:
            return [Ended(reset=False)]
        return [] if self._deaf else self._parse(data)

    def _parse(self, data: bytes) -> list[Received]:
        if self._compressed:
            self._parser.receive_data(data)
            return self._inflate()
        if len(data) > self._parsed_at_once:
            data, self._leftover = data[: self._parsed_at_once], data[self._parsed_at_once :]
        events: list[Received] = []
        cost = 0
        for piece in self._fast_parser.parse(data):
            if isinstance(piece, DataReceived):
                cost += 1
                events.append(piece)
                continue
            cost += _COST
            self._parser.receive_data(piece)
            self._translate(events)
            if self._deaf:
                break
        if cost > _MOST_COST or self._parsed_at_once < RECEIVE_BYTES:
            fit = len(data) * _MOST_COST // max(cost, 1)
            self._parsed_at_once = min(max(fit, _PARSED_AT_LEAST), RECEIVE_BYTES)
        return events

    def _inflate(self) -> list[Received]:
        """The next events of what wsproto holds, until they are many or have ``_INFLATED_AT_ONCE`` bytes."""
        events: list[Received] = []
        self._more = self._translate(events, _INFLATED_AT_ONCE, _INFLATED_MESSAGES) and not self._deaf
        return events

    def _translate(self, events: list[Received], limit: float = _NO_LIMIT, most: float = _NO_LIMIT) -> bool:
        """Add the parser's events to ``events``. True if it stopped at ``limit`` bytes or ``most`` events."""
        size = 0
        for count, event in enumerate(self._parser.events(), start=1):
            match event:
                case TextMessage() | BytesMessage():
                    size += self._gather(event, events)
                case Ping():
                    events.append(PingReceived(bytes(event.payload)))
                case Pong():
                    events.append(PongReceived())
                case CloseConnection():
                    self._deaf = True
                    code, reason = int(event.code), event.reason or ""
                    if self._bad_gateway.told and code == CloseCode.TRY_AGAIN_LATER:
                        code = CloseCode.BAD_GATEWAY.value
                    # wsproto reports a breach of the protocol as a close, though no close frame came.
                    real = self._parser.state is ConnectionState.REMOTE_CLOSING
                    if code == CloseCode.TOO_BIG and not real:
                        self._refuse_message(events)
                    else:
                        events.append(CloseReceived(code, reason) if real else Failed(code, reason))
            if self._deaf:
                return False
            if size >= limit or count >= most:
                return True
        return False

    def _refuse_message(self, events: list[Received]) -> None:
        self._deaf = True
        self._held = bytearray()
        events.append(Failed(CloseCode.TOO_BIG, "message too big"))

    def _gather(self, part: TextMessage | BytesMessage, events: list[Received]) -> int:
        """Add a message to ``events`` once it is whole. Returns the bytes of this part."""
        data = part.data
        # Text is held as bytes too: a str for each fragment would cost many times the message's size.
        piece = data.encode() if isinstance(data, str) else data
        size = len(self._held) + len(piece)
        if size > self._max_message_size:
            self._refuse_message(events)
            return 0
        if not part.message_finished:
            self._held += piece
            self.fragments += part.frame_finished
            return len(piece)
        if self._held:
            whole, self._held = bytes(self._held + piece), bytearray()
            data = whole.decode() if isinstance(data, str) else whole
        events.append(DataReceived(data if isinstance(data, str) else bytes(data), size))
        return len(piece)

    # -- writing: with the session's lock held ----------------------------------------------

    def encode(self, frame: Frame) -> bytes:
        """A frame's wire bytes. Without compression they are made once for all receivers."""
        if self._compressed and frame.compressible:
            return self._encode(frame)
        wire = frame.wire
        if wire is None:
            wire = frame.wire = _whole(_FINAL_TEXT if frame.opcode is _TEXT else _FINAL_BINARY, frame.payload)
        return wire

    def _encode(self, frame: Frame) -> bytes:
        payload = frame.payload.decode() if frame.opcode is Opcode.TEXT else frame.payload
        return bytes(self._encoder.send_data(payload))

    def encode_ping(self) -> bytes:
        return bytes(self._encoder.ping())

    def encode_pong(self, payload: bytes) -> bytes:
        return bytes(self._encoder.pong(payload))

    def encode_close(self, code: int, reason: str) -> bytes:
        if code == CloseCode.NO_STATUS:
            return bytes(self._encoder.close())
        return bytes(self._encoder.close(code, reason))

    # -- the rest is the stream's -----------------------------------------------------------

    def wait_writable(self) -> None:
        self._stream.wait_writable()

    def finish_writing(self) -> None:
        self._stream.finish_writing()

    def has_hung_up(self) -> bool:
        return not self._leftover and self._stream.has_hung_up()

    def abort(self) -> None:
        self._stream.abort()

    def part(self) -> None:
        self._stream.part()

    def rejoin(self) -> None:
        self._stream.rejoin()

    def unread(self) -> bytes:
        """T13. Call it once the reader has left. Empty where the input has ended or was refused."""
        assert not self._compressed, "a compressed connection cannot be moved: its window stays in zlib"
        return b"" if self._deaf else self._fast_parser.unfinished(bytes(self._held)) + self._leftover

    def release(self) -> None:
        self._stream.release()

    def after_fork_in_child(self) -> None:
        self._stream.after_fork_in_child()


def _whole(first: int, payload: bytes) -> bytes:
    """A server's unfragmented, unmasked frame (RFC 6455 §5.2). wsproto takes four times as long for it."""
    size = len(payload)
    if size <= 125:
        return bytes((first, size)) + payload
    if size <= 0xFFFF:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload
