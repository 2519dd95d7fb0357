"""The messages that a client has accepted for sending, in order, until it need not send them again.

A message to a ``resumehub.v1`` server stays here until the server has acknowledged it; a message to a plain
server, until the kernel has taken its last byte. The first ones have been written to the present transport,
the others still wait. The first message of a session has the number 1. The outbox knows neither sockets nor
threads: call every method with the sender's lock held. Read next: ``sender.py``.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ..message import Frame, Message
from .asked_requests import AskedRequest


class OutgoingMessage(NamedTuple):
    """A message, and the frame that carries it."""

    frame: Frame
    message: Message
    #: The request that it is, which somebody waits for.
    request: AskedRequest | None = None
    #: It is the answer to a request of the server's.
    is_answer: bool = False


class ClientOutbox:
    """A bounded queue with a mark between what has been written and what waits.

    It holds at most ``max_frames`` messages, and at most ``max_bytes`` bytes of payload; and ``max_answers``
    more, whatever their size. An answer that found no room would keep its asker waiting for nothing.
    """

    def __init__(self, max_frames: int, max_bytes: int, max_answers: int = 0) -> None:
        self.max_answers = max_answers
        self.max_frames = max_frames
        self.max_bytes = max_bytes
        #: Whether a message is kept until it is acknowledged; else until it is written.
        self.keeps_until_acked = True
        #: How many messages the server is known to have handled.
        self.acknowledged = 0
        self.used_bytes = 0
        self._messages: deque[OutgoingMessage] = deque()
        self._answers = 0
        self._written = 0
        self._written_bytes = 0
        # The numbers of those that the server could not decode: they wait only to be acknowledged.
        self._rejected: set[int] = set()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, outgoing: OutgoingMessage) -> bool:
        """Accept a message; False, and nothing changes, if there is no room."""
        if not self.has_room(outgoing):
            return False
        if outgoing.is_answer:
            self._answers += 1
        else:
            self.used_bytes += outgoing.frame.size
        self._messages.append(outgoing)
        return True

    def has_room(self, outgoing: OutgoingMessage) -> bool:
        """Whether ``put`` would accept the message."""
        if outgoing.is_answer:
            return self._answers < self.max_answers
        return (
            len(self._messages) - self._answers < self.max_frames
            and self.used_bytes + outgoing.frame.size <= self.max_bytes
        )

    def next(self, window_frames: int, window_bytes: int) -> OutgoingMessage | None:
        """The next message to write; None if none waits, or if the window is used up.

        At most ``window_frames`` and ``window_bytes`` may be unacknowledged; but one message always may.
        """
        if self._written == len(self._messages):
            return None
        outgoing = self._messages[self._written]
        if self._written and (
            self._written >= window_frames or self._written_bytes + outgoing.frame.size > window_bytes
        ):
            return None
        return outgoing

    def written(self) -> None:
        """The kernel has taken the whole message that ``next`` gave."""
        request = self._messages[self._written].request
        if request is not None:
            request.written = True
        if not self.keeps_until_acked:
            self._take()
            return
        self._written_bytes += self._messages[self._written].frame.size
        self._written += 1

    def knows(self, received: int) -> bool:
        """Whether a server can have handled ``received``: no fewer than before, and no unwritten ones."""
        return self.acknowledged <= received <= self.acknowledged + self._written

    def acknowledge(self, received: int) -> None:
        """The server has handled the messages up to ``received``; ``knows(received)`` must be true."""
        while self.acknowledged < received:
            self._written_bytes -= self._take().frame.size
            self._written -= 1
            self.acknowledged += 1
            self._rejected.discard(self.acknowledged)

    def reject(self, number: int) -> OutgoingMessage | None:
        """The server could not decode the message; None if it is not here, or has been rejected already."""
        index = number - self.acknowledged - 1
        if number in self._rejected or not 0 <= index < len(self._messages):
            return None
        self._rejected.add(number)
        return self._messages[index]

    def rewind(self) -> bool:
        """A new transport: all that is here is to be written again. True if some of it had been written."""
        had_written = self._written > 0
        self._written = self._written_bytes = 0
        return had_written

    def drop_first(self) -> OutgoingMessage:
        """Take out the first message. The number of each one behind it becomes less by one."""
        assert not self._written, "none has been written to this transport yet"
        return self._take()

    def drop_larger(self, size: int) -> list[OutgoingMessage]:
        """Take out, and give, the messages of more than ``size`` bytes."""
        assert not self._written, "none has been written to this transport yet"
        larger = [outgoing for outgoing in self._messages if outgoing.frame.size > size]
        if larger:
            self._messages = deque(outgoing for outgoing in self._messages if outgoing.frame.size <= size)
            self._count_again()
        return larger

    def drop_answers(self) -> bool:
        """Take out the answers, whose askers are gone. True if the first message was one."""
        assert not self._written, "none has been written to the next transport yet"
        first = bool(self._messages) and self._messages[0].is_answer
        self._messages = deque(outgoing for outgoing in self._messages if not outgoing.is_answer)
        self._count_again()
        return first

    def clear(self) -> list[OutgoingMessage]:
        """Take out all messages, oldest first; give those whose fate is not known."""
        numbered = enumerate(self._messages, self.acknowledged + 1)
        left = [outgoing for number, outgoing in numbered if number not in self._rejected]
        self._messages.clear()
        self._written = self._written_bytes = 0
        self._count_again()
        return left

    def _take(self) -> OutgoingMessage:
        outgoing = self._messages.popleft()
        if outgoing.is_answer:
            self._answers -= 1
        else:
            self.used_bytes -= outgoing.frame.size
        return outgoing

    def _count_again(self) -> None:
        others = [outgoing for outgoing in self._messages if not outgoing.is_answer]
        self._answers = len(self._messages) - len(others)
        self.used_bytes = sum(outgoing.frame.size for outgoing in others)
