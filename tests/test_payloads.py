"""What a payload may be declared as, what the handler then gets, and what a client is told otherwise."""

from __future__ import annotations

from dataclasses import KW_ONLY, InitVar, dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pydantic
import pytest

from resumehub.errors import RequestError
from resumehub.message import Message
from resumehub.router import Router


@dataclass
class Place:
    x: float
    y: float


@dataclass
class Say:
    text: str
    _: KW_ONLY
    tone: Literal["loud", "soft"] = "soft"
    places: list[Place] = field(default_factory=list)
    to: str | None = None

    def __post_init__(self) -> None:
        if not self.text:
            raise ValueError("say something")


@dataclass
class Tree:
    name: str
    children: list[Tree]


class Move(TypedDict):
    to: int
    note: NotRequired[str]
    tags: NotRequired[dict[str, int]]


class PydanticSay(pydantic.BaseModel):
    text: str
    times: int = 1


@pydantic.dataclasses.dataclass
class PydanticPlace:
    x: int


class MsgspecSay(msgspec.Struct):
    text: str
    times: int = 1


@dataclass
class Mixed:
    said: PydanticSay
    again: MsgspecSay


def payload_of(declared: Any, payload: Any) -> Any:
    """What the handler gets as its payload."""
    seen: list[Message] = []
    router = Router()
    router.on("say", declared)(lambda connection, message: seen.append(message))
    router("ada", Message("say", payload, id="7"))
    (message,) = seen
    assert (message.event, message.id) == ("say", "7")
    return message.payload


def refusal(declared: Any, payload: Any) -> str:
    """What the asker is told; the handler is not called."""
    called: list[Message] = []
    router = Router()
    router.on("say", declared)(lambda connection, message: called.append(message))
    with pytest.raises(RequestError) as refused:
        router("ada", Message("say", payload))
    assert not called
    assert refused.value.code == "invalid_payload"
    return refused.value.message


@pytest.mark.parametrize(
    ("declared", "payload", "value"),
    [
        (Say, {"text": "hi"}, Say("hi")),
        (
            Say,
            {"text": "hi", "tone": "loud", "places": [{"x": 1, "y": 2.5}], "to": None},
            Say("hi", tone="loud", places=[Place(1.0, 2.5)]),
        ),
        (Tree, {"name": "a", "children": [{"name": "b", "children": []}]}, Tree("a", [Tree("b", [])])),
        (Move, {"to": 3, "tags": {"a": 1}}, {"to": 3, "tags": {"a": 1}}),
        (PydanticSay, {"text": "hi", "times": "3"}, PydanticSay(text="hi", times=3)),
        (PydanticPlace, {"x": 1}, PydanticPlace(1)),
        (pydantic.TypeAdapter(list[int]), ["1", 2], [1, 2]),
        (MsgspecSay, {"text": "hi"}, MsgspecSay("hi")),
        (
            Mixed,
            {"said": {"text": "a"}, "again": {"text": "b"}},
            Mixed(PydanticSay(text="a"), MsgspecSay("b")),
        ),
        (list[str], ["a"], ["a"]),
        (dict[str, Any], {"a": [1]}, {"a": [1]}),
        (Annotated[int, "seconds"] | None, None, None),
        (None, None, None),
        (dict, {"a": 1}, {"a": 1}),
        (list, [1], [1]),
        (lambda payload: payload.upper(), "hi", "HI"),
    ],
)
def test_the_handler_gets_the_value_that_was_declared(declared: Any, payload: Any, value: Any) -> None:
    found = payload_of(declared, payload)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("declared", "payload", "text"),
    [
        (Say, None, "must be an object, not null"),
        (Say, {}, "text: is missing"),
        (Say, {"text": 3}, "text: must be a string, not an integer"),
        (Say, {"text": ""}, "say something"),
        (Say, {"text": "a", "tone": "shrill"}, "tone: must be 'loud' or 'soft'"),
        (Say, {"text": "a", "to": 1}, "to: must be a string, not an integer"),
        (Say, {"text": "a", "places": [{"x": 1, "y": 1}, {"x": 1}]}, "places[1].y: is missing"),
        (Say, {"text": "a", "places": {}}, "places: must be a list, not an object"),
        (Say, {"text": "a", "lang": "en"}, "has a field 'lang', which is not one of text, tone, places, to"),
        (Move, {"note": "x"}, "to: is missing"),
        (Move, {"to": True}, "to: must be an integer, not a boolean"),
        (Move, {"to": 1, "tags": {"a": "b"}}, "tags['a']: must be an integer, not a string"),
        (int | str, [], "must be an integer, not a list; or must be a string, not a list"),
        (Literal[1], True, "must be 1"),
        (None, 0, "must be null, not an integer"),
        (PydanticSay, {"text": 3}, "text: Input should be a valid string"),
        (PydanticSay, {"times": "x"}, "text: Field required (and 1 more)"),
        (MsgspecSay, {"text": 3}, "Expected `str`, got `int` - at `$.text`"),
        (Mixed, {"said": {"text": "a"}, "again": {}}, "again: Object missing required field `text`"),
        (int | Say, {"text": 1}, "text: must be a string, not an integer"),
    ],
)
def test_the_asker_is_told_which_field_and_what_is_right(declared: Any, payload: Any, text: str) -> None:
    assert refusal(declared, payload) == text


