"""permessage-deflate in both directions: what is agreed, what is inflated, what is sent.

What must hold: nothing is raised; what is agreed is an answer to one of the offers; the same bytes say the
same in one piece and in any pieces; what a client has compressed soundly comes out as it was; no message is
larger than the limit, and one call of ``receive`` gives no more than its bound, whatever a byte can become;
and a client that keeps to the agreed window and context inflates all that the server sends. Read next:
``handshake.py``.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

from resumehub.message import Frame, Opcode
from resumehub.transport.as_wire import header_of
from resumehub.transport.sockets import RECEIVE_BYTES
from resumehub.transport.websocket import Handshake, WebSocketTransport
from tools.fuzzing.choices import Choices

from .streams import Feed, Said, told

LIMIT: Final = 4 << 20
SMALL: Final = 3000
OFFERS: Final = (
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; client_no_context_takeover",
    "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
    "permessage-deflate; server_max_window_bits=10; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=8, permessage-deflate; client_max_window_bits=12",
    'permessage-deflate; client_max_window_bits="15"',
)
ORDINARY: Final = {
    "HTTP_HOST": "localhost",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_UPGRADE": "websocket",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
}
WORDS: Final = ("hello ", "€", "x" * 1000, "lorem ipsum ", "\0" * 30_000, "")

SEEDS: Final = (b"", bytes([0, 1, 0, 0, 3, 0, 1]), bytes([4, 3, 0, 2, 1, 1, 3, 1, 9]), bytes(range(50)))


def run(data: bytes) -> None:
    choices = Choices(data)
    offer = choices.pick(OFFERS)
    if choices.yes(8):
        offer = choices.damage(offer.encode()).decode("latin-1")
    handshake = _agree(offer)
    if handshake is None:
        return
    agreed = _parameters(handshake)
    sent, wire = _client(choices, agreed)
    damaged = choices.damage(wire)
    whole = told(_transport(offer, [damaged], LIMIT), LIMIT, RECEIVE_BYTES)
    if damaged == wire:
        assert whole == sent, f"{sent} was sent, and {whole} is told"
    pieces = choices.cut(damaged)
    assert told(_transport(offer, pieces, LIMIT), LIMIT, RECEIVE_BYTES) == whole, (
        "in pieces it is something else"
    )
    few = told(_transport(offer, pieces, SMALL), SMALL, RECEIVE_BYTES)
    if few and few[-1][0] == "failed":
        assert few[:-1] == whole[: len(few) - 1], "with a small limit it begins otherwise"
    else:
        assert few == whole, "with a small limit it is something else"
    _server(handshake, agreed, choices)


def _agree(offer: str) -> Handshake | None:
    """The handshake, if it agrees on compression."""
    handshake = Handshake({**ORDINARY, "HTTP_SEC_WEBSOCKET_EXTENSIONS": offer}, (), True)
    return handshake if any(name == "Sec-WebSocket-Extensions" for name, _ in handshake.headers) else None


def _parameters(handshake: Handshake) -> dict[str, str]:
    """What was agreed. Raises: AssertionError for what RFC 7692 §7.1 does not know."""
    [answer] = [value for name, value in handshake.headers if name == "Sec-WebSocket-Extensions"]
    name, *parts = [part.strip() for part in answer.split(";")]
    assert name == "permessage-deflate", f"the extension {name!r} was agreed on"
    agreed = dict(part.partition("=")[::2] for part in parts)
    assert len(agreed) == len(parts), f"a parameter stands twice in {answer!r}"
    for key, value in agreed.items():
        if key.endswith("_max_window_bits"):
            assert value in map(str, range(9, 16)), f"{answer!r} has a window that nobody can have"
        else:
            assert key in ("server_no_context_takeover", "client_no_context_takeover"), (
                f"{answer!r} has {key!r}"
            )
            assert not value, f"{answer!r} has a value where none belongs"
    return agreed


def _transport(offer: str, pieces: list[bytes], limit: int) -> WebSocketTransport:
    handshake = _agree(offer)
    assert handshake is not None, "the same offer was agreed to before"
    stream: Any = Feed(pieces)
    return handshake.transport(stream, limit, b"")


def _client(choices: Choices, agreed: dict[str, str]) -> tuple[list[Said], bytes]:
    """Messages of a client that keeps to what was agreed: what it sends, and the bytes."""
    window = -int(agreed.get("client_max_window_bits", "15"))
    forgets = "client_no_context_takeover" in agreed
    deflater = zlib.compressobj(wbits=window)
    sent: list[Said] = []
    wire = b""
    for _ in range(8):
        if not choices.more:
            break
        text = choices.pick(WORDS) * choices.pick((1, 1, 2, 5)) + choices.text(60)
        payload, rsv = text.encode(), 0
        if not choices.yes(4):
            rsv = 4
            end = zlib.Z_FULL_FLUSH if choices.yes(8) else zlib.Z_SYNC_FLUSH
            last = choices.yes(8)
            packed = deflater.compress(payload) + deflater.flush(zlib.Z_FINISH if last else end)
            # A final block ends zlib's stream; §7.2.3.4 has an empty byte behind it.
            payload = packed + b"\0" if last else packed[:-4]
            if forgets or last:
                deflater = zlib.compressobj(wbits=window)
        opcode = 1
        while choices.yes(3) and payload:
            size = choices.size(len(payload))
            wire += _frame(rsv << 4 | opcode, payload[:size])
            opcode, payload, rsv = 0, payload[size:], 0
            if choices.yes(4):
                wire += _frame(0x89, b"?")
                sent.append(("ping", b"?"))
        wire += _frame(0x80 | rsv << 4 | opcode, payload)
        sent.append(("data", text))
    return sent, wire


def _frame(first: int, payload: bytes) -> bytes:
    """With a key of zeros, which changes nothing: masking is for ``frames.py``."""
    return header_of(first, len(payload)) + payload


def _server(handshake: Handshake, agreed: dict[str, str], choices: Choices) -> None:
    """What the server compresses, a client inflates that has the agreed window and no more."""
    stream: Any = Feed([])
    transport = handshake.transport(stream, LIMIT, b"")
    window = -int(agreed.get("server_max_window_bits", "15"))
    inflater = zlib.decompressobj(wbits=window)
    for _ in range(1 + choices.below(4)):
        text = choices.pick(WORDS) * choices.pick((1, 3, 5)) + choices.text(60)
        wire = transport.encode(Frame(Opcode.TEXT, text.encode()))
        first, size, begin = wire[0], wire[1] & 0x7F, 2
        assert first in (0xC1, 0x81), f"a compressed text begins with {first:#x}"
        if size >= 126:
            begin += 2 if size == 126 else 8
            size = int.from_bytes(wire[2:begin])
        payload = wire[begin:]
        assert len(payload) == size, "the header says another length"
        if first == 0xC1:
            if "server_no_context_takeover" in agreed:
                inflater = zlib.decompressobj(wbits=window)
            payload = inflater.decompress(payload + b"\0\0\xff\xff")
        assert payload == text.encode(), "a client inflates something else than what was sent"
