"""A link, both ends in this process: order, descriptors, a peer that reads nothing, its end."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from resumehub.cluster import link as link_module
from resumehub.cluster.greetings import Refused
from resumehub.cluster.link import NO_DESCRIPTOR, Link, close_all
from resumehub.cluster.link_codec import CARRIERS, MOST_DESCRIPTORS, encode
from resumehub.errors import LinkBroken
from resumehub.runtime.base import Thread
from tests.cluster.links import Received, linked_pair, serve
from tests.support import PATIENCE


@pytest.fixture(autouse=True)
def any_message_may_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message of these tests stands for those that do."""
    monkeypatch.setitem(CARRIERS, Refused, MOST_DESCRIPTORS)


class Pair:
    """Two ends; each has a thread that keeps what comes once it is served."""

    def __init__(self) -> None:
        self.here, self.there = linked_pair()
        self.received, self.answers = Received(), Received()
        self._threads: list[Thread] = []

    def serve_there(self) -> None:
        self._threads.append(serve(self.there, {Refused: self.received.handle}, self.received.end))

    def serve_here(self) -> None:
        self._threads.append(serve(self.here, {Refused: self.answers.handle}, self.answers.end))

    def leave(self) -> None:
        for link in (self.here, self.there):
            link.close()
        for thread in self._threads:
            assert thread.join(PATIENCE)
        for link in (self.here, self.there):
            link.finish("the test is over")


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.leave()


def say(text: str) -> Refused:
    """Some message: its type does not matter here."""
    return Refused("code", text)


def test_messages_arrive_in_their_order(pair: Pair) -> None:
    pair.serve_there()
    for number in range(100):
        pair.here.send(say(f"{number}"))
    assert [pair.received.next() for _ in range(100)] == [say(f"{number}") for number in range(100)]


def test_a_message_arrives_with_its_descriptors(pair: Pair) -> None:
    pair.serve_there()
    reading, writing = os.pipe()
    pair.here.send(say("without"))
    pair.here.send(say("with"), [writing, reading])
    os.close(writing)
    os.close(reading)
    assert pair.received.next() == say("without")
    message, (other_writing, other_reading) = pair.received.next_with_descriptors()
    os.write(other_writing, b"the same pipe")
    assert message == say("with")
    assert os.read(other_reading, 100) == b"the same pipe"
    assert not os.get_inheritable(other_reading)
    os.close(other_writing)
    os.close(other_reading)


def test_a_peer_that_reads_nothing_holds_no_sender_up(pair: Pair) -> None:
    """What the kernel does not take waits, and arrives in order with its descriptors once the peer reads."""
    pair.serve_here()
    null = os.open(os.devnull, os.O_RDONLY)
    large = "x" * 100_000
    for number in range(10):
        pair.here.send(say(f"{number} {large}"), [null] * number)
    os.close(null)
    assert not pair.here.wait_written(0.0)
    pair.serve_there()
    for number in range(10):
        message, descriptors = pair.received.next_with_descriptors()
        assert message == say(f"{number} {large}")
        assert len(descriptors) == number
        for descriptor in descriptors:
            os.close(descriptor)
    assert pair.here.wait_written(PATIENCE)


def test_all_that_was_sent_before_an_end_is_still_handled(pair: Pair) -> None:
    for number in range(3):
        pair.here.send(say(f"{number}"))
    pair.here.close()
    pair.serve_there()
    assert [pair.received.next() for _ in range(4)] == [say("0"), say("1"), say("2"), None]
    for link in (pair.here, pair.there):
        with pytest.raises(LinkBroken):
            link.send(say("too late"))


