"""A hub that the lab borrows from the module that built it, and gives back as new. Used by ``lab.py``."""

from __future__ import annotations

from ..hub import Hub
from ..runtime.base import Runtime
from .clocks import FakeClock


class Adopted:
    """A hub of somebody else's, as it was."""

    def __init__(self, hub: Hub, clock: FakeClock, runtime: Runtime) -> None:
        if hub._loop is not None or hub._closed:
            raise ValueError("this hub has been used already: adopt one before anybody connects to it")
        self._hub = hub
        self._parts = (hub._clock, hub._runtime)
        self._handlers = dict(hub._handlers)
        hub._clock, hub._runtime = clock, runtime
        hub._lock = runtime.lock("the hub's handlers")

    def give_back(self) -> None:
        hub = self._hub
        hub._clock, hub._runtime = self._parts
        hub._lock = hub._runtime.lock("the hub's handlers")
        hub._handlers.update(self._handlers)
        hub._loop, hub._closed = None, False
