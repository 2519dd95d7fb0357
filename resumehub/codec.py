"""Messages to bytes and back: the ``Codec`` contract, and the checks on both ways.

A codec is any object with ``encode`` and ``decode``. This module knows what the hub expects of a codec,
and what follows when a codec breaks the contract. All that is sent goes through ``encode_frame``; all
that arrives goes through ``decode_message``. Only these two check types and the reserved prefix
(contract C10, C11). Sockets, sessions and sizes are not known here: the outbox limits the size of
frames, the transport that of incoming messages.

``encode`` is called by the thread that sends; for the hub's own messages in a ``resumehub.v1`` session that
may be the hub thread. ``decode`` is called by a reader or a callbacks thread. So a codec must be safe
for concurrent calls, be quick, and not call the hub.

No exception of this module has content from a client, because its text goes into logs.
Read next: ``json_codec.py``, the hub's own codec; ``outgoing/frame_queue.py`` for the way out,
``incoming/reader.py`` for the way in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from .json_codec import JSONCodec as JSONCodec
from .message import LONGEST_ERROR_CODE, LONGEST_REQUEST_ID, Frame, Message, Opcode, is_reserved
from .runtime.foreign_code import passes
from .undecodable import Undecodable as Undecodable
from .undecodable import a_kind_of, utf8


class Codec(Protocol):
    """How messages look on the wire. Give the hub any object with these two methods.

    Threads: any, several at once. Be quick: ``encode`` runs while the caller of ``send`` waits.
    """

    def encode(self, message: Message, /) -> str | bytes:
        """Return the message as ``str`` for a text frame or ``bytes`` for a binary one.

        ``message.event`` is a ``str``; the payload is what the application passed. Do not
        keep or change the payload. A broadcast calls this once, whatever the number of receivers.

        Raises: TypeError or ValueError if the message can't be encoded. These and all other
        exceptions reach the caller of ``send`` or ``broadcast``.
        """
        ...

    def decode(self, data: str | bytes, /) -> Message:
        """Return the message in ``data``: ``str`` from a text frame, ``bytes`` from a binary one.

        Raises: whatever it raises means "undecodable": the message is counted and skipped, and the
        connection goes on. Only the name of the exception's type is logged.
        """
        ...


def check_message(message: object) -> None:
    """Make sure that it is a Message. Raises: TypeError, which says what to write. Threads: any."""
    if not isinstance(message, Message):
        raise TypeError(
            f"only a Message can be sent, not {a_kind_of(message)}: write Message(event, payload) or "
            "Message(payload=…)"
        )


def encode_frame(
    codec: Codec,
    message: Message,
    *,
    allow_reserved: bool = False,
    correlated: bool = False,
    history: bool = False,
) -> Frame:
    """Encode ``message`` for sending.

    ``allow_reserved`` is only for the hub's own ``$`` messages (contract D2), never for an application's.
    ``correlated`` is for requests and answers (contract E3): without it only event and payload are sent.
    ``history`` is for what a session is given of a room's history (contract E1): it sets the mark.

    Returns: a new frame, which may be put into any number of outboxes.
    Raises: TypeError if ``message`` is no Message, its event is no ``str``, or the codec returned
    neither ``str`` nor ``bytes``; ValueError for a reserved event (contract C10) or text that is not
    valid Unicode; whatever ``codec.encode`` raises.
    Threads: any. Blocks: never, unless the codec does.
    """
    check_message(message)
    event = message.event
    if not isinstance(event, str):
        raise TypeError(f"the event of a Message must be a str, not {a_kind_of(event)}")
    reserved = is_reserved(event)
    if reserved and not allow_reserved:
        raise ValueError(
            f"the event {event[:40]!r} can't be sent: names that begin with '$' are reserved for "
            "resumehub; choose another"
        )
    if history:
        message = Message(event, message.payload, history=True)
    elif not correlated and (
        message.id is not None or message.re is not None or message.error is not None or message.history
    ):
        message = Message(event, message.payload)
    data = codec.encode(message)
    if isinstance(data, str):
        return Frame(_TEXT, utf8(data), compressible=not reserved, kept=correlated)
    if isinstance(data, bytes):
        return Frame(Opcode.BINARY, data, compressible=not reserved, kept=correlated)
    # Not bytearray or memoryview either: a frame is kept for a replay and must not change meanwhile.
    raise TypeError(
        f"{type(codec).__name__}.encode returned {a_kind_of(data)}: a codec must return str (sent as "
        "a text frame) or bytes (sent as a binary frame)"
    )


def decode_message(codec: Codec, data: str | bytes, *, allow_reserved: bool = False) -> Message:
    """Decode what arrived. Nothing that a peer sends has any other effect than ``Undecodable``.

    ``allow_reserved`` accepts ``$`` messages: for v1 sessions, whose reader handles them itself
    and never shows them to the application (contract D2).

    Returns: a Message whose event is a ``str``.
    Raises: Undecodable, for whatever the codec raises, a wrong return type, or a reserved
    event. It has no ``__cause__`` or ``__context__``: a codec's exception may quote the content.
    Threads: any. Blocks: never, unless the codec does.
    """
    try:
        message = codec.decode(data)
        if not isinstance(message, Message):
            problem = f"{type(codec).__name__}.decode returned {a_kind_of(message)}, not a Message"
        elif not isinstance(message.event, str):
            kind = a_kind_of(message.event)
            problem = f"{type(codec).__name__}.decode returned an event that is {kind}, not a str"
        elif is_reserved(message.event) and not allow_reserved:
            raise Undecodable("an event that begins with '$': such names are reserved for resumehub")
        else:
            if message.id is not None or message.re is not None or message.error is not None:
                _check_correlation(message)
            return message
    except Undecodable:
        raise
    except BaseException as error:
        if passes(error):
            raise
        problem = f"{type(codec).__name__}.decode raised {type(error).__name__}"
    # Raised outside of the except block, so that the codec's exception is not chained.
    raise Undecodable(problem, "the server's codec can't decode it")


def decode_frames(codec: Codec, frames: Iterable[Frame]) -> list[Message]:
    """The messages in frames of ours, without those that this codec can't read."""
    messages = []
    for frame in frames:
        try:
            data = frame.payload.decode() if frame.opcode is _TEXT else frame.payload
            messages.append(decode_message(codec, data))
        except (Undecodable, UnicodeDecodeError):
            continue
    return messages


