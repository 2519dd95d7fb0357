"""What the rest of the world sees of a client's machine: its state, and how it ended.

The machine belongs to the driver's thread alone; this is its window. Any thread may look, and wait.
"""

from __future__ import annotations

from ..errors import ResumeHubError
from ..runtime.base import Runtime
from .machine import ClientMachine
from .states import ClientState


class Status:
    """A copy of what matters, under a lock of its own."""

    def __init__(self, runtime: Runtime, machine: ClientMachine) -> None:
        self._lock = runtime.lock("the client's state")
        self._changed = runtime.condition(self._lock)
        self._state = machine.state
        self._error = machine.error
        self._lossless = machine.lossless

    def show(self, machine: ClientMachine) -> None:
        """Copy it. Driver's thread only."""
        with self._lock:
            if self._state is not machine.state:
                self._state = machine.state
                self._error, self._lossless = machine.error, machine.lossless
                self._changed.notify_all()

    def look(self) -> tuple[ClientState, ResumeHubError | None, bool | None]:
        """State, the error with which it ended, and whether the session is a ``resumehub.v1`` one."""
        with self._lock:
            return self._state, self._error, self._lossless

    def wait_for_change(self, seen: ClientState, timeout: float | None) -> bool:
        """Wait until the state is no longer ``seen``; False if ``timeout`` real seconds passed before."""
        with self._lock:
            return self._state is not seen or self._changed.wait(timeout)
