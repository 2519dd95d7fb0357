"""What an application may send, and what a client may make of it (contract C10, C11)."""

from __future__ import annotations

import json
import traceback
from collections import OrderedDict
from enum import IntEnum
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resumehub.codec import Codec, JSONCodec, Undecodable, decode_message, encode_frame
from resumehub.json_rules import is_too_deep
from resumehub.message import Frame, Message, Opcode

CODEC = JSONCodec()

HALF = "\ud83d"  # the first half of the pair that stands for an emoji

SECRET = "s3cr3t"


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def circular() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


LARGEST = 2**53 - 1

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST, LARGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Echo:
    """A codec that returns what it was told to, or raises it."""

    def __init__(self, result: Any) -> None:
        self.result = result

    def encode(self, message: Message) -> Any:
        return self._give()

    def decode(self, data: str | bytes) -> Any:
        return self._give()

    def _give(self) -> Any:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


# --- JSONCodec: the way out --------------------------------------------------------------------------


@pytest.mark.contract("C11")
@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            Message("chat", {"text": "hi", "n": [1, 2.5]}),
            '{"event":"chat","payload":{"text":"hi","n":[1,2.5]}}',
        ),
        (Message("nudge"), '{"event":"nudge"}'),
        (Message(payload="hi"), '{"payload":"hi"}'),
        (Message(), "{}"),
        (Message("chat", 1, history=True), '{"event":"chat","payload":1,"history":true}'),
        (Message("", False), '{"payload":false}'),
        (Message("", ""), '{"payload":""}'),
        (Message("", {}), '{"payload":{}}'),
        (Message("grüße", "👋"), '{"event":"grüße","payload":"👋"}'),
    ],
)
def test_json_leaves_out_what_is_empty_and_is_compact(message: Message, text: str) -> None:
    """No byte is spent on a missing event, a missing payload, whitespace or escapes."""
    assert CODEC.encode(message) == text
    assert CODEC.decode(text) == message


@pytest.mark.parametrize(
    "data", [b"raw", bytearray(b"raw"), memoryview(b"raw")], ids=lambda data: type(data).__name__
)
def test_bytes_in_a_json_payload_are_refused_with_advice(data: object) -> None:
    """Whoever sends bytes through JSON is told of base64 and of codecs of one's own."""
    with pytest.raises(TypeError, match=r"base64.*codec"):
        CODEC.encode(Message("file", {"data": data}))


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        pytest.param(object(), TypeError, id="an object JSON does not have"),
        pytest.param({1, 2}, TypeError, id="a set"),
        pytest.param({(1, 2): 3}, TypeError, id="a key that is no string"),
        pytest.param({b"k": 3}, TypeError, id="a key of bytes"),
        pytest.param(float("nan"), ValueError, id="nan"),
        pytest.param([float("-inf")], ValueError, id="infinity"),
        pytest.param({float("nan"): 1}, ValueError, id="nan as a key"),
        pytest.param(f"cut {HALF}", ValueError, id="half an emoji"),
        pytest.param({HALF: 1}, ValueError, id="half an emoji as a key"),
        pytest.param(nested(100_000), ValueError, id="too deep"),
        pytest.param(circular(), ValueError, id="circular"),
        pytest.param(2**53, ValueError, id="an integer that JavaScript rounds"),
        pytest.param({"a": [0] * 20 + [-(2**53)]}, ValueError, id="one among many"),
        pytest.param({"a": [[(2**63,)]] * 400}, ValueError, id="one in a long message"),
        pytest.param(10**5000, ValueError, id="an integer of 5,001 digits"),
        pytest.param({1: "a", "1": "b"}, ValueError, id="a key that is a number and its text"),
        pytest.param([{"a": {True: 1, "true": 2}}], ValueError, id="a key that is a bool and its text"),
        pytest.param({None: 1, "null": 2, "x": 3}, ValueError, id="a key that is None and its text"),
        pytest.param({-1.5: 1, "-1.5": 2}, ValueError, id="a key that is a float and its text"),
    ],
)
def test_what_json_cannot_carry_is_refused_when_it_is_sent(payload: object, error: type[Exception]) -> None:
    """The caller of send learns of a wrong payload; the client never sees half of it."""
    with pytest.raises(error) as caught:
        CODEC.encode(Message("event", payload))
    assert type(caught.value) is error


