"""Takes the plain messages out of a byte stream; leaves everything else to wsproto.

Nearly all that clients send is one masked text frame, whole, in one piece of input. wsproto needs
14 µs for such a frame of 64 bytes, this needs two. Whatever is not of that kind goes on to wsproto
byte by byte as it came: fragments, control frames, frames that are not complete, are too large, carry
bad UTF-8 or break RFC 6455 in any way. So wsproto remains the judge of everything that can go wrong
(tests/transport/test_sieve.py compares the two on any stream, cut anywhere). Without compression
only. One object a connection, used by its reader thread. Read next: ``websocket.py``.
"""

from __future__ import annotations

from typing import Final

from .base import DataReceived

_FIN: Final = 0x80
_RESERVED: Final = 0x70
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_TEXT, _BINARY, _CLOSE = 1, 2, 8
_SHORT, _MEDIUM = 125, 126  # RFC 6455 §5.2: 126 says that two bytes of length follow, 127 eight


class FastFrameParser:
    """``sift`` gives, in order, messages and stretches of bytes that are for wsproto."""

    def __init__(self, max_message_size: int) -> None:
        self._limit = max_message_size
        self._head = b""  # a header that is not complete
        self._owed = 0  # bytes of the present frame that are wsproto's and still to come
        self._fragmented = False  # between the first and the last fragment of a message
        self._given_up = False  # nothing is ours any more: wsproto will say why

    def parse(self, data: bytes) -> list[DataReceived | bytes]:
        """Cut input into what is plain and what is not. Keeps the beginning of a header back."""
        if self._is_one_short_text(data):
            plain = self._plain(data, 0, 6, len(data))
            if plain is not None:
                return [plain]
        if self._head:
            data, self._head = self._head + data, b""
        sifted: list[DataReceived | bytes] = []
        at, end = 0, len(data)
        while at < end:
            if self._given_up or self._owed:
                stop = end if self._given_up else min(end, at + self._owed)
                self._owed = max(0, self._owed - (stop - at))
                sifted.append(data[at:stop])
                at = stop
                continue
            begin, size = self._header(data, at, end)
            if begin < 0:
                break
            if self._given_up:
                continue
            stop = begin + size
            plain = self._plain(data, at, begin, stop) if stop <= end else None
            if plain is None:
                self._leave(data[at], stop - at)
            else:
                sifted.append(plain)
                at = stop
        return sifted

    def _is_one_short_text(self, data: bytes) -> bool:
        """Whether this is one whole short text frame and nothing else, as it nearly always is."""
        size = len(data) - 6
        return (
            0 <= size <= _SHORT
            and data[0] == _FIN | _TEXT
            and data[1] == _MASKED | size
            and not (self._head or self._owed or self._given_up)
        )

    def _header(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        """Where the payload of the frame at ``at`` begins, and its size; -1 if that is not known yet."""
        if end - at < 2:
            self._head = data[at:]
            return -1, 0
        first, second = data[at], data[at + 1]
        size = second & _LENGTH
        if first & _RESERVED or not second & _MASKED or (first & _OPCODE >= _CLOSE and size > _SHORT):
            self._given_up = True
            return at, 0
        if size <= _SHORT:
            extra = 0
        else:
            extra = 2 if size == _MEDIUM else 8
        begin = at + 2 + extra + 4
        if begin > end:
            self._head = data[at:]
            return -1, 0
        if extra:
            size = int.from_bytes(data[at + 2 : at + 2 + extra], "big")
            # A length that is longer than it need be, or has its highest bit set, is an error.
            self._given_up = size <= (_SHORT if extra == 2 else 0xFFFF) or size >= 1 << 63
        return begin, size

    def _plain(self, data: bytes, at: int, begin: int, stop: int) -> DataReceived | None:
        first, size = data[at], stop - begin
        if self._fragmented or size > self._limit or first not in (_FIN | _TEXT, _FIN | _BINARY):
            return None
        payload = _unmask(data[begin - 4 : begin], data[begin:stop], size)
        if first == _FIN | _BINARY:
            return DataReceived(payload, size)
        try:
            return DataReceived(payload.decode(), size)
        except UnicodeDecodeError:
            return None

    def _leave(self, first: int, length: int) -> None:
        """This frame is for wsproto; it may open or end a fragmented message."""
        self._owed = length
        if first & _OPCODE < _CLOSE:
            self._fragmented = not first & _FIN


def _unmask(key: bytes, payload: bytes, size: int) -> bytes:
    """RFC 6455 §5.3, all bytes at once: as numbers."""
    repeated = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "little")
    return (masked ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")
