"""The server's requests to a client: what its application does, and what the asker gets (contract E3)."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from resumehub import JSONCodec, Message
from resumehub.errors import ConnectionClosed, ReceiveTimeout, RequestError
from resumehub.router import Router
from tests.client.fake_server import FakeServer, Peer
from tests.contract.peers import until
from tests.support import PATIENCE, Call


def answer(peer: Peer) -> dict[str, Any]:
    """The answer that comes next; acknowledgements go by."""
    while (said := json.loads(peer.frame().payload)).get("event", "").startswith("$"):
        pass
    assert "re" in said, said
    return said


def doubled(client: Any, message: Message) -> Any:
    return 2 * message.payload


def odd(client: Any, message: Message) -> Any:
    return {1, 2}


@pytest.mark.contract("E3")
def test_what_on_message_returns_is_the_answer(server: FakeServer) -> None:
    """Contract E3: it carries the request's event and id; None is null. Of no request it means nothing."""
    server.client(on_message=lambda client, message: message.payload)
    peer = server.welcome()
    peer.send("n", 1)
    peer.say(event="echo", payload=[1], id="a")
    peer.say(event="echo", id="b")
    assert answer(peer) == {"event": "echo", "payload": [1], "re": "a"}
    assert answer(peer) == {"event": "echo", "re": "b"}


@pytest.mark.contract("E3")
def test_the_handler_may_reply_before_it_returns(server: FakeServer) -> None:
    """Contract E3: what it returns then means nothing, and a second answer is a RuntimeError."""
    problems: list[Exception] = []

    def on_message(client: Any, message: Message) -> Any:
        message.reply("first") if message.payload else message.refuse("busy", "come back later")
        for again in (lambda: message.reply(2), lambda: message.refuse("no"), message.defer):
            with pytest.raises(RuntimeError, match="answered already") as raised:
                again()
            problems.append(raised.value)
        return "second"

    server.client(on_message=on_message)
    peer = server.welcome()
    peer.say(event="n", id="a", payload=1)
    peer.say(event="n", id="b")
    assert answer(peer) == {"event": "n", "payload": "first", "re": "a"}
    assert answer(peer) == {
        "event": "n",
        "error": {"code": "busy", "message": "come back later"},
        "re": "b",
    }
    until(lambda: len(problems) == 6)
    peer.say(event="n", id="c", payload=1)
    assert answer(peer)["re"] == "c"


@pytest.mark.contract("E3")
def test_a_deferred_answer_comes_from_any_thread_behind_other_messages(server: FakeServer) -> None:
    """Contract E3: once."""
    kept: list[Message] = []

    def on_message(client: Any, message: Message) -> Any:
        if message.payload == "wait":
            message.defer()
            kept.append(message)
        return "returned"

    server.client(on_message=on_message)
    peer = server.welcome()
    peer.say(event="n", id="a", payload="wait")
    peer.say(event="n", id="b")
    assert answer(peer)["re"] == "b"
    thread = threading.Thread(target=kept[0].reply, args=("late",))
    thread.start()
    thread.join(PATIENCE)
    assert answer(peer) == {"event": "n", "payload": "late", "re": "a"}
    with pytest.raises(RuntimeError, match="answered already"):
        kept[0].reply("again")


class NoSuchRoom(RequestError):
    def __init__(self) -> None:
        super().__init__("no_such_room", "there is no such room")


@pytest.mark.contract("E3")
def test_a_request_error_is_the_refusal(server: FakeServer, caplog) -> None:
    """Contract E3: it is no failure of the callback's. Over any other message it is logged once."""

    def on_message(client: Any, message: Message) -> None:
        raise NoSuchRoom

    client = server.client(on_message=on_message)
    peer = server.welcome()
    peer.say(event="join", id="a")
    assert answer(peer)["error"] == {"code": "no_such_room", "message": "there is no such room"}
    assert not caplog.records
    for _ in range(2):
        peer.send("join", "private")
    peer.say(event="join", id="b")
    assert answer(peer)["re"] == "b"
    assert client.stats().callback_errors == 0
    (line,) = caplog.messages
    assert "raised RequestError" in line
    assert "private" not in caplog.text


class Panic(BaseException):
    pass


@pytest.mark.contract("E3")
@pytest.mark.parametrize("error", [ValueError, Panic, SystemExit])
def test_any_other_exception_is_an_internal_error_to_the_asker(
    server: FakeServer, error: Any, caplog
) -> None:
    """Contract E3: without its text; it is logged and counted like one over any message."""

    def on_message(client: Any, message: Message) -> None:
        raise error("secret")

    client = server.client(on_message=on_message)
    peer = server.welcome()
    peer.say(event="n", id="a")
    assert answer(peer) == {"event": "n", "error": {"code": "internal_error", "message": ""}, "re": "a"}
    until(lambda: client.stats().callback_errors == 1)
    until(lambda: "a callback of the client raised" in caplog.text)


