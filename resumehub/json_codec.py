"""``JSONCodec``: messages as JSON text frames, strict in both directions.

It knows JSON, and the names of a message's fields on the wire. It knows neither sockets nor sessions, nor
what the fields mean. Any thread; it never blocks. Applications import it from ``resumehub``. Read next:
``json_rules.py`` (what every end agrees on), ``codec.py`` (what the hub asks of any codec).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isinf
from typing import Any, Final, NoReturn

from . import json_rules
from .message import Message
from .undecodable import Undecodable, a_kind_of, utf8


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
            raise TypeError(f"max_depth must be an int, not {a_kind_of(max_depth)}")
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
        if message.history:
            document["history"] = True
        try:
            text = _encode(document)
        except RecursionError:
            raise self._too_deep() from None
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"JSONCodec can't encode this payload: {error}") from error
        if not text.isascii():
            utf8(text)
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
    if "history" in document:
        history = document["history"] is True
        return Message(event, get("payload"), get("id"), get("re"), get("error"), history=history)
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
