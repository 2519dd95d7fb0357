"""A hub that the lab borrows from the module that built it, and gives back as new. Used by ``lab.py``."""

from __future__ import annotations

from ..hub import Hub
from ..runtime.base import Runtime
from .clocks import FakeClock


class BorrowedHub:
    """A hub that another module has built, and what it was when the lab borrowed it."""

    def __init__(self, hub: Hub, clock: FakeClock, runtime: Runtime) -> None:
        runner = hub.runner
        if runner.loop is not None or runner.closed:
            raise ValueError("this hub has been used already: adopt one before a client connects to it")
        self._runner = runner
        self._parts = (runner.clock, runner.runtime)
        self._handlers = dict(runner.handlers)
        runner.reset(clock, runtime)

    def give_back(self) -> None:
        self._runner.reset(*self._parts)
        self._runner.handlers.update(self._handlers)
