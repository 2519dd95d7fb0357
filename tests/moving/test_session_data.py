"""What ``connection.data`` may hold where sessions move, and how a mistake is told (F2, F4)."""

from __future__ import annotations

import collections
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumehub import Hub
from resumehub.session.session_data import MAX_DATA_BYTES, settled

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
JSON = st.recursive(
    LEAVES, lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside), max_leaves=20
)


@given(JSON)
def test_what_is_json_comes_back_equal(data: Any) -> None:
    """Whatever JSON holds is the same behind a move, and a copy."""
    assert settled({"data": data}) == {"data": data}


DEEP: list[Any] = []
DEEP.append(DEEP)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"size": (1, 2)}, r"connection\.data\['size'\] is a tuple"),
        ({"by": {7: "x"}}, r"connection\.data\['by'\]\[7\] is under a key of type int"),
        ({"tags": [{"a"}]}, r"connection\.data\['tags'\]\[0\] is a set"),
        ({"raw": b"x"}, r"connection\.data\['raw'\] is a bytes"),
        ({"much": float("inf")}, r"connection\.data\['much'\] is inf"),
        ({"text": "\ud800"}, r"connection\.data\['text'\] is a str with a lone surrogate"),
        ({"\ud800": 1}, r"is under a key with a lone surrogate"),
        ({"huge": 10**5000}, r"connection\.data\['huge'\] is an int of 16610 bits"),
        ({"in_order": collections.OrderedDict()}, r"connection\.data\['in_order'\] is an OrderedDict"),
        (DEEP, r"connection\.data contains itself, or is nested too deeply"),
        (object(), r"connection\.data is an object"),
    ],
)
def test_what_would_not_come_back_is_named(data: Any, place: str) -> None:
    """The error says where in the data it is, and what is wrong there."""
    with pytest.raises(TypeError, match=place):
        settled(data)


def test_data_has_a_bound() -> None:
    """64 KiB are enough for who somebody is; more belongs into a store."""
    settled({"k": "x" * (MAX_DATA_BYTES - 8)})
    with pytest.raises(ValueError, match=r"connection\.data has 65537 bytes as JSON"):
        settled({"k": "x" * (MAX_DATA_BYTES - 7)})


def test_data_is_copied() -> None:
    """What the application changes afterwards changes nothing in the session."""
    data = {"tags": ["a"]}
    copy = settled(data)
    data["tags"].append("b")
    assert copy == {"tags": ["a"]}


@pytest.mark.parametrize("wrong", ["pickle", True, 1])
def test_the_option_is_checked(wrong: Any) -> None:
    """The error names the option and what it may be."""
    with pytest.raises((TypeError, ValueError), match=r'data_codec is .*: it must be "json"'):
        Hub(data_codec=wrong)