class Colour(IntEnum):
    RED = 1


class Metres(float):
    pass


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.contract("C11")
@pytest.mark.parametrize(
    ("payload", "comes_as"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Point(1, 2), [1, 2]),
        ({7: "a", -2.5: "b", True: "c", None: "d"}, {"7": "a", "-2.5": "b", "true": "c", "null": "d"}),
        ({2**70: "a"}, {str(2**70): "a"}),
        ([Colour.RED, Metres(2.5)], [1, 2.5]),
        (OrderedDict(a=1), {"a": 1}),
        (-0.0, 0),
        (1e17, 1e17),
        ([2**53 - 1, -(2**53) + 1], [2**53 - 1, -(2**53) + 1]),
    ],
)
def test_what_json_has_another_form_for_comes_in_that_form(payload: object, comes_as: object) -> None:
    """Tuples, keys that are numbers, and members of an enumeration are Python of every day: no error."""
    assert CODEC.decode(CODEC.encode(Message("", payload))) == Message("", comes_as)


@pytest.mark.contract("C11")
@pytest.mark.parametrize("most", [1, 2, 100, 500])
@pytest.mark.parametrize("inside", ["[]", '{"a":[]}', '["]]", "}\\"]", []]'], ids=["lists", "dicts", "texts"])
def test_the_deepest_that_is_encoded_is_the_deepest_that_is_decoded(most: int, inside: str) -> None:
    """Else a handler could not send on what it got. The object that is the message does not count."""
    codec = JSONCodec(max_depth=most)
    levels = {"[]": 1, '{"a":[]}': 2}.get(inside, 2)
    if levels > most:
        return
    deepest = "[" * (most - levels) + inside + "]" * (most - levels)
    message = codec.decode(f'{{"payload":{deepest}}}')
    assert codec.decode(codec.encode(message)) == message
    with pytest.raises(Undecodable, match="nested too deeply"):
        codec.decode(f'{{"payload":[{deepest}]}}')
    with pytest.raises(ValueError, match=f"max_depth is {most};"):
        codec.encode(Message("", [message.payload]))


@pytest.mark.contract("C11")
def test_depth_counts_wherever_it_is_in_a_long_message() -> None:
    """Also behind many shallow lists, between texts full of brackets, and in a field that is ignored."""
    wide, deep, texts = "[],[[]],{}," * 500, "[" * 100 + "]" * 100, '"[[[[", "]]}}\\\\", "\\"[",' * 200
    in_bounds = deep[1:-1]
    for text in (f'{{"payload":[{wide}{in_bounds}]}}', f'{{"payload":[{texts}{in_bounds}]}}'):
        CODEC.decode(text)
    for text in (
        f'{{"payload":[{wide}{deep}]}}',
        f'{{"payload":[{texts}{deep}]}}',
        f'{{"later":[{deep}],"payload":1}}',
    ):
        with pytest.raises(Undecodable, match="nested too deeply"):
            CODEC.decode(text)


@given(st.text(alphabet='[]{}"\\a', max_size=300), st.integers(1, 12))
def test_the_quick_look_at_the_depth_is_right(text: str, most: int) -> None:
    """It gives what counting one character after the other gives."""
    depth = deepest = 0
    in_text = escaped = False
    for char in text:
        if in_text:
            in_text, escaped = (char != '"' or escaped), (char == "\\" and not escaped)
        elif char == '"':
            in_text = True
        else:
            depth += (char in "[{") - (char in "]}")
            deepest = max(deepest, depth)
        if depth < 0:
            return  # no JSON
    if depth or in_text:
        return
    assert is_too_deep(text, most) == (deepest > most)


@pytest.mark.parametrize("wrong", [0, 501, -1])
def test_a_depth_out_of_range_is_refused(wrong: int) -> None:
    """The error says the range."""
    with pytest.raises(ValueError, match=rf"max_depth must be from 1 to 500, not {wrong}"):
        JSONCodec(max_depth=wrong)


