"""Which messages may be sent, and which of those that arrive are shown to the application (C10, C11)."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from resumehub import Message
from tests.contract.peers import Ledger, handled_all
from tests.support import Stage, read, text

RESERVED = ["$", "$hello", "$ack", "$anything at all"]


class PlainCodec:
    """A codec of the application's own: "event|payload", and binary for bytes."""

    def encode(self, message: Message) -> str | bytes:
        return message.payload if isinstance(message.payload, bytes) else f"{message.event}|{message.payload}"

    def decode(self, data: str | bytes) -> Message:
        if isinstance(data, bytes):
            return Message("binary", data)
        event, payload = data.split("|")
        return Message(event, payload)


def handled(s: Stage) -> list[Message]:
    """The messages that on_message was called with."""
    return [detail for hook, _, detail in s.recorder.events if hook == "message"]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# -- C10 ------------------------------------------------------------------------------------------


@pytest.mark.contract("C10")
@pytest.mark.parametrize("event", RESERVED)
@pytest.mark.parametrize("codec", [None, PlainCodec()], ids=["JSON", "a codec of one's own"])
def test_a_reserved_event_cannot_be_sent(stage, event, codec) -> None:
    """By no way of sending, whether or not anybody is there to receive it; nothing is queued."""
    s = stage(codec=codec)
    ws = s.open()
    connection = s.hub.get("u1")
    reserved = Message(event, "x")

    for send in (
        lambda: s.hub.send("u1", reserved),
        lambda: connection.send(reserved),
        lambda: s.hub.broadcast("lobby", reserved),
        lambda: s.hub.broadcast("an empty room", reserved),
    ):
        with pytest.raises(ValueError, match="reserved"):
            send()

    s.hub.send("u1", Message("next", 1))
    assert ws.receive() in ('{"event":"next","payload":1}', "next|1")


@pytest.mark.contract("C10")
@pytest.mark.parametrize(
    "event", ["", "a$", " $a", "＄a"], ids=["empty", "inside", "behind a space", "another sign"]
)
def test_an_event_that_does_not_begin_with_a_dollar_sign_is_free(stage, event) -> None:
    """Only that one character, and only in front."""
    s = stage()
    ws = s.open()

    s.hub.send("u1", Message(event, 1))
    ws.send(text(event, 1))

    assert read(ws) == (event, 1)
    assert s.recorder.wait_for("message") == Message(event, 1)


@pytest.mark.contract("C10")
@pytest.mark.parametrize("event", RESERVED)
@pytest.mark.parametrize("codec", [None, PlainCodec()], ids=["JSON", "a codec of one's own"])
def test_a_reserved_event_that_arrives_is_skipped(stage, event, codec) -> None:
    """No handler can mistake what a client made up for the hub's own protocol."""
    s = stage(codec=codec)
    ws = s.open()

    ws.send(json.dumps({"event": event, "payload": "x"}) if codec is None else f"{event}|x")
    ws.send(json.dumps({"event": "fine", "payload": "x"}) if codec is None else "fine|x")
    handled_all(s, ws)

    assert handled(s) == [Message("fine", "x")]
    assert s.hub.runner.loop.observers.undecodable == 1
    assert ws.closed is None


# -- C11 ------------------------------------------------------------------------------------------

UNDERSTOOD: list[Any] = [
    pytest.param('{"event": "e", "payload": {"a": [1, null]}}', Message("e", {"a": [1, None]}), id="both"),
    pytest.param('{"event": "e"}', Message("e"), id="an event alone"),
    pytest.param('{"payload": 0}', Message("", 0), id="a payload alone"),
    pytest.param("{}", Message(), id="nothing"),
    pytest.param('{"event": "", "payload": null}', Message(), id="nothing, spelt out"),
    pytest.param('{"v": 2, "event": "e", "more": {}}', Message("e"), id="unknown fields"),
    pytest.param(' \n{"event": "e"}\t', Message("e"), id="spaces around"),
    pytest.param('{"event": "Grüße", "payload": "\\ud83d\\udc4b"}', Message("Grüße", "👋"), id="Unicode"),
]

UNDECODABLE: list[Any] = [
    pytest.param("hush", id="no JSON"),
    pytest.param("", id="an empty message"),
    pytest.param('["hush"]', id="a list"),
    pytest.param('"hush"', id="a string"),
    pytest.param("null", id="null"),
    pytest.param("17", id="a number"),
    pytest.param('{"event": "hush"', id="half an object"),
    pytest.param('{"event": 7, "payload": "hush"}', id="an event that is no string"),
    pytest.param('{"event": null, "payload": "hush"}', id="an event that is null"),
    pytest.param('{"payload": NaN, "x": "hush"}', id="NaN"),
    pytest.param('{"payload": -Infinity, "x": "hush"}', id="Infinity"),
    pytest.param('{"payload": 1e999, "x": "hush"}', id="a number that is too large"),
    pytest.param('{"payload": ' + "1" * 5000 + ', "x": "hush"}', id="an integer of too many digits"),
    pytest.param('{"payload": "hush", "payload": 1}', id="a name that stands twice"),
    pytest.param('{"payload": "\\ud83d", "x": "hush"}', id="half of a surrogate pair"),
    pytest.param('{"payload": ' + "[" * 30_000 + "]" * 30_000 + "}", id="too deep"),
    pytest.param(b'{"event": "hush"}', id="binary"),
    pytest.param(b"", id="empty binary"),
]


