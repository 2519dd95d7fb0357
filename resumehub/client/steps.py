"""Work that waits, as steps: what a client does is written once, and how it waits is left to its shell.

A worker of a client (``transport.py``, ``callbacks.py``) is a generator. Wherever it would wait, or run code
of the application's, it yields a *step*: a function without arguments. Its shell calls that, and sends what
it returned, or throws what it raised, into the generator. On a thread the call blocks. On an event loop the
client's runtime raises where a thread would wait, and the shell makes the same call again when it is worth
it. So a step that waits must have changed nothing when its wait raises. What a step returns, an event loop
awaits if that can be awaited. Threads: see the shell. Read next: ``threads.py``, ``transport.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeVar

from ..clock import Timeline
from ..runtime.base import Runtime
from ..runtime.command_loop import CommandLoop
from . import commands as c

T = TypeVar("T")

Step = Callable[[], Any]

#: Yields steps, gets what they returned, and returns a ``T``.
Steps = Generator[Step, Any, T]


class Aborted(Exception):
    """The dial has been given up meanwhile."""


class ClientWorker(Protocol):
    """One flow of steps that has been started: a thread, or a task."""

    def is_alive(self) -> bool:
        """Whether it has not ended."""

    def is_current(self) -> bool:
        """Whether the caller is one of its steps."""

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` real seconds for its end, where a thread can; whether it has ended."""

    def interrupt(self, number: int | None) -> None:
        """Its dial is given up. The socket with this descriptor, if there is one, has been shut down."""


class ClientShell(Protocol):
    """Runs the workers of one client."""

    @property
    def runtime(self) -> Runtime:
        """What its client's locks and waits come from."""

    def start(self, name: str, steps: Callable[[], Steps[None]]) -> ClientWorker:
        """Start a worker. Raises: RuntimeError when the system gives no thread."""

    def timeline(
        self, commands: CommandLoop[c.Command], next_deadline: Callable[[], float | None]
    ) -> Timeline:
        """What the client's clock steps; ``next_deadline``: the machine's."""


def carry_out(steps: Steps[T]) -> T:
    """Take the steps in the caller's thread. Blocks: as they do. Raises: as the generator does."""
    try:
        step = next(steps)
        while True:
            try:
                result = step()
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        done: T = end.value
        return done