def test_a_message_that_nobody_expects_ends_the_link(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    thread = serve(pair.there, {}, pair.received.end)
    pair.here.send(say("what?"))
    assert pair.received.next() is None
    assert thread.join(PATIENCE)
    (record,) = caplog.records
    assert record.getMessage() == "the link to process 1 is ended: nobody here expects a Refused"


def test_a_link_says_who_is_at_its_other_end(pair: Pair) -> None:
    here: Link = pair.here
    assert (here.peer.pid, here.version, here.ended) == (2, 1, False)


def test_the_end_of_a_peer_that_had_not_read_all_is_an_end_too(pair: Pair) -> None:
    """A killed hub often leaves unread messages; the kernel says "connection reset" then. Nothing is lost."""
    pair.here.send(say("never read"))
    pair.there.send(say("the last words"))
    pair.there.finish("killed")
    pair.serve_here()

    assert pair.answers.next() == say("the last words")
    assert pair.answers.next() is None
    assert pair.here.read_to_its_end


@pytest.mark.contract("F10")
def test_descriptors_that_find_no_room_are_told_of(pair: Pair) -> None:
    """In their places; those that did arrive are there, and the sender has its own."""
    null = os.open(os.devnull, os.O_RDONLY)
    pair.here.send(say("three"), [null, null, null])
    with room_for_descriptors(2):
        found = pair.there.take_descriptors(3)
    first, second, third = found
    assert third == NO_DESCRIPTOR
    close_all(found)

    pair.here.send(say("one"), [null])
    with room_for_descriptors(0):
        assert pair.there.take_descriptors(1) == (NO_DESCRIPTOR,)
    pair.here.send(say("one"), [null])
    close_all(pair.there.take_descriptors(1))
    os.close(null)


@contextlib.contextmanager
def room_for_descriptors(count: int) -> Iterator[None]:
    """This process may open so many more, inside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free, opened = os.open(os.devnull, os.O_RDONLY), []
    # Numbers below the limit that are free are used up, too.
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    while (filler := os.dup(free)) < highest:
        opened.append(filler)
    os.close(filler)
    resource.setrlimit(resource.RLIMIT_NOFILE, (filler + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        close_all([free, *opened])


class TooMany:
    """A socket of packets that refuses so often: too many of the user's descriptors are under way."""

    def __init__(self, sock: socket.socket, times: int) -> None:
        self._socket = sock
        self._times = times

    def sendmsg(self, *arguments: Any) -> int:
        self._times -= 1
        if self._times >= 0:
            raise OSError(errno.ETOOMANYREFS, "too many references")
        return self._socket.sendmsg(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


@pytest.mark.contract("F10")
def test_a_limit_of_descriptors_under_way_is_waited_for(pair: Pair) -> None:
    """The kernel does not say when there is room again, so the link's thread tries again."""
    pair.here.packets = TooMany(pair.here.packets, times=3)  # type: ignore[assignment]
    pair.serve_here()
    pair.serve_there()
    null = os.open(os.devnull, os.O_RDONLY)
    pair.here.send(say("with"), [null])
    pair.here.send(say("behind it"))
    os.close(null)

    assert [pair.received.next() for _ in range(2)] == [say("with"), say("behind it")]


def test_a_sender_without_a_free_descriptor_sends_nothing(pair: Pair) -> None:
    """What has to wait needs copies. The link goes on."""
    null = os.open(os.devnull, os.O_RDONLY)
    pair.here.send(say("x" * 1_000_000))
    with room_for_descriptors(1), pytest.raises(OSError, match="Too many open files"):
        pair.here.send(say("with"), [null, null])
    os.close(null)
    pair.here.send(say("behind it"))
    pair.serve_here()
    pair.serve_there()

    assert pair.received.next() == say("x" * 1_000_000)
    assert pair.received.next() == say("behind it")


@pytest.mark.contract("F10")
@pytest.mark.parametrize(
    ("descriptors", "size", "bound"),
    [(1, 20, "MOST_WAITING_DESCRIPTORS"), (0, 1000, "MOST_WAITING_BYTES")],
)
def test_a_peer_that_never_reads_costs_its_link(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, descriptors: int, size: int, bound: str
) -> None:
    """Past a bound; nothing that waited is left, and no descriptor."""
    monkeypatch.setattr(link_module, bound, {"MOST_WAITING_BYTES": 5000}.get(bound, 5))
    null = os.open(os.devnull, os.O_RDONLY)
    pair.here.send(say("x" * 1_000_000 if descriptors else ""))
    while not pair.here.waiting_bytes:
        pair.here.send(say("x" * 100_000))
        monkeypatch.setattr(link_module, "MOST_WAITING_BYTES", 1 << 30)
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(link_module, "MOST_WAITING_BYTES", pair.here.waiting_bytes + 5000)
    with contextlib.suppress(LinkBroken):
        for _ in range(10):
            pair.here.send(say("x" * size), [null] * descriptors)
    assert pair.here.why_ended.startswith("the peer does not read")
    assert len(os.listdir("/proc/self/fd")) == before
    assert pair.here.waiting_bytes == 0
    assert pair.here.ended
    os.close(null)


def test_only_some_messages_have_descriptors(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """So no handler is given what it does not expect, and would not close."""
    thread = serve(pair.there, {Refused: pair.received.handle}, pair.received.end)
    null = os.open(os.devnull, os.O_RDONLY)
    pair.here.send(say("while it may"), [null])
    assert pair.received.next() == say("while it may")
    wire = encode(say("forged"), 1)
    del CARRIERS[Refused]
    with pytest.raises(ValueError, match="1 descriptors are too many for a Refused: 0 are allowed"):
        pair.here.send(say("no more"), [null])
    os.close(null)
    pair.here.stream.send(wire)

    assert pair.received.next() is None
    assert thread.join(PATIENCE)
    CARRIERS[Refused] = 1  # the fixture takes it out
    (record,) = caplog.records
    assert record.getMessage() == "the link to process 1 is ended: a Refused has 1 descriptors"
