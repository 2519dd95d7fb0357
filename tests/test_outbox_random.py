"""The outbox against a model that is too simple to be wrong: any sequence of what can happen to one.

The model is in ``outbox_model.py``. Hypothesis makes sequences up, and a short one of one that fails.
"""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resumehub.message import Frame, Opcode
from resumehub.outgoing.items import Gap, Notice, Retention
from resumehub.outgoing.outbox import Outbox, ResumePosition
from resumehub.reasons import DropReason
from tests.outbox_model import Model

SIZES = (1, 2, 5, 12)
"""Of payloads; the last is more than some of the buffers hold."""


def words(gap: Gap) -> bytes:
    return f"{gap.first} to {gap.last} are missing".encode()


class Pair:
    """An outbox and its model, which both live through the same."""

    def __init__(self, keep: Retention, max_frames: int, max_bytes: int) -> None:
        self.box = Outbox(threading.Lock(), max_frames, max_bytes, keep)
        self.model = Model(keep, max_frames, max_bytes)

    def frame(self, size: int) -> Frame:
        return Frame(Opcode.TEXT, chr(ord("A") + len(self.model.sizes)).encode("utf-8").ljust(size)[:size])

    # -- what can happen; ``n`` is any small number -----------------------------------------

    def send(self, n: int) -> None:
        size = SIZES[n % 4]
        if size <= self.box.max_bytes:
            assert self.box.put(self.frame(size)) == self.model.put(size)

    def answer(self, n: int) -> None:
        """A request (n odd: it keeps to the bounds) or an answer, which may go beyond them."""
        size, beyond, any_size = SIZES[n % 4], 0 if n % 2 else 2, n % 3 == 0
        frame = self.frame(size)
        frame.kept = True
        assert self.box.put_kept(frame, beyond, any_size=any_size) == self.model.put_kept(
            size, beyond, any_size
        )

    def pass_by(self, n: int) -> None:
        """Its sender has written it, since nothing was in the way."""
        box, model, size = self.box, self.model, SIZES[n % 4]
        may = not box.unsent and model.fits(model.firm(), size)
        assert (not box.unsent and box.has_room(size)) == may
        if may:
            box.passed(self.frame(size), size)
            model.accept(size)
            model.see_full(model.is_at_a_bound())
            model.write()
            if model.pinned is None:
                model.make_room()

    def broadcast(self, n: int) -> None:
        size = SIZES[n % 4]
        assert self.box.put_dropping(self.frame(size)) == self.model.broadcast(size)

    def flood(self, n: int) -> None:
        """A busy room, whose messages are written, or told to be missing, one by one."""
        for _ in range(self.box.max_frames + 2):
            self.broadcast(0)
            self.write(n)

    def begin(self, n: int) -> None:
        if first := self.box.first(1, 100):
            self.box.started = True
            self.model.begun = self.model.waiting[0] if isinstance(first[0], Frame) else None

    def write(self, n: int) -> None:
        """Up to n + 1 items."""
        for _ in range(n + 1):
            if (gap := self.box.unannounced()) is not None:
                gap.frame = Frame(Opcode.TEXT, words(gap))
            if not self.box.first(1, 100):
                return
            item = self.box.written()
            if isinstance(item, Frame):
                assert item.size == self.model.sizes[self.model.waiting[0]]
                self.model.write()
            elif isinstance(item, Gap):
                assert item.first == len(self.model.got) + 1
                assert item.frame is not None
                assert item.frame.payload == words(item)
                assert self.model.lost >= set(range(item.first - 1, item.last))
                self.model.got += [None] * (item.last - item.first + 1)
                self.model.begun = None

    def notify(self, n: int) -> None:
        self.box.notify(Notice("ab"[n % 2], Frame(Opcode.TEXT, b"notice")))

    def place(self, n: int) -> None:
        """A resumed client is to be told that this was all."""
        self.box.place_last("replayed").frame = Frame(Opcode.TEXT, b"notice")

    def acknowledge(self, n: int) -> None:
        if self.box.keep is Retention.UNTIL_ACKED:
            low, high = max(self.model.known, self.model.deferred), len(self.model.got)
            received = min(low + n, high)
            assert self.box.acknowledge(received)
            assert not self.box.acknowledge(high + 1)
            assert not self.box.acknowledge(self.model.known - 1)
            self.model.acknowledge(received)

    def look(self, n: int) -> None:
        """The hub looks whether a client can go on; n odd: one that may be ahead of this transport."""
        model = self.model
        if self.box.keep is Retention.NOTHING or model.pinned is not None:
            return
        received = max(0, max(len(model.got), len(model.seen)) - n // 2 if n % 2 else len(model.got) - n)
        position = self.box.hold_history(received)
        assert position == model.resume_position(received)
        self.wanted = received if position == ResumePosition() else None
        model.pinned = min(len(model.got), received) if position == ResumePosition() else len(model.got)
        model.ahead = (
            self.wanted is not None and self.box.keep is Retention.HISTORY and received > len(model.got)
        )

    def decide(self, n: int) -> None:
        """It attaches the client, if it can; else (n odd) one that does not count."""
        self.look(n)
        if self.model.pinned is None:
            return
        self.let_go(n)
        if self.wanted is not None and n != 7:
            self.model.rewind(self.wanted)
            assert self.box.rewind(self.wanted) == len(self.model.waiting)
        self.box.release_history()
        self.model.release_history()
        if self.wanted is None and self.box.keep is Retention.HISTORY and n % 2:
            self.box.restart()
            self.model.restart()

    def let_go(self, n: int) -> None:
        """The transport is the session's no more; it may finish what it has begun."""
        if self.model.begun is not None:
            self.model.carried([*self.model.got, self.model.begun])
        elif self.box.started and isinstance(gap := self.box.unsent[0], Gap):
            self.model.carried([*self.model.got, *[None] * (gap.last - gap.first + 1)])
        self.box.unbegin()
        self.model.begun = None

    def move(self, n: int) -> None:
        """Another process goes on with what was written down; never while a resume is decided."""
        if self.model.pinned is None:
            precious = [frame.kept for frame in self.box.undelivered()]
            self.box = Outbox.from_state(threading.Lock(), self.box.export())
            assert [frame.kept for frame in self.box.undelivered()] == precious
            self.model.see_anew()

    # -- what must hold ---------------------------------------------------------------------

    def check(self) -> None:
        box, model = self.box, self.model
        assert box.ledger == model.ledger
        assert box.held == len(model.kept) + len(model.waiting)
        assert box.ledger.accepted == box.ledger.settled + box.held
        assert (len(box), box.sent_to) == (len(model.waiting), len(model.got))
        firm = [model.sizes[i] for i in model.firm()]
        gaps = box.used_frames - len(firm)
        assert model.gaps() <= gaps <= model.gaps() + self.separated()
        assert (box.used_bytes, box.full) == (sum(firm), model.full)
        undelivered = model.kept + model.waiting if box.keep is Retention.UNTIL_ACKED else model.waiting
        assert [frame.size for frame in box.undelivered()] == [model.sizes[i] for i in undelivered]
        if box.keep is not Retention.NOTHING:
            for received in range(max(len(model.got), len(model.seen)) + 2):
                assert box.resume_position(received) == model.resume_position(received), received

    def separated(self) -> int:
        """How many neighbouring gaps can't be one: what has begun is between them, or a control message."""
        unsent = self.box.unsent
        begun = self.box.started and isinstance(unsent[0], Gap)
        return begun + sum(isinstance(item, Notice) for item in unsent)

    def end(self) -> None:
        unproven = [frame.size for frame in self.box.undelivered()]
        assert [frame.size for frame in self.box.close_out(DropReason.CLOSED)] == unproven
        assert self.box.held == 0
        assert self.box.ledger.accepted == self.box.ledger.settled


WORDS = {
    word.__name__: word
    for word in (
        Pair.send,
        Pair.answer,
        Pair.pass_by,
        Pair.broadcast,
        Pair.flood,
        Pair.begin,
        Pair.write,
        Pair.notify,
        Pair.place,
        Pair.acknowledge,
        Pair.look,
        Pair.decide,
        Pair.let_go,
        Pair.move,
    )
}

Story = list[tuple[str, int]]


@pytest.mark.parametrize(
    ("keep", "examples"),
    [(Retention.NOTHING, 20), (Retention.HISTORY, 150), (Retention.UNTIL_ACKED, 150)],
    ids=["nothing is kept", "history", "what is unproven"],
)
def test_it_does_what_the_model_does(keep: Retention, examples: int) -> None:
    """Sends, broadcasts, writes, acknowledgements and resumes, in any order, within any bounds."""

    @settings(max_examples=examples, database=None, deadline=None, derandomize=True)
    @given(
        max_frames=st.integers(1, 5),
        max_bytes=st.sampled_from((5, 12, 100)),
        story=st.lists(
            st.tuples(st.sampled_from(sorted(WORDS)), st.integers(0, 7)), min_size=20, max_size=60
        ),
    )
    def play(max_frames: int, max_bytes: int, story: Story) -> None:
        pair = Pair(keep, max_frames, max_bytes)
        for word, n in story:
            WORDS[word](pair, n)
            pair.check()
        pair.end()

    play()
