"""Each part of what is written down is needed: without it, one life at least goes on otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from resumehub.session.session_state import LiveTransport, SessionState
from resumehub.testing import client_frame
from tests.moving.test_moving import Step, bytewise, lived, request, text
from tests.moving.world import Forget


def of_transport(**left: Any) -> Forget:
    def forget(state: SessionState) -> SessionState:
        live: LiveTransport | None = state.transport
        return replace(state, transport=replace(live, **left)) if live is not None else state

    return forget


def of_wire(**left: Any) -> Forget:
    def forget(state: SessionState) -> SessionState:
        live = state.transport
        assert live is not None
        return replace(state, transport=replace(live, wire=replace(live.wire, **left)))

    return forget


def of_outbox(**left: Any) -> Forget:
    return lambda state: replace(state, outbox=replace(state.outbox, **left))


def of_decisions(**left: Any) -> Forget:
    return lambda state: replace(state, decisions=replace(state.decisions, **left))


PING = client_frame("ping", b"answer me")
HERE: Step = ("say", client_frame("pong"))
"""A sign that it is no newcomer whose network may be gone."""
SLOW: list[Step] = [("send", "one"), ("say", PING), ("read", 40), ("read", 300)]
HALF_READ = bytewise(text("hi", "half of it is read"))
BACK = [("drop", None), ("send", "for later"), ("resume", None), ("read", 500), ("wait", 1.1)]

NAIVE: dict[str, tuple[Forget, Sequence[Step], dict[str, Any]]] = {
    "input that was not handled": (of_transport(input=b""), HALF_READ, {}),
    "the rest of what has begun": (of_wire(rest=b"", rest_is_frame=False), SLOW, {"window": 20}),
    "whose that rest is": (of_wire(rest_is_frame=False), SLOW, {"window": 20}),
    "control frames that wait": (of_wire(lane=()), SLOW, {"window": 20}),
    "what was acknowledged": (
        of_transport(acked=50),
        [("say", text("hi")), ("wait", 1.1), ("say", text("hi")), ("wait", 1.1)],
        {"v1": True},
    ),
    "when the peer was pinged": (
        of_transport(pinged_ago=None),
        [HERE, ("send", "one"), ("read", 1), ("read", 500), ("wait", 20.5), ("wait", 9.7), ("wait", 31.0)],
        {"window": 20},
    ),
    "that it was heard since": (
        of_transport(heard=False, reading_ago=100.0),
        [HERE, ("wait", 20.5), ("say", client_frame("pong")), ("wait", 9.0), ("wait", 8.0)],
        {},
    ),
    "how many messages were handled": (
        lambda state: replace(state, handled=0),
        [("say", text("hi")), ("wait", 1.1), ("say", text("hi")), ("wait", 1.1), *BACK],
        {"v1": True},
    ),
    "what is not acknowledged": (
        lambda state: replace(state, delayed_ack=replace(state.delayed_ack, messages=0)),  # type: ignore[type-var]
        [("say", text("hi")), ("say", text("hi"))],
        {"v1": True, "send_buffer": 4},
    ),
    "what was not sent": (
        lambda state: replace(
            state, outbox=replace(state.outbox, unsent=(), ledger=replace(state.outbox.ledger, closed=1))
        ),
        [("drop", None), ("send", "for later"), ("resume", None)],
        {},
    ),
    "what was sent and not acknowledged": (
        lambda state: replace(
            state, outbox=replace(state.outbox, sent=(), ledger=replace(state.outbox.ledger, acknowledged=1))
        ),
        [("send", "one"), ("drop", None), ("resume", None)],
        {"v1": True},
    ),
    "how far the numbers are": (of_outbox(sent_to=0, released_to=0), SLOW + BACK, {"v1": True}),
    "the deadlines": (of_decisions(time_left=()), [("wait", 20.5), ("wait", 9.7), ("wait", 31.0)], {}),
    "the user": (
        lambda state: replace(
            state,
            decisions=replace(state.decisions, credentials=replace(state.decisions.credentials, user=None)),
        ),
        [("drop", None), ("resume_without_a_login", None), ("resume", None)],
        {"v1": True},
    ),
    "the generation": (of_decisions(generation=0), [("drop", None), ("resume", None)], {"v1": True}),
    "the error of the drop": (
        of_decisions(last_error=None),
        [("drop", None), ("wait", 20.0), ("wait", 11.0)],
        {},
    ),
    "the number of its last request": (
        lambda state: replace(state, requests=replace(state.requests, last=0)),
        [("ask", "who?"), ("ask", "where?")],
        {},
    ),
    "the requests that are open": (
        lambda state: replace(state, requests=replace(state.requests, open=())),
        [("say", request("later", "a")), ("kick", None)],
        {},
    ),
    "data": (lambda state: replace(state, data=None), [("send", "x"), ("kick", None)], {}),
}


@pytest.mark.parametrize("part", NAIVE)
def test_without_it_a_life_goes_on_otherwise(part: str) -> None:
    forget, steps, options = NAIVE[part]
    how: dict[str, Any] = {"v1": False, "window": None, **options}
    expected, _ = lived(steps, **how)

    def goes_wrong(at: int) -> bool:
        assert lived(steps, [at], **how)[0] == expected, "with all of it, it goes on alike"
        try:
            return lived(steps, [at], forget=forget, **how)[0] != expected
        except (AssertionError, ValueError):
            return True  # the lab has found something

    assert any(goes_wrong(at) for at in range(len(steps)))
