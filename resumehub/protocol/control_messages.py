"""The control messages of ``resumehub.v1``: how both ends write and read them.

docs/reference/lossless.md describes them. Control messages are ordinary messages with a reserved event,
encoded by the sender's codec. What a peer sends is checked here, once; the rest of the package may trust it.
Values only; any thread. Read next: ``tokens.py``, ``session/control_messages.py`` (the server writes),
``client/transport.py`` (the client reads).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from ..message import Message

HELLO: Final = "$hello"
REPLAYED: Final = "$replayed"
ACK: Final = "$ack"
MISSED: Final = "$missed"
REJECTED: Final = "$rejected"

ACK_DELAY: Final = 1.0
"""Seconds after which handled messages are acknowledged, unless half of a window is full before."""

NO_ACK: Final = "no $ack came while the window was full"
"""With this reason a transport is closed with 1008 that brings no ``$ack``. No message of the client's is to
blame for it, as one is for any other 1008."""

MAX_NUMBER: Final = 10**18
"""More than any message's number ever is."""


MAX_REASON: Final = 200
"""Characters of a reason that one end tells the other."""


class Malformed(ValueError):
    """A control message breaks the protocol. The text of this error has no content of the message."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A message of the client's that no handler has seen, since it could not be decoded.

    ``number``: the message's. ``reason``: says nothing of its content.
    """

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message on every connection.

    ``rejected``: messages of ours, up to ``received``, that the server could not decode and that we may not
    have heard of.
    """

    connection_id: str
    token: str = field(repr=False)  # a secret: it opens the session
    resumed: bool
    received: int
    replay_from: int
    window_messages: int
    window_bytes: int
    ping_interval: float | None
    max_message_size: int
    rejected: tuple[Rejection, ...] = ()


# -- writing ----------------------------------------------------------------------------


def hello(**payload: Any) -> Message:
    """The first message on every connection, with the fields of docs/reference/lossless.md."""
    return Message(HELLO, payload)


def ack(received: int) -> Message:
    """This end has handled the peer's messages up to number ``received``."""
    return Message(ACK, {"received": received})


def missed(first: int, last: int) -> Message:
    """The messages ``first`` to ``last`` will never come."""
    return Message(MISSED, {"from": first, "to": last})


def rejected(rejection: Rejection) -> Message:
    """A message of yours was not decoded; it counts as handled, and ``$ack`` is about to say so."""
    return Message(REJECTED, rejection_payload(rejection))


def rejection_payload(rejection: Rejection) -> dict[str, Any]:
    """A rejection as ``$rejected`` and ``$hello`` say it."""
    return {"number": rejection.number, "reason": rejection.reason[:MAX_REASON]}


def replayed(messages: int) -> Message:
    """All ``messages`` that were kept for the client have been sent."""
    return Message(REPLAYED, {"messages": messages})


# -- reading ----------------------------------------------------------------------------


def read_hello(message: Message) -> Hello:
    """Read a ``$hello``. Raises: Malformed."""
    if message.event != HELLO or not isinstance(message.payload, dict):
        raise Malformed("the first message is not $hello")
    said = message.payload
    window = said.get("window")
    if not isinstance(window, dict):
        raise Malformed("$hello has no window")
    ping = said.get("ping_interval")
    if ping is not None and (isinstance(ping, bool) or not isinstance(ping, int | float) or not ping > 0):
        raise Malformed("the ping_interval of $hello is not a number of seconds")
    return Hello(
        connection_id=_text(said, "connection_id"),
        token=_token(_text(said, "token")),
        resumed=bool(said.get("resumed")),
        received=_count(said, "received"),
        replay_from=_count(said, "replay_from", 1),
        window_messages=_count(window, "messages", 1),
        window_bytes=_count(window, "bytes", 1),
        ping_interval=None if ping is None else float(ping),
        max_message_size=_count(said, "max_message_size", 1),
        rejected=_rejections(said.get("rejected", [])),
    )


def read_ack(message: Message) -> int:
    """How many messages the peer has handled, from its ``$ack``. Raises: Malformed."""
    payload = message.payload
    received = payload.get("received") if isinstance(payload, dict) else None
    if isinstance(received, bool) or not isinstance(received, int) or not 0 <= received <= MAX_NUMBER:
        raise Malformed("malformed $ack")
    return received


def read_missed(message: Message) -> tuple[int, int]:
    """First and last number of the messages that will never come. Raises: Malformed."""
    if not isinstance(message.payload, dict):
        raise Malformed("$missed has no payload")
    first, last = _count(message.payload, "from", 1), _count(message.payload, "to", 1)
    if last < first:
        raise Malformed("$missed ends before it begins")
    return first, last


def read_rejected(message: Message) -> Rejection:
    """Which message of ours the server did not decode, and why. Raises: Malformed."""
    said = message.payload
    if not isinstance(said, dict):
        raise Malformed("$rejected has no payload")
    return Rejection(_count(said, "number", 1), _text(said, "reason")[:MAX_REASON])


def _rejections(said: Any) -> tuple[Rejection, ...]:
    if not isinstance(said, list):
        raise Malformed("the rejected of $hello is no list")
    return tuple(read_rejected(Message(REJECTED, one)) for one in said)


def _count(said: dict[str, Any], name: str, least: int = 0) -> int:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise Malformed(f"{name} is not a whole number from {least} on")
    return value


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name} is no text")
    return value


def _token(value: str) -> str:
    # It goes into a header: it may have only the characters that the protocol allows.
    if not value or not all(char.isascii() and (char.isalnum() or char in "-_.") for char in value):
        raise Malformed("the token has characters that no token has")
    return value
