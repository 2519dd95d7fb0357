"""When to acknowledge what a client of ``resumehub.v1`` has sent: at half of a window, else a second later.

The client may have at most one window of unacknowledged messages. With an ``$ack`` at half of it the client
never has to stop; one for each message would double the traffic. There is one object for each session, used
by the thread that handles its messages and by the hub thread. Read next: ``handler_calls.py`` (which counts),
``control_messages.py`` (which sends).
"""

from __future__ import annotations

from enum import Enum

from ..runtime.base import Lock
from .session_state import AckState


class AckTiming(Enum):
    """When the next ``$ack`` is due."""

    NOW = "half of the window is not acknowledged"
    SOON = "this is the first message that is not acknowledged: start the deadline"
    AS_BEFORE = "the deadline is running"


class DelayedAck:
    """How much has been handled and not acknowledged. Blocks: never for long."""

    __slots__ = ("_bytes", "_half_bytes", "_half_messages", "_lock", "_messages", "_timed")

    def __init__(self, lock: Lock, window_messages: int, window_bytes: int) -> None:
        self._lock = lock
        self._half_messages = max(1, window_messages // 2)
        self._half_bytes = max(1, window_bytes // 2)
        self._messages = 0
        self._bytes = 0
        self._timed = False

    def handled(self, size: int) -> AckTiming:
        """A message of ``size`` bytes was handled. Any thread."""
        with self._lock:
            self._messages += 1
            self._bytes += size
            if self._messages >= self._half_messages or self._bytes >= self._half_bytes:
                return AckTiming.NOW
            if self._timed:
                return AckTiming.AS_BEFORE
            self._timed = True
            return AckTiming.SOON

    def export(self) -> AckState:
        """What is handled and not acknowledged."""
        with self._lock:
            return AckState(self._messages, self._bytes, self._timed)

    def restore(self, state: AckState) -> None:
        """Go on from what ``export`` returned."""
        with self._lock:
            self._messages, self._bytes, self._timed = state.messages, state.size, state.timed

    def sent(self) -> None:
        """An ``$ack`` or a ``$hello`` is sent now, and acknowledges all of it. Any thread."""
        with self._lock:
            self._messages = self._bytes = 0
            self._timed = False
