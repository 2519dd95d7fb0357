"""What other threads see of a client's machine: its state, and the error with which it ended.

The machine is used by the driver alone, so the driver copies these here behind each command. Any thread may
look, and wait for a change.
"""

from __future__ import annotations

from ..errors import ResumeHubError
from ..runtime.base import Runtime
from .machine import ClientMachine
from .states import ClientState


class Status:
    """A copy of the machine's state, error and ``lossless``, with a lock of its own."""

    def __init__(self, runtime: Runtime, machine: ClientMachine) -> None:
        self._lock = runtime.lock("the client's state")
        self._changed = runtime.condition(self._lock)
        self._state = machine.state
        self._error = machine.error
        self._lossless = machine.lossless

    def show(self, machine: ClientMachine) -> None:
        """Copy what ``machine`` says now. Driver thread only."""
        with self._lock:
            if self._state is not machine.state:
                self._state = machine.state
                self._error, self._lossless = machine.error, machine.lossless
                self._changed.notify_all()

    def die(self, error: ResumeHubError) -> None:
        """The driver's thread has died: the client has ended with ``error``. Driver thread only."""
        with self._lock:
            self._state, self._error = ClientState.CLOSED, error
            self._changed.notify_all()

    def look(self) -> tuple[ClientState, ResumeHubError | None, bool | None]:
        """The state, the error with which it ended, and whether the session speaks ``resumehub.v1``."""
        with self._lock:
            return self._state, self._error, self._lossless

    def wait_for_change(self, seen: ClientState, timeout: float | None) -> bool:
        """Block until the state is no longer ``seen``; False if ``timeout`` real seconds passed before."""
        with self._lock:
            return self._state is not seen or self._changed.wait(timeout)
