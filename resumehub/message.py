"""What an application sends and receives, and the same encoded.

Two values: ``Message``, which handlers see, and ``Frame``, a message that a codec has
encoded and that is ready to be written. This module knows that events beginning with ``$``
are reserved (contract C10). It does not know how a message becomes bytes (``codec.py``), how bytes
become a WebSocket frame with header and mask (``transport/``), and which session gets it
(``outgoing/``). It imports nothing of the package; every module may import it. Any thread may use
its values. Read next: ``codec.py``, which turns one value into the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol, final

RESERVED_PREFIX: Final = "$"
"""Events that begin with this belong to resumehub's own protocol (``$hello``, ``$ack``, …)."""


_set: Final = object.__setattr__


def is_reserved(event: str) -> bool:
    """Whether ``event`` belongs to resumehub and not to the application (contract C10).

    Raises: nothing. Threads: any. Blocks: never.
    """
    return event.startswith(RESERVED_PREFIX)


LONGEST_REQUEST_ID: Final = 128
"""Characters of ``Message.id`` and ``Message.re`` (contract E3)."""

LONGEST_ERROR_CODE: Final = 64
"""Characters of the code in ``Message.error``."""


class Answering(Protocol):
    """What a received request can do; ``Message`` has the same three methods and says what they do."""

    def reply(self, payload: Any, /) -> None: ...

    def refuse(self, code: str, text: str, /) -> None: ...

    def defer(self) -> None: ...


@dataclass(frozen=True, init=False)
class Message:
    """One message between an application and its client.

    ``event`` is a name such as ``"chat.message"``, by which a ``Router`` finds the handler;
    ``""`` (the default) for applications with only one kind of message. It must not begin with
    ``$``. ``payload`` is anything that the hub's codec can encode; ``None`` for none.

    The other fields belong to requests (contract E3). ``id``: the message is a request, and wants an answer
    that names this id, 1 to 128 characters. ``re``: it is the answer to the request with this id.
    ``error``: that request was refused; ``{"code": …, "message": …}``. ``history``: whether it comes from the
    history of a room, of which a client is told; in what a client says it means nothing. What you send has
    none of them:
    ``send`` and ``broadcast`` leave them out, so that a handler can pass on what a client has sent, and no
    client can so answer another one's request. Requests are sent by ``request``, answers by what a handler
    returns, or by ``reply`` and ``refuse``.

    Nothing is checked here, because a codec *returns* messages too. ``codec.encode_frame`` and
    ``codec.decode_message`` check types and the reserved prefix, when a message enters or leaves
    the hub.

    Threads: any. The message is immutable; its payload may not be, so do not change that after you have
    sent the message, or while several handlers have it.
    """

    event: str = ""
    payload: Any = None
    id: str | None = None
    re: str | None = None
    error: Mapping[str, Any] | None = None
    #: From a room's history (``Hub(history=…)``): it was said before the session entered the room.
    history: bool = field(default=False, repr=False)
    #: Only in a request that was received. ``dataclasses.replace`` keeps it, so middleware can change one.
    answering: Answering | None = field(default=None, compare=False, repr=False)

    def __init__(
        self,
        event: str = "",
        payload: Any = None,
        id: str | None = None,
        re: str | None = None,
        error: Mapping[str, Any] | None = None,
        *,
        history: bool = False,
        answering: Answering | None = None,
    ) -> None:
        # Most messages are made by a codec and have only the first two. To set what stays as the class has it
        # would take longer than to decode a small message.
        _set(self, "event", event)
        _set(self, "payload", payload)
        if id is not None:
            _set(self, "id", id)
        if re is not None:
            _set(self, "re", re)
        if error is not None:
            _set(self, "error", error)
        if history:
            _set(self, "history", True)
        if answering is not None:
            _set(self, "answering", answering)

    def reply(self, payload: Any = None) -> None:
        """Answer this request, now; what the handler then returns means nothing.

        Raises: RuntimeError if the message is no request that was received, or is answered already;
        TypeError or ValueError when the payload cannot be encoded; ConnectionClosed; SendBufferFull. After
        the last four it is still unanswered. Threads: any. Blocks: never.
        """
        self._request("reply").reply(payload)

    def refuse(self, code: str, text: str = "") -> None:
        """Refuse this request: the asker gets ``RequestFailed`` with ``code`` and ``text``.

        ``code``: for programs, 1 to 64 characters; ``text``: for people.

        Raises: as ``reply``. Threads: any. Blocks: never.
        """
        self._request("refuse").refuse(code, text)

    def defer(self) -> None:
        """Answer this request later: call ``reply`` or ``refuse`` once, from any thread.

        What the handler returns then means nothing. If the session ends before, the asker is told.

        Raises: RuntimeError if the message is no request that was received, or is answered already.
        Threads: any. Blocks: never.
        """
        self._request("defer").defer()

    def _request(self, method: str) -> Answering:
        if self.answering is None:
            raise RuntimeError(
                f"message.{method}: the message {self.event[:40]!r} is no request that was received; only a "
                "message with an id wants an answer, so look at message.id first"
            )
        return self.answering


class Opcode(Enum):
    """The kind of a data frame, with its number on the wire (RFC 6455 §5.2)."""

    TEXT = 1
    BINARY = 2


@final
class Frame:
    """An encoded message, ready to be written; made once per broadcast, not once per receiver.

    ``opcode`` and ``payload`` never change: the same frame is in many outboxes at once, and is
    replayed whole after a resume. Two frames with equal opcode and payload are equal.

    ``wire``: this frame's *uncompressed* wire bytes, kept by a transport; ``None`` before that.
    They are header and payload as they go into the socket, the same for every receiver, since a
    server does not mask (RFC 6455 §5.1). Never put compressed bytes there: a frame may be
    replayed on a transport that negotiated no compression (contract C4).

    ``kept``: it is a request or an answer, which no broadcast may drop.

    ``compressible``: False for a control message. A ``$hello`` has a secret, the token. If it shared a
    compression window with what others say, the sizes on the wire would tell of it (CRIME, BREACH).

    Threads: any. Two threads may fill ``wire`` at the same time: both store the same bytes.
    """

    __slots__ = ("_opcode", "_payload", "compressible", "kept", "wire")

    wire: bytes | None
    compressible: bool
    kept: bool

    def __init__(
        self, opcode: Opcode, payload: bytes, *, compressible: bool = True, kept: bool = False
    ) -> None:
        self._opcode = opcode
        self._payload = payload
        self.compressible = compressible
        self.kept = kept
        self.wire = None

    @property
    def opcode(self) -> Opcode:
        """Text or binary."""
        return self._opcode

    @property
    def payload(self) -> bytes:
        """The message's bytes; valid UTF-8 if ``opcode`` is ``TEXT``."""
        return self._payload

    @property
    def size(self) -> int:
        """Length of the payload in bytes: what ``send_buffer_bytes`` and the metrics count."""
        return len(self._payload)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        return self._opcode is other.opcode and self._payload == other.payload

    def __hash__(self) -> int:
        return hash((self._opcode, self._payload))

    def __repr__(self) -> str:
        # Without the content: a repr gets into logs and assertion messages, and what users write to each
        # other must not.
        return f"<Frame {self._opcode.name} {self.size} bytes>"
