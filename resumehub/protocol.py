"""The control messages of ``resumehub.v1``, and its tokens: names and shapes, nothing that acts.

docs/reference/lossless.md is the same in prose. Control messages are ordinary messages with a
reserved event, encoded by the hub's own codec. Values only; any thread. Read next: ``outbox.py``
(what is kept until it is acknowledged), ``lossless.py`` (who acknowledges when).
"""

from __future__ import annotations

import re
from typing import Any, Final

from .message import Message

SUBPROTOCOL: Final = "resumehub.v1"
TOKEN_PREFIX: Final = "resumehub.token."

HELLO: Final = "$hello"
REPLAYED: Final = "$replayed"
ACK: Final = "$ack"
MISSED: Final = "$missed"

ACK_DELAY: Final = 1.0
"""Seconds after which what has been handled is acknowledged, if half of a window was not reached before."""

MAX_NUMBER: Final = 10**18
"""Beyond any number that is ever reached."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{12,64}\.[A-Za-z0-9_-]{12,64}", re.ASCII)


def token_of(key: str, secret: str) -> str:
    """A token of the session with that key. Both are random, and safe in a URL."""
    return f"{key}.{secret}"


def key_of(token: str) -> str:
    """The session's part of a token, the same for its whole life; "" where it is none."""
    return token.partition(".")[0] if _TOKEN.fullmatch(token) else ""


def read_offer(offered: list[str]) -> tuple[bool, str]:
    """What a client's list of subprotocols says: whether it speaks v1, and the token it presents."""
    tokens = [name.removeprefix(TOKEN_PREFIX) for name in offered if name.startswith(TOKEN_PREFIX)]
    return SUBPROTOCOL in offered, tokens[0] if len(tokens) == 1 else ""


def read_ack(message: Message) -> int:
    """The number in an ``$ack``. Raises ValueError when there is none."""
    payload = message.payload
    received = payload.get("received") if isinstance(payload, dict) else None
    if isinstance(received, bool) or not isinstance(received, int) or not 0 <= received <= MAX_NUMBER:
        raise ValueError("malformed $ack")
    return received


def hello(**payload: Any) -> Message:
    """The first message on every connection; the fields are those of docs/reference/lossless.md."""
    return Message(HELLO, payload)


def ack(received: int) -> Message:
    """We have handled the peer's messages up to ``received``."""
    return Message(ACK, {"received": received})


def missed(first: int, last: int) -> Message:
    """The messages ``first`` to ``last`` will never come."""
    return Message(MISSED, {"from": first, "to": last})


def replayed(messages: int) -> Message:
    """What had been kept for the client is through."""
    return Message(REPLAYED, {"messages": messages})
