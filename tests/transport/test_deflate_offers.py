"""Which offers of compression are accepted (RFC 7692 §7): one by one, and never with an error."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resumehub.transport.deflate_offers import answer_to
from resumehub.transport.websocket import Handshake
from tests.transport.test_fast_handshake import ORDINARY

D = "permessage-deflate"

ACCEPTED = {
    D: D,
    f" {D} ": D,
    f"{D};": None,
    f"{D}; client_max_window_bits": f"{D}; client_max_window_bits=15",
    f"{D}; client_max_window_bits=10": f"{D}; client_max_window_bits=10",
    f"{D}; client_max_window_bits=8": D,
    f'{D}; client_max_window_bits="12"': f"{D}; client_max_window_bits=12",
    f'{D}; client_max_window_bits="1\\2"': f"{D}; client_max_window_bits=12",
    f"{D}; server_max_window_bits=9": f"{D}; server_max_window_bits=9",
    f"{D};server_max_window_bits = 15": f"{D}; server_max_window_bits=15",
    f"{D}; server_no_context_takeover": f"{D}; server_no_context_takeover",
    f"{D}; client_no_context_takeover; client_max_window_bits=11": (
        f"{D}; client_no_context_takeover; client_max_window_bits=11"
    ),
    f"x-other; a=1, , {D}": D,
    f'x-other; a="1, {D}; x", {D}; client_max_window_bits': f"{D}; client_max_window_bits=15",
    f"x-other; a=(, {D}": D,
}

DECLINED = [
    "",
    ",",
    "x-other",
    "permessage-deflate2",
    "x-webkit-deflate-frame",
    f"{D}; unknown",
    f"{D}; unknown=1",
    f"{D}; client_no_context_takeover=1",
    f"{D}; client_no_context_takeover=true",
    f"{D}; server_no_context_takeover=",
    f"{D}; server_no_context_takeover; server_no_context_takeover",
    f"{D}; client_max_window_bits; client_max_window_bits=10",
    f"{D}; client_max_window_bits=",
    f"{D}; client_max_window_bits=7",
    f"{D}; client_max_window_bits=16",
    f"{D}; client_max_window_bits=010",
    f"{D}; client_max_window_bits=+10",
    f"{D}; client_max_window_bits=ten",
    f"{D}; client_max_window_bits=1_0",
    f'{D}; client_max_window_bits=""',
    f'{D}; client_max_window_bits=" 10"',
    f'{D}; client_max_window_bits="10',
    f"{D}; server_max_window_bits",
    f"{D}; server_max_window_bits=7",
    f"{D}; server_max_window_bits=8",
    f"{D}; server_max_window_bits=16",
    f"{D}; server_max_window_bits=09",
    f"{D}; client_max_window_bitsx=10",
    f"{D} client_max_window_bits",
    f"{D}; client_max_window_bits=\u0661\u0660",
    f"{D}; \x00",
    f"{D}; \xe9=1",
    f"\x01{D}",
]


@pytest.mark.parametrize(("header", "answer"), ACCEPTED.items(), ids=ACCEPTED)
def test_an_offer_is_answered_with_what_it_says(header: str, answer: str | None) -> None:
    assert answer_to(header) == answer


@pytest.mark.parametrize("header", DECLINED, ids=repr)
def test_an_offer_that_says_it_wrong_is_declined(header: str) -> None:
    assert answer_to(header) is None


@pytest.mark.parametrize("wrong", [one for one in DECLINED if '="10' not in one], ids=repr)
def test_each_offer_is_judged_by_itself(wrong: str) -> None:
    """The first that can be accepted is answered, as the client prefers; nothing of another one is in it."""
    good = f"{D}; server_max_window_bits=10, {D}; client_no_context_takeover"
    assert answer_to(f"{wrong}, {good}") == f"{D}; server_max_window_bits=10"


ODD = st.lists(
    st.one_of(
        st.sampled_from(
            f"{D} client_max_window_bits server_max_window_bits client_no_context_takeover "
            'server_no_context_takeover = ; , 10 08 " \\'.split(" ")
        ),
        st.text(st.sampled_from(string.printable + "\0\x7f\xa0\xe9\xff"), max_size=3),
    ),
    max_size=20,
).map("".join)


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(header=ODD)
def test_nothing_that_a_client_offers_makes_a_handshake_fail(header: str) -> None:
    """And what is agreed on works: the answer is one offer, which the transport is made by."""
    made = Handshake(ORDINARY | {"HTTP_SEC_WEBSOCKET_EXTENSIONS": header}, (), compression=True)
    answers = [value for name, value in made.headers if name == "Sec-WebSocket-Extensions"]
    assert answers == [answer for answer in [answer_to(header)] if answer is not None]
    Handshake(ORDINARY | {"HTTP_SEC_WEBSOCKET_EXTENSIONS": header}, (), compression=False)
