"""The end of a link: whether all was read, and what a message that was sent at once means."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from resumehub.cluster.dials.dial_messages import DialTaken
from resumehub.cluster.greetings import Refused
from resumehub.cluster.link import Link
from resumehub.errors import LinkBroken
from tests.cluster.links import Received, linked_pair, serve
from tests.support import PATIENCE


@pytest.fixture
def pair() -> Iterator[tuple[Link, Link]]:
    one, other = linked_pair()
    yield one, other
    one.finish("the test is over")
    other.finish("the test is over")


def read_to_the_end(link: Link, *messages: type) -> list[object]:
    """Serve the link until it ends; what came."""
    received = Received()
    thread = serve(link, dict.fromkeys(messages, received.handle), received.end)
    came = list(iter(received.next, None))
    assert thread.join(PATIENCE)
    return came


def test_what_is_sent_now_is_read_though_its_sender_has_died(pair: tuple[Link, Link]) -> None:
    one, other = pair
    other.send(DialTaken(0))  # never read: the end of ``one`` resets the connection
    assert one.send_now(DialTaken(7))
    one.finish("it is killed")
    assert read_to_the_end(other, DialTaken) == [DialTaken(7)]
    assert other.read_to_its_end


def test_a_peer_that_reads_nothing_is_not_sent_to_now(pair: tuple[Link, Link]) -> None:
    """Neither when the kernel is full nor when something waits already."""
    one, other = pair
    one.stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    count = 0
    while one.send_now(DialTaken(count)):
        count += 1
    assert one.waiting_bytes == 0
    one.send(DialTaken(count))
    assert one.waiting_bytes > 0
    assert not one.send_now(DialTaken(-1))
    writing = serve(one, {})
    received = Received()
    serve(other, {DialTaken: received.handle}, received.end)
    assert [received.next() for _ in range(count + 1)] == [DialTaken(number) for number in range(count + 1)]
    other.close()
    assert writing.join(PATIENCE)
    assert received.next() is None
    with pytest.raises(LinkBroken):
        one.send_now(DialTaken(0))


def test_a_link_that_is_closed_here_is_read_to_its_end_too(pair: tuple[Link, Link]) -> None:
    one, other = pair
    assert one.send_now(DialTaken(1))
    other.close()
    assert read_to_the_end(other, DialTaken) == [DialTaken(1)]
    assert other.read_to_its_end


def test_a_link_that_ends_for_what_came_is_not_read_to_its_end(
    pair: tuple[Link, Link], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = pair
    one.send(Refused("code", "unexpected"))
    one.send(DialTaken(1))
    assert read_to_the_end(other, DialTaken) == []
    assert not other.read_to_its_end
    assert "nobody here expects a Refused" in caplog.text


def test_an_answer_that_comes_too_late_ends_no_reading(
    pair: tuple[Link, Link], caplog: pytest.LogCaptureFixture
) -> None:
    """A process that was stopped goes on: who asked has ended the link, and all that came is read."""
    one, other = pair
    one.send(Refused("code", "a question"))
    one.send(DialTaken(1))
    one.finish("nobody waits any more")
    received = Received()

    def answer(link: Link, message: Refused, _: object) -> None:
        link.close()
        link.send(DialTaken(0))

    serve(other, {Refused: answer, DialTaken: received.handle}, received.end)
    assert list(iter(received.next, None)) == [DialTaken(1)]
    assert other.read_to_its_end
    assert caplog.messages == []
