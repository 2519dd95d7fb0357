"""Requests to the server, word by word, against a server that the test plays (contract E3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from resumehub import Message, SendBufferFull
from resumehub.errors import ConnectionClosed, RequestFailed, RequestInDoubt, RequestTimeout, SessionExpired
from tests.client.fake_server import FakeServer, Peer
from tests.contract.peers import until
from tests.support import PATIENCE, Call


def asked(peer: Peer) -> dict[str, Any]:
    """The request that comes next."""
    said = json.loads(peer.frame().payload)
    assert "id" in said, said
    return said


@pytest.mark.contract("E3")
def test_the_caller_gets_the_payload_of_the_answer(server: FakeServer) -> None:
    """Contract E3: the request has an id, and the message that names it is the answer; null is None."""
    client = server.client()
    peer = server.welcome()
    asking = Call(lambda: client.request("sum", [1, 2]))
    request = asked(peer)
    assert (request["event"], request["payload"]) == ("sum", [1, 2])
    assert 1 <= len(request["id"]) <= 128
    peer.say(event="sum", payload=3, re=request["id"])
    assert asking.result() == 3
    asking = Call(lambda: client.request("nothing"))
    peer.say(re=asked(peer)["id"])
    assert asking.result() is None


@pytest.mark.contract("E3")
def test_a_refusal_is_raised_with_its_code_and_text(server: FakeServer) -> None:
    """Contract E3: RequestFailed."""
    client = server.client()
    peer = server.welcome()
    for error, text in (
        ({"code": "full", "message": "no place left"}, "no place left"),
        ({"code": "full"}, ""),
    ):
        asking = Call(lambda: client.request("join"))
        peer.say(event="join", re=asked(peer)["id"], error=error)
        with pytest.raises(RequestFailed) as failed:
            asking.result()
        assert (failed.value.code, failed.value.message) == ("full", text)


def test_each_of_several_callers_gets_its_own_answer(server: FakeServer) -> None:
    """The answers come in another order than the requests."""
    client = server.client()
    peer = server.welcome()
    callers = [Call(lambda n=n: client.request("double", n)) for n in range(5)]
    requests = [asked(peer) for _ in callers]
    assert len({request["id"] for request in requests}) == 5
    for request in reversed(requests):
        peer.say(re=request["id"], payload=2 * request["payload"])
    assert [caller.result() for caller in callers] == [0, 2, 4, 6, 8]


@pytest.mark.contract("E3")
def test_a_callback_may_ask_and_gets_its_answer_out_of_turn(server: FakeServer) -> None:
    """Contract E3: two messages wait in front of the answer, and yet it comes while on_message runs."""
    heard: list[Any] = []

    def on_message(client: Any, message: Message) -> None:
        if message.payload == 1:
            heard.append(client.request("more"))
        heard.append(message.payload)

    client = server.client(on_message=on_message)
    peer = server.welcome(window={"messages": 8, "bytes": 4096})
    for n in (1, 2, 3):
        peer.send("n", n)
    peer.say(re=asked(peer)["id"], payload="answer")
    until(lambda: heard == ["answer", 1, 2, 3])
    # It is acknowledged in its turn: a message like any other.
    acknowledged = 0
    server.clock.advance(1.0)
    while acknowledged < 4:
        event, payload = peer.read()
        assert event == "$ack"
        acknowledged = payload["received"]
    assert client.stats().received == 3


@pytest.mark.contract("E3")
def test_no_answer_in_time_is_a_timeout_and_a_late_one_is_ignored(server: FakeServer) -> None:
    """Contract E3: the seconds are the client's clock's, and go on while there is no connection."""
    client = server.client(random=lambda: 1.0)
    peer = server.welcome()
    asking = Call(lambda: client.request("slow", timeout=5.0))
    request = asked(peer)
    peer.send("$ack", {"received": 1})
    peer.vanish()
    until(lambda: client.stats().drops == 1)
    server.clock.advance(4.9)
    again = server.welcome(resumed=True, received=1, token="token-2")
    server.clock.advance(0.1)
    with pytest.raises(RequestTimeout) as late:
        asking.result()
    assert (late.value.event, late.value.timeout) == ("slow", 5.0)
    assert isinstance(late.value, TimeoutError)
    again.say(re=request["id"], payload="too late")
    again.say(re="never asked", payload="too late")
    again.send("n", 1)
    assert client.receive(PATIENCE) == Message("n", 1)
    assert client.stats().answers_ignored == 2


@pytest.mark.contract("E3")
def test_a_request_survives_a_drop_and_is_answered_once(server: FakeServer) -> None:
    """Contract E3: the server had not handled it, so it comes again; of two answers the first one counts."""
    client = server.client()
    peer = server.welcome()
    asking = Call(lambda: client.request("pay", 100))
    request = asked(peer)
    peer.vanish()
    again = server.welcome(resumed=True, received=0, token="token-2")
    assert asked(again) == request
    again.say(re=request["id"], payload="paid")
    assert asking.result() == "paid"
    again.vanish()  # before the client has acknowledged the answer
    third = server.accept()
    third.switch("resumehub.v1")
    third.hello(resumed=True, received=1, token="token-3", replay_from=int(third.query["received"]) + 1)
    if third.query["received"] == "0":
        third.say(re=request["id"], payload="paid")
    third.send("n", 1)
    assert client.receive(PATIENCE) == Message("n", 1)


def test_a_request_waits_for_the_connection(server: FakeServer) -> None:
    """It is accepted like any message while there is none."""
    client = server.client()
    asking = Call(lambda: client.request("early"))
    peer = server.welcome()
    peer.say(re=asked(peer)["id"], payload="here")
    assert asking.result() == "here"


@pytest.mark.contract("E3")
def test_the_end_of_the_session_puts_a_written_request_in_doubt(server: FakeServer) -> None:
    """Contract E3: the one that was never written was surely not handled."""
    client = server.client()
    peer = server.welcome(window={"messages": 1, "bytes": 4096})
    first = Call(lambda: client.request("pay"))
    asked(peer)
    second = Call(lambda: client.request("pay more", timeout=None))  # the window has no room for it
    until(lambda: client.stats().waiting == 2)
    client.send(Message("n", 1))
    peer.close(4100, "session expired")
    with pytest.raises(RequestInDoubt) as doubt:
        first.result()
    assert (doubt.value.event, doubt.value.connection_id) == ("pay", "ada")
    assert isinstance(doubt.value.__cause__, SessionExpired | None)
    with pytest.raises(ConnectionClosed) as closed:
        second.result()
    assert not isinstance(closed.value, RequestInDoubt)
    until(lambda: client.error is not None)
    assert client.in_doubt == [Message("n", 1)]  # the callers of the requests have been told
    with pytest.raises(ConnectionClosed) as closed:
        client.request("pay")
    assert not isinstance(closed.value, RequestInDoubt)


def test_close_ends_the_wait(server: FakeServer) -> None:
    """A caller with no timeout is not left behind."""
    client = server.client()
    peer = server.welcome()
    asking = Call(lambda: client.request("pay", timeout=None))
    asked(peer)
    client.close(timeout=0)
    with pytest.raises(RequestInDoubt):
        asking.result()


def test_the_end_of_a_plain_session_puts_what_was_written_in_doubt(server: FakeServer) -> None:
    """The next connection is a new session: the answer to the old request can't come there."""
    client = server.client(plain=True, resume=False)
    peer = server.accept()
    peer.switch()
    asking = Call(lambda: client.request("pay", timeout=None))
    old = asked(peer)
    peer.vanish()
    with pytest.raises(RequestInDoubt):
        asking.result()
    again = server.accept()
    asking = Call(lambda: client.request("pay", timeout=None))
    again.switch()
    new = asked(again)
    assert new["id"] != old["id"]
    again.say(re=old["id"], payload="for the old one")
    again.say(re=new["id"], payload="paid")
    assert asking.result() == "paid"


