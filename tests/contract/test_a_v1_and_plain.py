"""A7: plain and v1 sessions do not attach to each other; before the upgrade and in the race of it."""

from __future__ import annotations

from itertools import product

import pytest

from resumehub import DuplicateConnectionId
from resumehub.testing import UpgradeRefused, WebSocketClient
from tests.contract.peers import Ledger
from tests.contract.v1_client import Speaker, dial, late, offer, preflight
from tests.support import Stage, read

WRONG = "A" * 16 + "." + "B" * 32

CLIENTS = {
    "plain": ("", None),
    "plain, resuming": ("&resume=true", None),
    "plain, resuming with a count": ("&resume=true&received=0", None),
    "v1": ("", []),
    "v1, resuming without the token": ("&resume=true&received=0", []),
    "v1, resuming with a wrong one": ("&resume=true&received=0", [WRONG]),
    "v1, resuming with the token": ("&resume=true&received=0", ["right"]),
}
"""The client: what it adds to the query, and the tokens that it presents (None: it speaks no v1)."""


def protocols(tokens: list[str] | None, right: str = WRONG) -> list[str]:
    if tokens is None:
        return []
    return [*offer(), *(f"resumehub.token.{right if token == 'right' else token}" for token in tokens)]


def outcome(session: str, client: str, state: str, on_duplicate: str) -> str | int:
    """What the contract says: a status, or what becomes of the session."""
    resumes = "resuming" in client
    if not resumes:
        if session == client == "plain" and state == "suspended":
            return "resumed"
        return 409 if on_duplicate == "reject" else "displaced"
    if session == "plain":
        return "resumed" if client.startswith("plain") else 410
    return "resumed" if client == "v1, resuming with the token" else 403


def opened(s: Stage, session: str, state: str) -> tuple[WebSocketClient, str]:
    """A session of u1, and the token that opens it."""
    if session == "v1":
        peer = dial(s)
        ws, token = peer.ws, peer.token
    else:
        ws, token = s.open(), WRONG
        s.recorder.wait_for("connect")
    if state == "suspended":
        s.drop(ws)
    return ws, token


def found(s: Stage, before: object, dials: object) -> str | int:
    """What became of the session ``before`` by a dial."""
    try:
        s.clients.append(dials())
    except UpgradeRefused as refusal:
        assert s.hub.get("u1") is before
        return refusal.status
    s.clock.advance(0)
    return "resumed" if s.hub.get("u1") is before else "displaced"


@pytest.mark.contract("A7", "A.403-token", "A.409", "A.410")
@pytest.mark.parametrize("session", ["plain", "v1"])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("state", ["connected", "suspended"])
@pytest.mark.parametrize("on_duplicate", ["replace", "reject"])
def test_every_client_at_every_session(stage, session, client, state, on_duplicate) -> None:
    """Who is not let in leaves no trace; who takes the id ends the old session and begins a new one."""
    s = stage(on_duplicate=on_duplicate)
    ws, token = opened(s, session, state)
    before, hooks = s.hub.get("u1"), s.recorder.hooks()
    query, tokens = CLIENTS[client]

    result = found(s, before, lambda: s.open(query=query, subprotocols=protocols(tokens, token)))

    assert result == outcome(session, client, state, on_duplicate)
    if isinstance(result, int):
        assert s.recorder.hooks() == hooks
        assert before.suspended == (state == "suspended")
    elif result == "displaced":
        assert isinstance(s.recorder.wait_for("disconnect"), DuplicateConnectionId)
        assert state == "suspended" or ws.receive_close() == (1000, "duplicate connection id")
        assert "restore" not in s.recorder.hooks()
        if client == "v1":
            assert Speaker(s, s.clients[-1]).hello["resumed"] is False


CODES = {403: 4403, 409: 4409, 410: 4100}


@pytest.mark.contract("A7", "A2", "A.403-token")
@pytest.mark.parametrize(
    ("session", "client", "on_duplicate"),
    [
        (session, client, on_duplicate)
        for session, client, on_duplicate in product(("plain", "v1"), CLIENTS, ("replace", "reject"))
        if isinstance(outcome(session, client, "suspended", on_duplicate), int)
    ],
)
def test_a_page_sees_the_same_as_a_close_code(stage, session, client, on_duplicate) -> None:
    """With ``reject=close``: 4403, 4409 and 4100 where others get 403, 409 and 410."""
    s = stage(on_duplicate=on_duplicate)
    _, token = opened(s, session, "suspended")
    query, tokens = CLIENTS[client]
    ws = s.open(query=f"{query}&reject=close", subprotocols=protocols(tokens, token))
    s.clock.advance(1)
    assert ws.receive_close()[0] == CODES[outcome(session, client, "suspended", on_duplicate)]
    assert s.hub.get("u1").suspended


