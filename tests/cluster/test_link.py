"""A link, both ends in this process: order, descriptors, a peer that reads nothing, its end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from resumehub.cluster.greetings import Refused
from resumehub.cluster.link import Link
from resumehub.errors import LinkBroken
from resumehub.runtime.base import Thread
from tests.cluster.links import Received, linked_pair, serve
from tests.support import PATIENCE


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
