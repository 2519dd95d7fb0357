"""resumehub with a cluster: the same application, its hub shared by all workers of ``$BENCH_FOLDER``.

``/calls?n=…`` says how long a call takes that this process makes, and a bare round trip over a Unix socket
between two Python processes of this moment; ``/broadcasts?threads=…&seconds=…`` how many broadcasts so many
threads of this process make. ``/compute?seconds=…`` computes for so long.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from statistics import median
from typing import Any

from flask import request

from resumehub import Hub, Message
from resumehub.cluster import LocalCluster

from ..texts import text
from .app_resumehub import RATE, serving

BLOCK = 100
"""Calls in a row of each kind; then the other kind has its turn."""

ECHO = """
import socket, sys
sock = socket.socket(fileno=int(sys.argv[1]))
while data := sock.recv(65536):
    sock.sendall(data)
"""

hub = Hub(
    ping_interval=None, max_sessions=30_000, rate=RATE, cluster=LocalCluster(os.environ["BENCH_FOLDER"])
)
app = serving(hub)
message = Message("say", "x" * 36)


@app.get("/calls")
def calls() -> dict[str, float]:
    """Microseconds of a call and of a bare round trip: the median of blocks that take turns."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-c", ECHO, str(theirs.fileno())]
        with subprocess.Popen(command, pass_fds=[theirs.fileno()]) as echo:
            size = len(text("say"))
            _bare(ours, size)
            took: dict[str, list[float]] = {"count": [], "send": [], "broadcast": [], "bare": []}
            for _ in range(int(request.args["n"]) // BLOCK):
                took["bare"].append(_timed(lambda: _bare(ours, size)))
                took["count"].append(_timed(lambda: hub.count("nobody")))
                took["send"].append(_timed(lambda: hub.send("listener", message)))
                took["broadcast"].append(_timed(lambda: hub.broadcast("nobody", message)))
            ours.shutdown(socket.SHUT_WR)
            echo.wait()
    return {name: median(seconds) * 1e6 for name, seconds in took.items()}


def _bare(sock: socket.socket, size: int) -> None:
    sock.sendall(b"x" * size)
    sock.recv(65536)


def _timed(call: Any) -> float:
    begun = time.perf_counter()
    for _ in range(BLOCK):
        call()
    return (time.perf_counter() - begun) / BLOCK


@app.get("/broadcasts")
def broadcasts() -> dict[str, float]:
    """Broadcasts a second, of all threads together."""
    seconds = float(request.args["seconds"])
    counts: list[int] = []
    go = threading.Event()

    def speak() -> None:
        go.wait()
        count, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            hub.broadcast("everybody", message)
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=speak) for _ in range(int(request.args["threads"]))]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    return {"rate": sum(counts) / seconds}


@app.get("/compute")
def compute() -> dict[str, int]:
    """What a view does that computes: Python, and nothing that waits."""
    until, rounds = time.perf_counter() + float(request.args["seconds"]), 0
    while time.perf_counter() < until:
        rounds += sum(range(1000)) > 0
    return {"rounds": rounds}
