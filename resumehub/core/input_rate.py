"""Whether a client sends more than it may: token buckets for messages, for bytes, and for control frames.

``RateLimit`` says how much. A client that has been silent for ``burst`` seconds may send what those allow at
once; after that, what the rates allow. Each bucket is one number, the time at which it would be full again,
so time needs no step of its own (the *generic cell rate algorithm* of ATM does the same). A message is never
refused: it may overdraw its bucket, and the client pays for it with the pause that follows. So no message is
too large for a bucket, and the hub holds at most one message more than the client may send.

**What cannot be pressed?** A reader that pauses leaves the socket unread, so TCP makes the client wait with
all that it sends there: messages, answers, Pings, Pongs, acknowledgements, fragments, its close frame. So
nothing escapes, and no connection is ever closed for its rate. What waits with it costs little: no deadline
for a Pong or an ``$ack`` runs during a pause; a close frame of ours ends it; a client that goes is noticed
when the pause is over.

Control frames, ``$ack`` and the fragments of messages have a bucket of their own, so that an application that
allows three messages a second does not slow its clients' acknowledgements down.

A session has one for its life, on whatever transports. One that comes from another process may send what the
rates allow in a second: a move gives no client a new burst, and makes none wait that sends calmly. Pure. It
belongs to the reader of the session's transport. Read next: ``transports.py`` (``ReadingPaused``),
``incoming/reader.py``.
"""

from __future__ import annotations

from typing import Final

from ..limits import RateLimit

CONTROL_PER_SECOND: Final = 100.0
"""At least so many control frames, ``$ack`` and fragments a client may send in a second, on average."""

_PAUSE: Final = 0.1
"""Seconds that a pause gains: after it the client may send for so long. Without it, the hub thread would have
a deadline for each message of a client that floods it."""


_BEHIND_A_MOVE: Final = 1.0
"""For so many seconds the buckets of a session allow something that has come from another process."""


class InputRate:
    """One session's. ``began``: the time. ``moved``: from another process; else its buckets are full.

    ``now``: seconds of the hub's clock. Methods return whether a bucket is overdrawn; next, then: ``until``.
    """

    __slots__ = (
        "_burst",
        "_bytes",
        "_bytes_full",
        "_control",
        "_control_full",
        "_messages",
        "_messages_full",
    )

    def __init__(self, limit: RateLimit, began: float, *, moved: bool = False) -> None:
        per_second = limit.messages_per_second
        # What one of them costs, in seconds: 0 without a limit.
        self._messages = 1 / per_second if per_second is not None else 0.0
        self._bytes = 1 / limit.bytes_per_second if limit.bytes_per_second is not None else 0.0
        self._control = 1 / max(per_second, CONTROL_PER_SECOND) if per_second is not None else 0.0
        self._burst = limit.burst
        # When each bucket is full again.
        full = began + max(0.0, limit.burst - _BEHIND_A_MOVE) if moved else began
        self._messages_full = self._bytes_full = self._control_full = full

    def message(self, size: int, now: float) -> bool:
        """The client has sent a message of ``size`` bytes."""
        full = self._messages_full
        self._messages_full = full = (now if full < now else full) + self._messages
        bytes_full = self._bytes_full
        self._bytes_full = bytes_full = (now if bytes_full < now else bytes_full) + size * self._bytes
        limit = now + self._burst
        return full > limit or bytes_full > limit

    def control(self, size: int, now: float, number: int = 1) -> bool:
        """The client has sent ``number`` control frames, ``$ack`` or fragments, ``size`` bytes in all."""
        self._control_full = max(self._control_full, now) + number * self._control
        self._bytes_full = max(self._bytes_full, now) + size * self._bytes
        return max(self._control_full, self._bytes_full) > now + self._burst

    def until(self) -> float:
        """Behind an overdraft: when the client may send again. Not before any bucket holds something."""
        full = max(self._messages_full, self._bytes_full, self._control_full)
        return full - self._burst + self._gain()

    def _gain(self) -> float:
        return min(_PAUSE, self._burst / 2)
