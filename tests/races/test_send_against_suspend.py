"""A message that is sent at the moment at which the session loses its transport, or gets the next one.

The orders: a thread looks whether the session is connected, and writes; between the two the transport
dies. Or a message is half written when the session moves on. A hub that looks first and acts then loses
what falls in between; one that counts a message as sent with its first byte loses the half-written one;
one that leaves the old stream in the middle of a frame makes nonsense of whatever follows on it.

Here every order of sends, a suspension, resumes and a peer that takes a few bytes at a time is played on
the real outbox and the real writer. Every message must be taken whole, by the transport of its time or
by the next one, in order, none twice but for the one that was half written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import pytest

from resumehub.core import effects as e
from resumehub.message import Frame, Opcode
from resumehub.outgoing.outbox import Outbox
from resumehub.outgoing.transport_writer import TransportWriter
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import FakeClock, MemoryTransport, ScriptedPeer, memory_pair
from tests.races.stepped_hub import held_before
from tests.support import Call, read

RUNTIME = SystemRuntime()


class Pausing(MemoryTransport):
    """Its writer does not wait for the peer: it leaves, and comes back when the peer has read."""

    def wait_writable(self) -> None:
        if self._wire.window == 0:
            raise Pause


class Pause(Exception):
    pass


class SuspendedAndResumed:
    """A session's outbox, the writers it has had, and what each of their peers has taken."""

    def __init__(self, writer: type[TransportWriter], stateful: bool) -> None:
        self._make = writer
        self._stateful = stateful
        self._outbox = Outbox(RUNTIME.lock(), 1000, 1 << 20)
        self._made: list[tuple[TransportWriter, ScriptedPeer]] = []
        self._attached = False
        self._writers: set[TransportWriter] = set()
        self._sent = 0
        self._begins_at: list[int] = []

    # -- what can happen --------------------------------------------------------------------

    def send(self) -> None:
        self._sent += 1
        with self._outbox.lock:
            assert self._outbox.put(Frame(Opcode.TEXT, b"%03d" % self._sent))
            writer = self._made[-1][0] if self._attached else None
            flushed = writer.pump() if writer is not None else None
        if writer is not None:
            writer.report(flushed)

    def suspend(self) -> None:
        if self._attached:
            self._attached = False
            with self._outbox.lock:
                self._made[-1][0].detach()

    def resume(self, window: int | None = 8) -> None:
        """The next transport; its peer takes one message and a bit, if nothing else is said."""
        self.suspend()
        self._begins_at.append(self._sent - len(self._outbox) + 1)
        pair, peer = memory_pair(window=window, stateful=self._stateful)
        transport = Pausing(pair._wire)
        number = len(self._made) + 1
        writer = self._make(number, transport, self._outbox, FakeClock(), RUNTIME, self)
        self._made.append((writer, peer))
        self._attached = True
        writer.flush()

    def peer_reads(self) -> None:
        """The present peer takes three bytes more."""
        self._let_read(-1, 3)

    def old_peer_reads(self) -> None:
        """The peer before takes all that is still meant for it."""
        if len(self._made) > 1:
            self._let_read(-2, None)

    def _let_read(self, which: int, size: int | None) -> None:
        if not self._made:
            return
        writer, peer = self._made[which]
        peer.window = None if size is None or peer.window is None else peer.window + size
        if writer in self._writers:
            self._writers.remove(writer)
            try:
                writer.write_until_drained()
            except Pause:
                self._writers.add(writer)

    # -- the writer's owner ----------------------------------------------------------------

    def on_flushed(self, writer: TransportWriter, flushed: object) -> None:
        pass

    def start_writer(self, writer: TransportWriter) -> None:
        self._writers.add(writer)

    # -- what must hold ---------------------------------------------------------------------

    def finish(self) -> list[list[int]]:
        """Resume with a peer that reads it all; give the messages that each peer has taken."""
        self.resume(window=None)
        return [[int(frame.text[-3:]) for frame in peer.frames] for _, peer in self._made]

    def problems(self) -> Iterator[str]:
        taken = self.finish()
        for number, (_, peer) in enumerate(self._made):
            if peer.unfinished and peer.window is None:
                yield f"transport {number + 1} was left in the middle of a frame"
        for number, got in enumerate(taken):
            begins = self._begins_at[number]
            if got != list(range(begins, begins + len(got))):
                yield f"transport {number + 1} took {got}, beginning at {begins}"
        for before, after, begins in zip(taken, taken[1:], self._begins_at[1:], strict=False):
            if before and begins not in (before[-1], before[-1] + 1):
                yield f"after {before} came {after}, beginning at {begins}"
        if sorted({message for got in taken for message in got}) != list(range(1, self._sent + 1)):
            yield f"of {self._sent} messages {taken} were taken"


