"""Waits of the cluster tests: for a condition, and for what waits at a gate until the test lets it go on.

Handlers, views and imports of ``numbered_app.py`` come to the gate, from whatever process. The test's thread.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

HOST = "127.0.0.1"

PATIENCE = 20.0
"""A hang guard in real seconds."""


class Gate:
    """Where handlers, views and imports wait until the test lets them go on."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(PATIENCE)
        self.port: int = self._listener.getsockname()[1]
        self._waiting: list[socket.socket] = []

    def wait_for_one(self) -> tuple[str, str, int, Callable[[], None]]:
        """Wait until somebody comes; give what it is, its key, its pid, and what lets it go on."""
        sock, _ = self._listener.accept()
        self._waiting.append(sock)
        with sock.makefile() as file:
            what, key, pid = file.readline().rstrip("\n").split(" ")

        def let_go() -> None:
            sock.sendall(b"go\n")
            sock.close()

        return what, key, int(pid), let_go

    def close(self) -> None:
        """Let all go."""
        for sock in [*self._waiting, self._listener]:
            sock.close()


def until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until ``condition`` holds. Raises: AssertionError when it never does."""
    never = threading.Event()
    for _ in range(int(PATIENCE / 0.005)):
        if condition():
            return
        never.wait(0.005)
    raise AssertionError(f"waited for {what}, and it did not come to that")
