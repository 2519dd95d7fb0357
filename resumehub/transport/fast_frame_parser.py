"""Takes the plain messages out of a byte stream; leaves everything else to wsproto.

Nearly all that clients send is one masked text frame, whole, in one piece of input. wsproto needs 14 µs for
such a frame of 64 bytes, this needs two. Whatever is not of that kind goes on to wsproto byte by byte as it
came: fragments, control frames, frames that are not complete, are too large, carry bad UTF-8 or break RFC
6455 in any way. So wsproto remains the judge of everything that can go wrong
(tests/transport/test_fast_frame_parser.py compares the two on any stream, cut anywhere).

Since every byte comes by here, this is also where a half-read stream can be written down (``unfinished``),
without a look into wsproto. Without compression only. One object a connection, used by its reader thread.
Read next: ``websocket.py``.
"""

from __future__ import annotations

from typing import Final

from .as_wire import header_of
from .base import DataReceived

_FIN: Final = 0x80
_RESERVED: Final = 0x70
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_CONTINUATION, _TEXT, _BINARY, _CLOSE = 0, 1, 2, 8
_SHORT, _MEDIUM = 125, 126  # RFC 6455 §5.2: 126 says that two bytes of length follow, 127 eight
_KEY: Final = 4  # bytes of a masking key

# A character of UTF-8 has at most four bytes, so a decoder holds back three at most.
_LONGEST_TAIL: Final = 3


class FastFrameParser:
    """``parse`` gives, in order, messages and stretches of bytes that are for wsproto."""

    def __init__(self, max_message_size: int) -> None:
        self._limit = max_message_size
        self._head = b""  # a header that is not complete
        self._owed = 0  # bytes of the present frame that are wsproto's and still to come
        self._fragmented = False  # between the first and the last fragment of a message
        self._given_up = False  # nothing is ours any more: wsproto will say why
        # For ``unfinished``: the present frame that is wsproto's (a control frame with all of it that came),
        # and the message that is not complete: its opcode, how much of it has come, and the last bytes of it.
        self._header = self._control = b""
        self._opcode = 0
        self._came = 0
        self._tail = b""

    def parse(self, data: bytes) -> list[DataReceived | bytes]:
        """Cut input into what is plain and what is not. Keeps the beginning of a header back."""
        if self._is_one_short_text(data):
            plain = self._plain(data, 0, 6, len(data))
            if plain is not None:
                return [plain]
        if self._head:
            data, self._head = self._head + data, b""
        parsed: list[DataReceived | bytes] = []
        at, end = 0, len(data)
        while at < end:
            if self._given_up or self._owed:
                stop = end if self._given_up else min(end, at + self._owed)
                self._pass_on(data[at:stop])
                parsed.append(data[at:stop])
                at = stop
                continue
            begin, size = self._read_header(data, at, end)
            if begin < 0:
                break
            if self._given_up:
                continue
            stop = begin + size
            plain = self._plain(data, at, begin, stop) if stop <= end else None
            if plain is None:
                self._leave(data[at:begin], size)
            else:
                parsed.append(plain)
                at = stop
        return parsed

    def unfinished(self, held: bytes) -> bytes:
        """Wire bytes that a fresh parser, with a fresh wsproto behind it, turns into the present state.

        ``held``: the payload of the message so far as wsproto has given it. What came of a message becomes
        one fragment, the frame that is open its header with the length that is still to come.
        """
        if self._opcode:
            # Of text, wsproto's decoder holds back the beginning of a character that is not complete.
            missing = self._came - len(held)
            payload = held + self._tail[len(self._tail) - missing :]
            begun = header_of(self._opcode, len(payload)) + payload
        else:
            begun = b""
        if not self._owed:
            return begun + self._head
        if self._control:
            return begun + self._control
        size = _size_of(self._header)
        if self._owed == size and self._header[0] & _OPCODE != _CONTINUATION:
            return self._header  # nothing but the header of the message has come
        key = self._header[-_KEY:]
        turn = (size - self._owed) % _KEY
        return begun + header_of(self._header[0] & _FIN, self._owed, key[turn:] + key[:turn])

    def _is_one_short_text(self, data: bytes) -> bool:
        """Whether this is one whole short text frame and nothing else, as it nearly always is."""
        size = len(data) - 6
        return (
            0 <= size <= _SHORT
            and data[0] == _FIN | _TEXT
            and data[1] == _MASKED | size
            and not (self._head or self._owed or self._given_up)
        )

    def _read_header(self, data: bytes, at: int, end: int) -> tuple[int, int]:
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
        begin = at + 2 + extra + _KEY
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
        payload = _unmask(data[begin - _KEY : begin], data[begin:stop], size)
        if first == _FIN | _BINARY:
            return DataReceived(payload, size)
        try:
            return DataReceived(payload.decode(), size)
        except UnicodeDecodeError:
            return None

    def _leave(self, header: bytes, size: int) -> None:
        """The frame is for wsproto, which gets its header next; it may open or end a fragmented message."""
        self._header = header
        self._owed = len(header) + size
        self._control = b""
        opcode = header[0] & _OPCODE
        if opcode < _CLOSE:
            self._fragmented = not header[0] & _FIN
            if opcode != _CONTINUATION:
                self._opcode, self._came, self._tail = opcode, 0, b""

    def _pass_on(self, piece: bytes) -> None:
        """A piece of the present frame goes to wsproto, the first one with the whole header."""
        if self._given_up:
            return
        size = _size_of(self._header)
        payload = piece[max(0, self._owed - size) :]
        if self._header[0] & _OPCODE >= _CLOSE:
            self._control += piece
        elif payload:
            at = size - min(self._owed, size)
            self._came += len(payload)
            last = payload[-_LONGEST_TAIL:]
            turn = (at + len(payload) - len(last)) % _KEY
            key = self._header[-_KEY:]
            self._tail = (self._tail + _unmask(key[turn:] + key[:turn], last, len(last)))[-_LONGEST_TAIL:]
        self._owed -= len(piece)
        if not self._owed:
            self._control = b""
            if self._header[0] & _OPCODE < _CLOSE and self._header[0] & _FIN:
                self._opcode = 0


def _unmask(key: bytes, payload: bytes, size: int) -> bytes:
    """RFC 6455 §5.3, all bytes at once: as numbers."""
    repeated = (key * (size // _KEY + 1))[:size]
    masked = int.from_bytes(payload, "little")
    return (masked ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")


def _size_of(header: bytes) -> int:
    """The length of the payload, as a whole header says it."""
    return header[1] & _LENGTH if len(header) == 2 + _KEY else int.from_bytes(header[2:-_KEY], "big")