def _check_correlation(message: Message) -> None:
    """Make sure that ``id``, ``re`` and ``error`` fit each other. Raises: Undecodable (contract E3, C11)."""
    names: tuple[tuple[str, object], ...] = (("id", message.id), ("re", message.re))
    for name, value in names:
        if value is not None and not (isinstance(value, str) and 1 <= len(value) <= LONGEST_REQUEST_ID):
            raise Undecodable(
                f"a message whose {name} is not a string of 1 to {LONGEST_REQUEST_ID} characters"
            )
    if message.id is not None and message.re is not None:
        raise Undecodable("a message with id and re: it can't be a request and an answer")
    error = message.error
    if error is None:
        return
    if message.re is None:
        raise Undecodable("a message with an error and no re: an error answers a request")
    if not isinstance(error, Mapping):
        raise Undecodable("a message whose error is not an object")
    code = error.get("code")
    if not (isinstance(code, str) and 1 <= len(code) <= LONGEST_ERROR_CODE):
        raise Undecodable(
            f"a message whose error has no code that is a string of 1 to {LONGEST_ERROR_CODE} characters"
        )
    if not isinstance(error.get("message", ""), str):
        raise Undecodable("a message whose error has a message that is not a string")


# Made once: looking up an enumeration's member for every message costs.
_TEXT: Final = Opcode.TEXT
