"""``lab.threading``: takes the place of the ``threading`` module, under the lab's control.

    monkeypatch.setattr(myapp, "threading", lab.threading)

so that an application's own locks, conditions, events and threads are stops like the hub's. What is
not here (``local``, ``current_thread``, …) is the real module's. Made by ``lab.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .controlled import ControlledRuntime
from .scheduler import Scheduler
from .tasks import Task


class Threading:
    """The parts of ``threading`` that wait."""

    def __init__(self, scheduler: Scheduler, runtime: ControlledRuntime) -> None:
        self._scheduler = scheduler
        self._runtime = runtime
        self._locks = 0

    def Lock(self) -> Any:
        """A ``threading.Lock``; in sentences it is "lock 1 of the application"."""
        self._locks += 1
        return self._runtime.lock(f"lock {self._locks} of the application")

    def RLock(self) -> Any:
        """A ``threading.RLock``."""
        return _RLock(self.Lock(), self._scheduler)

    def Condition(self, lock: Any = None) -> Any:
        """A ``threading.Condition``, over a ``Lock`` from here."""
        return self._runtime.condition(lock if lock is not None else self.Lock())

    def Event(self) -> Any:
        """A ``threading.Event``."""
        return self._runtime.event("an event of the application")

    def Thread(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> Any:
        """A ``threading.Thread`` with a ``target``; subclasses are not controlled."""
        assert target is not None, "a thread in the lab needs a target"
        return _ApplicationThread(
            self._scheduler, name or target.__name__, lambda: target(*args, **(kwargs or {}))
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)


class _RLock:
    def __init__(self, lock: Any, scheduler: Scheduler) -> None:
        self._lock = lock
        self._scheduler = scheduler
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._count and self._lock.is_mine():
            self._count += 1
            return True
        taken: bool = self._lock.acquire(blocking, timeout)
        self._count += taken
        return taken

    def release(self) -> None:
        if not (self._count and self._lock.is_mine()):
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()


class _ApplicationThread:
    def __init__(self, scheduler: Scheduler, name: str, body: Callable[[], object]) -> None:
        self._scheduler = scheduler
        self._body = body
        self._task: Task | None = None
        self.name = name
        self.daemon = True

    def start(self) -> None:
        if self._task is not None:
            raise RuntimeError("threads can only be started once")
        self._task = self._scheduler.spawn(self.name, self._body)
        self._task.application = True
        self.name = self._task.name
        self._scheduler.did(f"start {self.name}")

    def join(self, timeout: float | None = None) -> None:
        task = self._task
        if task is None:
            raise RuntimeError("cannot join thread before it is started")
        self._scheduler.pause(
            f"wait for the end of {self.name}", lambda: task.done, timed=timeout is not None
        )

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.done
