"""D2, C11: a v1 client learns which message of its own the hub could not decode."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from resumehub import Message
from resumehub.runtime.system import SystemRuntime
from resumehub.session.inbound_fence import InboundFence
from tests.contract.peers import handled_all, heard_all
from tests.contract.v1_client import dial

TOO_DEEP = "[" * 120 + "]" * 120


def reject(number: int, reason: str) -> tuple[str, Any]:
    return "$rejected", {"number": number, "reason": reason}


@pytest.mark.contract("C11", "D2")
def test_it_is_told_before_the_acknowledgement(stage) -> None:
    """The client forgets a message with the acknowledgement, and so could not say which one it was."""
    s = stage(send_buffer=8)
    peer = dial(s)
    peer.say("fine")
    peer.ws.send("secret nonsense")
    peer.say("fine")
    peer.ws.send(f'{{"payload":{TOO_DEEP}}}')

    assert peer.read() == reject(2, "not valid JSON (at character 0)")
    assert peer.read() == reject(4, "JSON that is nested too deeply")
    assert peer.read() == ("$ack", {"received": 4})
    assert peer.nothing_came()


@pytest.mark.contract("C11", "D2")
def test_what_was_lost_on_the_way_is_told_by_the_next_hello(stage) -> None:
    """The acknowledgement may be lost with the connection, and then ``$hello`` is one."""
    s = stage()
    peer = dial(s)
    assert "rejected" not in peer.hello
    peer.ws.send("nonsense")
    handled_all(s, peer.ws)
    peer.drop()

    again = peer.resume()

    assert again.hello["received"] == 1
    assert again.hello["rejected"] == [{"number": 1, "reason": "not valid JSON (at character 0)"}]


@pytest.mark.contract("D2")
def test_it_is_told_until_the_client_must_know(stage) -> None:
    """A message that is a window behind it is sent only by a client that has heard of it."""
    s = stage(send_buffer=2)
    peer = dial(s)
    peer.ws.send("nonsense")
    peer.say("fine")
    handled_all(s, peer.ws)
    peer.drop()
    peer = peer.resume()
    assert [one["number"] for one in peer.hello["rejected"]] == [1]
    peer.say("fine")
    handled_all(s, peer.ws)
    peer.drop()

    assert "rejected" not in peer.resume().hello


@pytest.mark.contract("C11")
def test_a_client_that_sends_only_rubbish_and_reads_nothing_does_not_grow_the_hub(stage) -> None:
    """No more is kept than one window of it, and no more waits to be written."""
    s = stage(send_buffer=4)
    peer = dial(s)
    for _ in range(200):
        peer.ws.send("nonsense")
    handled_all(s, peer.ws)
    peer.drop()

    rejected = peer.resume().hello["rejected"]

    assert [one["number"] for one in rejected] == [197, 198, 199, 200]


class Discreet:
    """A codec of an application's, whose errors quote what they were given."""

    def encode(self, message: Message) -> str:
        return json.dumps({"event": message.event, "payload": message.payload})

    def decode(self, data: str | bytes) -> Message:
        read = json.loads(data)
        if read["payload"] == "secret":
            raise KeyError("secret")
        return Message(read["event"], read["payload"])


@pytest.mark.contract("C11")
def test_of_a_codec_of_the_application_s_it_is_told_nothing(stage) -> None:
    """Neither its name nor what it raised: that is the operator's business."""
    s = stage(send_buffer=2, codec=Discreet())
    peer = dial(s)
    peer.say("secret")
    assert peer.read() == reject(1, "the server's codec can't decode it")


@pytest.mark.contract("C11")
def test_a_plain_client_is_told_nothing(stage) -> None:
    """It would take a control message for one of the application's."""
    s = stage()
    ws = s.open("u1")
    ws.send("nonsense")
    heard_all(ws)
    assert not ws.has_message()


class WatchedFence(InboundFence):
    """Looks, like a thread that acknowledges, whenever the count has changed."""

    __slots__ = ("seen",)

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name == "handled" and value:
            self.seen.append((self.handled, [one.number for one in self.rejected(0, self.handled)]))


@dataclass
class Started:
    generation: int
    is_started: bool = False


@pytest.mark.contract("D2")
def test_whoever_acknowledges_a_message_finds_that_it_was_rejected() -> None:
    """Another thread may acknowledge as soon as it counts, and must not leave it out."""
    fence = WatchedFence(SystemRuntime().lock("a fence"), 4)
    fence.seen = []
    fence.attach(1)
    fence.start(Started(1), "nonsense")
    fence.start(Started(1))
    fence.start(Started(1), "nonsense")
    assert fence.seen == [(1, [1]), (2, [1]), (3, [1, 3])]
