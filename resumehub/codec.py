"""Messages to bytes and back: the ``Codec`` contract, the JSON codec, and the checks on both ways.

A codec is any object with ``encode`` and ``decode``. This module knows what the hub expects of a codec,
and what follows when a codec breaks the contract. All that is sent goes through ``encode_frame``; all
that arrives goes through ``decode_message``. Only these two check types and the reserved prefix
(contract C10, C11). Sockets, sessions and sizes are not known here: the outbox limits the size of
frames, the transport that of incoming messages.

``encode`` is called by the thread that sends; for the hub's own messages in a ``resumehub.v1`` session that
may be the hub thread. ``decode`` is called by a reader or a callbacks thread. So a codec must be safe
for concurrent calls, be quick, and not call the hub.

No exception of this module has content from a client, because its text goes into logs.
Read next: ``outgoing/frame_queue.py`` for the way out, ``incoming/reader.py`` for the way in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import isinf
from typing import Any, Final, NoReturn, Protocol

from . import json_rules
from .message import LONGEST_ERROR_CODE, LONGEST_REQUEST_ID, Frame, Message, Opcode, is_reserved
from .runtime.foreign_code import passes


class Undecodable(ValueError):
    """The input is no message, or none that the application may see. Internal to resumehub.

    Next: count the message, log once per connection, skip it (contract C11). The text says what was
    wrong and has no content of the input, so it can be logged unchanged. ``told``: what the client is told;
    the same, but for a codec of the application's, of which it learns nothing.
    """

    def __init__(self, problem: str, told: str = "") -> None:
        super().__init__(problem)
        self.told = told or problem


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
            f"only a Message can be sent, not {_a(message)}: write Message(event, payload) or "
            "Message(payload=…)"
        )


def encode_frame(
    codec: Codec, message: Message, *, allow_reserved: bool = False, correlated: bool = False
) -> Frame:
    """Encode ``message`` for sending.

    ``allow_reserved`` is only for the hub's own ``$`` messages (contract D2), never for an application's.
    ``correlated`` is for requests and answers (contract E3): without it only event and payload are sent.

    Returns: a new frame, which may be put into any number of outboxes.
    Raises: TypeError if ``message`` is no Message, its event is no ``str``, or the codec returned
    neither ``str`` nor ``bytes``; ValueError for a reserved event (contract C10) or text that is not
    valid Unicode; whatever ``codec.encode`` raises.
    Threads: any. Blocks: never, unless the codec does.
    """
    check_message(message)
    event = message.event
    if not isinstance(event, str):
        raise TypeError(f"the event of a Message must be a str, not {_a(event)}")
    reserved = is_reserved(event)
    if reserved and not allow_reserved:
        raise ValueError(
            f"the event {event[:40]!r} can't be sent: names that begin with '$' are reserved for "
            "resumehub; choose another"
        )
    if not correlated and (message.id is not None or message.re is not None or message.error is not None):
        message = Message(event, message.payload)
    data = codec.encode(message)
    if isinstance(data, str):
        return Frame(_TEXT, _utf8(data), compressible=not reserved)
    if isinstance(data, bytes):
        return Frame(Opcode.BINARY, data, compressible=not reserved)
    # Not bytearray or memoryview either: a frame is kept for a replay and must not change meanwhile.
    raise TypeError(
        f"{type(codec).__name__}.encode returned {_a(data)}: a codec must return str (sent as "
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
            problem = f"{type(codec).__name__}.decode returned {_a(message)}, not a Message"
        elif not isinstance(message.event, str):
            problem = (
                f"{type(codec).__name__}.decode returned an event that is {_a(message.event)}, not a str"
            )
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


class JSONCodec:
    """Messages as JSON text frames: ``{"event": "chat.message", "payload": {"text": "hi"}}``.

    An empty event (``""``) and an empty payload (``None``) are not written, and may be missing in
    what is read. ``id``, ``re`` and ``error`` are only in requests and answers (contract E3). Other fields
    are ignored, so that clients may be newer than servers.

    It is strict in both directions. *What one end encodes, every other one decodes to the same*, or else
    ``encode`` raises; this codec, the Python client's and JavaScript's are the ends. And *what it decodes,
    it can encode*: a handler that sends on what a client sent does not fail because of ``NaN``, ``1e999``
    or half of a surrogate pair. What JSON itself has no other form for comes back in that form: a tuple as a
    list, a key that is a number as its text, a member of an ``IntEnum`` as its number.

    ``max_depth``: how many lists and dicts may lie in one another in a payload, from 1 to 500. ``[]`` has
    the depth 1, ``[[]]`` 2; the object that is the message does not count. It is the same number on every
    Python, whatever its own limit is. Give clients a codec with the same one.

    Raises: TypeError, ValueError for another ``max_depth``.
    Threads: any, several at once; it never changes. Blocks: never.
    Source: RFC 8259; the strictness is that of I-JSON, RFC 7493 §2.1-2.3.
    """

    __slots__ = ("_most_open", "_surely_flat", "max_depth")

    def __init__(self, *, max_depth: int = 100) -> None:
        if isinstance(max_depth, bool) or not isinstance(max_depth, int):
            raise TypeError(f"max_depth must be an int, not {_a(max_depth)}")
        if not 1 <= max_depth <= _DEEPEST:
            raise ValueError(f"max_depth must be from 1 to {_DEEPEST}, not {max_depth}")
        self.max_depth = max_depth
        self._most_open = max_depth + 1  # with the message itself
        self._surely_flat = 2 * self._most_open  # so many characters: each level takes two

    def encode(self, message: Message, /) -> str:
        """Return ``message`` as compact JSON; characters beyond ASCII are not escaped.

        Raises: TypeError if JSON has no form for a part of the payload (bytes, a datetime, a key
        that is no string or number); ValueError for NaN and the infinities, an integer beyond
        2**53 - 1, keys that become the same name, a lone surrogate, a circular payload, or one that is
        nested deeper than ``max_depth``.
        """
        document: dict[str, Any] = {}
        if message.event:
            document["event"] = message.event
        if message.payload is not None:
            document["payload"] = message.payload
        if message.id is not None:
            document["id"] = message.id
        if message.re is not None:
            document["re"] = message.re
        if message.error is not None:
            document["error"] = message.error
        try:
            text = _encode(document)
        except RecursionError:
            raise self._too_deep() from None
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"JSONCodec can't encode this payload: {error}") from error
        if not text.isascii():
            _utf8(text)
        if len(text) > self._surely_flat and json_rules.is_too_deep(text, self._most_open):
            raise self._too_deep()
        if why := json_rules.difference(message.payload, text):
            raise ValueError(f"JSONCodec can't encode this payload: {why}")
        return text

    def _too_deep(self) -> ValueError:
        return ValueError(
            f"JSONCodec can't encode this payload: it is nested too deeply, and max_depth is "
            f"{self.max_depth}; send it flatter, or give both ends JSONCodec(max_depth=…)"
        )

    def decode(self, data: str | bytes, /) -> Message:
        """Return the message in a text frame.

        ``data`` comes from a WebSocket, so it is valid Unicode already. An integer that is written as
        JavaScript writes a large number (100000000000000000 for 1e17) becomes a ``float``.

        Raises: Undecodable, a ValueError, without the content: for a binary frame, text that is not
        JSON, not an object or nested deeper than ``max_depth``, NaN, Infinity, a number too large for a
        ``float``, any other integer beyond 2**53 - 1, a name that occurs twice in one object, a lone
        surrogate, an ``event`` that is no string.
        """
        if not isinstance(data, str):
            raise Undecodable("a binary frame: JSONCodec reads text frames only")
        if len(data) > self._surely_flat and json_rules.is_too_deep(data, self._most_open):
            raise Undecodable(_TOO_DEEP)
        try:
            decoder = _CAREFUL_DECODER if json_rules.may_hold_large_integer(data) else _DECODER
            # Nearly always an object with nothing around it: then no white space need be skipped.
            document, end = decoder.raw_decode(data) if data.startswith("{") else (None, -1)
            if end != len(data):
                document = decoder.decode(data)
            if "\\ud" in data or "\\uD" in data:
                _refuse_lone_surrogates(document)
        except Undecodable:
            raise
        except json.JSONDecodeError as error:
            # Only its position: the exception holds the whole document.
            problem = f"not valid JSON (at character {error.pos})"
        except UnicodeEncodeError:
            problem = "half of a surrogate pair"
        except RecursionError:  # the caller has used up Python's stack: its own limit is what is left of it
            problem = _TOO_DEEP
        else:
            return _message_from(document)
        raise Undecodable(problem)


def _message_from(document: object) -> Message:
    if not isinstance(document, dict):
        raise Undecodable("JSON that is not an object")
    event = document.get("event", "")
    if not isinstance(event, str):
        raise Undecodable("JSON whose event is not a string")
    get = document.get
    return Message(event, get("payload"), get("id"), get("re"), get("error"))


def _not_json(value: object) -> NoReturn:
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(
            f"JSON has no {type(value).__name__}; send base64.b64encode(data).decode(), or give the hub "
            "a codec of your own that returns bytes"
        )
    raise TypeError(
        f"JSON has no {type(value).__name__}; turn it into str, a number, a list or a dict first, or give "
        "the hub a codec of your own"
    )


def _refuse_constant(name: str) -> NoReturn:
    raise Undecodable("JSON with NaN or Infinity in it")


def _finite(digits: str) -> float:
    # "1e999" is a number in JSON's grammar, but float() makes it infinity.
    number = float(digits)
    if isinf(number):
        raise Undecodable("JSON with a number that is too large")
    return number


def _integer(digits: str) -> int | float:
    number = json_rules.read_integer(digits)
    if number is None:
        raise Undecodable("JSON with an integer beyond 2**53 - 1, which JavaScript would round")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise Undecodable("JSON with a name that stands twice in one object")
    return names


def _refuse_lone_surrogates(document: object) -> None:
    # Encoding is the cheapest way to visit the whole document. Only called where an escape makes a
    # surrogate possible. Most of these belong to a proper pair: an emoji from a client that escapes
    # everything beyond ASCII.
    try:
        _ENCODER.encode(document).encode("utf-8")
    except UnicodeEncodeError:
        pass
    else:
        return
    raise Undecodable("JSON with half of a surrogate pair in it")


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        position = error.start
    raise ValueError(
        f"the encoded message has half of a surrogate pair at character {position}, which UTF-8 can't "
        "encode; a text was probably cut in the middle of an emoji: try "
        "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
    )


def _a(value: object) -> str:
    """The name of a value's type with its article; nothing of the value."""
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"


# Made once: looking up an enumeration's member for every message costs.
_TEXT: Final = Opcode.TEXT

_TOO_DEEP: Final = "JSON that is nested too deeply"

#: Python's parser and writer make one call for each level; of the 1,000 that may be, the caller needs some.
_DEEPEST: Final = 500

# One encoder and one decoder for all threads, as the json module itself has.
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_not_json
)


def _made_once() -> Callable[[object], str]:
    """``_ENCODER.encode`` for dictionaries, without making json's encoder in C for each document.

    To make that encoder takes a microsecond, to encode half of one. It is made without the memory of the
    objects that it has visited, because several threads cannot share that. So a payload that contains itself
    looks nested too deeply, and ``_ENCODER`` then raises the right error.
    """
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # another Python than CPython
        return _ENCODER.encode
    separators = _ENCODER.key_separator, _ENCODER.item_separator
    chunks = make(
        None, _ENCODER.default, json.encoder.encode_basestring, None, *separators, False, False, False
    )

    def encode(document: object) -> str:
        try:
            return "".join(chunks(document, 0))
        except RecursionError:
            return _ENCODER.encode(document)

    return encode


_encode: Final = _made_once()
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
)
_CAREFUL_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer
)