@pytest.mark.parametrize("wrong", [True, 1.5, "100", None])
def test_a_depth_that_is_no_int_is_refused(wrong: Any) -> None:
    """The error says the type."""
    with pytest.raises(TypeError, match="max_depth must be an int, not a"):
        JSONCodec(max_depth=wrong)


def test_the_error_for_half_an_emoji_says_what_to_do() -> None:
    """The advice that the error gives works."""
    with pytest.raises(ValueError, match="surrogate pair") as caught:
        CODEC.encode(Message("chat", f"cut {HALF}"))
    text = f"cut {HALF}"
    advice = str(caught.value).rsplit("try ", 1)[1]
    assert eval(advice, {"text": text}) == "cut \ufffd"


# --- JSONCodec: the way in ---------------------------------------------------------------------------


@pytest.mark.contract("C11")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"event": "chat", "payload": 1, "ids": 7, "later": {}}', Message("chat", 1)),
        ('{"payload":1,"history":false}', Message("", 1)),
        ('{"payload":1,"history":"yes"}', Message("", 1)),
        (' {"payload" : null}\n', Message()),
        ('{"event":""}', Message()),
        (r'{"payload":"\ud83d\udc4b \\ud"}', Message("", "👋 \\ud")),
        (r'{"payload":"\uD83D\uDC4B"}', Message("", "👋")),
        ('{"payload":[{"a":1},{"a":1}]}', Message("", [{"a": 1}, {"a": 1}])),
        ('{"payload":1e308}', Message("", 1e308)),
        ('{"payload":-9007199254740991}', Message("", -LARGEST)),
        ('{"payload":100000000000000000}', Message("", 1e17)),
        ('{"payload": -590295810358705700000 }', Message("", -(2.0**69))),
        ('{"payload":9007199254740992}', Message("", 2.0**53)),
        ('{"payload":"9007199254740993"}', Message("", "9007199254740993")),
    ],
)
def test_json_reads_any_object_and_ignores_what_it_does_not_know(text: str, message: Message) -> None:
    """A client may be newer than the server, and may write its JSON as it likes."""
    assert CODEC.decode(text) == message


UNDECODABLE = [
    pytest.param(f'{{"payload":"{SECRET}"}}'.encode(), id="binary"),
    pytest.param("", id="empty"),
    pytest.param(SECRET, id="no JSON"),
    pytest.param(f'{{"payload":"{SECRET}"}} {SECRET}', id="something after it"),
    pytest.param(f'{{"payload":"\\q{SECRET}"}}', id="a wrong escape"),
    pytest.param(f'["{SECRET}"]', id="a list"),
    pytest.param(f'"{SECRET}"', id="a string"),
    pytest.param("null", id="null"),
    pytest.param(f'{{"payload":["{SECRET}",NaN]}}', id="NaN"),
    pytest.param(f'{{"payload":["{SECRET}",-Infinity]}}', id="Infinity"),
    pytest.param(f'{{"payload":["{SECRET}",1e999]}}', id="infinity in disguise"),
    pytest.param(f'{{"payload":["{SECRET}",{"9" * 5000}]}}', id="too many digits"),
    pytest.param(f'{{"payload":["{SECRET}", 9007199254740993]}}', id="an integer that JavaScript rounds"),
    pytest.param(f'{{"payload":["{SECRET}",1],"later":-{2**63 - 1}}}', id="one in a name that is ignored"),
    pytest.param(f'{{"payload":["{SECRET}",{"[" * 30_000}{"]" * 30_000}]}}', id="too deep"),
    pytest.param(f'{{"payload":["{SECRET}",{"[" * 30_000}', id="too deep and never closed"),
    pytest.param('{"a":' * 10_000, id="too deep in objects"),
    pytest.param(f'{{"event":7,"payload":"{SECRET}"}}', id="an event that is a number"),
    pytest.param(f'{{"event":null,"payload":"{SECRET}"}}', id="an event that is null"),
    pytest.param(f'{{"event":"{SECRET}","event":"{SECRET}"}}', id="the event twice"),
    pytest.param(f'{{"payload":{{"{SECRET}":1,"{SECRET}":1}}}}', id="a name in the payload twice"),
    pytest.param(f'{{"payload":"{SECRET}\\ud83d"}}', id="half an emoji"),
    pytest.param(f'{{"payload":"{SECRET}\\uDC4B"}}', id="the other half"),
    pytest.param(f'{{"\\ud83d":"{SECRET}"}}', id="half an emoji in a name that is ignored"),
]