# -- the race: the check saw something else ---------------------------------------------------


@pytest.mark.contract("A7", "A5")
@pytest.mark.parametrize("session", ["plain", "v1"])
@pytest.mark.parametrize("client", ["plain", "v1"])
@pytest.mark.parametrize("state", ["connected", "suspended"])
@pytest.mark.parametrize("on_duplicate", ["replace", "reject"])
def test_an_id_that_was_taken_on_the_way(stage, session, client, state, on_duplicate) -> None:
    """The check saw a free id. The hub decides as the check would have: 4409 where it is 409."""
    s = stage(on_duplicate=on_duplicate)
    query, tokens = CLIENTS[client]

    ws = late(s, f"id=u1{query}", lambda: opened(s, session, state), protocols(tokens))

    expected = outcome(session, client, state, on_duplicate)
    if expected == 409:
        assert ws.receive_close() == (4409, "connection id in use")
        assert s.hub.get("u1").suspended == (state == "suspended")
        return
    s.say("u1", "here")
    if client == "v1":
        assert Speaker(s, ws).take(1) == ["here"]
    else:
        assert read(ws) == ("n", "here")
    s.recorder.wait_for("restore" if expected == "resumed" else "disconnect")


@pytest.mark.contract("A7", "A5")
@pytest.mark.parametrize(("session", "then"), [("v1", "plain"), ("plain", "v1"), ("v1", "v1")])
@pytest.mark.parametrize("state", ["connected", "suspended"])
def test_a_session_that_was_replaced_on_the_way_is_gone(stage, session, then, state) -> None:
    """4100 for the client of the old one; whatever session has the id now is not touched."""
    metrics = Ledger()
    s = stage(metrics=metrics)
    _, token = opened(s, session, "suspended")
    query, tokens = CLIENTS["v1, resuming with the token" if session == "v1" else "plain, resuming"]

    def replace() -> None:
        s.hub.kick("u1")
        ws = dial(s).ws if then == "v1" else s.open()
        if state == "suspended":
            s.drop(ws, count=2)

    ws = late(s, f"id=u1{query}", replace, protocols(tokens, token))

    assert ws.receive_close() == (4100, "session expired")
    assert s.hub.get("u1").suspended == (state == "suspended")
    assert metrics.of("resume_attempt") == [("lobby", "u1", False)]
    assert "restore" not in s.recorder.hooks()


@pytest.mark.contract("A7", "A5", "A.403-token")
def test_a_token_that_was_retired_on_the_way_is_forbidden(stage) -> None:
    """The check let it pass; then the client proved a newer one. 4403, and the session stays where it is."""
    metrics = Ledger()
    s = stage(metrics=metrics)
    first = dial(s)
    second = first.resume()

    ws = late(s, "id=u1&resume=true&received=0", second.ack_for_sure, offer(first.token))

    assert ws.receive_close() == (4403, "forbidden")
    assert second.read()[0] == "$replayed"
    assert second.nothing_came()
    assert metrics.of("resume_attempt") == [("lobby", "u1", True), ("lobby", "u1", False)]


@pytest.mark.contract("A7", "A5", "C8")
@pytest.mark.parametrize("end", ["kick", "expiry"])
def test_a_v1_session_that_ends_on_the_way_is_gone(stage, end) -> None:
    s = stage(resume_window=30)
    peer = dial(s)
    peer.drop()
    meanwhile = (lambda: s.hub.kick("u1")) if end == "kick" else (lambda: s.clock.advance(30))
    ws = late(s, "id=u1&resume=true&received=0", meanwhile, offer(peer.token))
    assert ws.receive_close() == (4100, "session expired")
    assert s.hub.get("u1") is None


# -- the preflight ----------------------------------------------------------------------------


@pytest.mark.contract("A7", "A3")
@pytest.mark.parametrize("session", ["plain", "v1"])
@pytest.mark.parametrize("client", [client for client in CLIENTS if "resuming" in client])
@pytest.mark.parametrize("state", ["connected", "suspended"])
def test_the_preflight_says_what_a_resume_would_come_to(stage, session, client, state) -> None:
    """But for 403: a stranger hears 410, as of a session that is not there. Nothing is counted or changed."""
    metrics = Ledger()
    s = stage(metrics=metrics)
    _, token = opened(s, session, state)
    hooks = s.recorder.hooks()
    query, tokens = CLIENTS[client]

    status = preflight(s, query, protocols(tokens, token))

    assert status == (204 if outcome(session, client, state, "replace") == "resumed" else 410)
    assert metrics.of("resume_attempt") == []
    assert s.recorder.hooks() == hooks
