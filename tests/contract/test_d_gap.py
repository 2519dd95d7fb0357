"""D1: where the rest of the row is not to be had, whole, the answer is a gap, and the session ends."""

from __future__ import annotations

import json

import pytest

from resumehub import Connection, Message, TransportLost
from resumehub.testing import UpgradeRefused, WebSocketClient
from tests.contract.peers import Ledger
from tests.contract.test_c_buffers import sized
from tests.contract.test_d_received import MakeStage, payloads, refused, with_messages
from tests.races.stepped_hub import connect_with_gap
from tests.support import PATIENCE, Stage

LOBBY = ("lobby", "u1")


def gap_of(answer: UpgradeRefused) -> int:
    """The ``first_available`` of an answer that must tell of a gap."""
    problem = json.loads(answer.body)
    assert (answer.status, problem["status"], problem["reason"]) == (410, 410, "gap")
    first: int = problem["first_available"]
    return first


# -- history yields -------------------------------------------------------------------------------


@pytest.mark.contract("D1", "A.410-gap")
@pytest.mark.parametrize(
    "bounds", [{"send_buffer": 4}, {"send_buffer_bytes": 400}], ids=["by messages", "by bytes"]
)
def test_history_makes_room_for_what_is_new(stage: MakeStage, bounds: dict[str, int]) -> None:
    """It refuses no message, and reaches back as far as there is room for, and not one message less."""
    s = stage(**bounds)
    clients = [s.open(name) for name in ("u1", "u2")]
    for number in range(1, 7):
        s.hub.broadcast("lobby", sized(number, 100))

    assert gap_of(refused(s, clients[0], 1)) == 3
    again = s.resume(clients[1], received="2")
    assert [int(payload[:3]) for payload in payloads(again, 4)] == [3, 4, 5, 6]


@pytest.mark.contract("D1", "A.410-gap")
def test_what_waits_leaves_less_room_for_history(stage: MakeStage) -> None:
    """While it is away the client's new messages push out those that it might ask for again."""
    s = stage(send_buffer=4)
    ws = with_messages(s, 1, 2, 3, 4)
    s.drop(ws)
    s.say("u1", 5, 6, 7)

    assert gap_of(refused(s, ws, 2)) == 4


# -- the gap --------------------------------------------------------------------------------------


def with_gap(s: Stage, state: str) -> tuple[WebSocketClient, Connection]:
    """A client to whom two were sent, and for whom a broadcast was dropped: there is no message 3."""
    ws = with_messages(s, 1, 2)
    connection = s.hub.get("u1")
    assert connection is not None
    if state == "suspended":
        s.drop(ws)
    s.hub.broadcast("lobby", sized(3, s.hub.config.send_buffer_bytes + 1))
    return ws, connection


def ended_by_a_gap(s: Stage, ledger: Ledger, connection: Connection) -> None:
    """The session is over, and everybody has been told, once."""
    assert connection.wait_closed(PATIENCE)
    assert s.hub.get("u1") is None
    assert s.hub.rooms() == []
    assert s.recorder.hooks().count("disconnect") == 1
    assert isinstance(s.recorder.wait_for("disconnect"), TransportLost)
    assert [call[3] for call in ledger.of("connection_closed")] == ["gap"]
    assert ledger.of("resume_attempt") == [(*LOBBY, False)]


@pytest.mark.contract("D1", "A.410-gap")
@pytest.mark.parametrize("state", ["suspended", "connected"])
def test_a_gap_is_said_plainly_and_ends_the_session(stage: MakeStage, state: str) -> None:
    """Never the rest without what is missing: 410, and no way back into a row that is broken."""
    ledger = Ledger()
    s = stage(metrics=ledger, send_buffer_bytes=1000)
    ws, connection = with_gap(s, state)

    answer = refused(s, ws, 2)

    assert gap_of(answer) == 3
    assert answer.header("Cache-Control") == "no-store"
    assert answer.header("Content-Type") == "application/problem+json"
    ended_by_a_gap(s, ledger, connection)
    if state == "connected":
        assert ws.receive_close(PATIENCE) == (4101, "superseded")
    assert refused(s, ws, 2).status == 410
    again = s.open()
    s.say("u1", "new")
    assert payloads(again, 1) == ["new"]


@pytest.mark.contract("D1", "A.410-gap", "A5")
@pytest.mark.parametrize("state", ["suspended", "connected"])
def test_a_gap_that_opens_during_the_upgrade_is_4100(stage: MakeStage, state: str) -> None:
    """The pre-check was content; the hub looks again, and its close frame says what the 410 would have."""
    ledger = Ledger()
    s = stage(metrics=ledger, send_buffer_bytes=1000)
    ws = with_messages(s, 1, 2)
    connection = s.hub.get("u1")
    if state == "suspended":
        s.drop(ws)

    late = connect_with_gap(
        s.hub, lambda: s.hub.broadcast("lobby", sized(3, 1001)), query="resume=true&received=2"
    )
    s.clients.append(late)

    code, reason = late.receive_close(PATIENCE)
    assert (code, json.loads(reason)) == (4100, {"reason": "gap", "first_available": 3})
    ended_by_a_gap(s, ledger, connection)
    if state == "connected":
        assert ws.receive_close(PATIENCE) == (4101, "superseded")


@pytest.mark.contract("D1", "A.410-gap")
def test_what_a_broadcast_dropped_while_the_client_was_away_is_a_gap(stage: MakeStage) -> None:
    """The client has handled all that it was sent, and would never know."""
    s = stage(send_buffer=2)
    ws = with_messages(s, 1, 2)
    s.drop(ws)
    for number in (3, 4, 5):
        s.hub.broadcast("lobby", Message("n", number))

    assert gap_of(refused(s, ws, 2)) == 3


@pytest.mark.contract("D1")
def test_behind_a_gap_the_row_is_unbroken_again(stage: MakeStage) -> None:
    """A client that went on over it can count on what came after."""
    s = stage(send_buffer_bytes=1000)
    ws, _ = with_gap(s, "connected")
    s.say("u1", "a", "b")

    assert payloads(s.resume(ws, received="3"), 1) == ["b"]


@pytest.mark.contract("D1")
def test_who_does_not_count_never_hears_of_a_gap(stage: MakeStage) -> None:
    """Without ``received`` a resume is what it always was: at most once."""
    s = stage(send_buffer_bytes=1000)
    ws, _ = with_gap(s, "suspended")
    s.say("u1", "a")

    assert payloads(s.resume(ws), 1) == ["a"]