def test_a_request_that_the_server_cannot_take_fails(server: FakeServer) -> None:
    """It was not handled; on_rejected is for messages that nobody waits for."""
    rejected: list[Message] = []
    client = server.client(on_rejected=lambda client, message, error: rejected.append(message))
    peer = server.welcome()
    asking = Call(lambda: client.request("odd"))
    asked(peer)
    peer.send("$rejected", {"number": 1, "reason": "no idea what that is"})
    with pytest.raises(RequestFailed) as failed:
        asking.result()
    assert failed.value.code == "rejected"
    assert "no idea what that is" in str(failed.value.__cause__)
    assert client.stats().rejected == 1
    assert not rejected


@pytest.mark.contract("E3")
def test_no_more_than_max_requests_wait(server: FakeServer) -> None:
    """Contract E3: SendBufferFull, which says what to raise; an answer makes room."""
    client = server.client(max_requests=2)
    peer = server.welcome()
    callers = [Call(lambda: client.request("n")) for _ in range(2)]
    requests = [asked(peer) for _ in callers]
    with pytest.raises(SendBufferFull, match="raise max_requests") as full:
        client.request("n")
    assert full.value.frames == 2
    peer.say(re=requests[0]["id"])
    peer.say(re=requests[1]["id"])
    for caller in callers:
        caller.result()
    third = Call(lambda: client.request("n"))
    peer.say(re=asked(peer)["id"])
    third.result()


def test_a_full_send_buffer_leaves_no_request_open(server: FakeServer) -> None:
    """Nothing was queued, and nothing waits."""
    client = server.client(send_buffer=1, max_requests=1)
    client.send(Message("n"))
    for _ in range(2):  # max_requests would refuse the second one otherwise
        with pytest.raises(SendBufferFull, match="send_buffer"):
            client.request("n")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"timeout": 0}, ValueError),
        ({"timeout": -1.0}, ValueError),
        ({"timeout": float("nan")}, ValueError),
        ({"timeout": "5"}, TypeError),
        ({"timeout": True}, TypeError),
        ({"event": "$ack"}, ValueError),
        ({"event": 3}, TypeError),
        ({"payload": {1, 2}}, TypeError),
        ({"payload": "x" * 2000}, ValueError),
    ],
)
def test_wrong_arguments_of_a_request_are_told_at_once(
    server: FakeServer, arguments: dict[str, Any], error: type[Exception]
) -> None:
    """And no request stays open behind them."""
    client = server.client(max_requests=1)
    peer = server.welcome()
    assert client.wait_connected(PATIENCE)
    with pytest.raises(error):
        client.request(**{"event": "n", **arguments})
    asking = Call(lambda: client.request("n"))
    peer.say(re=asked(peer)["id"])
    asking.result()


@pytest.mark.parametrize("limit", [0, -1, "10"])
def test_max_requests_is_a_number_from_1_on(server: FakeServer, limit: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="max_requests"):
        server.client(max_requests=limit)


def test_a_message_that_is_passed_on_is_no_request(server: FakeServer) -> None:
    """``send`` leaves the id out: nobody would wait for the answer."""
    client = server.client()
    peer = server.welcome()
    client.send(Message("n", 1, id="7"))
    assert json.loads(peer.frame().payload) == {"event": "n", "payload": 1}
