"""The control messages of ``resumehub.v1``, as a client reads and writes them. Pure.

What a server says is checked here, once; the rest of the client may trust it. The protocol is in
docs/reference/lossless.md. Called by the thread that reads, and by the driver.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .. import protocol
from ..message import Message


class Malformed(ValueError):
    """The server's control message is not what the protocol says. Without content."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message on every connection."""

    connection_id: str
    token: str = field(repr=False)  # a secret: whoever has it has the session
    resumed: bool
    received: int
    replay_from: int
    window_messages: int
    window_bytes: int
    ping_interval: float | None
    max_message_size: int


def read_hello(message: Message) -> Hello:
    """Read a ``$hello``. Raises: Malformed."""
    if message.event != protocol.HELLO or not isinstance(message.payload, dict):
        raise Malformed("the first message is no $hello")
    said = message.payload
    window = said.get("window")
    if not isinstance(window, dict):
        raise Malformed("$hello has no window")
    ping = said.get("ping_interval")
    if ping is not None and (isinstance(ping, bool) or not isinstance(ping, int | float) or not ping > 0):
        raise Malformed("the ping_interval of $hello is no number of seconds")
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
    )


def read_ack(message: Message) -> int:
    """How many of our messages the server has handled. Raises: Malformed."""
    try:
        return protocol.read_ack(message)
    except ValueError as error:
        raise Malformed(str(error)) from None


def read_missed(message: Message) -> tuple[int, int]:
    """First and last number of the messages that will never come. Raises: Malformed."""
    if not isinstance(message.payload, dict):
        raise Malformed("$missed has no payload")
    first, last = _count(message.payload, "from", 1), _count(message.payload, "to", 1)
    if last < first:
        raise Malformed("$missed ends before it begins")
    return first, last


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
    # It goes into a header: nothing but what the protocol allows may be in it.
    if not value or not all(char.isascii() and (char.isalnum() or char in "-_.") for char in value):
        raise Malformed("the token has characters that no token has")
    return value
