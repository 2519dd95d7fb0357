"""A model of the outbox that is too simple to be wrong; ``test_outbox_random.py`` compares the two.

A few lists of messages, each named by its place in the order in which all were offered. It knows no cursor
and no gaps: whether a client can go on without a gap it answers by "is every message behind the last one
that it has handled still here?".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from resumehub.outgoing.items import Retention
from resumehub.outgoing.ledger import Ledger
from resumehub.outgoing.outbox import ResumePosition


@dataclass
class Model:
    """What an outbox should hold, by message."""

    keep: Retention
    max_frames: int
    max_bytes: int
    #: The size of every message that was ever offered and not refused.
    sizes: list[int] = field(default_factory=list)
    #: Requests and answers, which no broadcast drops.
    precious: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    waiting: list[int] = field(default_factory=list)
    #: Written, and still kept.
    kept: list[int] = field(default_factory=list)
    #: What the client was sent, by its numbers; None: it was told that this one is missing.
    got: list[int | None] = field(default_factory=list)
    #: The same, of older transports: what it may have handled of that, it may say.
    seen: list[int | None] = field(default_factory=list)
    begun: int | None = None
    #: From which number on what is kept may not make room; None: no resume is being decided.
    pinned: int | None = None
    #: A resume is being decided of a plain client that is ahead of the present transport.
    ahead: bool = False
    known: int = 0
    deferred: int = 0
    #: The last message before the client began to count.
    before: int = -1
    ledger: Ledger = field(default_factory=Ledger)
    #: A client that acknowledges has not done so since something found no room, or took the last of it.
    full: bool = False

    # -- bounds -----------------------------------------------------------------------------

    def firm(self) -> list[int]:
        """What counts against the bounds."""
        if self.keep is Retention.UNTIL_ACKED:
            return self.kept + self.waiting
        pinned = len(self.got) - self.pinned if self.pinned is not None else 0
        return self.kept[len(self.kept) - pinned :] + self.waiting

    def fits(self, ids: list[int], size: int = 0) -> bool:
        frames, taken = len(ids) + bool(size), sum(self.sizes[i] for i in ids) + size
        return frames <= self.max_frames and taken <= self.max_bytes

    def is_at_a_bound(self) -> bool:
        firm = self.firm()
        return len(firm) >= self.max_frames or sum(self.sizes[i] for i in firm) >= self.max_bytes

    def see_full(self, full: bool) -> None:
        self.full = self.keep is Retention.UNTIL_ACKED and (self.full or full)

    def gaps(self) -> int:
        """How often a client that acknowledges is told of missing messages, of neighbouring ones once."""
        if self.keep is not Retention.UNTIL_ACKED:
            return 0
        sent = [message is None for message in self.got[self.known :]]
        unsent = [message in self.lost for message in range(len(self.got), len(self.sizes))]
        return runs(sent) + runs(unsent)

    def put(self, size: int) -> bool:
        if not self.fits(self.firm(), size):
            self.see_full(True)
            return False
        self.accept(size)
        self.see_full(self.is_at_a_bound())
        self.make_room()
        return True

    def put_kept(self, size: int, beyond: int, any_size: bool) -> bool:
        """A request or an answer, which may pass the bounds."""
        firm = self.firm()
        taken = sum(self.sizes[i] for i in firm) + size
        if len(firm) >= self.max_frames + beyond or (taken > self.max_bytes and not any_size):
            self.see_full(True)
            return False
        self.precious.add(len(self.sizes))
        self.accept(size)
        self.see_full(self.is_at_a_bound())
        self.make_room()
        return True

    def accept(self, size: int) -> None:
        self.waiting.append(len(self.sizes))
        self.sizes.append(size)
        self.ledger.accepted += 1

    def broadcast(self, size: int) -> int:
        """How many are dropped for it, itself perhaps."""
        spared = [i for i in self.waiting if i in self.precious or i == self.begun]
        unmovable = [i for i in self.firm() if i not in self.waiting] + spared
        if not self.fits(unmovable, size) or (self.ahead and not self.fits(self.firm(), size)):
            self.see_full(size <= self.max_bytes)
            self.lost.add(len(self.sizes))
            self.sizes.append(size)
            self.ledger.accepted += 1
            self.ledger.dropped += 1
            return 1
        dropped = 0
        while not self.put(size):
            oldest = next(i for i in self.waiting if i not in spared)
            self.waiting.remove(oldest)
            self.lost.add(oldest)
            self.ledger.dropped += 1
            dropped += 1
        return dropped

    def make_room(self) -> None:
        """History yields."""
        while self.kept and len(self.firm()) < len(self.kept + self.waiting):
            if self.fits(self.kept + self.waiting):
                break
            self.kept.pop(0)
            self.ledger.written += 1

    # -- the client -------------------------------------------------------------------------

    def write(self) -> None:
        message = self.waiting.pop(0)
        self.begun = None
        self.got.append(message)
        if self.keep is Retention.NOTHING:
            self.ledger.written += 1
        else:
            self.kept.append(message)

    def acknowledge(self, received: int) -> None:
        if self.pinned is not None:
            self.deferred = received
            return
        self.full = self.full and received <= self.known
        self.known = max(self.known, received)
        for message in self.got[:received]:
            if message in self.kept:
                self.kept.remove(message)
                self.ledger.acknowledged += 1

    def all_here(self, messages: range) -> bool:
        told = self.lost if self.keep is Retention.UNTIL_ACKED else set[int]()
        return all(i in self.kept or i in self.waiting or i in told for i in messages)

    def means(self, received: int) -> int | None:
        """The last message that a plain client has handled; None: its number is another one's by now."""
        if received == 0:
            return self.before
        row = [*self.got, *self.waiting]
        last = row[received - 1] if received <= len(row) else None
        return last if received <= len(self.got) or last == self.seen[received - 1] else None

    def resume_position(self, received: int) -> ResumePosition:
        if received > max(len(self.got), len(self.seen)):
            return ResumePosition(beyond=True)
        if self.keep is Retention.UNTIL_ACKED:
            return ResumePosition(first_available=self.known + 1 if received < self.known else None)
        row = [*self.got, *self.waiting]
        last = self.means(received)
        if last is not None and self.all_here(range(last + 1, len(self.sizes))):
            return ResumePosition()
        for number in range(received + 1, len(row) + 1):
            first = row[number - 1]
            assert first is not None, "as above"
            if self.all_here(range(first, len(self.sizes))):
                return ResumePosition(first_available=number)
        return ResumePosition(first_available=max(len(row), received) + 1)

    def carried(self, messages: list[int | None]) -> None:
        """The transport has brought the client these, or what it has begun it may bring."""
        self.seen[: len(messages)] = messages

    def skip(self) -> None:
        """The client has the next message already; of one that is lost it is told so by its number."""
        lost = self.keep is Retention.UNTIL_ACKED and len(self.got) in self.lost
        if lost:
            self.got.append(None)
        else:
            self.write()

    def rewind(self, received: int) -> None:
        self.begun = self.pinned = None
        self.ahead = False
        self.carried(self.got)
        while len(self.got) < received:
            self.skip()
        again = [message for message in self.got[received:] if message is not None]
        del self.got[received:]
        self.kept = [message for message in self.kept if message not in again]
        self.waiting = again + self.waiting
        self.deferred = 0
        self.acknowledge(received)
        self.see_anew()

    def see_anew(self) -> None:
        """Another transport, or another process: what was refused is not known any more."""
        self.full = False
        self.see_full(self.is_at_a_bound())

    def release_history(self) -> None:
        self.pinned = None
        self.ahead = False
        self.acknowledge(self.deferred)
        self.deferred = 0
        if self.keep is Retention.HISTORY:
            self.make_room()

    def restart(self) -> None:
        self.begun = None
        self.ledger.written += len(self.kept)
        self.kept, self.got, self.seen, self.known = [], [], [], 0
        self.before = (self.waiting[0] if self.waiting else len(self.sizes)) - 1


def runs(row: list[bool]) -> int:
    """How many there are in a row that are true, counting neighbours as one."""
    return sum(here and not before for before, here in zip([False, *row], row, strict=False))
