"""Every numbered rule of the contract has a test that carries its number.

A test in this folder says which rules it holds, one or several, on itself, its class or a
parameter::

    @pytest.mark.contract("A5")
    def test_an_expired_session_is_not_resumed(): ...

    pytest.param(..., marks=pytest.mark.contract("A.405"))

The ids are the contract's own numbers, and for the rows of its tables, which have none, the
ones given in ``RULES`` below. ``pytest --rule A5`` runs the tests of one rule, ``pytest -m
contract`` those of all.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

RULES = {
    # The upgrade, in the order in which it is decided: "A." and the status.
    "A.501": "the server offers no raw socket",
    "A.503": "the hub is closed or draining",
    "A.405": "the method is not GET",
    "A.426": "a plain GET without upgrade headers",
    "A.400-handshake": "a malformed handshake",
    "A.426-version": "an unsupported WebSocket version",
    "A.403": "an Origin that is not allowed, before connect runs",
    "A.http-exception": "connect raises an HTTPException: that response",
    "A.401": "connect raises ConnectRejected or PermissionError",
    "A.500": "connect raises anything else, or returns a wrong shape or type",
    "A.400-ids": "room_id or connection_id too long, empty or with control characters",
    "A.400-received": "received or attempt not a plain non-negative integer, or beyond what was sent",
    "A.410": "resume intent, but the session is unknown or resume_window is 0",
    "A.410-gap": "a resume that can't be met without a gap",
    "A.403-token": "the token of a v1 session is missing or wrong",
    "A.409": "the id is connected, no resume intent, on_duplicate='reject'",
    "A.503-max": "a new session would exceed max_sessions",
    "A.101": "else: 101, the socket is handed over, Register is queued",
    # What the hub does with Register for a known id.
    "A.register-resume": "SUSPENDED: resume, with or without intent",
    "A.register-takeover": "CONNECTED, resume intent: takeover, the old transport is closed 4101",
    "A.register-displaced": "CONNECTED, no intent: the old session ends, then the new one begins",
    "A1": "no-store on every answer, problem+json error bodies",
    "A2": "reject=close turns a refusal into a close code, up to a cap",
    "A3": "the preflight: 204, 410 or 426",
    "A4": "a generated id is not resumable by resume=true",
    "A5": "the hub decides again when Register arrives",
    "A6": "a stillborn transport takes nothing over",
    "A7": "v1 and plain sessions do not attach to each other",
    "B1": "the order of callbacks of one session",
    "B2": "callbacks are serialised by id",
    "B3": "a message is handled when its on_message starts; old generations are discarded",
    "B4": "what a raising callback ends",
    "B5": "a slow callback never kills a healthy peer",
    "B6": "the error that drop and disconnect are given",
    "B7": "client data is copied for a new session, ignored on resume",
    "C1": "full outboxes, closed connections, closed hubs",
    "C2": "the order of sends and broadcasts",
    "C3": "a frame not wholly written is replayed whole",
    "C4": "frames are kept as opcode and payload",
    "C5": "close frames and their deadlines",
    "C6": "which ends of a transport end the session",
    "C7": "the heartbeat",
    "C8": "kick and hub.close wait for no callback and leave nothing behind",
    "C9": "wait_closed is true after on_disconnect has returned",
    "C10": "events that begin with $ are reserved",
    "C11": "what JSONCodec accepts",
    "D1": "received=N on a plain session",
    "D2": "v1: control messages and acknowledgements",
    "D3": "v1: the token",
    "D4": "v1: control frames of older generations",
    "D5": "beyond a session's life nothing is promised",
    "D6": "the loss ledger",
}

MARK = "pytest.mark.contract"


def rules_marked_in(path: Path) -> set[str]:
    """The arguments of every ``pytest.mark.contract(...)`` in a file, wherever it stands."""
    marks = (
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == MARK
    )
    rules = set()
    for mark in marks:
        for argument in mark.args:
            assert isinstance(argument, ast.Constant), f"{path.name}:{mark.lineno}: write the rules out"
            rules.add(str(argument.value))
    return rules


@pytest.fixture(scope="module")
def marked() -> dict[str, set[str]]:
    """Rule → the files of this folder that carry it."""
    files: dict[str, set[str]] = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path != Path(__file__):
            for rule in rules_marked_in(path):
                files.setdefault(rule, set()).add(path.name)
    return files


def test_every_rule_has_a_test(marked: dict[str, set[str]]) -> None:
    missing = [f"{rule}: {meaning}" for rule, meaning in RULES.items() if rule not in marked]
    if missing:
        pytest.fail("no test carries these rules:\n" + "\n".join(missing), pytrace=False)


def test_every_mark_names_a_rule(marked: dict[str, set[str]]) -> None:
    """A mistyped number would hide that its rule has no test."""
    unknown = {rule: files for rule, files in marked.items() if rule not in RULES}
    assert not unknown, "not a rule (see RULES in this file)"
