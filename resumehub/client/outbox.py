"""The messages that a client has accepted for sending, in order, until they are off its hands.

To a server that acknowledges, a message stays here until it has; to a plain one, until the kernel has
taken the last byte of it. The front part has been written on the present connection, the rest waits.
Numbers are positions: the first message of a session is 1. It knows neither sockets nor threads:
every method must be called with the sender's lock held. Read next: ``sender.py``.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ..message import Frame, Message


class OutgoingMessage(NamedTuple):
    """A message as it was given, and as it is sent."""

    frame: Frame
    message: Message


class ClientOutbox:
    """A bounded row of messages with a cursor. ``max_frames`` and ``max_bytes`` (of payload) both hold."""

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self.max_frames = max_frames
        self.max_bytes = max_bytes
        #: Whether a message is kept until it is acknowledged; else until it is written.
        self.keeps = True
        #: How many messages the server is known to have handled.
        self.acknowledged = 0
        self.used_bytes = 0
        self._messages: deque[OutgoingMessage] = deque()
        self._written = 0
        self._written_bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, outgoing: OutgoingMessage) -> bool:
        """Accept a message; False, and nothing changes, if there is no room for it."""
        if len(self._messages) >= self.max_frames or self.used_bytes + outgoing.frame.size > self.max_bytes:
            return False
        self._messages.append(outgoing)
        self.used_bytes += outgoing.frame.size
        return True

    def next(self, window_frames: int, window_bytes: int) -> OutgoingMessage | None:
        """The next message to write, if so much may be unacknowledged; None: not now."""
        if self._written == len(self._messages):
            return None
        outgoing = self._messages[self._written]
        if self._written and (
            self._written >= window_frames or self._written_bytes + outgoing.frame.size > window_bytes
        ):
            return None
        return outgoing

    def written(self) -> None:
        """The kernel has taken the message that ``next`` gave, whole."""
        if not self.keeps:
            self._take()
            return
        self._written_bytes += self._messages[self._written].frame.size
        self._written += 1

    def knows(self, received: int) -> bool:
        """Whether a server can truly have handled ``received`` messages."""
        return self.acknowledged <= received <= self.acknowledged + self._written

    def acknowledge(self, received: int) -> None:
        """The server has handled the messages up to ``received``, of which ``knows`` is true."""
        while self.acknowledged < received:
            self._written_bytes -= self._take().frame.size
            self._written -= 1
            self.acknowledged += 1

    def rewind(self) -> bool:
        """A new connection: all that is left here is to be written again. Whether anything had been."""
        had = self._written > 0
        self._written = self._written_bytes = 0
        return had

    def drop_first(self) -> OutgoingMessage:
        """Take out the first message; those behind it move up, and so do their numbers."""
        assert not self._written, "it has not been written on this connection"
        return self._take()

    def clear(self) -> list[OutgoingMessage]:
        """Take out all that is left, oldest first."""
        left = list(self._messages)
        self._messages.clear()
        self._written = self._written_bytes = self.used_bytes = 0
        return left

    def _take(self) -> OutgoingMessage:
        outgoing = self._messages.popleft()
        self.used_bytes -= outgoing.frame.size
        return outgoing
