"""Which frames of a session the client has handled, which it missed, and whether it can resume there.

The number of a frame is its position: the first frame after an attach without a count is 1. When a client
says how many it has handled, the outbox releases those, or moves the cursor between its two rows
(``frame_queue.py``) to that number. A count may be ahead of the cursor: while a
client dials, perhaps twice, it goes on handling what an older transport brought. A frame that a broadcast
drops leaves a ``Gap`` in its place (``dropping_queue.py``, from which this inherits).

It knows neither states nor sockets, nor which count is true. The effect runner and the writers call it.
Every method must be called with ``lock`` held (any thread); none blocks. Read next: ``transport_writer.py``,
``ledger.py``, docs/reference/lossless.md.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice

from ..message import Frame
from ..reasons import DropReason
from ..runtime.base import Lock
from .dropping_queue import DroppingQueue, behind
from .items import Gap, Notice, Retention
from .outbox_state import OutboxState, item_of, state_of

# Members of an enumeration are looked up, and this is asked for every ``$ack``.
_UNTIL_ACKED = Retention.UNTIL_ACKED


@dataclass(frozen=True, slots=True)
class ResumePosition:
    """Whether a client that has handled so many messages can resume without a gap.

    ``beyond``: it says more than were ever sent. ``first_available``, where there is a gap: the
    first number from which on no frame is missing.
    """

    beyond: bool = False
    first_available: int | None = None


@dataclass(slots=True, eq=False, repr=False)
class Outbox(DroppingQueue):
    """A session's frames, until they are entered in the ledger."""

    _deferred: int = 0  # an acknowledgement that came while history was held
    # The last number that older transports had carried when the cursor was moved back.
    _carried_to: int = 0

    # -- what the client has handled --------------------------------------------------------

    def acknowledge(self, received: int) -> bool:
        """The client has handled the messages up to ``received``; False if that can't be."""
        if not self._released_to <= received <= self.sent_to:
            return False
        if self._history_held:  # a resume is being decided, and may need what this would release
            self._deferred = received
        else:
            self._release(received)
        return True

    def resume_position(self, received: int) -> ResumePosition:
        """Whether a client that has handled the messages up to ``received`` can go on from there."""
        if received > self.sent_to and received > self._carried_to:
            return ResumePosition(beyond=True)
        if received < self._released_to:
            return ResumePosition(first_available=max(self._released_to + 1, self._behind_gaps()))
        behind = self._behind_gaps()
        if received < behind or (received > self.sent_to and received > self._sure_to):
            return ResumePosition(first_available=max(behind, received + 1))
        return ResumePosition()

    def hold_history(self, received: int) -> ResumePosition:
        """``resume_position``; what it needs is kept until ``release_history`` or ``rewind``."""
        resume_position = self.resume_position(received)
        self._history_held = True
        if self.keep is not Retention.UNTIL_ACKED and resume_position == ResumePosition():
            self._ahead = received > self.sent_to
            self.held_frames = max(0, self.sent_to - received)
            frames = list(islice(self._sent, len(self._sent) - self.held_frames, None))
            self._held_bytes = sum(frame.size for frame in frames if isinstance(frame, Frame))
        return resume_position

    def release_history(self) -> None:
        """Undo ``hold_history``: what was held, and not rewound, may make room for new frames again."""
        self._history_held = self._ahead = False
        self._release(self._deferred)
        self._deferred = 0
        if self.keep is not Retention.UNTIL_ACKED:
            self.held_frames = self._held_bytes = 0
            self._make_room()

    def rewind(self, received: int) -> int:
        """Make ``received + 1`` the next number to send: queue frames again, or skip some.

        ``resume_position`` must allow it. Returns how many frames wait now: old and new.
        """
        assert not self.started, "the older transport is detached"
        if not self._history_held:
            self.hold_history(received)
        self.forget_notices()
        self._carried(self.sent_to)
        while self.sent_to < received:
            self._skip(received)
        while self.sent_to > received:
            item = self._sent.pop()
            if isinstance(item, Frame):
                self._take_back(item)
                self.sent_to -= 1
            else:
                self._specials += 1
                # A plain client's gap (dropped since the check) has no number, and keeps its place.
                if self.keep is Retention.UNTIL_ACKED:
                    self._cut(item, received)
                    self.sent_to = max(received, item.first - 1)
            self.unsent.appendleft(item)
            if isinstance(item, Gap):
                self._join_gaps()
        self._history_held = self._ahead = False
        self._deferred = 0
        self._release(received)
        if self.keep is _UNTIL_ACKED:
            self.full = self._is_at_a_bound()
        else:  # the old transport may have carried what the client was ahead by
            self.held_frames = self._held_bytes = 0
        return self._unsent_frames

    def unbegin(self) -> None:
        """The next transport sends what has begun again; the present one may finish it from a copy."""
        if self.started:
            self._carried(behind(self.unsent[0], self.sent_to + 1) - 1)
            self.started = False
        self._join_gaps()

    def restart(self) -> int:
        """A plain client starts to count again: the next frame is number 1. Returns how many wait."""
        self.forget_notices()
        self.ledger.written += self._settle_sent()
        self.sent_to = self._released_to = self._carried_to = self._sure_to = 0
        while self.unsent and isinstance(self.unsent[0], Gap):  # dropped before the count began
            self.unsent.popleft()
            self._specials -= 1
        return self._unsent_frames

    def forget_notices(self) -> None:
        """Remove the control messages: they were for the older transport."""
        if not self._notices:
            return
        left, self.unsent = self.unsent, deque()
        self._specials -= self._notices
        self._notices = 0
        while left:  # from behind, so that what meets is at the front
            if not isinstance(item := left.pop(), Notice):
                self.unsent.appendleft(item)
                self._join_gaps()

    # -- ends -------------------------------------------------------------------------------

    def undelivered(self) -> list[Frame]:
        """The frames that may not have arrived, oldest first."""
        rows = (*self._sent, *self.unsent) if self.keep is Retention.UNTIL_ACKED else self.unsent
        return [item for item in rows if isinstance(item, Frame)]

    def is_untouched(self, frame: Frame) -> bool:
        """Whether no transport has begun to carry the frame, as far as is known since the last attach."""
        number = self.sent_to + 1
        for at, item in enumerate(self.unsent):
            if item is frame:
                return number > self._carried_to and not (self.started and at == 0)
            number = behind(item, number)
        return False

    def drop_unsent(self, reason: DropReason, *, keep_started: bool = False) -> list[Frame]:
        """Drop all that waits (but for what has begun, if ``keep_started``); return the frames."""
        kept = [self.unsent.popleft()] if keep_started and self.started else []
        dropped = [item for item in self.unsent if isinstance(item, Frame)]
        self.unsent = deque(kept)
        self._specials = sum(not isinstance(item, Frame) for item in kept)
        self._notices = sum(isinstance(item, Notice) for item in kept)
        self._unsent_frames = len(kept) - self._specials
        self.unsent_bytes = sum(item.size for item in kept if isinstance(item, Frame))
        self.started = bool(kept)
        self.ledger.enter(reason, len(dropped))
        return dropped

    def close_out(self, reason: DropReason, *, keep_started: bool = False) -> list[Frame]:
        """The session ends: empty both rows into the ledger; return what may not have arrived."""
        lost = self.drop_unsent(reason, keep_started=keep_started)
        if self.keep is not Retention.UNTIL_ACKED:
            self.ledger.written += self._settle_sent()
        elif not self.started:  # else the transport still writes what has begun: what is older waits, too
            lost[:0] = [item for item in self._sent if isinstance(item, Frame)]
            self.ledger.enter(reason, self._settle_sent())
        return lost

    # -- written down -----------------------------------------------------------------------

    def export(self) -> OutboxState:
        """The state from which ``from_state`` makes an equal outbox. Changes nothing."""
        assert not self._history_held, "a resume is decided in one step of the hub thread"
        assert self.refusal is None, "the session has not ended"
        return OutboxState(
            retention=self.keep,
            max_frames=self.max_frames,
            max_bytes=self.max_bytes,
            unsent=tuple(map(state_of, self.unsent)),
            started=self.started,
            sent=tuple(map(state_of, self._sent)),
            sent_to=self.sent_to,
            released_to=self._released_to,
            carried_to=self._carried_to,
            sure_to=self._sure_to,
            last=self._last,
            ledger=self.ledger.copy(),
        )

    @classmethod
    def at_rest(cls, lock: Lock, state: OutboxState) -> OutboxState:
        """``state`` once its transport has ended in order: it has finished the frame that had begun.

        A client that acknowledges may get that frame again, as after any end of a transport.
        """
        outbox = cls.from_state(lock, state)
        if outbox.started and outbox.keep is not _UNTIL_ACKED:
            outbox.written()
        else:
            outbox.unbegin()
        outbox.forget_notices()
        return outbox.export()

    @classmethod
    def from_state(cls, lock: Lock, state: OutboxState) -> Outbox:
        """The outbox that ``export`` described. Raises: ValueError, as ``OutboxState.check``."""
        state.check()
        outbox = cls(lock, state.max_frames, state.max_bytes, state.retention)
        outbox.fill(state)
        return outbox

    def fill(self, state: OutboxState) -> None:
        """Become what ``export`` described; empty so far, with the same bounds. It was checked."""
        if state.unsent or state.sent:
            self._fill_rows(state)
        self.started = state.started
        self.sent_to, self._released_to = state.sent_to, state.released_to
        self._carried_to, self._sure_to = state.carried_to, state.sure_to
        self._last = state.last
        self.full = state.retention is _UNTIL_ACKED and self._is_at_a_bound()
        self.ledger = state.ledger.copy()

    def _fill_rows(self, state: OutboxState) -> None:
        self.unsent = deque(map(item_of, state.unsent))
        frames = [item for item in self.unsent if isinstance(item, Frame)]
        self._unsent_frames = len(frames)
        self.unsent_bytes = sum(frame.size for frame in frames)
        self._specials = len(self.unsent) - len(frames)
        self._notices = sum(isinstance(item, Notice) for item in self.unsent)
        for item in map(item_of, state.sent):
            assert not isinstance(item, Notice), "it was checked"
            self._sent.append(item)
        sent = [item for item in self._sent if isinstance(item, Frame)]
        self._sent_frames = len(sent)
        self._sent_bytes = sum(frame.size for frame in sent)
        if state.retention is _UNTIL_ACKED:
            self.held_frames, self._held_bytes = self._sent_frames, self._sent_bytes
        self._has_kept = any(frame.kept for frame in (*frames, *sent))

    # -- helpers ----------------------------------------------------------------------------

    def _carried(self, number: int) -> None:
        """The client may already have the messages up to ``number``, though they are sent again."""
        self._carried_to = max(self._carried_to, number)
        self._sure_to = max(self._sure_to, number)

    def _skip(self, received: int) -> None:
        """The client has the next item from an older transport, or knows of the gap up to ``received``."""
        item = self.unsent[0]
        if isinstance(item, Gap) and item.last > received:
            self._cut(item, received)
            self.sent_to = received
        else:
            self.written()

    def _release(self, received: int) -> None:
        if received > self._released_to:
            self.full = False
        if received > self._released_to and (
            len(self._sent) == self._sent_frames == self.sent_to - self._released_to
        ):
            self._release_frames(received - self._released_to)
            return
        while self._sent and self._released_to < received:
            item = self._sent[0]
            if isinstance(item, Frame):
                self._let_go(item)
                self.ledger.acknowledged += 1
            elif item.last > received:
                self._cut(item, received)
                break
            else:
                self._released_to = max(self._released_to, item.last)
            self._sent.popleft()
        self._released_to = max(self._released_to, received)

    def _release_frames(self, count: int) -> None:
        """Release the oldest ``count``, no gap among them: half a window at a time, with each ``$ack``."""
        take, size = self._sent.popleft, 0
        for _ in range(count):
            size += take().size  # type: ignore[union-attr]  # the caller has checked: no Gap
        self._released_to += count
        self._sent_frames -= count
        self._sent_bytes -= size
        if self.keep is _UNTIL_ACKED:
            self.held_frames -= count
            self._held_bytes -= size
        self.ledger.acknowledged += count

    def _take_back(self, frame: Frame) -> None:
        self._sent_frames -= 1
        self._sent_bytes -= frame.size
        self.held_frames -= 1
        self._held_bytes -= frame.size
        self._unsent_frames += 1
        self.unsent_bytes += frame.size

    def _settle_sent(self) -> int:
        """Release all that was written; return how many frames, which must be entered in the ledger."""
        frames = self._sent_frames
        self._sent.clear()
        self._released_to = self.sent_to
        self._sent_frames = self._sent_bytes = self.held_frames = self._held_bytes = 0
        return frames

    @staticmethod
    def _cut(gap: Gap, received: int) -> None:
        """Remove from a gap the part of which the client knows."""
        if gap.first <= received:
            gap.first = received + 1
            gap.frame = None
