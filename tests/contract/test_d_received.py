"""D1: a plain client that says how many messages it has handled gets the rest, each exactly once."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from resumehub import Message
from resumehub.testing import UpgradeRefused, WebSocketClient
from tests.contract.peers import ROCK, fill, noise, rock, unread, until
from tests.support import PATIENCE, Stage, read

MakeStage = Callable[..., Stage]


def payloads(ws: WebSocketClient, count: int) -> list[Any]:
    """What the next ``count`` messages say."""
    return [read(ws)[1] for _ in range(count)]


def with_messages(s: Stage, *messages: object, **how: Any) -> WebSocketClient:
    """A client to which these have been sent; it has read none of them."""
    ws = s.open(**how)
    s.say("u1", *messages)
    return ws


def refused(s: Stage, ws: WebSocketClient, received: object) -> UpgradeRefused:
    """How a resume with this count is refused."""
    with pytest.raises(UpgradeRefused) as caught:
        s.resume(ws, received=str(received))
    return caught.value


# -- exactly once ---------------------------------------------------------------------------------


@pytest.mark.contract("D1")
@pytest.mark.parametrize("how", ["after a drop", "by takeover"])
@pytest.mark.parametrize("handled", [0, 3, 5])
def test_a_client_gets_what_it_had_not_handled_and_then_goes_on(
    stage: MakeStage, how: str, handled: int
) -> None:
    """All five were written into its socket, which proves nothing; what it has handled, it says."""
    s = stage()
    ws = with_messages(s, 1, 2, 3, 4, 5)
    if how == "after a drop":
        s.drop(ws)
        s.say("u1", 6)

    again = s.resume(ws, received=str(handled))
    s.say("u1", 7)

    first = list(range(handled + 1, 6)) + [6] * (how == "after a drop")
    assert payloads(again, len(first) + 1) == [*first, 7]
    if how == "by takeover":
        assert ws.receive_close(PATIENCE) == (4101, "superseded")


@pytest.mark.contract("D1")
def test_a_bad_day_loses_and_doubles_nothing(stage: MakeStage) -> None:
    """Resume after resume, each time a bit behind; the numbers go on from one to the next."""
    s = stage()
    ws, handled, sent = s.open(), list[int](), 0
    for count, lag in enumerate((2, 0, 5, 1, 0, 3), start=1):
        s.say("u1", *range(sent, sent + 6))
        ready = payloads(ws, sent + 6 - len(handled))
        handled += ready[: len(ready) - lag]
        s.drop(ws, count=count)
        s.say("u1", *range(sent + 6, sent + 9))
        sent += 9
        ws = s.resume(ws, received=str(len(handled)))

    handled += payloads(ws, sent - len(handled))
    s.say("u1", sent)
    assert [*handled, read(ws)[1]] == list(range(sent + 1))


@pytest.mark.contract("D1")
@pytest.mark.parametrize("how", ["after a drop", "by takeover"])
@pytest.mark.parametrize("handled", range(1, 4))
def test_a_client_may_go_on_with_what_the_connection_before_the_last_brought(
    stage: MakeStage, how: str, handled: int
) -> None:
    """A dial comes to nothing, and meanwhile a slow application has got on with what had come before."""
    s = stage(send_buffer_bytes=1 << 22)
    ws = s.open()
    rock(s)
    s.say("u1", 2, 3)
    got = payloads(ws, 3)
    s.drop(ws)
    stuck = s.resume(ws, received="0")
    if how == "after a drop":
        s.drop(stuck, count=2)

    again = s.resume(ws, received=str(handled))
    s.say("u1", 4)

    assert [*got[:handled], *payloads(again, 4 - handled)] == ["r" * ROCK, 2, 3, 4]
    assert s.hub.stats().acknowledged == handled


@pytest.mark.contract("D1")
def test_a_session_to_which_nothing_was_sent_can_be_resumed(stage: MakeStage) -> None:
    """Zero is a count like any other."""
    s = stage()
    ws = s.open()
    s.drop(ws)
    again = s.resume(ws, received="0")
    s.say("u1", 1)
    s.drop(again, count=2)

    assert payloads(s.resume(ws, received="0"), 1) == [1]


@pytest.mark.contract("D1")
@pytest.mark.parametrize("query", ["&resume=true", ""], ids=["a resume", "no intent"])
def test_who_comes_back_without_a_count_begins_to_count_anew(stage: MakeStage, query: str) -> None:
    """The first message on that connection is number 1, and what was written before is not sent again."""
    s = stage()
    ws = with_messages(s, 1, 2, 3)
    s.drop(ws)
    s.say("u1", 4)
    again = s.open(query=query)
    s.say("u1", 5)
    s.drop(again, count=2)

    assert refused(s, ws, 3).status == 400
    assert payloads(s.resume(ws, received="1"), 1) == [5]


@pytest.mark.contract("D1")
def test_a_count_counts_from_the_last_attach_without_one(stage: MakeStage) -> None:
    """Resumes with a count do not begin anew."""
    s = stage()
    ws = with_messages(s, 1, 2, 3)
    again = s.resume(ws, received="2")
    s.say("u1", 4)
    third = s.resume(ws, received="3")
    s.say("u1", 5)

    assert payloads(again, 2) == [3, 4]
    assert payloads(third, 2) == [4, 5]
    assert payloads(s.resume(ws, received="5"), 0) == []


# -- half-written, compressed, binary -------------------------------------------------------------


@pytest.mark.contract("D1", "C3")
@pytest.mark.parametrize("how", ["after a drop", "by takeover"])
def test_a_message_that_had_begun_comes_whole_and_counts_once(stage: MakeStage, how: str) -> None:
    """It had no number yet for a client that got half of it."""
    s = stage(send_buffer_bytes=1 << 22)
    ws = with_messages(s, 1)
    rock(s)
    s.say("u1", 3)
    until(lambda: unread(ws) > 1000)
    if how == "after a drop":
        s.drop(ws)

    again = s.resume(ws, received="1")

    assert payloads(again, 2) == ["r" * ROCK, 3]
    again = s.resume(ws, received="2")
    assert payloads(again, 1) == [3]


@pytest.mark.contract("D1", "C3")
def test_a_client_that_hangs_loses_nothing(stage: MakeStage) -> None:
    """Some are in its kernel's buffer, one is half there, some wait; it had handled two."""
    s = stage(send_buffer_bytes=1 << 22)
    ws = with_messages(s, "a", "b")
    assert payloads(ws, 2) == ["a", "b"]
    ws.stop_reading()
    fill(s)
    s.drop(ws)

    again = s.resume(ws, received="2")

    assert [int(payload.split()[0]) for payload in payloads(again, 20)] == list(range(20))


