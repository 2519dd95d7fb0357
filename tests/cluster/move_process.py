"""A process that gives its hub away, or takes one, for tests that kill it at a step: a program of its own.

The arguments are its role, the folder, two descriptors of a link, which are inherited, a port, and when it
kills itself. The lock is a real one in the folder. The source listens on the port: each connection is a
WebSocket whose handshake is over, and its session echoes. It moves the hub when a line comes on its standard
input. The last argument is the class of a message: it kills itself when that has come, before it is handled
("" for never); or "unlock": before it lets the lock go. What happens is told on its standard output.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from typing import Any

from resumehub import Hub
from resumehub.clock import now
from resumehub.cluster.door import Door
from resumehub.cluster.folder import open_folder
from resumehub.cluster.greetings import HIGHEST_VERSION, Greeting
from resumehub.cluster.link import Link
from resumehub.cluster.link_thread import start
from resumehub.cluster.moves.move_source import MoveSource
from resumehub.cluster.moves.move_target import MoveTarget
from resumehub.cluster.record_lock import HEIR, HUB, RecordLock
from resumehub.core import commands as c
from resumehub.core.resume import ResumeRequest
from resumehub.runtime.system import SystemRuntime
from resumehub.transport.sockets import PlainSocket
from resumehub.transport.websocket import WebSocketTransport


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class MovingProcess:
    """Either of the two. It is its own ``SourceHost`` and ``TargetHost``."""

    def __init__(self, folder: str, stream: int, packets: int, kill_at: str) -> None:
        self.runtime = SystemRuntime(share=True)
        self.kill_at = kill_at
        self.lock = RecordLock(open_folder(folder), self.runtime)
        self.hub = Hub(_runtime=self.runtime)
        self.hub.on_message(lambda connection, message: connection.send(message))
        self.link = Link(
            socket.socket(fileno=stream),
            socket.socket(fileno=packets),
            Greeting("f" * 32, 1, "threads", "chat"),
            HIGHEST_VERSION,
            self.runtime,
        )

    def deadly(self, handlers: Mapping[type, Any]) -> dict[type, Any]:
        def wrap(kind: type, handle: Any) -> Any:
            def handle_or_die(*arguments: Any) -> None:
                if kind.__name__ == self.kill_at:
                    die()
                handle(*arguments)

            return handle_or_die

        return {kind: wrap(kind, handle) for kind, handle in handlers.items()}

    # -- the source -------------------------------------------------------------------------

    def give(self, port: int) -> None:
        assert self.lock.take_hub()
        self.hub.runner.start()
        source = MoveSource(self.hub.runner, Door(self.runtime, here=True), self, {})
        start(self.link, self.deadly(source.handlers), source.on_link_end, self.runtime)
        listener = socket.create_server(("127.0.0.1", port), backlog=64)
        tell("listens")
        for line in sys.stdin:
            if line.startswith("accept"):
                for number in range(int(line.split()[1])):
                    self._register(listener.accept()[0], f"{number}")
                tell("accepted")
            else:
                outcome = source.move(self.link, "a life", None, now() + 5.0)  # type: ignore[arg-type]
                tell(type(outcome).__name__)

    def _register(self, sock: socket.socket, name: str) -> None:
        self.hub.runner.register(
            WebSocketTransport(PlainSocket(sock, self.runtime, movable=True), 65536),
            c.Register(
                0,
                name,
                "lobby",
                life=name * 32,
                resume=False,
                seen="",
                seen_room="lobby",
                resume_request=ResumeRequest(),
            ),
            data=None,
            handshake_response=b"",
        )

    def release_hub(self) -> None:
        if self.kill_at == "unlock":
            die()
        self.lock.release(HUB)

    # -- the target -------------------------------------------------------------------------

    def take(self) -> None:
        self.target = MoveTarget(self.hub.runner, Door(self.runtime), self, {})
        start(self.link, self.deadly(self.target.handlers), self.target.on_link_end, self.runtime)
        tell("waits")
        sys.stdin.read()

    def may_hold(self) -> bool:
        return self.lock.try_take(HEIR)

    def committed(self, hub_life: str) -> None:
        threading.Thread(target=self._take_the_hub, daemon=True).start()

    def _take_the_hub(self) -> None:
        while not self.lock.try_take(HUB):
            self.runtime.event().wait(0.001)
        self.lock.release(HEIR)
        tell(f"adopted {self.target.go().sessions}")

    def dropped(self) -> None:
        self.lock.release(HEIR)
        tell("dropped")


if __name__ == "__main__":
    role, folder, stream, packets, port, kill_at = sys.argv[1:]
    process = MovingProcess(folder, int(stream), int(packets), kill_at)
    if role == "source":
        process.give(int(port))
    else:
        process.take()
