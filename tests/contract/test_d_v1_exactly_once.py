"""D2: every message is handled once, in order, in both directions, wherever the connection is cut."""

from __future__ import annotations

import random
from typing import Any

import pytest

from resumehub import Connection, Message, SendBufferFull
from tests.contract.peers import handled_all, rock
from tests.contract.test_b_slow_handlers import numbers
from tests.contract.v1_client import again, closing, dial
from tests.support import Stage


class Faithful:
    """A client by the book: it keeps what it sends until that is acknowledged, and counts what it handles."""

    def __init__(self, s: Stage) -> None:
        self.s = s
        self.peer = dial(s)
        self.kept: list[int] = []
        self.released = 0  # how many of ours were acknowledged
        self.sent = 0
        self.handled: list[Any] = []

    def say(self) -> None:
        self.sent += 1
        self.kept.append(self.sent)
        self.peer.say(self.sent)

    def hear(self) -> None:
        """Handle one message, of whichever kind it is."""
        event, payload = self.peer.read()
        if event == "$ack":
            self.forget(payload["received"])
        elif not event.startswith("$"):
            self.handled.append(payload)

    def forget(self, received: int) -> None:
        assert received <= self.sent, "acknowledged what was never sent"
        del self.kept[: max(0, received - self.released)]
        self.released = max(self.released, received)

    def come_back(self, *, takeover: bool) -> None:
        """Lose the connection, or only believe so, and resume as the documentation says."""
        if not takeover:
            self.peer.drop()
        self.peer = self.peer.resume()
        self.forget(self.peer.hello["received"])
        self.peer.say(*self.kept)


@pytest.mark.contract("D2")
@pytest.mark.parametrize("seed", range(4))
def test_exactly_once_in_both_directions_over_many_connections(stage, seed) -> None:
    """Cut after any number of messages, in the middle of a replay, noticed by either side first."""
    dice = random.Random(seed)
    s = stage(send_buffer=6)
    client, sent = Faithful(s), 0
    for _ in range(150):
        match dice.choice(["send", "send", "say", "hear", "hear", "ack", "drop", "take over"]):
            case "send":
                try:
                    s.say("u1", sent + 1)
                    sent += 1
                except SendBufferFull:
                    client.peer.ack()
            case "say" if len(client.kept) < 6:
                client.say()
            case "hear" if client.peer.ws.has_message() or len(client.handled) < sent:
                client.hear()
            case "ack":
                client.peer.ack()
            case "drop":
                client.come_back(takeover=False)
            case "take over":
                client.come_back(takeover=True)
    client.come_back(takeover=False)
    while len(client.handled) < sent:
        client.hear()
    s.recorder.wait_for("message", count=client.sent)
    handled_all(s, client.peer.ws)

    assert client.handled == list(range(1, sent + 1))
    assert numbers(s) == list(range(1, client.sent + 1))
    client.peer.ack_for_sure()
    stats = s.hub.stats()
    assert (stats.acknowledged, stats.accepted, stats.held) == (sent, sent, 0)


@pytest.mark.contract("D2")
@pytest.mark.parametrize("handled", range(4))
def test_the_client_goes_on_behind_the_last_message_that_it_handled(stage, handled) -> None:
    """However many had been written, and though none was acknowledged."""
    s = stage()
    peer = dial(s)
    s.say("u1", 0, 1, 2)
    peer.take(handled)
    peer.drop()
    back = peer.resume()
    assert back.take(3 - handled) == list(range(handled, 3))
    assert back.read() == ("$replayed", {"messages": 3 - handled})


@pytest.mark.contract("D2", "C3")
def test_a_half_written_message_comes_once_and_whole(stage) -> None:
    s = stage()
    peer = dial(s)
    rock(s)
    s.say("u1", "behind")
    peer.drop()
    back = peer.resume()
    assert (len(back.take(1)[0]), back.take(1)) == (600_000, ["behind"])


@pytest.mark.contract("D2", "A.register-takeover")
def test_a_resume_may_overtake_the_replay_of_the_one_before(stage) -> None:
    """The first came back over a line that takes nothing; the second gets all of it, in order."""
    s = stage()
    peer = dial(s)
    s.say("u1", 1)
    rock(s)
    s.say("u1", 3)
    peer.drop()
    stuck = peer.resume(received=0)  # it has read the $hello, and reads no more

    back = stuck.resume(received=1)
    s.say("u1", 4)

    assert [len(back.take(1)[0]), *back.take(1)] == [600_000, 3]
    assert back.read() == ("$replayed", {"messages": 2})
    assert back.take(1) == [4]
    assert closing(stuck) == (4101, "superseded")


@pytest.mark.contract("D2")
@pytest.mark.parametrize("how", ["after a drop", "by takeover"])
@pytest.mark.parametrize("handled", range(1, 5))
def test_a_client_may_go_on_with_what_the_connection_before_the_last_brought(stage, how, handled) -> None:
    """It dials while its application is slow; the dial comes to nothing, and for the next it counts again."""
    s = stage()
    peer = dial(s)
    rock(s)
    s.say("u1", 2, 3, 4)
    got = [len(peer.take(1)[0]), *peer.take(3)]  # they have come, and the application has handled none
    peer.drop()
    stuck = peer.resume(received=0)  # the rock does not get through
    if how == "after a drop":
        stuck.drop()

    back = stuck.resume(received=handled)  # nor is it wanted: the application has got on meanwhile

    assert [*got[:handled], *back.take(4 - handled)] == [600_000, 2, 3, 4]
    assert back.read() == ("$replayed", {"messages": 4 - handled})
    s.say("u1", 5)
    assert back.take(1) == [5]
    back.ack_for_sure()
    stats = s.hub.stats()
    assert (stats.acknowledged, stats.accepted, stats.held) == (5, 5, 0)


@pytest.mark.contract("D2", "C5")
def test_a_message_that_ends_ahead_of_a_close_frame_is_one_that_was_sent(stage) -> None:
    """It is finished on the old connection, so the client may have handled it, or have hung up before."""
    s = stage()

    @s.hub.on_message
    def fail(connection: Connection, message: Message) -> None:
        raise ValueError("a handler of the application's")

    peer = dial(s)
    rock(s)
    s.say("u1", 2)
    peer.say("the straw")
    s.recorder.wait_for("drop")
    assert len(peer.take(1)[0]) == 600_000
    assert closing(peer) == (1011, "handler error")

    assert peer.resume().take(1) == [2]


@pytest.mark.contract("D2", "A.register-takeover")
def test_three_resumes_in_a_row_that_read_nothing(stage) -> None:
    """Not even the $hello: the client knows the first token only, and that is enough."""
    s = stage()
    peer = dial(s)
    rock(s)
    s.say("u1", 2)
    for _ in range(3):
        again(s, token=peer.token, received=0)
    back = peer.resume()
    assert [len(back.take(1)[0]), *back.take(1)] == [600_000, 2]


@pytest.mark.contract("D2", "B2")
def test_what_a_handler_sends_in_answer_is_not_sent_twice(stage) -> None:
    """A message that is sent again since the client did not know is not handled again."""
    s = stage()

    @s.hub.on_message
    def echo(connection: Connection, message: Message) -> None:
        connection.send(Message("n", f"echo {message.payload}"))

    client = Faithful(s)
    client.say()
    client.say()
    handled_all(s, client.peer.ws)
    client.come_back(takeover=False)
    client.hear()
    client.hear()
    assert client.handled == ["echo 1", "echo 2"]
    assert client.kept == []