@pytest.mark.contract("C11")
@pytest.mark.parametrize("data", UNDECODABLE)
def test_what_is_no_message_is_refused_without_quoting_it(data: str | bytes) -> None:
    """A client's nonsense is a ValueError, and none of it can get into a log."""
    with pytest.raises(ValueError) as caught:
        CODEC.decode(data)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(Undecodable):
        decode_message(CODEC, data)


@settings(deadline=None)
@given(event=st.text(), payload=json_values)
def test_json_gives_back_what_it_was_given(event: str, payload: object) -> None:
    """A message survives the way to a peer that speaks the same codec."""
    message = Message(event, payload)
    frame = encode_frame(CODEC, message, allow_reserved=True)
    assert frame.opcode is Opcode.TEXT
    assert decode_message(CODEC, frame.payload.decode(), allow_reserved=True) == message


JSON_PIECES = [
    *'{}[],:"\\ é',
    *('"event"', '"payload"', '"a"', r'"\ud83d"', r'"\udc4b"'),
    *("1", "1e9", "-1.5e400", "NaN", "Infinity", "null", "true"),
]


@settings(deadline=None)
@given(
    st.text() | st.lists(st.sampled_from(JSON_PIECES), max_size=12).map("".join) | json_values.map(json.dumps)
)
def test_whatever_json_decodes_it_can_encode(data: str) -> None:
    """A handler that passes on what a client sent cannot fail because of what the client sent."""
    try:
        message = CODEC.decode(data)
    except Undecodable:
        return
    assert CODEC.decode(CODEC.encode(message)) == message


# --- encode_frame: the door out ------------------------------------------------------------------------


def test_str_is_a_text_frame_and_bytes_are_a_binary_one() -> None:
    """A codec says by its return type how the message travels."""
    assert encode_frame(Echo("grüße"), Message()) == Frame(Opcode.TEXT, "grüße".encode())
    assert encode_frame(Echo(b"\x00"), Message()) == Frame(Opcode.BINARY, b"\x00")


@pytest.mark.parametrize("result", [None, 7, ["x"], bytearray(b"x"), memoryview(b"x")])
def test_a_codec_that_returns_anything_else_is_named(result: object) -> None:
    """The author of a codec learns what it returned and what it should have."""
    with pytest.raises(TypeError, match=r"Echo\.encode returned an? .*str .* or bytes"):
        encode_frame(Echo(result), Message())


@pytest.mark.parametrize("message", ["hi", {"event": "chat"}, None, ("chat", "hi")])
def test_only_messages_can_be_sent(message: Any) -> None:
    """Whoever passes a bare payload is told how to wrap it."""
    with pytest.raises(TypeError, match=r"write Message\(event, payload\)"):
        encode_frame(CODEC, message)


def test_an_event_must_be_a_str() -> None:
    """An event that is an enum member or None is refused, not sent as something odd."""
    with pytest.raises(TypeError, match="event of a Message must be a str, not a NoneType"):
        encode_frame(CODEC, Message(None))  # type: ignore[arg-type]


@pytest.mark.contract("C10")
@pytest.mark.parametrize("event", ["$ack", "$", "$mine"])
def test_an_application_cannot_send_reserved_events(event: str) -> None:
    """A client can trust that a $ message is the hub's own."""
    with pytest.raises(ValueError, match="reserved"):
        encode_frame(CODEC, Message(event))
    assert (
        encode_frame(CODEC, Message(event), allow_reserved=True).payload
        == CODEC.encode(Message(event)).encode()
    )


def test_text_with_half_a_surrogate_pair_is_refused_for_every_codec() -> None:
    """No codec can make the hub fail on the way to the socket."""
    with pytest.raises(ValueError, match="half of a surrogate pair at character 4"):
        encode_frame(Echo(f"cut {HALF}"), Message())


def test_what_a_codec_raises_reaches_the_sender() -> None:
    """An error of one's own codec is not disguised."""
    with pytest.raises(LookupError, match="no schema"):
        encode_frame(Echo(LookupError("no schema")), Message())


