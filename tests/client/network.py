"""Between a client and a hub: sockets that a test may cut at any byte, in either direction.

Give a ``Network`` to ``connect(_opener=…)``. Each dial gets a socket pair; at its other end a thread reads
the request and calls the WSGI application with it, as a server would. It runs on any runtime, so the lab can
hold its threads as well as the client's and the hub's.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from werkzeug.test import EnvironBuilder

from resumehub.client import Client, connect
from resumehub.runtime.base import Runtime
from resumehub.runtime.system import SystemRuntime

ANY = "ws://hub.test/?id=ada"


@dataclass(frozen=True)
class Cut:
    """Cut the transport of dial ``dial`` when so many bytes have gone to the server, or come from it."""

    dial: int
    after: int
    to_server: bool


class Network:
    """Connects clients to a WSGI application; ``carried`` is how many bytes went each way, by dial."""

    def __init__(self, app: Any, runtime: Runtime | None = None, *cuts: Cut) -> None:
        self.app = app
        self.runtime = runtime or SystemRuntime()
        self.cuts = cuts
        self.dials = 0
        self.carried: dict[tuple[int, bool], int] = {}
        self.requests: list[str] = []
        self.measured = False
        self._ends: list[socket.socket] = []

    def __call__(self, host: str, port: int, guard: Callable[[socket.socket], None]) -> socket.socket:
        self.dials += 1
        ours, theirs = socket.socketpair()
        cuts = [cut for cut in self.cuts if cut.dial == self.dials]
        if cuts or self.measured:
            near, far = theirs, None
            far, theirs = socket.socketpair()
            for source, target, to_server in ((near, far, True), (far, near, False)):
                limit = next((cut.after for cut in cuts if cut.to_server == to_server), None)
                self._spawn("cable", lambda *a: self._pump(*a), source, target, to_server, limit, self.dials)
            self._ends += [near, far]
        self._spawn("door", self._serve, theirs)
        self._ends.append(ours.dup())
        return ours

    def client(self, url: str = ANY, **options: Any) -> Client:
        """A client on this network, whose pauses are none."""
        options = {"random": lambda: 0.0, "_runtime": self.runtime, "_opener": self} | options
        return connect(url, **options)

    def cut(self) -> None:
        """Cut every transport that is open now."""
        for end in self._ends:
            _shut(end)

    def close(self) -> None:
        """Cut all, and let go of the sockets."""
        self.cut()
        for end in self._ends:
            end.close()

    def _spawn(self, role: str, run: Callable[..., None], *arguments: Any) -> None:
        self.runtime.spawn(f"resumehub-{role}-{self.dials}", lambda: run(*arguments))

    # -- the cable --------------------------------------------------------------------------

    def _pump(
        self, source: socket.socket, target: socket.socket, to_server: bool, limit: int | None, dial: int
    ) -> None:
        carried = 0
        while limit is None or carried < limit:
            self.runtime.before_receive(source)
            try:
                data = source.recv(65536 if limit is None else min(65536, limit - carried))
                if not data:
                    break
                target.sendall(data)
            except OSError:
                break
            carried += len(data)
            self.carried[dial, to_server] = carried
        _shut(source)
        _shut(target)

    # -- the server's door --------------------------------------------------------------------

    def _serve(self, theirs: socket.socket) -> None:
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                self.runtime.before_receive(theirs)
                more = theirs.recv(1)
                if not more:
                    return
                head += more + self._rest_of_head(theirs)
            self._answer(theirs, head.decode("latin-1"))
        except OSError:
            pass  # cut
        finally:
            theirs.close()

    def _rest_of_head(self, theirs: socket.socket) -> bytes:
        """What has come of the request, and nothing of what comes behind it."""
        try:
            seen = theirs.recv(65536, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""
        end = seen.find(b"\r\n\r\n")
        return theirs.recv(len(seen) if end < 0 else end + 4) if seen else b""

    def _answer(self, theirs: socket.socket, head: str) -> None:
        lines = head.split("\r\n")
        method, target, _ = lines[0].split(" ")
        self.requests.append(target)
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:-2])]
        builder = EnvironBuilder(path=target, method=method, headers=headers, input_stream=BytesIO())
        answered: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            answered[:] = [status, headers]
            return lambda data: None

        result = self.app(builder.get_environ() | {"resumehub.socket": theirs}, start_response)
        body = b"".join(result)
        if hasattr(result, "close"):
            result.close()
        status, sent = answered
        if not status.startswith("101"):
            told = "".join(f"{name}: {value}\r\n" for name, value in sent)
            theirs.sendall(f"HTTP/1.1 {status}\r\n{told}\r\n".encode("latin-1") + body)


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has been cut, or closed, already
