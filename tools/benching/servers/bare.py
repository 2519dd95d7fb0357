"""What the bare servers share: a WebSocket with nothing around it. A thread for each connection reads.

No bounds, no timeouts, no close handshake, no fragments, no masks checked: as little as can be called a
WebSocket server, to see what the kernel and Python's threads cost by themselves.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from ..texts import for_all


class Link(Protocol):
    """One connection, as a bare server has it."""

    def send(self, wire: bytes) -> None: ...
    def close(self) -> None: ...


present: dict[socket.socket, Link] = {}


def serve_forever(listener: socket.socket, make_link: Callable[[socket.socket], Link]) -> None:
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve_one, args=(sock, make_link), daemon=True).start()


def _serve_one(sock: socket.socket, make_link: Callable[[socket.socket], Link]) -> None:
    link = make_link(sock)
    try:
        _upgrade(sock)
        present[sock] = link
        for text in _texts(sock):
            wire = _frame(text)
            if for_all(text):
                for other in list(present.values()):
                    other.send(wire)
            else:
                link.send(wire)
    except OSError:
        pass
    finally:
        present.pop(sock, None)
        link.close()
        sock.close()


def _upgrade(sock: socket.socket) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = sock.recv(4096)
        if not data:
            raise ConnectionResetError
        head += data
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
    assert key is not None, "the load process sends proper handshakes"
    accept = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def _texts(sock: socket.socket) -> Iterator[bytes]:
    """The messages that come in, of less than 126 bytes each, until the peer leaves."""
    rest = b""
    while data := sock.recv(65536):
        rest += data
        at = 0
        while len(rest) - at >= 6 and len(rest) - at >= 6 + (size := rest[at + 1] & 127):
            if rest[at] & 15 == 8:
                return
            begin = at + 6
            mask = (rest[at + 2 : begin] * (size // 4 + 1))[:size]
            masked = int.from_bytes(rest[begin : begin + size], "big")
            yield (masked ^ int.from_bytes(mask, "big")).to_bytes(size, "big")
            at = begin + size
        rest = rest[at:]


def _frame(text: bytes) -> bytes:
    return bytes((0x81, len(text))) + text