# --- decode_message: the door in -------------------------------------------------------------------------


@pytest.mark.contract("C11")
@pytest.mark.parametrize(
    "error",
    [
        ValueError(SECRET),
        KeyError(SECRET),
        RecursionError(SECRET),
        AssertionError(SECRET),
        MemoryError(SECRET),
    ],
)
def test_any_exception_of_a_codec_means_undecodable(error: Exception) -> None:
    """A codec need not think about errors; its exception is named, but neither quoted nor chained."""
    with pytest.raises(Undecodable, match=rf"Echo\.decode raised {type(error).__name__}") as caught:
        decode_message(Echo(error), "data")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_what_ends_a_process_is_not_swallowed(error: BaseException) -> None:
    """Ctrl-C while a message is decoded still ends the program."""
    with pytest.raises(type(error)):
        decode_message(Echo(error), "data")


NUMBER: Any = 7


@pytest.mark.parametrize("result", [None, SECRET, (SECRET, SECRET), Message(NUMBER, SECRET)])
def test_a_codec_that_decodes_to_something_else_is_undecodable(result: object) -> None:
    """No handler ever sees something else than a Message with a str as its event."""
    with pytest.raises(Undecodable, match=r"Echo\.decode returned") as caught:
        decode_message(Echo(result), "data")
    assert SECRET not in str(caught.value)


@pytest.mark.contract("C10")
def test_reserved_events_of_a_client_never_reach_the_application() -> None:
    """A plain client that sends $ack is skipped like one that sends nonsense."""
    with pytest.raises(Undecodable, match="reserved") as caught:
        decode_message(CODEC, f'{{"event":"${SECRET}"}}')
    assert SECRET not in str(caught.value)
    assert decode_message(CODEC, '{"event":"$ack"}', allow_reserved=True) == Message("$ack")


def test_json_codec_is_a_codec() -> None:
    """The default fits the contract that codecs of applications are written against."""
    codec: Codec = JSONCodec()
    assert encode_frame(codec, Message("a")).payload == b'{"event":"a"}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"event": "ask", "id": "c1"}', Message("ask", id="c1")),
        ('{"event": "ask", "payload": 7, "re": "c1"}', Message("ask", 7, re="c1")),
        ('{"re": "c1", "error": {"code": "no"}}', Message(re="c1", error={"code": "no"})),
        ('{"id": null, "re": null, "error": null}', Message()),
        ('{"id": "%s"}' % ("x" * 128), Message(id="x" * 128)),
    ],
)
def test_requests_and_answers_are_read(text: str, message: Message) -> None:
    """id, re and error are fields of a message; null is the same as none (contract E3)."""
    assert decode_message(JSONCodec(), text) == message


@pytest.mark.parametrize(
    "text",
    [
        '{"id": 7}',
        '{"id": ""}',
        '{"id": "%s"}' % ("x" * 129),
        '{"re": ["c1"]}',
        '{"id": "a", "re": "b"}',
        '{"error": {"code": "no"}}',
        '{"re": "a", "error": "no"}',
        '{"re": "a", "error": {}}',
        '{"re": "a", "error": {"code": 4}}',
        '{"re": "a", "error": {"code": "%s"}}' % ("x" * 65),
        '{"re": "a", "error": {"code": "no", "message": 1}}',
    ],
)
def test_ids_and_errors_of_a_wrong_type_are_undecodable(text: str) -> None:
    """What is neither a request nor an answer, but looks like one, is skipped (contract E3, C11)."""
    with pytest.raises(Undecodable):
        decode_message(JSONCodec(), text)


@pytest.mark.parametrize("message", [Message("e", 1, id="c1"), Message("e", re="c1", error={"code": "no"})])
def test_only_the_session_itself_sends_requests_and_answers(message: Message) -> None:
    """A handler that passes on what came in sends event and payload; a request's own door sends all of it."""
    sent = encode_frame(JSONCodec(), message)
    assert sent == encode_frame(JSONCodec(), Message(message.event, message.payload))
    whole = encode_frame(JSONCodec(), message, correlated=True)
    assert decode_message(JSONCodec(), whole.payload.decode()) == message
