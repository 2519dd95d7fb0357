"""Bare sockets, and a writer thread for each: whoever broadcasts fills queues, and wakes the writers."""

from __future__ import annotations

import socket
import threading
from queue import SimpleQueue

from .bare import serve_forever


class Queued:
    """A queue without bounds, and the thread that empties it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self.send = self._queue.put
        threading.Thread(target=self._write, daemon=True).start()

    def _write(self) -> None:
        try:
            while (wire := self._queue.get()) is not None:
                self._sock.sendall(wire)
        except OSError:
            pass

    def close(self) -> None:
        """End the thread."""
        self._queue.put(None)


def serve(sock: socket.socket) -> None:
    serve_forever(sock, Queued)
