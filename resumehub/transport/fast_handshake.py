"""Answers the ordinary opening handshake; leaves every other to wsproto.

Nearly all clients send the same few headers with the same values. h11 and wsproto need 60 µs to accept
these, this module needs three. A request with anything else goes to the library unchanged: other spellings,
headers or characters, a compression to agree on, and whatever breaks RFC 6455. So this module refuses
nothing, and wsproto alone decides what is an error (tests/transport/test_fast_handshake.py compares the two
on any request). Pure; called on request threads. Read next: ``websocket.py``.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_UPGRADES: Final = frozenset({"websocket", "WebSocket"})
# Firefox sends both values in one header; a proxy may do so too.
_CONNECTIONS: Final = frozenset(
    {"Upgrade", "upgrade", "keep-alive, Upgrade", "keep-alive, upgrade", "Keep-Alive, Upgrade"}
)
_WEBSOCKET_HEADERS: Final = "HTTP_SEC_WEBSOCKET_"
_OFFER: Final = "HTTP_SEC_WEBSOCKET_PROTOCOL"
_EXTENSIONS: Final = "HTTP_SEC_WEBSOCKET_EXTENSIONS"

# RFC 6455 §4.2.1 item 5: 16 bytes in base64. The last of the 22 characters holds only two bits.
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==", re.ASCII)
# A name of letters, an address, a port.
_HOST: Final = re.compile(r"[A-Za-z0-9.:_\[\]-]+", re.ASCII)
_INTERNATIONAL: Final = "--"  # as in xn--…: the library decodes such a name
_PRINTABLE: Final = re.compile(r"[ -~]*", re.ASCII)

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


def answer_ordinary(
    environ: Mapping[str, Any], subprotocols: Sequence[str], compression: bool
) -> list[tuple[str, str]] | None:
    """The headers of the 101 for an ordinary handshake in a WSGI environ; None: ask the library.

    Threads: any. Blocks: never.
    """
    get = environ.get
    key, offer = get("HTTP_SEC_WEBSOCKET_KEY", ""), get(_OFFER, "")
    extensions, host = get(_EXTENSIONS, ""), get("HTTP_HOST", "")
    if (
        get("HTTP_SEC_WEBSOCKET_VERSION") != "13"
        or get("HTTP_UPGRADE") not in _UPGRADES
        or get("HTTP_CONNECTION") not in _CONNECTIONS
        or (compression and extensions)
        or not _KEY.fullmatch(key)
        or not _HOST.fullmatch(host)
        or _INTERNATIONAL in host
        or not _PRINTABLE.fullmatch(extensions)
        or not _PRINTABLE.fullmatch(offer)
    ):
        return None
    # All names at once: a loop over them would take half of the time. Key and version are known to be there.
    known = 2 + (_OFFER in environ) + (_EXTENSIONS in environ)
    if " ".join(environ).count(_WEBSOCKET_HEADERS) != known:
        return None
    chosen = next((name for name in map(str.strip, offer.split(",")) if name in subprotocols), None)
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest())
    headers = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept.decode()),
    ]
    if chosen is not None:
        headers.append(("Sec-WebSocket-Protocol", chosen))
    return headers