WORDS = {
    "send": SuspendedAndResumed.send,
    "suspend": SuspendedAndResumed.suspend,
    "resume": SuspendedAndResumed.resume,
    "the peer reads": SuspendedAndResumed.peer_reads,
    "the old peer reads": SuspendedAndResumed.old_peer_reads,
}


def play(
    order: Sequence[str], writer: type[TransportWriter] = TransportWriter, stateful: bool = False
) -> list[str]:
    """What is wrong after an order; nothing, one hopes."""
    played = SuspendedAndResumed(writer, stateful)
    played.resume()
    for word in order:
        WORDS[word](played)
    return list(played.problems())


class CountsTheFirstByte(TransportWriter):
    """A message is written once it has begun; the next transport begins behind it."""

    def detach(self) -> None:
        outbox, begun = self._outbox, self._wire.begun_frame
        super().detach()
        if begun and outbox is not None:
            outbox.written()


class LeavesItHalf(TransportWriter):
    """What has begun is for the next transport; this one gets no more of it."""

    def detach(self) -> None:
        super().detach()
        self._wire.pieces.clear()


class KeepsOnWriting(TransportWriter):
    """Nobody takes the outbox away from the old transport: its writer goes on with it."""

    def detach(self) -> None:
        pass


@pytest.mark.parametrize(
    ("writer", "order", "complaint"),
    [
        (CountsTheFirstByte, ["send", "send", "suspend"], "of 2 messages"),
        (LeavesItHalf, ["send", "send", "resume", "the old peer reads"], "in the middle of a frame"),
        (KeepsOnWriting, ["send", "send", "send", "resume", "the old peer reads"], "of 3 messages"),
    ],
    ids=["counting the first byte loses it", "leaving it half breaks the stream", "two writers lose one"],
)
def test_a_naive_writer_fails(writer, order, complaint):
    told = play(order, writer)
    assert any(complaint in problem for problem in told), told


@pytest.mark.parametrize("stateful", [False, True], ids=["plain", "compressed"])
def test_nothing_is_lost_in_any_order(stateful):
    """All 3,125 words of five; whatever the order, each message arrives whole and in its place."""
    for order in product(WORDS, repeat=5):
        assert play(order, stateful=stateful) == [], ", ".join(order)


def test_a_message_that_is_sent_while_the_hub_takes_the_transport_off_arrives(stage):
    """The peer has vanished, the hub is about to say so, and the application does not know it yet."""
    one = stage()
    ws = one.open()
    one.recorder.wait_for("connect")
    with held_before(one.hub, e.DetachTransport) as detaching:
        ws.drop()
        detaching.wait_reached()
        one.say("u1", 1, 2)
    one.recorder.wait_for("drop")
    one.say("u1", 3)
    again = one.resume(ws)
    assert [read(again)[1] for _ in range(3)] == [1, 2, 3]


def test_a_message_that_is_sent_while_the_hub_puts_the_next_one_on_arrives_in_its_place(stage):
    one = stage()
    ws = one.open()
    one.drop(ws)
    one.say("u1", 1)
    with held_before(one.hub, e.AttachTransport) as attaching:
        resuming = Call(lambda: one.resume(ws))
        attaching.wait_reached()
        one.say("u1", 2)
    again = resuming.result()
    one.say("u1", 3)
    assert [read(again)[1] for _ in range(3)] == [1, 2, 3]
