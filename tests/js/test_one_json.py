"""The codecs of the hub, of the Python client and of JavaScript read each other's JSON: one rule for all.

What one end encodes, the other one decodes to the same, or ``encode`` raises; and what an end decodes, it can
encode. The values are Hypothesis's. JavaScript's end is the real module in a real node.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from resumehub.codec import JSONCodec, Undecodable, decode_message
from resumehub.message import Message
from tests.js.test_node import HERE, node  # noqa: F401  (a fixture)

CODEC = JSONCodec()
Ask = Callable[..., dict[str, Any]]

# One node serves all examples: it keeps nothing from one to the next.
many = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def ask(node: str) -> Iterator[Ask]:  # noqa: F811
    """Ask JavaScript's end one thing (codec_peer.js)."""
    with subprocess.Popen(
        [node, "codec_peer.js"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as peer:
        stdin, stdout = peer.stdin, peer.stdout
        assert stdin is not None
        assert stdout is not None

        def one(**question: Any) -> dict[str, Any]:
            stdin.write(json.dumps(question) + "\n")
            stdin.flush()
            answer: dict[str, Any] = json.loads(stdout.readline())
            return answer

        yield one
        stdin.close()


# -- what Python encodes -----------------------------------------------------------------------------

keys = st.text() | st.integers() | st.booleans() | st.none() | st.floats() | st.just("__proto__")
python_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud800", b"x"]),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def as_json(value: Any) -> Any:
    """The value in the form that JSON has for it: lists, and names that are texts."""
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    if isinstance(value, dict):
        # The names as Python's own json makes them.
        return {next(iter(json.loads(json.dumps({key: 0})))): as_json(one) for key, one in value.items()}
    return value


@many
@given(payload=python_values)
@example(payload={"__proto__": {"a": 1}, "constructor": 1})
@example(payload=[1e17, -0.0, 1e300, 5e-324, 2**53 - 1, 1e16, 2.0**53])
@example(payload={1: 1, "1": 2})
def test_what_python_encodes_both_ends_decode_to_the_same(ask: Ask, payload: Any) -> None:
    """Python, JavaScript, and Python again after JavaScript has sent it on; or ``encode`` raises."""
    try:
        text = CODEC.encode(Message("e", payload))
    except (TypeError, ValueError):
        return
    assert CODEC.decode(text) == Message("e", as_json(payload))
    sent_on = ask(decode=text)
    assert "text" in sent_on, sent_on
    assert CODEC.decode(sent_on["text"]) == Message("e", as_json(payload))


# -- what JavaScript encodes -------------------------------------------------------------------------

sources = st.recursive(
    st.sampled_from(
        [
            *("null", "true", "undefined", "-0", "0.1", "1e17", "2 ** 53", "2 ** 69", "1e21", "5e-324"),
            *(
                "NaN",
                "Infinity",
                "-Infinity",
                "1n",
                "() => 1",
                'Symbol("s")',
                '"\\ud800"',
                '"\\ud83d\\udc4b"',
            ),
            *("new Date(0)", "new Map([[1, 2]])", "new Set([1])", "/x/", "new Uint8Array(2)", "new Error()"),
            *(
                "new (class Point { x = 1; y = undefined; })()",
                "({ toJSON: () => ({ a: 1 }) })",
                "new Date(NaN)",
            ),
        ]
    )
    | st.integers().map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.text().map(json.dumps),
    lambda inner: (
        st.lists(inner).map(lambda them: f"[{', '.join(them)}]")
        | st.dictionaries(st.text().map(json.dumps) | st.just('["__proto__"]'), inner, max_size=4).map(
            lambda them: "({" + ", ".join(f"{name}: {one}" for name, one in them.items()) + "})"
        )
    ),
    max_leaves=12,
)


@many
@given(source=sources)
@example(source='({["__proto__"]: 1, a: undefined})')
@example(source="2 ** 69")
@example(source="9007199254740993")
def test_what_javascript_encodes_both_ends_decode_to_the_same(ask: Ask, source: str) -> None:
    """JavaScript, Python, and JavaScript again after Python has sent it on; or ``encode`` throws."""
    said = ask(source=source)
    if "error" in said:
        return
    assert said["same"], said["text"]
    message = CODEC.decode(said["text"])
    again = ask(decode=CODEC.encode(message))
    assert again == {"text": said["text"]}
    assert CODEC.decode(again["text"]) == message


@pytest.mark.parametrize(
    "source",
    [
        *("NaN", "-Infinity", "[[NaN]]", "1n", "() => 1", 'Symbol("s")', '"\\ud800"', '({"\\ud800": 1})'),
        *("new Map()", "new Set()", "new Uint8Array(2)", "/x/", "new Error()", "Promise.resolve(1)"),
        "new Number(1)",
    ],
)
def test_what_javascript_would_lose_it_refuses(ask: Ask, source: str) -> None:
    """JSON.stringify makes {} of a Map and null of NaN, and nobody would learn of it."""
    assert ask(source=source)["error"].startswith("TypeError: ")


# -- what anybody writes -----------------------------------------------------------------------------

PIECES = [
    *'{}[],:"\\ é',
    *('"event"', '"payload"', '"a"', r'"\ud83d"', r'"\udc4b"', '"[[["', r'"\\\"]"'),
    *("1", "1e9", "-1.5e400", "NaN", "Infinity", "null", "true", "9007199254740993", "-100000000000000000"),
    *("9007199254740991", "0.12345678901234567", "1e22", "-0", "9" * 310, '{"payload":'),
]
texts = (
    st.text()
    | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
    | st.lists(st.sampled_from(PIECES), max_size=5).map(lambda them: '{"payload":[' + ",".join(them) + "]}")
    | python_values.map(lambda value: f'{{"payload":{_dumps(value)}}}')
)


def _dumps(value: Any) -> str:
    try:
        return json.dumps(value)
    except TypeError:
        return "0"


@many
@given(text=texts)
@example(text='{"event":7}')
@example(text='{"payload":1e999}')
@example(text='{"payload":"\\ud800"}')
@example(text="[]")
@example(text="7")
def test_both_ends_accept_and_refuse_the_same_texts(ask: Ask, text: str) -> None:
    """Whoever wrote them. One difference: JavaScript does not see that a name stands twice."""
    try:
        message = CODEC.decode(text)
    except Undecodable as refused:
        if "twice in one object" not in str(refused):
            assert "error" in ask(decode=text)
        return
    sent_on = ask(decode=text)
    assert "text" in sent_on, sent_on
    assert CODEC.decode(sent_on["text"]) == message
    assert CODEC.decode(CODEC.encode(message)) == message


# -- requests and answers ----------------------------------------------------------------------------

names = st.sampled_from(
    ["a", "é" * 128, "é" * 129, "\U0001f44b" * 128, "\U0001f44b" * 129, "x" * 64, "x" * 65]
)
odd = st.sampled_from([None, "", 0, 7, True, [], ["a"], {}, {"code": "a"}, 1.5])
refusals = st.dictionaries(
    st.sampled_from(["code", "message", "more", "__proto__", "length"]), names | odd, max_size=4
)
correlated = st.fixed_dictionaries(
    {},
    optional={
        **{name: names | odd for name in ("id", "re")},
        "error": refusals | names | odd,
        "event": st.sampled_from(["", "e", "$ack"]),
        "payload": st.sampled_from([None, 0, {"id": 7}]),
    },
)


@many
@given(document=correlated)
@example(document={"id": "\U0001f44b" * 128})
@example(document={"re": "\U0001f44b" * 129})
@example(document={"re": "a", "error": {"code": "a", "message": None}})
@example(document={"re": "a", "error": {"code": "\U0001f44b" * 64, "message": "b", "more": [1]}})
@example(document={"re": "a", "error": []})
@example(document={"id": "a", "re": "a"})
@example(document={"id": None, "re": None, "error": None})
@example(document={"id": "a", "error": {"code": "a"}})
def test_both_ends_have_the_same_rules_for_requests_and_answers(ask: Ask, document: dict[str, Any]) -> None:
    """What is a request, an answer, a refusal, or no message at all (contract E3, C11)."""
    text = json.dumps(document, ensure_ascii=False)
    said = ask(decode=text)
    try:
        message = decode_message(CODEC, text, allow_reserved=True)
    except Undecodable:
        assert "error" in said, said
        return
    assert "text" in said, said
    assert decode_message(CODEC, said["text"], allow_reserved=True) == message
    assert ask(decode=CODEC.encode(message)) == said


@many
@given(
    depth=st.integers(1, 500),
    excess=st.sampled_from([0, 1]),
    shape=st.sampled_from(["[]", "{}", "mixed"]),
    wide=st.booleans(),
)
def test_both_ends_have_the_same_limit_of_depth(
    ask: Ask, depth: int, excess: int, shape: str, wide: bool
) -> None:
    """For lists and dicts, alone or among many shallow ones."""
    payload: Any = [] if shape == "[]" else {}
    for level in range(depth + excess - 1):
        as_list = shape == "[]" or (shape == "mixed" and level % 2)
        payload = [payload, *([[]] * 50 if wide and level < 4 else [])] if as_list else {"[": payload}
    text = json.dumps({"payload": payload})
    codec = JSONCodec(max_depth=depth)
    if excess:
        with pytest.raises(Undecodable):
            codec.decode(text)
        with pytest.raises(ValueError, match="nested too deeply"):
            codec.encode(Message("", payload))
        assert "nested too deeply" in ask(decode=text, depth=depth)["error"]
        said = ask(source=json.dumps(payload), depth=depth)
        assert "nested too deeply" in said["error"]
    else:
        assert codec.decode(codec.encode(codec.decode(text))) == Message("", payload)
        assert codec.decode(ask(decode=text, depth=depth)["text"]) == Message("", payload)
