"""Bare sockets, and whoever broadcasts writes to all of them itself: the baseline."""

from __future__ import annotations

import socket

from .bare import serve_forever


class Direct:
    """Writes in the caller's thread; waits where the kernel takes no more."""

    def __init__(self, sock: socket.socket) -> None:
        self._send = sock.sendall

    def send(self, wire: bytes) -> None:
        try:
            self._send(wire)
        except OSError:
            pass

    def close(self) -> None:
        """Nothing is left to do."""


def serve(sock: socket.socket) -> None:
    serve_forever(sock, Direct)
