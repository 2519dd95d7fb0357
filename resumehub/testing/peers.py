"""Clients in the lab: each thing that they do is a step of the schedule, and so is each wait.

Made by ``Lab.dial`` and ``Lab.knock``, for the test or for actors. A peer reads only inside a method that
reads, and is silent otherwise.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from .client import WebSocketClient, connect
from .handshake import TransportClosed
from .tasks import Task

if TYPE_CHECKING:
    from .lab import Lab


def named_after(url: str) -> str:
    """The ``id`` in the query, else the URL itself."""
    ids = parse_qs(urlsplit(url).query).get("id")
    return ids[0] if ids else url


class Peer:
    """The client's end of one WebSocket in the lab. Raises what ``connect`` raises."""

    def __init__(self, lab: Lab, url: str, name: str, how: dict[str, Any]) -> None:
        self._lab = lab
        #: What the sentences of a failure call it.
        self.name = name
        self.ws: WebSocketClient = connect(lab.app, url, _wait=self._wait, _push=self._push, **how)

    # -- talking ----------------------------------------------------------------------------

    def send(self, data: str | bytes) -> None:
        """Send a message."""
        self._do(f"send {data!r} as {self.name}")
        self.ws.send(data)

    def receive(self) -> str | bytes:
        """The next message. Raises TransportClosed. Waits (in lab time)."""
        return self.ws.receive()

    def received(self) -> list[str | bytes]:
        """Every message that has come by now. Never waits, but is a stop in an actor."""
        self._do(f"read as {self.name}")
        messages = []
        self.ws.read_nowait()
        while self.ws.has_message():
            messages.append(self.ws.receive())
        return messages

    def closed(self) -> tuple[int, str] | None:
        """Code and reason with which the server has ended the connection by now; None if it has not.

        Messages that came before stay for ``receive``. Never waits, but is a stop in an actor.
        """
        self._do(f"read as {self.name}")
        self.ws.read_nowait()
        return self.ws.closed

    def wait_closed(self) -> tuple[int, str]:
        """Wait (in lab time) for the server to end the connection."""
        try:
            while True:
                self.ws.receive()
        except TransportClosed as closed:
            return closed.code, closed.reason

    # -- a bad network ----------------------------------------------------------------------

    def freeze(self) -> None:
        """Let the network go dead without a sign; see ``WebSocketClient.freeze``."""
        self._do(f"freeze the line of {self.name}")
        self.ws.freeze()

    def thaw(self) -> None:
        """End ``freeze``: what waited on the way arrives."""
        self._do(f"thaw the line of {self.name}")
        self.ws.thaw()

    def stop_reading(self) -> None:
        """Read nothing any more; what is sent still arrives."""
        self._do(f"stop reading as {self.name}")
        self.ws.stop_reading()

    # -- leaving ----------------------------------------------------------------------------

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame, and do not wait for the answer."""
        self._do(f"send a close frame{'' if code is None else f' {code}'} as {self.name}")
        self.ws.send_close(code, reason)

    def drop(self) -> None:
        """Vanish without a close frame."""
        self._do(f"drop the line of {self.name}")
        self.ws.drop()

    def resume(self, **query: str) -> Peer:
        """Dial again with ``resume=true``. Raises UpgradeRefused."""
        return self._lab.dial(self.ws.resume_url(**query), name=self.name, **self.ws.options)

    def knock_to_resume(self, **query: str) -> Knock:
        """The same as far as the pre-check; see ``Lab.knock``."""
        return self._lab.knock(self.ws.resume_url(**query), name=self.name, **self.ws.options)

    def hang_up(self) -> None:
        """Close the socket, whatever state it is in."""
        self.ws.sock.close()

    # -- inside -----------------------------------------------------------------------------

    def _do(self, deed: str) -> None:
        scheduler = self._lab.scheduler
        if scheduler.is_inside() and not scheduler.is_fresh():
            scheduler.pause(deed)
        else:
            scheduler.did(deed)

    def _wait(self, sock: socket.socket, timeout: float) -> bool:
        self._lab.runtime.wait_readable(sock)
        return True

    def _push(self, sock: socket.socket, data: bytes | bytearray) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[sock.send(rest, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._lab.runtime.wait_writable(sock)
            except OSError:
                return  # the server has hung up: what is sent now is lost


class Knock:
    """An upgrade request whose pre-check has passed and whose socket the hub has not got yet."""

    def __init__(self, lab: Lab, url: str, name: str, how: dict[str, Any]) -> None:
        self._lab = lab
        self._name = name
        self._result: Callable[[], Peer] | None = None
        self._url = url
        self._how = how
        self._task: Task = lab.scheduler.spawn(f"request of {name}", self._run)
        self._seam = lab.scheduler.hold("*: tell the hub", only=self._task)

    def _run(self) -> None:
        try:
            peer = Peer(self._lab, self._url, self._name, self._how)
        except Exception as error:
            refused = error

            def give() -> Peer:
                raise refused
        else:
            self._lab.hang_up_at_end(peer)

            def give() -> Peer:
                return peer

        self._result = give

    def run_to_the_seam(self) -> None:
        scheduler = self._lab.scheduler
        while not self._task.done and not self._task.held:
            if not scheduler.step(self._task):
                scheduler.pause(f"see the pre-check of {self._name} pass", self._task.can_go_on)
        if self._result is not None:
            self._result()

    def go_on(self) -> Peer:
        """Let the hub have the socket, and wait (in lab time) for its answer. Raises what ``dial`` does."""
        self._seam.let_go()
        self._lab.scheduler.pause(f"see the request of {self._name} answered", lambda: self._task.done)
        assert self._result is not None, "the request has ended"
        return self._result()

    def go_away(self) -> None:
        """At the end of a test: let what is left of it come to its end."""
        self._seam.let_go()
        self._lab.scheduler.run_until(lambda: self._task.done)
