"""How the lab's threads wait for sockets: bells, pollers, and looks at real descriptors, all at stops.

No thread is woken: the scheduler looks whether a wait is over. Made by ``controlled.py``. Read next:
``scheduler.py``.
"""

from __future__ import annotations

import itertools
import select
import socket
from collections.abc import Callable, Mapping, Sequence

from ..runtime.base import Bell
from .scheduler import Scheduler


class ControlledBell:
    """A flag: the scheduler looks at it, so no thread has to be woken."""

    # No descriptor has such a number.
    _numbers = itertools.count(2)

    def __init__(self) -> None:
        self._rung = False
        self._number = -next(self._numbers)

    def ring(self) -> None:
        self._rung = True

    def is_rung(self) -> bool:
        return self._rung

    def silence(self) -> None:
        self._rung = False

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        """Nothing is held."""


class ControlledWaits:
    """Waits at a stop; says which descriptors are ready, and which bells are rung."""

    def __init__(self, scheduler: Scheduler, events: Mapping[int, int], bells: Sequence[Bell]) -> None:
        self._scheduler = scheduler
        self._poll = select.poll()
        for number, wanted in events.items():
            self._poll.register(number, wanted)
        self._bells = bells

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        self._scheduler.pause("wait for a message", self._has_any, timed=seconds is not None, seconds=seconds)
        rung = [(bell.fileno(), select.POLLIN) for bell in self._bells if bell.is_rung()]
        return [*self._poll.poll(0), *rung]

    def _has_any(self) -> bool:
        return any(bell.is_rung() for bell in self._bells) or bool(self._poll.poll(0))


class ControlledPoller:
    """Waits at a stop for input on any of the sockets; says so in the order in which they came."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._poll = select.poll()
        self._rung = False
        self._open = True

    def watch(self, number: int) -> None:
        self._poll.register(number, select.POLLIN)

    def unwatch(self, number: int) -> None:
        self._poll.unregister(number)

    def wait(self) -> list[int]:
        assert self._open, "no thread waits once it is closed"
        self._scheduler.pause("wait for input", self._has_any)
        self._rung = False
        return self._found()

    def look(self) -> list[int]:
        self._scheduler.pause("look for input")
        return self._found()

    def _found(self) -> list[int]:
        found = self._poll.poll(0)
        assert not any(event & select.POLLNVAL for _, event in found), "closed while it is watched"
        return [number for number, _ in found]

    def wake(self) -> None:
        self._rung = True

    def works(self) -> bool:
        return self._open

    def retire(self) -> None:
        pass  # it does not fail, so it is never replaced

    def close(self) -> None:
        self._open = False

    def _has_any(self) -> bool:
        return self._rung or bool(self._poll.poll(0))


def polled(sock: socket.socket, events: int, bell: Bell | None = None) -> Callable[[], bool]:
    number = sock.fileno()
    if number < 0:
        return _true
    poller = select.poll()
    poller.register(number, events)

    def ready() -> bool:
        # A number that was closed meanwhile may be that of another file by now.
        return sock.fileno() != number or bool(poller.poll(0)) or (bell is not None and bell.is_rung())

    return ready


def _true() -> bool:
    return True
