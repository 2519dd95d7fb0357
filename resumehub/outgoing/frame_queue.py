"""A session's outgoing frames: bounded, in order, and alive for as long as the session.

A plain data structure and the lock that guards it. It knows neither states nor sockets. Application
threads put frames in; the thread that writes takes them from the front; from a suspended session no
thread takes any. A frame stays in place until the kernel has taken all of it, so a half-written one
is still here, and the next transport sends it whole.

There are two rows. ``unsent`` holds what the present transport must still write. ``_sent`` holds what
was written and a client may ask for again. For a plain client that is a *history*, which makes room for
new frames. For a client that acknowledges it is all that it has not acknowledged, and that counts
against the bounds. In this class a frame only moves forward, from ``unsent`` to ``_sent``.
``dropping_queue.py`` drops frames, ``outbox.py`` moves them back for a resume.

Every method must be called with ``lock`` held (any thread); none blocks. Called by ``transport_writer.py``
and ``session/session.py``. Read next: ``dropping_queue.py``, ``outbox.py``.
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
    """Frames that were accepted, and may have to be written, or written again.

    ``max_frames`` and ``max_bytes`` (payload bytes) both hold, for the two rows together (but see
    ``DroppingQueue.put_kept``). ``refusal``:
    the error that a sender gets once the session has ended; until then None.
    """

    lock: Lock
    max_frames: int
    max_bytes: int
    keep: Retention = Retention.NOTHING
    ledger: Ledger = field(default_factory=Ledger)
    #: Whether the first item has begun on the present transport; an item that has begun is never dropped.
    started: bool = False
    refusal: Exception | None = None
    #: Whether the client's window has no room, as far as is known, since its last acknowledgement.
    full: bool = False
    #: What is to be written next. Other modules read it and do not change it.
    unsent: deque[Item] = field(default_factory=deque)
    unsent_bytes: int = 0
    #: The number of the last frame that was written.
    sent_to: int = 0
    _unsent_frames: int = 0
    _specials: int = 0  # items of ``unsent`` that are not frames
    _notices: int = 0  # those of them that are control messages
    _sent: deque[Frame | Gap] = field(default_factory=deque)
    _sent_frames: int = 0
    _sent_bytes: int = 0
    #: The newest of the written frames: those that must be kept, and count against the bounds.
    held_frames: int = 0
    _held_bytes: int = 0
    _history_held: bool = False  # a resume is being decided: keep what it may ask for
    _released_to: int = 0
    _last: int = 0  # the last number that was given; only where the client acknowledges

    def __len__(self) -> int:
        """How many frames have not been written."""
        return self._unsent_frames

    @property
    def used_frames(self) -> int:
        """How many frames count against the bound; and the gaps that a client is told of, each as one.

        A gap takes the memory of a frame, so it is shown. It takes no frame's room: what makes room for a
        broadcast would find none, and an acknowledgement of one message would make room for none.
        """
        used = self._unsent_frames + self.held_frames
        if self.keep is _UNTIL_ACKED:
            used += len(self._sent) - self._sent_frames + self._specials - self._notices
        return used

    @property
    def used_bytes(self) -> int:
        """How many payload bytes count against the bound."""
        return self.unsent_bytes + self._held_bytes

    @property
    def held(self) -> int:
        """How many frames are in no column of the ledger yet (see ``ledger.py``)."""
        return self._unsent_frames + self._sent_frames

    @property
    def held_bytes(self) -> int:
        """The payload bytes of ``held``."""
        return self.unsent_bytes + self._sent_bytes

    @property
    def released_to(self) -> int:
        """Up to which number the frames are no longer kept: a client that acknowledges has said so."""
        return self._released_to

    # -- accepting --------------------------------------------------------------------------

    def put(self, frame: Frame) -> bool:
        """Accept a frame. False if there is no room for it; then nothing changes."""
        size = len(frame.payload)
        keep = self.keep
        # ``has_room`` and ``_is_at_a_bound`` written out, because this runs for each frame of a broadcast.
        frames = self._unsent_frames + self.held_frames + 1
        used = self.unsent_bytes + self._held_bytes + size
        if frames > self.max_frames or used > self.max_bytes:
            self.full = keep is _UNTIL_ACKED
            return False
        self.unsent.append(frame)
        self._unsent_frames += 1
        self.unsent_bytes += size
        self.ledger.accepted += 1
        if keep is _UNTIL_ACKED:
            self._last += 1
            if frames == self.max_frames or used == self.max_bytes:
                self.full = True
        elif keep is _NOTHING:
            self._last += 1
        elif self._sent_frames:
            self._make_room()
        return True

    def has_room(self, size: int) -> bool:
        """Whether one more frame of ``size`` bytes can be accepted."""
        # In one expression, because it runs for each frame of a v1 session.
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
            self.held_frames += 1
            self._held_bytes += size
            if self.held_frames >= self.max_frames or self._held_bytes >= self.max_bytes:
                self.full = True
        elif self._history_held:
            self.held_frames += 1
            self._held_bytes += size
        elif self._sent_frames > self.max_frames or self._sent_bytes > self.max_bytes:
            oldest = sent[0]
            if type(oldest) is Frame and len(oldest.payload) == size:
                # In a steady stream of messages of one size, one leaves for each that comes.
                sent.popleft()
                self._sent_frames -= 1
                self._sent_bytes -= size
                self._released_to += 1
                ledger.written += 1
            else:
                self._make_room()

    def notify(self, notice: Notice) -> None:
        """Queue a control message ahead of all data that has not begun, behind the others that wait.

        It replaces an older one of its kind, which may be ahead of something that must come before this one.
        """
        at = int(self.started)
        while at < len(self.unsent) and isinstance(other := self.unsent[at], Notice) and not other.placed:
            if other.kind == notice.kind:
                del self.unsent[at]
                self._specials -= 1
                self._notices -= 1
            else:
                at += 1
        self.unsent.insert(at, notice)
        self._specials += 1
        self._notices += 1

    def place_last(self, kind: str) -> Notice:
        """Keep the last place for a control message; its frame must be set before any thread writes."""
        notice = Notice(kind, _NO_FRAME, placed=True)
        self.unsent.append(notice)
        self._specials += 1
        self._notices += 1
        return notice

    # -- writing ----------------------------------------------------------------------------

    def first(self, count: int, size: int) -> list[Item]:
        """The next items to write, at most ``count`` and, but for the first, ``size`` bytes.

        An empty list while items wait: the first is a gap whose frame must be encoded (``unannounced``).
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
        """All that waits, if it is only frames, none begun, of at most ``size`` bytes; else an empty list."""
        if self._specials or self.started or self.unsent_bytes > size:
            return []
        return list(self.unsent)  # type: ignore[arg-type]  # ``_specials`` counts all others

    def unannounced(self) -> Gap | None:
        """The gap at the front, if there is one and its frame is not encoded yet."""
        if not self._specials or self.started or self.keep is not Retention.UNTIL_ACKED:
            return None
        front = self.unsent[0]
        return front if isinstance(front, Gap) and front.frame is None else None

    def written(self) -> Item:
        """The kernel has taken all of the first item: move it to the written ones, and return it."""
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
            self._gap_written(item)
        else:
            self._notices -= 1
        return item

    def written_frames(self, frames: list[Frame], sizes: list[int]) -> None:
        """``written``, for all that ``all_frames`` returned; ``sizes``: the bytes of each payload."""
        count, size = len(frames), sum(sizes)
        assert count == len(self.unsent) == self._unsent_frames, "the lock was held all the time"
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

    # -- helpers ----------------------------------------------------------------------------

    def _is_at_a_bound(self) -> bool:
        return (
            self._unsent_frames + self.held_frames >= self.max_frames
            or self.unsent_bytes + self._held_bytes >= self.max_bytes
        )

    def _gap_written(self, gap: Gap) -> None:
        """Keep a gap that was told, as one with the gap before it: each broadcast may make another one."""
        self.sent_to = gap.last
        before = self._sent[-1] if self._sent else None
        if isinstance(before, Gap):
            before.last, before.frame = gap.last, None
        else:
            self._sent.append(gap)

    def _make_room(self) -> None:
        """Let the oldest history go, until new frames have room."""
        while self._sent_frames > self.held_frames and (
            self._unsent_frames + self._sent_frames > self.max_frames
            or self.unsent_bytes + self._sent_bytes > self.max_bytes
        ):
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Let the oldest frame of the history go, and the gaps before it."""
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
        """Move gaps behind the cursor: a plain client is not told of one, but a resume with a count is."""
        while self.keep is Retention.HISTORY and self.unsent and isinstance(gap := self.unsent[0], Gap):
            gap.first = self.sent_to + 1
            if not self._sent or not isinstance(self._sent[-1], Gap):
                self._sent.append(gap)
            self.unsent.popleft()
            self._specials -= 1
