"""A session's outgoing frames: bounded, in order, and alive for as long as the session.

A plain data structure beside the lock that guards it. It knows neither states nor sockets:
application threads put frames in, whoever writes takes them from the front, and a suspended
session is simply one that nobody takes from. A frame stays in place until the kernel has taken
all of it, so a half-written one is still here for the next transport to send whole.

There are two rows. ``unsent`` is what the present transport has still to carry. Behind the cursor
between them lies what it has carried and a client may ask for again: for a plain client a *history*
that yields to new frames, for one that acknowledges all that it has not acknowledged, which counts
against the bounds until it has. What becomes of that row when a client counts, and what is dropped,
is ``outbox.py``'s, which inherits from this; here a frame only goes forward.

Every method must be called with ``lock`` held (any thread); none blocks. Called by ``transport_writer.py``
and ``session/connection.py``. Read next: ``outbox.py``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import islice

from ..message import Frame, Opcode
from ..runtime.base import Lock
from .items import Gap, Item, Notice, Retention
from .ledger import Ledger

_NO_FRAME = Frame(Opcode.TEXT, b"")

# Members of an enumeration are looked up, and this is asked for every frame.
_NOTHING, _HISTORY, _UNTIL_ACKED = Retention.NOTHING, Retention.HISTORY, Retention.UNTIL_ACKED


@dataclass(slots=True, eq=False, repr=False)
class FrameQueue:
    """Frames that are accepted and may still have to be written.

    ``max_frames`` and ``max_bytes`` (payload bytes) both hold, for ``unsent`` and what is kept
    behind it together. ``refusal`` is what senders get once the session has ended; until then None.
    """

    lock: Lock
    max_frames: int
    max_bytes: int
    keep: Retention = Retention.NOTHING
    ledger: Ledger = field(default_factory=Ledger)
    #: Whether the first item has begun on the present transport; such a one is never dropped.
    started: bool = False
    refusal: Exception | None = None
    #: What is to be written next. To be looked at, not changed.
    unsent: deque[Item] = field(default_factory=deque)
    unsent_bytes: int = 0
    #: The number of the last frame that was written.
    sent_to: int = 0
    _unsent_frames: int = 0
    _specials: int = 0  # items of ``unsent`` that are no frames
    _sent: deque[Frame | Gap] = field(default_factory=deque)
    _sent_frames: int = 0
    _sent_bytes: int = 0
    #: That part of what was written that may not make room for anything.
    held_frames: int = 0
    _held_bytes: int = 0
    _history_held: bool = False  # what a resume may ask for yields to nothing while it is decided
    _released_to: int = 0
    _last: int = 0  # the number that was given last; only where the client acknowledges

    def __len__(self) -> int:
        """How many frames have not been written."""
        return self._unsent_frames

    @property
    def used_frames(self) -> int:
        """How many frames count against the bound."""
        return self._unsent_frames + self.held_frames

    @property
    def used_bytes(self) -> int:
        """How many payload bytes count against the bound."""
        return self.unsent_bytes + self._held_bytes

    @property
    def held(self) -> int:
        """How many frames are not settled (see ``ledger.py``)."""
        return self._unsent_frames + self._sent_frames

    # -- accepting --------------------------------------------------------------------------

    def put(self, frame: Frame) -> bool:
        """Accept a frame; False, and nothing changes, if there is no room for it."""
        size = len(frame.payload)
        if not self.has_room(size):
            return False
        self.unsent.append(frame)
        self._unsent_frames += 1
        self.unsent_bytes += size
        self.ledger.accepted += 1
        if self.keep is not _HISTORY:
            self._last += 1
        elif self._sent_frames:
            self._make_room()
        return True

    def has_room(self, size: int) -> bool:
        """Whether one more frame of so many bytes could be accepted."""
        # In one expression: a v1 session is asked this for each of its frames.
        return (
            self._unsent_frames + self.held_frames < self.max_frames
            and self.unsent_bytes + self._held_bytes + size <= self.max_bytes
        )

    def passed(self, frame: Frame, size: int) -> None:
        """``put`` and ``written`` in one, for a frame that the kernel took whole when nothing waited."""
        ledger = self.ledger
        ledger.accepted += 1
        self.sent_to += 1
        keep = self.keep
        if keep is _NOTHING:
            self._released_to = self.sent_to
            ledger.written += 1
            return
        sent = self._sent
        sent.append(frame)
        self._sent_frames += 1
        self._sent_bytes += size
        if keep is _UNTIL_ACKED:
            self._last += 1
        if keep is _UNTIL_ACKED or self._history_held:
            self.held_frames += 1
            self._held_bytes += size
        elif self._sent_frames > self.max_frames or self._sent_bytes > self.max_bytes:
            oldest = sent[0]
            if type(oldest) is Frame and len(oldest.payload) == size:
                # In a steady stream of like messages one leaves as one comes.
                sent.popleft()
                self._sent_frames -= 1
                self._sent_bytes -= size
                self._released_to += 1
                ledger.written += 1
            else:
                self._make_room()

    def notify(self, notice: Notice) -> None:
        """Send a control message ahead of all that has not begun; it replaces an older of its kind."""
        at = int(self.started)
        while at < len(self.unsent) and isinstance(other := self.unsent[at], Notice) and not other.placed:
            if other.kind == notice.kind:
                self.unsent[at] = notice
                return
            at += 1
        self.unsent.insert(at, notice)
        self._specials += 1

    def place_last(self, kind: str) -> Notice:
        """Keep the last place for a control message; its frame must be there before anybody writes."""
        notice = Notice(kind, _NO_FRAME, placed=True)
        self.unsent.append(notice)
        self._specials += 1
        return notice

    # -- writing ----------------------------------------------------------------------------

    def first(self, count: int, size: int) -> list[Item]:
        """The next items to write, at most ``count`` and, but for the first, ``size`` bytes.

        None of them, and yet some left: the first is a hole that somebody must put into words (``unspoken``).
        """
        if self._specials:
            self._pass_silent_gaps()
        batch: list[Item] = []
        for item in islice(self.unsent, count):
            if isinstance(item, Gap) and (item.frame is None or self.keep is not Retention.UNTIL_ACKED):
                break
            size -= item.size if isinstance(item, Frame) else 0
            if batch and size < 0:
                break
            batch.append(item)
        return batch

    def all_frames(self, size: int) -> list[Frame]:
        """All that waits, if that is frames, none of them begun, of at most ``size`` bytes; else nothing."""
        if self._specials or self.started or self.unsent_bytes > size:
            return []
        return list(self.unsent)  # type: ignore[arg-type]  # what is no frame is counted as special

    def unannounced(self) -> Gap | None:
        """The hole at the front that waits for its frame, if there is one."""
        if not self._specials or self.started or self.keep is not Retention.UNTIL_ACKED:
            return None
        front = self.unsent[0]
        return front if isinstance(front, Gap) and front.frame is None else None

    def written(self) -> Item:
        """The kernel has taken the first item, whole: move the cursor behind it, and give it."""
        item = self.unsent.popleft()
        self.started = False
        if isinstance(item, Frame):
            size = len(item.payload)
            self._unsent_frames -= 1
            self.unsent_bytes -= size
            self.sent_to += 1
            if self.keep is Retention.NOTHING:
                self._released_to = self.sent_to
                self.ledger.written += 1
                return item
            self._sent.append(item)
            self._sent_frames += 1
            self._sent_bytes += size
            if self._history_held or self.keep is Retention.UNTIL_ACKED:
                self.held_frames += 1
                self._held_bytes += size
            return item
        self._specials -= 1
        if isinstance(item, Gap):
            self.sent_to = item.last
            self._sent.append(item)
        return item

    def written_frames(self, frames: list[Frame], sizes: list[int]) -> None:
        """``written``, for all that ``all_frames`` gave; ``sizes``: their payloads' bytes."""
        count, size = len(frames), sum(sizes)
        assert count == len(self.unsent) == self._unsent_frames, "nothing has come in between"
        self.unsent.clear()
        self._unsent_frames = self.unsent_bytes = 0
        self.sent_to += count
        if self.keep is _NOTHING:
            self._released_to = self.sent_to
            self.ledger.written += count
            return
        self._sent.extend(frames)
        self._sent_frames += count
        self._sent_bytes += size
        if self._history_held or self.keep is _UNTIL_ACKED:
            self.held_frames += count
            self._held_bytes += size

    # -- small words ------------------------------------------------------------------------

    def _make_room(self) -> None:
        """History yields to new frames."""
        while self._sent_frames > self.held_frames and (
            self._unsent_frames + self._sent_frames > self.max_frames
            or self.unsent_bytes + self._sent_bytes > self.max_bytes
        ):
            item = self._sent.popleft()
            while isinstance(item, Gap):
                item = self._sent.popleft()
            self._let_go(item)
            self.ledger.written += 1

    def _let_go(self, frame: Frame) -> None:
        self._released_to += 1
        self._sent_frames -= 1
        self._sent_bytes -= frame.size
        if self.keep is Retention.UNTIL_ACKED:
            self.held_frames -= 1
            self._held_bytes -= frame.size

    def _pass_silent_gaps(self) -> None:
        """A plain client is not told of a hole; but one that counts has to answer for it later."""
        while self.keep is Retention.HISTORY and self.unsent and isinstance(gap := self.unsent[0], Gap):
            gap.first = self.sent_to + 1
            if not self._sent or not isinstance(self._sent[-1], Gap):
                self._sent.append(gap)
            self.unsent.popleft()
            self._specials -= 1
