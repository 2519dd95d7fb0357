"""Values as bytes and back: whatever can be written is read again, and nothing else is read."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumehub.session.plain_values import PlainValueError, changed, dump, load


class Colour(Enum):
    RED = 1
    GREEN = 2


@dataclass(frozen=True)
class Leaf:
    name: str
    blob: bytes


@dataclass(frozen=True)
class Other:
    number: int


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf | Other, ...]
    colour: Colour
    weight: float
    only: bool
    maybe: Leaf | None
    data: Any
    blob: bytes


LEAVES = st.builds(Leaf, st.text(), st.binary())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
    max_leaves=5,
)
TREES = st.builds(
    Tree,
    st.lists(LEAVES | st.builds(Other, st.integers())).map(tuple),
    st.sampled_from(Colour),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none() | LEAVES,
    JSON,
    st.binary(),
)


@given(TREES)
def test_what_is_written_is_read_again(tree: Tree) -> None:
    data = dump(tree)
    assert load(Tree, data) == tree
    assert dump(load(Tree, data)) == data, "there is one encoding"


TREE = Tree((Leaf("a", b"1234"), Other(5)), Colour.RED, 1.5, True, None, {"x": [1]}, b"end")


def test_no_other_bytes_are_read_as_the_same() -> None:
    """Cut anywhere, longer, or with any one byte changed: another value, or a clear error."""
    data = dump(TREE)
    damaged = [data[:at] for at in range(len(data))] + [data + b"!"]
    damaged += [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    for one in damaged:
        with contextlib.suppress(PlainValueError):
            assert load(Tree, one) != TREE


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (b"{", "its head is not JSON"),
        (b"[" * 100_000, "its head is not JSON"),
        (b"{}", "Leaf is not a Leaf"),
        (b'{"blob":0,"name":5}', "Leaf.name is not of type str"),
        (b'{"blob":-1,"name":"a"}', "Leaf.blob is not a length"),
        (b'{"blob":9,"name":"a"}', "Leaf.blob is cut off"),
        (b'{"blob":0,"extra":1,"name":"a"}', "Leaf is not a Leaf"),
    ],
)
def test_the_error_names_the_field(head: bytes, problem: str) -> None:
    with pytest.raises(PlainValueError) as error:
        load(Leaf, len(head).to_bytes(8) + head)
    assert str(error.value) == problem


@pytest.mark.parametrize("data", [float("nan"), {1, 2}, b"bytes", object()])
def test_what_json_does_not_have_is_refused(data: object) -> None:
    with pytest.raises(PlainValueError, match="it can't be written as JSON"):
        dump(Tree((), Colour.RED, 0.0, False, None, data, b""))


def test_data_that_contain_themselves_are_refused() -> None:
    data: list[object] = []
    data.append(data)
    with pytest.raises(PlainValueError, match="it can't be written as JSON"):
        dump(Tree((), Colour.RED, 0.0, False, None, data, b""))


def test_a_changed_value_is_what_replace_gives() -> None:
    name = fields(Tree)[0].name
    for value in (None, "another"):
        assert changed(TREE, **{name: value}) == replace(TREE, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="has no such fields"):
        changed(TREE, nonsense=1)