SECRET = "s3cret" * 1000


@pytest.mark.parametrize(
    ("declared", "payload"),
    [
        (Say, {"text": [SECRET]}),
        (Say, {"text": "a", SECRET: 1}),
        (Move, {"to": 1, "tags": {SECRET: "b"}}),
        (Literal["a"], SECRET),
        (PydanticSay, {"text": {"a": SECRET}}),
        (pydantic.create_model("Strict", __config__={"extra": "forbid"}, a=(int, 1)), {SECRET: 1}),
        (MsgspecSay, {"text": {"a": SECRET}}),
        (int, SECRET),
        (lambda payload: int(payload), SECRET),
    ],
)
def test_nothing_large_that_was_sent_is_sent_back(declared: Any, payload: Any) -> None:
    """A refusal is a short text, whatever the payload was."""
    assert len(refusal(declared, payload)) <= 300


def test_a_payload_that_is_nested_deeper_than_pythons_stack_is_refused() -> None:
    """A codec of the application's own may have no limit."""
    tree: dict[str, Any] = {"name": "leaf", "children": []}
    for _ in range(2000):
        tree = {"name": "a", "children": [tree]}
    assert refusal(Tree, tree) == "the payload is nested too deeply"


def test_a_check_of_the_applications_own_chooses_the_code() -> None:
    """RequestError is the refusal as it is."""

    def check(payload: Any) -> Any:
        raise RequestError("too_rude", "mind your words")

    router = Router()
    router.on("say", check)(lambda connection, message: None)
    with pytest.raises(RequestError) as refused:
        router("ada", Message("say"))
    assert (refused.value.code, refused.value.message) == ("too_rude", "mind your words")


def test_a_check_that_fails_otherwise_is_logged_once_without_its_text(caplog) -> None:
    """It may be a bug, so the name of the exception is in the log; its text may have what the client sent."""
    router = Router()
    router.on("say", lambda payload: {}[payload])(lambda connection, message: None)
    for _ in range(3):
        with pytest.raises(RequestError, match="invalid_payload: the payload is not what this event takes"):
            router("ada", Message("say", "hush"))
    assert caplog.text.count("KeyError") == 1
    assert "router.on('say')" in caplog.text
    assert "hush" not in caplog.text


class Panic(BaseException):
    pass


def test_a_panic_in_a_check_is_no_refusal() -> None:
    def check(payload: Any) -> Any:
        raise Panic

    router = Router()
    router.on("say", check)(lambda connection, message: None)
    with pytest.raises(Panic):
        router("ada", Message("say"))


@dataclass
class HasDate:
    when: datetime


@dataclass
class HasInitVar:
    text: str
    seed: InitVar[int]


@dataclass
class NamesNothing:
    text: Nowhere  # noqa: F821


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        (3, "not by int"),
        ("Say", "not by str"),
        (Say("hi"), "not by Say"),
        (HasDate, "HasDate.when: datetime can't be checked"),
        (HasInitVar, "HasInitVar is not made of its fields alone"),
        (NamesNothing, "the annotations of NamesNothing can't be read (NameError)"),
        (dict[int, str], "dict[int, str] can't be checked"),
        (set[int], "set[int] can't be checked"),
        (list[datetime], "datetime can't be checked"),
        (lambda: None, "takes a function of (payload)"),
    ],
)
def test_what_cannot_check_a_payload_is_refused_when_it_is_registered(declared: Any, problem: str) -> None:
    with pytest.raises(TypeError) as raised:
        Router().on("say", declared)
    assert problem in str(raised.value)
    assert str(raised.value).startswith("router.on('say')")


def test_a_handler_is_registered_once_with_or_without_a_declared_payload() -> None:
    """The two are the same handler, which would run twice."""
    router = Router()

    def say(connection: Any, message: Message) -> None: ...

    assert router.on("say", Say)(say) is say
    for again in (router.on("say"), router.on("say", Move)):
        with pytest.raises(ValueError, match="say is registered for it already"):
            again(say)


def test_each_handler_has_its_own_idea_of_the_payload() -> None:
    """The wildcard's handler gets it as it came."""
    router = Router()
    seen: list[Any] = []
    router.on("say", Say)(lambda connection, message: seen.append(message.payload))
    router.on("*")(lambda connection, message: seen.append(message.payload))
    router("ada", Message("say", {"text": "hi"}))
    assert seen == [Say("hi"), {"text": "hi"}]
