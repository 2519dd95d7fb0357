"""Many values by columns: whatever can be written is read again, and nothing else is read."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumehub.session.columns import dump_all, load_all
from resumehub.session.plain_values import PlainValueError
from tests.test_plain_values import JSON, TREE, TREES, Leaf, Tree


@given(st.lists(TREES))
def test_what_is_written_is_read_again(trees: list[Tree]) -> None:
    assert load_all(Tree, dump_all(Tree, trees)) == trees


def test_no_other_bytes_are_read_as_the_same() -> None:
    """Cut anywhere, longer, or with any one byte changed: other values, or a clear error."""
    trees = [TREE, TREE]
    data = dump_all(Tree, trees)
    damaged = [data[:at] for at in range(len(data))] + [data + b"!"]
    damaged += [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    for one in damaged:
        with contextlib.suppress(PlainValueError):
            assert load_all(Tree, one) != trees


@given(JSON)
def test_any_other_json_is_refused_or_read_as_values(shape: Any) -> None:
    head = json.dumps(shape).encode()
    with contextlib.suppress(PlainValueError):
        assert all(isinstance(leaf, Leaf) for leaf in load_all(Leaf, len(head).to_bytes(8) + head))


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (b"{", "the head is not JSON"),
        (b"{}", "the head is not a number and columns"),
        (b"[1,[[5],[0]]]", "Leaf.name: where str should be is another type"),
        (b'[1,[["a"],[-1]]]', "Leaf.blob: a size is not a size"),
        (b'[1,[["a"],[9]]]', "Leaf.blob: the data is cut off"),
        (b'[2,[["a"],[0]]]', "Leaf.name: where str should be is no list of 2 values"),
    ],
)
def test_the_error_names_the_field(head: bytes, problem: str) -> None:
    with pytest.raises(PlainValueError) as error:
        load_all(Leaf, len(head).to_bytes(8) + head)
    assert str(error.value) == problem
