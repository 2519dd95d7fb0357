"""A session's outgoing frames: bounded, in order, and alive for as long as the session.

A plain data structure beside the lock that guards it. It knows neither sessions nor sockets:
application threads put frames in, whoever writes takes them from the front, and a suspended
session is simply one that nobody takes from. A frame stays in place until the kernel has taken
all of it, so a half-written one is still here for the next transport to send whole.

Every method must be called with ``lock`` held (any thread); none blocks. Read next: ``channel.py``.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from .message import Frame
from .runtime import Lock


class Outbox:
    """Frames that are accepted and not yet wholly written.

    ``max_frames`` and ``max_bytes`` (payload bytes) both hold. ``refusal`` is what senders get once
    the session has ended; until then it is None.
    """

    __slots__ = ("_frames", "lock", "max_bytes", "max_frames", "refusal", "started", "used_bytes")

    def __init__(self, lock: Lock, max_frames: int, max_bytes: int) -> None:
        self.lock = lock
        self.max_frames = max_frames
        self.max_bytes = max_bytes
        self.used_bytes = 0
        #: Whether the first frame has begun on the present transport; such a one is never dropped.
        self.started = False
        self.refusal: Exception | None = None
        self._frames: deque[Frame] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: Frame) -> bool:
        """Accept a frame; False, and nothing changes, if there is no room for it."""
        if len(self._frames) >= self.max_frames or self.used_bytes + frame.size > self.max_bytes:
            return False
        self._frames.append(frame)
        self.used_bytes += frame.size
        return True

    def put_dropping(self, frame: Frame) -> list[Frame]:
        """Accept a frame, dropping the oldest that have not begun; give what was dropped.

        A frame that cannot fit, whatever goes, is dropped alone and evicts nothing.
        """
        spared = self._frames[0].size if self.started else 0
        if spared + frame.size > self.max_bytes or int(self.started) >= self.max_frames:
            return [frame]
        dropped = []
        while not self.put(frame):
            dropped.append(self._drop_oldest())
        return dropped

    def first(self, count: int, size: int) -> list[Frame]:
        """The next frames to write, at most ``count`` and, but for the first, ``size`` bytes."""
        batch: list[Frame] = []
        for frame in islice(self._frames, count):
            size -= frame.size
            if batch and size < 0:
                break
            batch.append(frame)
        return batch

    def written(self) -> Frame:
        """The kernel has taken the first frame, whole: let it go."""
        frame = self._frames.popleft()
        self.used_bytes -= frame.size
        self.started = False
        return frame

    def clear(self, *, keep_started: bool = False) -> list[Frame]:
        """Drop all frames (but the one that has begun, if ``keep_started``); give them."""
        kept = [self._frames.popleft()] if keep_started and self.started else []
        dropped = list(self._frames)
        self._frames = deque(kept)
        self.used_bytes = sum(frame.size for frame in kept)
        self.started = bool(kept)
        return dropped

    def _drop_oldest(self) -> Frame:
        if not self.started:
            return self.written()
        begun = self._frames.popleft()
        dropped = self._frames.popleft()
        self._frames.appendleft(begun)
        self.used_bytes -= dropped.size
        return dropped
