"""The arguments of ``connect``, checked, and the request that is made of them for each dial.

Headers, cookies and the token are secrets: none of them is in a repr or a log. Wrong arguments raise
ValueError or TypeError at once, in the caller's thread. Values; any thread.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..codec import Codec
from ..protocol.tokens import SUBPROTOCOL, TOKEN_PREFIX
from .address import Address
from .dialing import Opener
from .states import ClientRules
from .wire import Wire

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

#: Headers of the handshake's own.
_OURS = ("host", "connection", "upgrade")


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that does not change in a client's life."""

    address: Address = field(repr=False)
    rules: ClientRules
    codec: Codec
    opener: Opener
    ssl_context: ssl.SSLContext | None
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    subprotocols: tuple[str, ...]
    max_message_size: int
    #: Two sources of numbers from 0 up to 1: for the pauses, and for the phase of acknowledgements
    #: (``transport_watch.py``). Driver thread only.
    random: Callable[[], float]
    phase: Callable[[], float]
    #: By this the server knows that it is still the same client (``instance=``).
    nonce: str = field(repr=False)

    def wire(self, *, resume: bool, offer: bool, asked: int, attempt: int, token: str) -> Wire:
        """The request of one dial. Raises: ValueError."""
        query: dict[str, str] = {}
        if resume:
            query |= {"resume": "true", "received": str(asked)}
        if self.rules.resume and (offer or self.rules.plain):
            # In the first dial, too: if it arrives behind the second one, the server must not take it for a
            # new client.
            query |= {"instance": self.nonce, "attempt": str(attempt)}
        offered = list(self.subprotocols)
        if offer:
            tokens = [TOKEN_PREFIX + token] if token else []
            offered = [SUBPROTOCOL, *tokens, *offered]
        return Wire(
            self.address.authority,
            self.address.target(**query),
            self.headers,
            offered,
            self.max_message_size,
        )


def read_headers(
    headers: Headers, cookies: Mapping[str, str], origin: str | None
) -> tuple[tuple[str, str], ...]:
    """All headers of the application's. Raises: TypeError, ValueError, which name no header's value."""
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    if origin is not None:
        pairs.append(("Origin", origin))
    if cookies:
        pairs.append(("Cookie", "; ".join(f"{name}={value}" for name, value in cookies.items())))
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"the header {name!r} must be a str with a str for its value")
        if name.lower() in _OURS or name.lower().startswith("sec-websocket-"):
            raise ValueError(f"the header {name!r} is the handshake's own; leave it out of headers")
        if any(char in "\r\n\0" for char in name + value):
            raise ValueError(f"the header {name!r} has a line break in it")
    return tuple(pairs)


def positive(name: str, value: float, *, zero: bool = False) -> float:
    """Give ``value`` back if it is finite and more than 0 (``zero``: or 0). Raises: TypeError, ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not (value >= 0 if zero else value > 0) or value == float("inf"):
        raise ValueError(f"{name} must be {'0 or more' if zero else 'more than 0'}, not {value!r}")
    return value