@pytest.mark.contract("D1", "C4")
@pytest.mark.parametrize("then", [None, "permessage-deflate"], ids=["plain then", "compressed then"])
@pytest.mark.parametrize("before", [None, "permessage-deflate"], ids=["plain", "compressed"])
def test_it_is_sent_again_for_whatever_path_comes(
    stage: MakeStage, before: str | None, then: str | None
) -> None:
    """The history holds messages, and not what they looked like on the wire."""
    s = stage(compression=True, send_buffer_bytes=1 << 22)
    boulder = noise(ROCK)
    ws = with_messages(s, 1, "2" * 1000, boulder, 4, extensions=before)
    s.drop(ws)

    again = s.open(query="&resume=true&received=1", extensions=then)

    assert payloads(again, 3) == ["2" * 1000, boulder, 4]


class Numbers:
    """A codec of one integer, in binary."""

    def encode(self, message: Message) -> bytes:
        return struct.pack("!I", message.payload)

    def decode(self, data: str | bytes) -> Message:
        assert isinstance(data, bytes)
        return Message("", struct.unpack("!I", data)[0])


@pytest.mark.contract("D1", "C4")
def test_binary_messages_are_counted_like_others(stage: MakeStage) -> None:
    s = stage(codec=Numbers())
    ws = with_messages(s, 1, 2, 3)
    s.drop(ws)

    again = s.resume(ws, received="1")

    assert [again.receive(PATIENCE) for _ in range(2)] == [struct.pack("!I", n) for n in (2, 3)]