@pytest.mark.contract("C11")
@pytest.mark.parametrize(("sent", "message"), UNDERSTOOD)
def test_json_that_is_understood(stage, sent, message) -> None:
    """Fields may be missing, and there may be others: clients may be newer than servers."""
    s = stage()

    s.open().send(sent)

    assert s.recorder.wait_for("message") == message
    assert s.hub.runner.loop.observers.undecodable == 0


@pytest.mark.contract("C11")
@pytest.mark.parametrize(
    ("message", "frame"),
    [
        pytest.param(Message("e", [1, None]), '{"event":"e","payload":[1,null]}', id="both"),
        pytest.param(Message("e"), '{"event":"e"}', id="no payload"),
        pytest.param(Message(payload=0), '{"payload":0}', id="no event"),
        pytest.param(Message(), "{}", id="nothing"),
    ],
)
def test_empty_fields_are_left_out(stage, message, frame) -> None:
    """Of what is sent; 0, "" and [] are payloads like any other."""
    s = stage()
    ws = s.open()

    s.hub.send("u1", message)

    assert ws.receive() == frame


@pytest.mark.contract("C11")
@pytest.mark.parametrize("sent", UNDECODABLE)
def test_what_cannot_be_decoded_is_counted_and_skipped(stage, sent, caplog) -> None:
    """The connection goes on, the handlers hear nothing of it, and the log repeats nothing of it."""
    ledger = Ledger()
    s = stage(metrics=ledger)
    ws = s.open()

    ws.send(sent)
    ws.send(text("next"))
    handled_all(s, ws)

    assert handled(s) == [Message("next")]
    assert ws.closed is None
    assert s.hub.runner.loop.observers.undecodable == 1
    assert ledger.of("message_received")[0] == ("lobby", len(sent))
    [line] = warnings(caplog)
    assert "'u1'" in line
    assert "hush" not in caplog.text


@pytest.mark.contract("C11")
def test_a_connection_that_sends_nonsense_is_logged_once(stage, caplog) -> None:
    """Ten thousand times nonsense must not be ten thousand lines; another connection has its own line."""
    s = stage()
    ws, other = s.open("u1"), s.open("u2")
    for _ in range(50):
        ws.send("nonsense")
    handled_all(s, ws)
    ws = s.resume(ws)  # the same connection
    ws.send("nonsense")
    handled_all(s, ws)
    other.send("nonsense")
    handled_all(s, other, "u2")

    assert s.hub.runner.loop.observers.undecodable == 52
    assert sorted("'u1'" in line for line in warnings(caplog)) == [False, True]


@pytest.mark.contract("C11")
@pytest.mark.parametrize(
    ("payload", "error"),
    [
        pytest.param(float("nan"), ValueError, id="NaN"),
        pytest.param(float("inf"), ValueError, id="infinity"),
        pytest.param("\ud83d", ValueError, id="half of a surrogate pair"),
        pytest.param({1, 2}, TypeError, id="a set"),
        pytest.param(b"bytes", TypeError, id="bytes"),
    ],
)
def test_what_cannot_be_encoded_is_the_senders_error(stage, payload, error) -> None:
    """Raised where it was sent; nobody receives half of it."""
    s = stage()
    ws = s.open()

    with pytest.raises(error):
        s.hub.send("u1", Message("e", payload))
    with pytest.raises(error):
        s.hub.broadcast("lobby", Message("e", payload))

    s.hub.send("u1", Message("next"))
    assert read(ws) == ("next", None)


@pytest.mark.contract("C11")
def test_whatever_a_codec_raises_in_decode_means_undecodable(stage, caplog) -> None:
    """Any exception of it, whose text may well be the content, and is kept out of the log."""
    s = stage(codec=PlainCodec())
    ws = s.open()

    ws.send("hush")  # ValueError: not enough values to unpack
    ws.send(b"\x00\x01")
    handled_all(s, ws)

    assert handled(s) == [Message("binary", b"\x00\x01")]
    assert "hush" not in caplog.text
    s.hub.send("u1", Message("e", b"\xff"))
    assert ws.receive() == b"\xff"
