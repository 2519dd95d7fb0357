"""The shell of a threaded client: each of its workers is a thread, and each step that waits blocks it.

It knows neither sessions nor what the steps do. Made by ``connect``; used by ``client_loop.py``. Any thread.
Read next: ``steps.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..clock import Timeline
from ..runtime.base import Runtime, Thread
from ..runtime.command_loop import CommandLoop
from . import commands as c
from .steps import ClientWorker, Steps, carry_out


class ThreadShell:
    """Threads of ``runtime``'s."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def start(self, name: str, steps: Callable[[], Steps[None]]) -> ClientWorker:
        return _WorkerThread(self.runtime.spawn(name, lambda: carry_out(steps())))

    def timeline(
        self, commands: CommandLoop[c.Command], next_deadline: Callable[[], float | None]
    ) -> Timeline:
        return commands


@dataclass(frozen=True, slots=True)
class _WorkerThread:
    thread: Thread

    def is_alive(self) -> bool:
        return self.thread.is_alive()

    def is_current(self) -> bool:
        return self.thread.is_current()

    def join(self, timeout: float) -> bool:
        return self.thread.join(timeout)

    def interrupt(self, number: int | None) -> None:
        """Nothing: the thread has been freed with its socket, or no call can free it."""
