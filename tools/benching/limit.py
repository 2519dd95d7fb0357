"""What the load process can do at most: its own loops, on sockets that have everything ready.

No server runs meanwhile. What a client would be sent was written into its socket before, so what is measured
is the price of looking, reading and counting (and sending, for the echo). A server whose numbers come near
these was not measured: the load process was. Called by ``run.py``.
"""

from __future__ import annotations

import socket

from .contenders import V1
from .crowd import Crowd
from .dial import Link
from .dialects import Dialect, ResumehubV1, Who
from .flows import Echo, FanOut, now
from .process import BACKLOG, HOST
from .texts import text

_FRAME = bytes((0x81, 64)) + text("all").encode()


def limits(clients: int, rounds: int = 40) -> dict[str, float]:
    """Messages per second: what the load process can take in, by what is measured."""
    return {
        "echo": _echo(50, rounds),
        "fan-out, window 1": _fan_out(Dialect(), clients, rounds, 1),
        "fan-out, window 16": _fan_out(Dialect(), clients, rounds, 16),
        f"fan-out, window 1, {V1}": _fan_out(ResumehubV1(), clients, rounds, 1),
        f"fan-out, window 16, {V1}": _fan_out(ResumehubV1(), clients, rounds, 16),
    }


class _Prepared:
    """A crowd whose server ends are in our hands."""

    def __init__(self, dialect: Dialect, clients: int) -> None:
        listener = socket.create_server((HOST, 0), backlog=BACKLOG)
        self.crowd = Crowd(dialect, listener.getsockname())
        self._ends = []
        for number in range(clients):
            sock = socket.create_connection(self.crowd.address)
            end, _ = listener.accept()
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            self._ends.append(end)
            self.crowd.add([Link(Who(f"{number}"), sock)])
        listener.close()

    def fill(self, messages: int) -> None:
        """Have so many messages waiting for each client."""
        for end in self._ends:
            end.sendall(_FRAME * messages)

    def close(self) -> None:
        self.crowd.close()
        for end in self._ends:
            end.close()


def _echo(clients: int, rounds: int) -> float:
    prepared = _Prepared(Dialect(), clients)
    took = 0.0
    try:
        for _ in range(rounds):
            prepared.fill(1)
            echo = Echo(prepared.crowd)
            begun = now()
            echo.start()
            while echo.count < clients:
                echo.step(again=False)
            took += now() - begun
    finally:
        prepared.close()
    return clients * rounds / took


def _fan_out(dialect: Dialect, clients: int, rounds: int, window: int) -> float:
    prepared = _Prepared(dialect, clients)
    took = 0.0
    try:
        for _ in range(max(1, rounds // window)):
            prepared.fill(window)
            fan_out = FanOut(prepared.crowd, window)
            begun = now()
            fan_out.ask()
            while not fan_out.idle:
                fan_out.step(again=False)
            took += now() - begun
    finally:
        prepared.close()
    return clients * window * max(1, rounds // window) / took
