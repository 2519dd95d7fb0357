"""A session's outgoing frames: bounded, in order, numbered, and alive for as long as the session.

A plain data structure beside the lock that guards it. It knows neither states nor sockets:
application threads put frames in, whoever writes takes them from the front, and a suspended
session is simply one that nobody takes from. A frame stays in place until the kernel has taken
all of it, so a half-written one is still here for the next transport to send whole.

There are two rows. ``unsent`` is what the present transport has still to carry. Behind the cursor
between them lies what it has carried and a client may ask for again: for a plain client a *history*
that yields to new frames, for one that acknowledges all that it has not acknowledged, which counts
against the bounds until it has. Numbers are positions: the first frame behind an attach without a
count is 1. What a broadcast had to drop leaves a ``Missed`` in its place, so that no gap is
ever papered over. A count may be ahead of the cursor: a client goes on handling what an older transport
had brought while it dials, and dials again.

Every method must be called with ``lock`` held (any thread); none blocks. Read next: ``channel.py``,
``ledger.py``, docs/reference/lossless.md.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from itertools import islice

from .ledger import Ledger
from .message import Frame, Opcode
from .runtime import Lock

_NO_FRAME = Frame(Opcode.TEXT, b"")


class Keep(Enum):
    """What is kept of a frame once it is written."""

    NOTHING = "nothing: this session cannot be resumed"
    HISTORY = "while there is room, in case the client counts"
    UNPROVEN = "until the client acknowledges it"


# Members of an enumeration are looked up, and this is asked for every frame.
_NOTHING, _HISTORY, _UNPROVEN = Keep.NOTHING, Keep.HISTORY, Keep.UNPROVEN


class Notice:
    """A control message on its way: no number, no part in the bounds, and it goes with its transport.

    ``placed``: its place among the frames means something, so nothing that hurries waits behind it.
    """

    __slots__ = ("frame", "kind", "placed")

    def __init__(self, kind: str, frame: Frame, *, placed: bool = False) -> None:
        self.kind = kind
        self.frame = frame
        self.placed = placed


class Missed:
    """A hole: the messages ``first`` to ``last`` were dropped.

    Only a client that acknowledges is told, by ``frame`` once somebody has encoded it. For a plain
    one a hole has no numbers (``first`` is where the client would be when it meets it).
    """

    __slots__ = ("first", "frame", "last")

    def __init__(self, first: int, last: int) -> None:
        self.first = first
        self.last = last
        self.frame: Frame | None = None


Item = Frame | Notice | Missed


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a client that has handled so many messages can go on without a gap.

    ``beyond``: it claims more than were ever sent. ``first_available``, where there is a gap: the
    first number of the row that is unbroken.
    """

    beyond: bool = False
    first_available: int | None = None