@pytest.mark.parametrize("returned", [{1, 2}, float("nan"), "x" * 2000])
def test_an_answer_that_cannot_be_sent_is_an_internal_error(
    server: FakeServer, returned: Any, caplog
) -> None:
    """The log names the function that returned it."""

    def ask_me(client: Any, message: Message) -> Any:
        return returned

    client = server.client(on_message=ask_me)
    peer = server.welcome()
    peer.say(event="n", id="a")
    assert answer(peer)["error"] == {"code": "internal_error", "message": ""}
    assert client.stats().callback_errors == 1
    assert "ask_me answers to a request can't be encoded" in caplog.text


def test_a_reply_that_cannot_be_sent_leaves_the_request_unanswered(server: FakeServer) -> None:
    """The handler hears of it, and answers otherwise."""

    def on_message(client: Any, message: Message) -> Any:
        with pytest.raises(TypeError):
            message.reply({1, 2})
        with pytest.raises(ValueError, match="1 to 64"):
            message.refuse("")
        return [1, 2]

    server.client(on_message=on_message)
    peer = server.welcome()
    peer.say(event="n", id="a")
    assert answer(peer)["payload"] == [1, 2]


def test_a_router_answers_what_its_handler_is_asked(server: FakeServer, caplog) -> None:
    """It is an on_message like any other, and checks payloads."""
    router = Router()
    router.on("double", int)(doubled)
    router.on("odd")(odd)
    client = server.client(on_message=router)
    peer = server.welcome()
    peer.say(event="double", payload=2, id="a")
    assert answer(peer) == {"event": "double", "payload": 4, "re": "a"}
    for event, code in (("double", "invalid_payload"), ("what", "unknown_event"), ("odd", "internal_error")):
        peer.say(event=event, payload="2", id="b")
        assert answer(peer)["error"]["code"] == code
    assert "what odd answers to a request can't be encoded" in caplog.text
    assert client.stats().callback_errors == 1


@pytest.mark.contract("E3")
def test_what_receive_gives_is_answered_by_its_methods(server: FakeServer) -> None:
    """Contract E3: and so it is in a loop."""
    client = server.client()
    peer = server.welcome()
    peer.say(event="n", id="a", payload=1)
    message = client.receive(PATIENCE)
    assert message == Message("n", 1, id="a")
    message.reply(2)
    assert answer(peer)["payload"] == 2
    peer.say(event="n", id="b")
    for message in client:
        message.refuse("busy")
        break
    assert answer(peer)["error"]["code"] == "busy"


def test_a_request_that_receive_gave_and_nobody_answered_is_refused(server: FakeServer, caplog) -> None:
    """When it counts as handled. The warning says once what to do."""
    client = server.client()
    peer = server.welcome()
    for request in ("a", "b"):
        peer.say(event="n", id=request)
    peer.say(event="n", id="c")
    kept = [client.receive(PATIENCE) for _ in range(3)]
    kept[2].defer()
    assert [answer(peer)["re"] for _ in range(2)] == ["a", "b"]
    with pytest.raises(ReceiveTimeout):
        client.receive(0)
    kept[2].reply("later")
    assert answer(peer) == {"event": "n", "payload": "later", "re": "c"}
    (line,) = caplog.messages
    assert "call message.reply, message.refuse or message.defer" in line


@pytest.mark.contract("E3")
def test_close_refuses_what_was_deferred_and_what_was_received_last(server: FakeServer) -> None:
    """Contract E3: a deferred answer that never comes is internal_error when the session ends."""
    client = server.client()
    peer = server.welcome()
    peer.say(event="n", id="a")
    peer.say(event="n", id="b")
    deferred = client.receive(PATIENCE)
    deferred.defer()
    client.receive(PATIENCE)
    closing = Call(client.close)
    assert {answer(peer)["re"] for _ in "ab"} == {"a", "b"}
    peer.send("$ack", {"received": 2})
    while peer.frame().kind != "close":
        pass
    peer.close(1000)
    closing.result()
    with pytest.raises(RuntimeError, match="answered already"):
        deferred.reply("too late")


@pytest.mark.contract("E3")
def test_an_answer_survives_a_drop_and_the_request_is_handled_once(server: FakeServer) -> None:
    """Contract E3: the request comes again only if the application has not had it."""
    heard: list[str] = []

    def on_message(client: Any, message: Message) -> str:
        heard.append(message.payload)
        return message.payload

    server.client(on_message=on_message)
    peer = server.welcome()
    peer.say(event="n", id="a", payload="one")
    assert answer(peer)["payload"] == "one"
    peer.vanish()  # the answer is lost, as far as the server knows
    again = server.accept()
    assert again.query["received"] == "1"
    again.switch("resumehub.v1")
    again.hello(resumed=True, received=0, replay_from=2, token="token-2")
    assert answer(again) == {"event": "n", "payload": "one", "re": "a"}
    assert heard == ["one"]


