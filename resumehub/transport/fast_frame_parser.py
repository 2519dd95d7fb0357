"""Reads the simple messages of a byte stream; leaves all other bytes to wsproto.

Nearly all input is one whole, masked text frame in one piece. wsproto needs 14 µs for such a frame of 64
bytes, this parser needs two. All other input goes to wsproto unchanged: fragments, control frames, and frames
that are not complete, are too large, have bad UTF-8 or break RFC 6455 in any way. So wsproto alone decides
what is an error (tests/transport/test_fast_frame_parser.py compares the two on any stream, cut anywhere).

Every byte passes through here. So ``unfinished`` can write down a half-read stream without looking into
wsproto. Not for compressed connections. One object for each transport, used by its reader thread. Read next:
``websocket.py``.
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
_SHORT, _MEDIUM = 125, 126  # RFC 6455 §5.2: 126 means that two bytes of length follow, 127 eight
_KEY: Final = 4  # bytes of a masking key

# A UTF-8 character has at most four bytes, so a decoder holds back at most three.
_LONGEST_TAIL: Final = 3


class FastFrameParser:
    """``parse`` returns, in order, messages and pieces of input that are for wsproto."""

    def __init__(self, max_message_size: int) -> None:
        self._limit = max_message_size
        self._head = b""  # a header that is not complete
        self._owed = 0  # bytes of the present frame that are for wsproto and still to come
        self._fragmented = False  # between the first and the last fragment of a message
        self._given_up = False  # all input is for wsproto from now on: it will report the error
        # For ``unfinished``. Of the present frame, if it is for wsproto: the header, and of a control frame
        # all that came. Of the message that is not complete: opcode, how much has come, and its last bytes.
        self._header = self._control = b""
        self._opcode = 0
        self._came = 0
        self._tail = b""

    def parse(self, data: bytes) -> list[DataReceived | bytes]:
        """Separate simple messages from other input. Keeps a header that is not complete."""
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
        """Wire bytes that bring a fresh parser, with a fresh wsproto behind it, into the present state.

        ``held``: the payload of the unfinished message, as far as wsproto has given it. It becomes one
        fragment. Then a header follows for the rest of the frame that is half read.
        """
        if self._opcode:
            # wsproto's decoder holds back the first bytes of a character of text that is not complete.
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
            return self._header  # only the header of the message has come
        key = self._header[-_KEY:]
        turn = (size - self._owed) % _KEY
        return begun + header_of(self._header[0] & _FIN, self._owed, key[turn:] + key[:turn])

    def _is_one_short_text(self, data: bytes) -> bool:
        """Whether this is exactly one whole short text frame. It nearly always is."""
        size = len(data) - 6
        return (
            0 <= size <= _SHORT
            and data[0] == _FIN | _TEXT
            and data[1] == _MASKED | size
            and not (self._head or self._owed or self._given_up)
        )

    def _read_header(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        """Where the payload of the frame at ``at`` begins (-1: not known yet), and its size in bytes."""
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
            # A length in a longer form than necessary, or with its highest bit set, is an error.
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
        """Note that a frame is for wsproto, its header first. It may begin or end a fragmented message."""
        self._header = header
        self._owed = len(header) + size
        self._control = b""
        opcode = header[0] & _OPCODE
        if opcode < _CLOSE:
            self._fragmented = not header[0] & _FIN
            if opcode != _CONTINUATION:
                self._opcode, self._came, self._tail = opcode, 0, b""

    def _pass_on(self, piece: bytes) -> None:
        """Note what a piece of the present frame holds. The first piece has the whole header."""
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
    """Unmask all bytes at once, as one number (RFC 6455 §5.3)."""
    repeated = (key * (size // _KEY + 1))[:size]
    masked = int.from_bytes(payload, "little")
    return (masked ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")


def _size_of(header: bytes) -> int:
    """The length of the payload that a whole header states."""
    return header[1] & _LENGTH if len(header) == 2 + _KEY else int.from_bytes(header[2:-_KEY], "big")
