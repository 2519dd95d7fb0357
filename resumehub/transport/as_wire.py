"""Wire bytes that repeat what a client has sent: for input that moves to another process.

A client's frames are masked (RFC 6455 §5.3). These have a masking key of zeros, which changes no byte. Pure;
called by the thread that moves a session. Read next: ``fast_frame_parser.py``, for a frame that is half read.
"""

from __future__ import annotations

from typing import Final

from .base import DataReceived, PingReceived, PongReceived

FIN: Final = 0x80
MASKED: Final = 0x80
TEXT, BINARY, PING, PONG = 0x1, 0x2, 0x9, 0xA
#: The longest length that fits into the header's second byte. 126: two bytes of length follow; 127: eight.
SHORT: Final = 125
#: Bytes of a masking key.
KEY: Final = 4

_NO_KEY = bytes(KEY)


def header_of(first: int, size: int, key: bytes = _NO_KEY) -> bytes:
    """The header of a client's frame: the byte ``first``, the length in its shortest form, ``key``."""
    if size <= SHORT:
        return bytes((first, MASKED | size)) + key
    if size <= 0xFFFF:
        return bytes((first, MASKED | 126)) + size.to_bytes(2) + key
    return bytes((first, MASKED | 127)) + size.to_bytes(8) + key


def as_wire(event: DataReceived | PingReceived | PongReceived) -> bytes:
    """The frame that a fresh transport reports as ``event``."""
    match event:
        case DataReceived(str() as text):
            return _frame(TEXT, text.encode())
        case DataReceived(bytes() as data):
            return _frame(BINARY, data)
        case PingReceived(payload):
            return _frame(PING, payload)
        case _:
            return _frame(PONG, b"")


def _frame(opcode: int, payload: bytes) -> bytes:
    return header_of(FIN | opcode, len(payload)) + payload
