"""How long it takes to park suspended sessions and to adopt them: ``python -m tools.benching.parked 10000``.

One process has both hubs, so a line is the work itself, without the start of a process. Wall and processor
seconds; asked for 10,000: at most 5 s for both, on an idle host.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from tempfile import TemporaryDirectory

from resumehub import Hub
from resumehub.clock import now
from resumehub.cluster.folder import open_folder
from resumehub.cluster.parking.parking import adopt, park
from resumehub.core.commands import Register
from resumehub.core.resume import ResumeRequest
from resumehub.runtime.system import SystemRuntime
from resumehub.transport.sockets import PlainSocket
from resumehub.transport.websocket import WebSocketTransport

_AT_ONCE = 500
"""So many clients connect and leave at a time: each takes two descriptors."""


class _Nowhere:
    """What nobody asks here (``resumehub.session.elsewhere.Elsewhere``)."""


def _suspended(runtime: SystemRuntime, count: int) -> Hub:
    hub = Hub(_runtime=runtime, max_sessions=count, resume_window=600.0)
    hub.runner.start()
    pause = threading.Event()
    for first in range(0, count, _AT_ONCE):
        upto = min(count, first + _AT_ONCE)
        peers = [_connect(hub, runtime, number) for number in range(first, upto)]
        while hub.stats().sessions < upto:
            pause.wait(0.01)
        for peer in peers:
            peer.close()
        while hub.stats().suspended < upto:
            pause.wait(0.01)
    return hub


def _connect(hub: Hub, runtime: SystemRuntime, number: int) -> socket.socket:
    ours, theirs = socket.socketpair()
    hub.runner.register(
        WebSocketTransport(PlainSocket(ours, runtime, movable=True), 65536),
        Register(
            0,
            f"user{number}",
            "lobby",
            life=f"{number:032x}",
            resume=False,
            seen="",
            seen_room="lobby",
            resume_request=ResumeRequest(),
        ),
        data=None,
        handshake_response=b"",
    )
    return theirs


def main(count: int) -> None:
    """Park and adopt so many, and tell how long each took."""
    old, new = SystemRuntime(share=True), SystemRuntime(share=True)
    hub, other = _suspended(old, count), Hub(_runtime=new, max_sessions=count)
    with TemporaryDirectory(prefix="resumehub-bench-") as path:
        folder = open_folder(path)
        began, worked = time.perf_counter(), time.process_time()
        parked = park(
            hub.runner,
            folder,
            until=now() + 600.0,
            park_bytes=1 << 30,
            elsewhere=_Nowhere(),  # type: ignore[arg-type]
        )
        print(f"parked  {parked.parked:6} sessions, {parked.size} bytes: {_since(began, worked)}")
        between, worked_before = time.perf_counter(), time.process_time()
        adopted = adopt(other.runner, folder)
        print(f"adopted {adopted.adopted:6} sessions: {_since(between, worked_before)}")
        print(f"both: {_since(began, worked)}; asked of 10,000: at most 5 s")
    hub.close(5.0)
    other.close(5.0)


def _since(began: float, worked: float) -> str:
    return f"{time.perf_counter() - began:.2f} s ({time.process_time() - worked:.2f} s of processor time)"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
