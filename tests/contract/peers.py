"""Peers that do not read, handlers that do not return, a hub that is kept busy: what B and C need.

Everything here waits for something to happen and for nothing else; ``PATIENCE`` is a hang guard.
"""

from __future__ import annotations

import base64
import fcntl
import os
import struct
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from resumehub import Message, NoopMetrics
from resumehub.testing import WebSocketClient
from tests.support import PATIENCE, Stage, text

ROCK = 600_000
"""Bytes: more than a socketpair takes at once, so that a message of this size is half written."""


class Gate:
    """Holds each thread that passes through it until it is opened."""

    def __init__(self) -> None:
        self._reached = threading.Semaphore(0)
        self._opened = threading.Event()

    def hold(self, *ignored: object) -> None:
        """Say that a thread is here, then wait. Usable as a handler of any hook."""
        self._reached.release()
        assert self._opened.wait(2 * PATIENCE), "the gate was not opened"

    def wait_reached(self) -> None:
        """Wait until a (further) thread stands before the gate."""
        assert self._reached.acquire(timeout=PATIENCE), "no thread came to the gate"

    def open(self) -> None:
        self._opened.set()


class Ledger(NoopMetrics):
    """A collector that keeps every call, and can be waited for."""

    def __init__(self) -> None:
        self._calls: list[tuple[Any, ...]] = []
        self._changed = threading.Condition()
        #: Connection id → the gate at which the hub thread is held when it reports the end of that session.
        self.held: dict[str, Gate] = {}

    def of(self, method: str) -> list[tuple[Any, ...]]:
        """The arguments of all calls of ``method`` so far."""
        with self._changed:
            return [call[1:] for call in self._calls if call[0] == method]

    def wait_for(self, method: str, count: int = 1) -> None:
        """Wait until ``method`` was called ``count`` times in all."""
        with self._changed:
            enough = lambda: sum(call[0] == method for call in self._calls) >= count  # noqa: E731
            happened = self._changed.wait_for(enough, PATIENCE)
        assert happened, f"{method} was not called {count} times: {self._calls[-20:]}"

    def _note(self, method: str, *arguments: Any) -> None:
        with self._changed:
            self._calls.append((method, *arguments))
            self._changed.notify_all()
        if method == "connection_closed" and arguments[1] in self.held:
            self.held[arguments[1]].hold()


def _noting(method: str) -> Callable[..., None]:
    return lambda self, *arguments: self._note(method, *arguments)


for _name in [name for name in vars(NoopMetrics) if not name.startswith("_")]:
    setattr(Ledger, _name, _noting(_name))


@contextmanager
def busy_hub(s: Stage) -> Iterator[None]:
    """Keep the hub thread from handling anything meanwhile. ``s`` must have a ``Ledger``."""
    ledger = s.metrics
    assert isinstance(ledger, Ledger), "Stage(metrics=Ledger())"
    gate = ledger.held["victim"] = Gate()
    s.open("victim", room="elsewhere")
    with running(lambda: s.hub.kick("victim")):
        gate.wait_reached()
        try:
            yield
        finally:
            gate.open()


@contextmanager
def running(*functions: Callable[[], object]) -> Iterator[None]:
    """Run each function in a thread of its own meanwhile; wait for them, raise what they raised."""
    errors: list[BaseException] = []

    def guarded(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(2 * PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if errors:
        raise errors[0]


def waiting_for_hub(s: Stage, command: str) -> None:
    """Wait until a command of this name waits for a hub that is kept busy."""
    waiting = s.hub.runner.loop._commands._mailbox._queue.queue
    until(lambda: command in [type(item[1]).__name__ for item in list(waiting)])


def until(condition: Callable[[], object]) -> None:
    """Look again and again until ``condition`` holds: for what no event announces."""
    never = threading.Event()
    for _ in range(int(PATIENCE / 0.002)):
        if condition():
            return
        never.wait(0.002)
    raise AssertionError("it did not come to that")


def reach(s: Stage, hook: str) -> None:
    """Make ``hook`` of u1 run; what it does is up to its handler."""
    ws = s.open()
    if hook == "on_message":
        ws.send(text("hello"))
    elif hook == "on_disconnect":
        ws.close()
    elif hook == "on_transport_drop":
        ws.drop()
    elif hook == "on_transport_restore":
        s.resume(ws)


# -- peers ------------------------------------------------------------------------------------


def unread(ws: WebSocketClient) -> int:
    """Bytes that wait in the client's kernel buffer."""
    return struct.unpack("i", fcntl.ioctl(ws.sock, termios.FIONREAD, b"\0\0\0\0"))[0]


def sip(ws: WebSocketClient, size: int) -> None:
    """Read exactly ``size`` bytes of what the server sends."""
    while size:
        data = ws.sock.recv(size)
        assert data, "the server hung up"
        size -= len(data)
        ws.feed(data)


def never_answer_close(ws: WebSocketClient) -> None:
    """Have the client read a close frame and say nothing."""
    ws.answers_closes = False


def heard_all(ws: WebSocketClient) -> None:
    """Wait until the server has read, and looked at, all that this client has sent so far."""
    before = len(ws.pongs)
    ws.ping(b"?")
    assert ws.wait_for_pong(before + 1, PATIENCE), "the server does not answer a ping"


def handled_all(s: Stage, ws: WebSocketClient, connection_id: str = "u1") -> None:
    """The same, and that no callback runs or waits any more: another thread may be at one of them."""
    heard_all(ws)
    connection = s.hub.get(connection_id)
    assert connection is not None, f"{connection_id} has no session"
    serial_queue = connection._session.serial_queue
    until(lambda: not serial_queue._running and not serial_queue._calls)


def rock(s: Stage, connection_id: str = "u1") -> None:
    """Send a message that the peer's kernel takes only in part; nothing goes past it."""
    s.hub.send(connection_id, Message("rock", "r" * ROCK))


def fill(s: Stage, frames: int = 20, connection_id: str = "u1") -> None:
    """Send numbered messages of 50,000 bytes: some are written, one has begun, the others wait."""
    for number in range(frames):
        s.hub.send(connection_id, Message("fill", f"{number} " + "f" * 50_000))


def noise(size: int) -> str:
    """Text that no compression makes much smaller than three quarters."""
    return base64.b64encode(os.urandom(size * 3 // 4)).decode()