class Outbox:
    """Frames that are accepted and may still have to be written.

    ``max_frames`` and ``max_bytes`` (payload bytes) both hold, for ``unsent`` and what is kept
    behind it together. ``refusal`` is what senders get once the session has ended; until then None.
    """

    __slots__ = (
        "_ahead",
        "_carried_to",
        "_deferred",
        "_held_bytes",
        "_last",
        "_pinned",
        "_released_to",
        "_sent",
        "_sent_bytes",
        "_sent_frames",
        "_specials",
        "_sure_to",
        "_unsent_frames",
        "held_frames",
        "keep",
        "ledger",
        "lock",
        "max_bytes",
        "max_frames",
        "refusal",
        "sent_to",
        "started",
        "unsent",
        "unsent_bytes",
    )

    def __init__(self, lock: Lock, max_frames: int, max_bytes: int, keep: Keep = Keep.NOTHING) -> None:
        self.lock = lock
        self.max_frames = max_frames
        self.max_bytes = max_bytes
        self.keep = keep
        self.ledger = Ledger()
        #: Whether the first item has begun on the present transport; such a one is never dropped.
        self.started = False
        self.refusal: Exception | None = None
        #: What is to be written next. To be looked at, not changed.
        self.unsent: deque[Item] = deque()
        self.unsent_bytes = 0
        #: The number of the last frame that was written.
        self.sent_to = 0
        self._unsent_frames = 0
        self._specials = 0  # items of ``unsent`` that are no frames
        self._sent: deque[Frame | Missed] = deque()
        self._sent_frames = 0
        self._sent_bytes = 0
        #: That part of what was written that may not make room for anything.
        self.held_frames = 0
        self._held_bytes = 0
        self._pinned = False
        self._ahead = False  # … by a plain client whose count is ahead of the cursor
        self._deferred = 0  # an acknowledgement that came while it was
        # Up to which number older transports had carried when the cursor was moved back; and up to which
        # these are the numbers still: a hole has none where the client is not told of it.
        self._carried_to = 0
        self._sure_to = 0
        self._released_to = 0
        self._last = 0  # the number that was given last; only where the client acknowledges

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
        if keep is _UNPROVEN:
            self._last += 1
        if keep is _UNPROVEN or self._pinned:
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

    def put_dropping(self, frame: Frame) -> int:
        """Accept a frame, dropping the oldest that have not begun; give how many were dropped.

        A frame that cannot fit, whatever goes, is dropped alone and evicts nothing.
        """
        begun = self.unsent[0] if self.started else None
        spared = begun.size if isinstance(begun, Frame) else 0
        if (
            self._held_bytes + spared + frame.size > self.max_bytes
            or self.held_frames + int(isinstance(begun, Frame)) >= self.max_frames
            or (self._ahead and not self.has_room(frame.size))  # its count is about to be counted off
        ):
            self.ledger.accepted += 1
            self.ledger.dropped += 1
            self._last += 1
            self._leave_hole(len(self.unsent), self._last)
            return 1
        dropped = 0
        while not self.put(frame):
            self._drop_oldest()
            dropped += 1
        return dropped

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

        None of them, and yet some left: the first is a hole that somebody must put into words
        (``unspoken``).
        """
        if self._specials:
            self._pass_silent_holes()
        batch: list[Item] = []
        for item in islice(self.unsent, count):
            if isinstance(item, Missed) and (item.frame is None or self.keep is not Keep.UNPROVEN):
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

    def unspoken(self) -> Missed | None:
        """The hole at the front that waits for its frame, if there is one."""
        if not self._specials or self.started or self.keep is not Keep.UNPROVEN:
            return None
        front = self.unsent[0]
        return front if isinstance(front, Missed) and front.frame is None else None

    def written(self) -> Item:
        """The kernel has taken the first item, whole: move the cursor behind it, and give it."""
        item = self.unsent.popleft()
        self.started = False
        if isinstance(item, Frame):
            size = len(item.payload)
            self._unsent_frames -= 1
            self.unsent_bytes -= size
            self.sent_to += 1
            if self.keep is Keep.NOTHING:
                self._released_to = self.sent_to
                self.ledger.written += 1
                return item
            self._sent.append(item)
            self._sent_frames += 1
            self._sent_bytes += size
            if self._pinned or self.keep is Keep.UNPROVEN:
                self.held_frames += 1
                self._held_bytes += size
            return item
        self._specials -= 1
        if isinstance(item, Missed):
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
        if self._pinned or self.keep is _UNPROVEN:
            self.held_frames += count
            self._held_bytes += size

    # -- what the client has handled --------------------------------------------------------

    def acknowledge(self, received: int) -> bool:
        """The client has handled the messages up to ``received``; False if that can't be."""
        if not self._released_to <= received <= self.sent_to:
            return False
        if self._pinned:  # a resume is being dealt with, and may need what this would let go
            self._deferred = received
        else:
            self._release(received)
        return True

    def standing(self, received: int) -> Standing:
        """Whether a client that has handled the messages up to ``received`` can go on from there."""
        if received > self.sent_to and received > self._carried_to:
            return Standing(beyond=True)
        if received < self._released_to:
            return Standing(first_available=max(self._released_to + 1, self._behind_holes()))
        behind = self._behind_holes()
        if received < behind or (received > self.sent_to and received > self._sure_to):
            return Standing(first_available=max(behind, received + 1))
        return Standing()

    def pin(self, received: int) -> Standing:
        """``standing``, and let nothing go that it needs until ``unpin`` or ``rewind``."""
        standing = self.standing(received)
        self._pinned = True
        if self.keep is not Keep.UNPROVEN and standing == Standing():
            self._ahead = received > self.sent_to
            self.held_frames = max(0, self.sent_to - received)
            frames = list(islice(self._sent, len(self._sent) - self.held_frames, None))
            self._held_bytes = sum(frame.size for frame in frames if isinstance(frame, Frame))
        return standing

    def unpin(self) -> None:
        """What was pinned and not rewound is history again."""
        self._pinned = self._ahead = False
        self._release(self._deferred)
        self._deferred = 0
        if self.keep is not Keep.UNPROVEN:
            self.held_frames = self._held_bytes = 0
            self._make_room()

    def rewind(self, received: int) -> int:
        """Go on behind ``received``, which ``standing`` must have nothing against: send again, or skip.

        Gives how many frames wait now: those sent again, and those never sent.
        """
        assert not self.started, "the older transport has let go"
        if not self._pinned:
            self.pin(received)
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
                # For a plain client, a loss behind the look; without a number it stays where it is.
                if self.keep is Keep.UNPROVEN:
                    self._cut(item, received)
                    self.sent_to = max(received, item.first - 1)
            self.unsent.appendleft(item)
        self._pinned = self._ahead = False
        self._deferred = 0
        self._release(received)
        if self.keep is not Keep.UNPROVEN:  # what the client was ahead by, the old transport may have carried
            self.held_frames = self._held_bytes = 0
        return self._unsent_frames

    def unbegin(self) -> None:
        """What has begun goes to the next transport, too: its own finishes it from a copy, or does not."""
        if self.started:
            self._carried(_behind(self.unsent[0], self.sent_to + 1) - 1)
            self.started = False

    def restart(self) -> None:
        """A plain client begins to count anew: the next frame is number 1."""
        self.forget_notices()
        self._settle_sent("written")
        self.sent_to = self._released_to = self._carried_to = self._sure_to = 0
        while self.unsent and isinstance(self.unsent[0], Missed):  # that loss was before its time
            self.unsent.popleft()
            self._specials -= 1

    def forget_notices(self) -> None:
        """Control messages go with the transport for which they were meant."""
        if self._specials:
            self.unsent = deque(item for item in self.unsent if not isinstance(item, Notice))
            self._specials = sum(not isinstance(item, Frame) for item in self.unsent)

    # -- ends -------------------------------------------------------------------------------

    def undelivered(self) -> list[Frame]:
        """The frames of which nobody knows that they arrived, oldest first."""
        rows = (*self._sent, *self.unsent) if self.keep is Keep.UNPROVEN else self.unsent
        return [item for item in rows if isinstance(item, Frame)]

    def drop_unsent(self, reason: str, *, keep_started: bool = False) -> list[Frame]:
        """Drop all that waits (but for what has begun, if ``keep_started``); give the frames."""
        kept = [self.unsent.popleft()] if keep_started and self.started else []
        dropped = [item for item in self.unsent if isinstance(item, Frame)]
        self.unsent = deque(kept)
        self._specials = sum(not isinstance(item, Frame) for item in kept)
        self._unsent_frames = len(kept) - self._specials
        self.unsent_bytes = sum(item.size for item in kept if isinstance(item, Frame))
        self.started = bool(kept)
        self.ledger.settle(reason, len(dropped))
        return dropped

    def settle(self, reason: str, *, keep_started: bool = False) -> list[Frame]:
        """The end: drop all that waits and let go of all that is kept; give what may not have arrived."""
        lost = self.drop_unsent(reason, keep_started=keep_started)
        if self.keep is not Keep.UNPROVEN:
            self._settle_sent("written")
        elif not self.started:  # else its transport goes on: what is older than what has begun waits, too
            lost[:0] = [item for item in self._sent if isinstance(item, Frame)]
            self._settle_sent(reason)
        return lost

    # -- small words ------------------------------------------------------------------------

    def _make_room(self) -> None:
        """History yields to new frames."""
        while self._sent_frames > self.held_frames and (
            self._unsent_frames + self._sent_frames > self.max_frames
            or self.unsent_bytes + self._sent_bytes > self.max_bytes
        ):
            item = self._sent.popleft()
            while isinstance(item, Missed):
                item = self._sent.popleft()
            self._let_go(item)
            self.ledger.written += 1

    def _carried(self, number: int) -> None:
        """The client may have the messages up to ``number`` before it is sent them again."""
        self._carried_to = max(self._carried_to, number)
        self._sure_to = max(self._sure_to, number)

    def _skip(self, received: int) -> None:
        """The client has the next item from an older transport, or knows of that hole up to ``received``."""
        item = self.unsent[0]
        if isinstance(item, Missed) and item.last > received:
            self._cut(item, received)
            self.sent_to = received
        else:
            self.written()

    def _release(self, received: int) -> None:
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
        """The oldest so many, where no hole is among them: half a window at a time, with each ``$ack``."""
        take, size = self._sent.popleft, 0
        for _ in range(count):
            size += take().size  # type: ignore[union-attr]  # no Missed is there, says the caller
        self._released_to += count
        self._sent_frames -= count
        self._sent_bytes -= size
        if self.keep is _UNPROVEN:
            self.held_frames -= count
            self._held_bytes -= size
        self.ledger.acknowledged += count

    def _let_go(self, frame: Frame) -> None:
        self._released_to += 1
        self._sent_frames -= 1
        self._sent_bytes -= frame.size
        if self.keep is Keep.UNPROVEN:
            self.held_frames -= 1
            self._held_bytes -= frame.size

    def _take_back(self, frame: Frame) -> None:
        self._sent_frames -= 1
        self._sent_bytes -= frame.size
        self.held_frames -= 1
        self._held_bytes -= frame.size
        self._unsent_frames += 1
        self.unsent_bytes += frame.size

    def _settle_sent(self, reason: str) -> None:
        self.ledger.settle(reason, self._sent_frames)
        self._sent.clear()
        self._released_to = self.sent_to
        self._sent_frames = self._sent_bytes = self.held_frames = self._held_bytes = 0

    def _behind_holes(self) -> int:
        """The number of the first frame behind the last hole that a plain client is not told of, or 0."""
        if self.keep is Keep.UNPROVEN:
            return 0
        for at in range(len(self.unsent) - 1, -1, -1):
            if isinstance(self.unsent[at], Missed):
                return self.sent_to + 1 + sum(isinstance(item, Frame) for item in islice(self.unsent, at))
        return max((item.first for item in self._sent if isinstance(item, Missed)), default=0)

    def _drop_oldest(self) -> None:
        at, number = int(self.started), self.sent_to + 1
        for item in islice(self.unsent, at):
            number = _behind(item, number)
        while not isinstance(item := self.unsent[at], Frame):
            number = _behind(item, number)
            at += 1
        del self.unsent[at]
        self._unsent_frames -= 1
        self.unsent_bytes -= item.size
        self.ledger.dropped += 1
        if self.keep is not Keep.UNPROVEN:
            self._sure_to = 0  # those behind it have other numbers now than when they were first carried
        self._leave_hole(at, number)

    def _leave_hole(self, at: int, number: int) -> None:
        """Mark that message ``number``, which stood at ``at`` of ``unsent``, is missing; join holes."""
        if self.keep is Keep.NOTHING:
            return
        hole = Missed(number, number if self.keep is Keep.UNPROVEN else 0)
        before = self.unsent[at - 1] if at > int(self.started) else None
        after = self.unsent[at] if at < len(self.unsent) else None
        if isinstance(before, Missed):
            hole.first = before.first
            del self.unsent[at - 1]
            at -= 1
            self._specials -= 1
        if isinstance(after, Missed):
            hole.last = after.last
            del self.unsent[at]
            self._specials -= 1
        self.unsent.insert(at, hole)
        self._specials += 1

    def _pass_silent_holes(self) -> None:
        """A plain client is not told of a hole; but one that counts has to answer for it later."""
        while self.keep is Keep.HISTORY and self.unsent and isinstance(hole := self.unsent[0], Missed):
            hole.first = self.sent_to + 1
            if not self._sent or not isinstance(self._sent[-1], Missed):
                self._sent.append(hole)
            self.unsent.popleft()
            self._specials -= 1

    @staticmethod
    def _cut(hole: Missed, received: int) -> None:
        """Take off that part of a hole that the client knows of."""
        if hole.first <= received:
            hole.first = received + 1
            hole.frame = None


def _behind(item: Item, number: int) -> int:
    """The number behind ``item``, which begins at ``number``."""
    if isinstance(item, Missed):
        return max(number, item.last + 1)
    return number + 1 if isinstance(item, Frame) else number
