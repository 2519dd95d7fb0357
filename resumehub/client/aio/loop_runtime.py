"""A client's runtime on an event loop: where a thread would wait, ``MustWait`` is raised.

So the code of the threaded client runs here unchanged, by repeated calls: ``when_possible`` awaits the future
that comes with the error, and calls again. All runs on the loop's thread, so a lock has nothing to do. A
socket that is ready is not waited for, and no call here blocks. Timeouts of waits are the caller's, but for
the mailbox's. The loop's thread only. Made by ``shell.py``. Read next: ``../steps.py``.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeVar

from ...runtime.base import Bell, Condition, Event, Lock, Mailbox, Thread, ThreadMustLeave
from ...runtime.system import SystemRuntime

T = TypeVar("T")

Waiters = list["asyncio.Future[None]"]


class MustWait(ThreadMustLeave):
    """Nothing has happened yet: call again once ``future`` is done."""

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.future = future


async def when_possible(call: Callable[[], T]) -> T:
    """Call, and call again, until that does not have to wait. A cancellation comes in between two calls."""
    while True:
        try:
            return call()
        except MustWait as must:
            future = must.future
        await future


class EventLoopRuntime(SystemRuntime):
    """The ``Runtime`` of one client; its workers are started by the shell, and never by ``spawn``."""

    def __init__(self) -> None:
        super().__init__()
        # Descriptor, and POLLIN or POLLOUT → those who wait for that.
        self._watched: dict[tuple[int, int], Waiters] = {}

    def lock(self, what: str = "a lock") -> Lock:
        return _NoLock()

    def condition(self, lock: Lock) -> Condition:
        return _LoopCondition()

    def event(self, what: str = "an event") -> Event:
        return _LoopEvent()

    def mailbox(self) -> Mailbox:
        return _LoopMailbox()

    def spawn(self, name: str, run: Callable[[], None], *, daemon: bool = True) -> Thread:
        raise AssertionError("a client on an event loop starts no thread")

    def wait_readable(self, sock: socket.socket, bell: Bell | None = None) -> None:
        self._wait(sock, select.POLLIN)

    def wait_writable(self, sock: socket.socket, bell: Bell | None = None) -> None:
        self._wait(sock, select.POLLOUT)

    def before_receive(self, sock: socket.socket) -> None:
        """The socket is in blocking mode: only what is there already may be received."""
        self._wait(sock, select.POLLIN)

    def forget(self, number: int) -> None:
        """The socket with this descriptor has been shut down and may be closed: nobody waits for it now."""
        for event in (select.POLLIN, select.POLLOUT):
            self._wake(number, event)

    def _wait(self, sock: socket.socket, event: int) -> None:
        poller = select.poll()
        poller.register(sock, event)
        if not poller.poll(0):
            raise MustWait(self._watch(sock.fileno(), event))

    def _watch(self, number: int, event: int) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        if (number, event) not in self._watched:
            add = loop.add_reader if event == select.POLLIN else loop.add_writer
            add(number, self._wake, number, event)
        # Two may wait for the same: in TLS, the writer for input.
        future = _one_more(self._watched.setdefault((number, event), []))
        # It was added first, so it is called before the task goes on, which may close the socket.
        future.add_done_callback(partial(self._given_up, number, event))
        return future

    def _wake(self, number: int, event: int) -> None:
        waiters = self._watched.pop((number, event), None)
        if waiters is not None:
            self._unwatch(number, event)
            _wake_all(waiters)

    def _given_up(self, number: int, event: int, future: asyncio.Future[None]) -> None:
        waiters = self._watched.get((number, event))
        if waiters is not None and future in waiters:  # it was cancelled
            waiters.remove(future)
            if not waiters:
                del self._watched[number, event]
                self._unwatch(number, event)

    def _unwatch(self, number: int, event: int) -> None:
        loop = asyncio.get_running_loop()
        remove = loop.remove_reader if event == select.POLLIN else loop.remove_writer
        remove(number)


class _NoLock:
    """All is on one thread, and nothing that holds a lock awaits."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return True

    def release(self) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> None: ...


class _LoopCondition(_NoLock):
    def __init__(self) -> None:
        self._waiters: Waiters = []

    def wait(self, timeout: float | None = None) -> NoReturn:
        raise MustWait(_one_more(self._waiters))

    def notify_all(self) -> None:
        _wake_all(self._waiters)

    notify = notify_all


class _LoopEvent:
    def __init__(self) -> None:
        self._is_set = False
        self._waiters: Waiters = []

    def set(self) -> None:
        self._is_set = True
        _wake_all(self._waiters)

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set:
            raise MustWait(_one_more(self._waiters))
        return True


class _LoopMailbox:
    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._waiters: Waiters = []
        self._timer: asyncio.TimerHandle | None = None

    def put(self, item: Any) -> None:
        self._items.append(item)
        self._wake()

    def get(self, timeout: float | None = None) -> Any:
        if self._items:
            return self._items.popleft()
        if timeout is not None and timeout <= 0:
            return None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if timeout is not None:
            self._timer = asyncio.get_running_loop().call_later(timeout, self._wake)
        raise MustWait(_one_more(self._waiters))

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        _wake_all(self._waiters)


def _one_more(waiters: Waiters) -> asyncio.Future[None]:
    """A new future among ``waiters``; those that were given up are taken out."""
    waiters[:] = [one for one in waiters if not one.done()]
    waiters.append(asyncio.get_running_loop().create_future())
    return waiters[-1]


def _wake_all(waiters: Waiters) -> None:
    woken, waiters[:] = list(waiters), []
    for one in woken:
        if not one.done():
            one.set_result(None)
