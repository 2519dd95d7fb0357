"""What a broadcast drops where a session has no room for it, and the gap that stays in its place.

The oldest frames that have not begun make room for a broadcast, so that a slow peer holds nobody up. A
request or an answer is never dropped: its asker waits for it. Where a frame was dropped there stays a
``Gap``, so that a client never misses a message without being told. It knows the two rows of
``frame_queue.py``, and neither states, sockets nor what a client has handled. Every method must be called
with ``lock`` held (any thread); none blocks. Read next: ``outbox.py``, which inherits from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from ..message import Frame
from .frame_queue import FrameQueue
from .items import Gap, Item, Retention

# Members of an enumeration are looked up, and this is asked for every frame.
_UNTIL_ACKED = Retention.UNTIL_ACKED


@dataclass(slots=True, eq=False, repr=False)
class DroppingQueue(FrameQueue):
    """See the module."""

    _ahead: bool = False  # history is held for a plain client whose count is ahead of the cursor
    # The last number for which what older transports have carried still has these numbers (a plain client's
    # gap has none).
    _sure_to: int = 0

    _has_kept: bool = False  # whether a frame that is kept was ever put

    def put_kept(self, frame: Frame, beyond: int = 0, *, any_size: bool = False) -> bool:
        """Accept a request or an answer, which no broadcast drops. False as ``put``.

        ``beyond``: by so many frames the bound may be passed; ``any_size``: the one of bytes, too.
        """
        assert frame.kept, "encoded as one"
        size, keep = len(frame.payload), self.keep
        if self._unsent_frames + self.held_frames >= self.max_frames + beyond or not (
            any_size or self.unsent_bytes + self._held_bytes + size <= self.max_bytes
        ):
            self.full = keep is _UNTIL_ACKED
            return False
        self._has_kept = True
        self.unsent.append(frame)
        self._unsent_frames += 1
        self.unsent_bytes += size
        self.ledger.accepted += 1
        if keep is Retention.HISTORY:
            self._make_room()
        else:
            self._last += 1
            self.full = self.full or (keep is _UNTIL_ACKED and self._is_at_a_bound())
        return True

    def put_dropping(self, frame: Frame) -> int:
        """Accept a frame, and drop the oldest that have not begun; return how many were dropped.

        A frame for which no dropping would make room is dropped itself, and no other is.
        """
        spared = self._spared()
        if (
            self._held_bytes + sum(spared) + frame.size > self.max_bytes
            or self.held_frames + len(spared) >= self.max_frames
            or (self._ahead and not self.has_room(frame.size))  # ``rewind`` counts ``unsent`` off
        ):
            if frame.size <= self.max_bytes:  # else no window is large enough, so this one need not be full
                self.full = self.keep is _UNTIL_ACKED
            self.ledger.accepted += 1
            self.ledger.dropped += 1
            self._last += 1
            self._leave_gap(len(self.unsent), self._last)
            return 1
        dropped = 0
        while not self.put(frame):
            self._drop_oldest()
            dropped += 1
        return dropped

    def shed(self, size: int) -> int:
        """Let go of history, then drop the oldest that have not begun, until ``size`` bytes are held at most.

        Returns how many were dropped. What a client has to acknowledge stays, and more may be held then.
        """
        while self.held_bytes > size and self._sent_frames > self.held_frames:
            self._forget_oldest()
        dropped, droppable = 0, 0 if self._ahead else self._unsent_frames - len(self._spared())
        while self.held_bytes > size and dropped < droppable:
            self._drop_oldest()
            dropped += 1
        return dropped

    def _spared(self) -> list[int]:
        """The sizes of the frames that no broadcast drops: what has begun, and what is kept."""
        if not self._has_kept:
            begun = self.unsent[0] if self.started else None
            return [begun.size] if isinstance(begun, Frame) else []
        begun_at = 0 if self.started else -1
        return [
            item.size
            for at, item in enumerate(self.unsent)
            if isinstance(item, Frame) and (item.kept or at == begun_at)
        ]

    def _drop_oldest(self) -> None:
        at, number = int(self.started), self.sent_to + 1
        for item in islice(self.unsent, at):
            number = behind(item, number)
        while not isinstance(item := self.unsent[at], Frame) or item.kept:
            number = behind(item, number)
            at += 1
        del self.unsent[at]
        self._unsent_frames -= 1
        self.unsent_bytes -= item.size
        self.ledger.dropped += 1
        if self.keep is not Retention.UNTIL_ACKED:
            self._sure_to = 0  # later frames have other numbers now than when they were first carried
        self._leave_gap(at, number)

    def _leave_gap(self, at: int, number: int) -> None:
        """Mark that message ``number``, at ``at`` in ``unsent``, is missing; join it with gaps beside it."""
        if self.keep is Retention.NOTHING:
            return
        gap = Gap(number, number if self.keep is Retention.UNTIL_ACKED else 0)
        before = self.unsent[at - 1] if at > int(self.started) else None
        after = self.unsent[at] if at < len(self.unsent) else None
        if isinstance(before, Gap):
            gap.first = before.first
            del self.unsent[at - 1]
            at -= 1
            self._specials -= 1
        if isinstance(after, Gap):
            gap.last = after.last
            del self.unsent[at]
            self._specials -= 1
        self.unsent.insert(at, gap)
        self._specials += 1

    def _join_gaps(self) -> None:
        """If two gaps have met at the front of ``unsent``, make one of them."""
        if len(self.unsent) < 2 or self.started:
            return
        gap, behind = self.unsent[0], self.unsent[1]
        if isinstance(gap, Gap) and isinstance(behind, Gap):
            gap.last, gap.frame = behind.last, None
            del self.unsent[1]
            self._specials -= 1

    def _behind_gaps(self) -> int:
        """For a plain client: the number of the first frame behind the last gap. 0 if there is no gap."""
        if self.keep is Retention.UNTIL_ACKED:
            return 0
        for at in range(len(self.unsent) - 1, -1, -1):
            if isinstance(self.unsent[at], Gap):
                return self.sent_to + 1 + sum(isinstance(item, Frame) for item in islice(self.unsent, at))
        return max((item.first for item in self._sent if isinstance(item, Gap)), default=0)


def behind(item: Item, number: int) -> int:
    """The number behind ``item``, which begins at ``number``."""
    if isinstance(item, Gap):
        return max(number, item.last + 1)
    return number + 1 if isinstance(item, Frame) else number