def test_a_request_that_waited_at_a_drop_comes_again_and_is_no_second_one(server: FakeServer) -> None:
    """It had come and nobody had got it: the same id is not open yet."""
    client = server.client()
    peer = server.welcome()
    peer.send("n", 1)
    peer.say(event="ask", id="a")
    client.receive(PATIENCE)
    peer.vanish()
    again = server.welcome(resumed=True, replay_from=2, token="token-2")
    again.say(event="ask", id="a")
    client.receive(PATIENCE).reply("here")
    assert answer(again)["re"] == "a"
    assert client.stats().undecodable == 0


@pytest.mark.contract("E3")
def test_a_second_request_with_an_open_id_is_skipped(server: FakeServer, caplog) -> None:
    """Contract E3: nobody could tell the answers apart. Behind the answer the id is free again."""
    client = server.client()
    peer = server.welcome()
    peer.say(event="n", id="a", payload=1)
    peer.say(event="n", id="a", payload=2)
    peer.send("n", 3)
    first = client.receive(PATIENCE)
    first.defer()
    assert client.receive(PATIENCE).payload == 3
    assert client.stats().undecodable == 1
    first.reply("one")
    assert answer(peer)["payload"] == "one"
    peer.say(event="n", id="a", payload=4)
    client.receive(PATIENCE).reply("four")
    assert answer(peer)["payload"] == "four"
    assert "the id of an unanswered one" in caplog.text


@pytest.mark.contract("E3")
def test_more_open_requests_than_max_requests_are_refused(server: FakeServer) -> None:
    """Contract E3: too_many_requests, and the application does not see them."""
    client = server.client(max_requests=1)
    peer = server.welcome()
    for request in "abc":
        peer.say(event="n", id=request, payload=request)
    first = client.receive(PATIENCE)
    first.defer()
    peer.send("n", 1)
    assert client.receive(PATIENCE).payload == 1
    for request in "bc":
        refused = answer(peer)
        assert (refused["re"], refused["error"]["code"]) == (request, "too_many_requests")
    first.reply("yes")
    assert answer(peer)["re"] == "a"
    peer.say(event="n", id="d")
    assert client.receive(PATIENCE).id == "d"


def test_an_answer_has_room_in_a_full_send_buffer(server: FakeServer) -> None:
    """Nobody waits for a message of ours; somebody does for an answer."""
    client = server.client(send_buffer=1, on_message=lambda client, message: "yes")
    peer = server.welcome(window={"messages": 1, "bytes": 4096})
    client.send(Message("n"))
    assert peer.read() == ("n", None)
    peer.say(event="ask", id="a")
    until(lambda: client.stats().waiting == 2)
    peer.send("$ack", {"received": 1})
    assert answer(peer)["payload"] == "yes"


def test_the_answer_to_a_plain_session_that_is_over_is_not_sent_to_the_next_one(server: FakeServer) -> None:
    """There the same id may be another request's."""
    client = server.client(plain=True, resume=False)
    peer = server.accept()
    peer.switch()
    for n in (1, 2):
        peer.say(event="old", id="1", payload=n)
    kept = client.receive(PATIENCE)
    kept.defer()
    until(lambda: len(client._loop.inbox._waiting) == 1)
    peer.vanish()
    until(lambda: client.stats().drops == 1)
    with pytest.raises(ConnectionClosed, match="is over"):
        kept.reply("for nobody")
    waited = client.receive(PATIENCE)
    assert waited.payload == 2
    with pytest.raises(ConnectionClosed, match="is over"):
        waited.reply("for nobody")
    again = server.accept()
    again.switch()
    again.say(event="new", id="1")
    client.receive(PATIENCE).reply("for the new one")
    assert answer(again) == {"event": "new", "payload": "for the new one", "re": "1"}


def test_what_on_message_returns_behind_the_end_of_a_plain_session_is_dropped(server: FakeServer) -> None:
    """Its asker is gone; the callback fails at nothing."""
    held = threading.Event()

    class HeldCodec(JSONCodec):
        """Lets the answer be encoded only when the transport is gone."""

        def encode(self, message: Message) -> str:
            if message.re is not None:
                assert held.wait(PATIENCE)
            return super().encode(message)

    client = server.client(
        plain=True, resume=False, codec=HeldCodec(), on_message=lambda client, message: "x"
    )
    peer = server.accept()
    peer.switch()
    peer.say(event="n", id="1")
    peer.vanish()
    until(lambda: client.stats().drops == 1)
    held.set()
    again = server.accept()
    again.switch()
    again.say(event="n", id="2")
    assert answer(again)["re"] == "2"
    assert client.stats().callback_errors == 0


def test_answers_are_not_in_doubt(server: FakeServer) -> None:
    """The application did not send them."""
    client = server.client(on_message=lambda client, message: "x")
    peer = server.welcome()
    peer.say(event="n", id="1")
    answer(peer)
    client.send(Message("n", 1))
    peer.close(4100)
    until(lambda: client.error is not None)
    assert client.in_doubt == [Message("n", 1)]
