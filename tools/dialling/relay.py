"""A TCP relay that cuts: what stands between an example and the hub. Its threads end with ``close``.

It knows bytes, and no WebSocket. Read next: ``story.py``.
"""

from __future__ import annotations

import contextlib
import socket
import threading

HOST = "127.0.0.1"


class CuttingRelay:
    """Listens on ``port`` and passes each connection on to ``server_port``. Methods: any thread."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._lock = threading.Lock()
        self._cut = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, name="relay")]
        self._threads[0].start()

    def cut(self, *, stay: bool = False) -> None:
        """End all connections. ``stay``: those that come, too, until ``mend``."""
        with self._lock:
            self._cut = stay
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _end(*pair)

    def mend(self) -> None:
        with self._lock:
            self._cut = False

    def close(self) -> None:
        """End everything, and wait for the threads."""
        self.cut(stay=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((HOST, self._server_port))
            with self._lock:
                cut = self._cut
                if not cut:
                    self._pairs.append((client, server))
            if cut:
                _end(client, server)
                client.close()
                server.close()
                continue
            thread = threading.Thread(target=self._pass, args=(client, server), name="relay, both ways")
            self._threads.append(thread)
            thread.start()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=_copy, args=(server, client), name="relay, one way")
        back.start()
        _copy(client, server)
        back.join()
        client.close()
        server.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
