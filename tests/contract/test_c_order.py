"""The order in which a receiver gets what was sent to it (C2)."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from resumehub import Connection, Message
from resumehub.testing import TransportClosed, WebSocketClient
from tests.contract.peers import fill, running
from tests.support import PATIENCE, Stage, read


def everything(ws: WebSocketClient) -> list[tuple[str, object]]:
    """All messages up to the close frame, which is in ``ws.closed`` then."""
    messages = []
    try:
        while True:
            messages.append(read(ws))
    except TransportClosed:
        return messages


@pytest.fixture
def many_switches() -> Iterator[None]:
    """The interpreter changes threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.contract("C2")
@pytest.mark.parametrize("peer", ["reads at once", "reads late", "comes back"])
def test_sends_and_broadcasts_of_one_thread_arrive_in_their_order(stage, peer) -> None:
    """Written at once, by a writer, or replayed after a resume."""
    s = stage(send_buffer=1000, send_buffer_bytes=1 << 23)
    ws = s.open()
    if peer == "reads late":
        fill(s)
    if peer == "comes back":
        s.drop(ws)
    for number in range(0, 200, 2):
        s.hub.send("u1", Message("n", number))
        s.hub.broadcast("lobby", Message("n", number + 1))
    if peer == "comes back":
        ws = s.resume(ws)

    with running(lambda: s.hub.kick("u1")):
        got = [payload for event, payload in everything(ws) if event == "n"]

    assert got == list(range(200))


@pytest.mark.contract("C2")
def test_sends_while_a_replay_is_under_way_stay_behind_it(stage) -> None:
    """The resume may be writing what waited when the next message is sent."""
    s = stage(send_buffer=1000, send_buffer_bytes=1 << 23)
    ws = s.open()
    sent = 0
    for _ in range(30):
        s.drop(ws, count=1 + s.recorder.hooks().count("drop"))
        for _ in range(20):
            s.hub.send("u1", Message("n", sent))
            sent += 1
        ws = s.resume(ws)
        for _ in range(20):
            s.hub.send("u1", Message("n", sent))
            sent += 1
        assert [read(ws)[1] for _ in range(40)] == list(range(sent - 40, sent))


@pytest.mark.contract("C2")
def test_broadcasts_of_several_threads_reach_all_members_in_one_order(stage, many_switches) -> None:
    """Two members can never disagree about what was said first."""
    s = stage(send_buffer=2000)
    members = [s.open(f"u{number}") for number in range(8)]
    s.drop(members[3], "u3")

    def speak(name: str) -> None:
        for number in range(300):
            s.hub.broadcast("lobby", Message(name, number))

    with running(*[lambda name=name: speak(name) for name in ("a", "b", "c")]):
        # Some read while it is said, the others afterwards.
        heard = [[read(ws) for _ in range(900)] for ws in members[:3]]
    members[3] = s.resume(members[3])
    heard += [[read(ws) for _ in range(900)] for ws in members[3:]]

    assert all(one == heard[0] for one in heard)
    for name in ("a", "b", "c"):
        assert [number for event, number in heard[0] if event == name] == list(range(300))


@pytest.mark.contract("C2", "C5")
@pytest.mark.parametrize(
    ("end", "close"),
    [
        pytest.param(lambda s, connection: s.hub.kick("u1"), (1000, "kicked"), id="a kick"),
        pytest.param(lambda s, connection: connection.close(), (1000, ""), id="a close"),
        pytest.param(lambda s, connection: s.open(), (1000, "duplicate connection id"), id="a duplicate"),
        pytest.param(
            lambda s, connection: s.hub.close(PATIENCE), (1001, "server shutting down"), id="a shutdown"
        ),
    ],
)
@pytest.mark.parametrize("peer", ["an idle peer", "a peer that reads late"])
def test_the_end_of_a_session_does_not_overtake_what_was_sent_before(stage, end, close, peer) -> None:
    """ "You are out because …" arrives, and then the close frame."""
    s = stage(send_buffer_bytes=1 << 22)
    ws = s.open()
    if peer == "a peer that reads late":
        fill(s)
    s.hub.broadcast("lobby", Message("n", 1))
    s.hub.send("u1", Message("n", 2))

    with running(lambda: end(s, s.hub.get("u1"))):
        got = everything(ws)

    assert got[-2:] == [("n", 1), ("n", 2)]
    assert len(got) == (22 if peer == "a peer that reads late" else 2)
    assert ws.closed == close


@pytest.mark.contract("C2")
def test_a_handler_that_sends_and_closes_is_heard_to_its_last_word(stage: type[Stage]) -> None:
    """The usual refusal in on_connect: say why, then close."""
    s = stage()

    @s.hub.on_connect
    def refuse(connection: Connection) -> None:
        connection.send(Message("sorry", "we are full"))
        connection.close()

    ws = s.open()

    assert everything(ws) == [("sorry", "we are full")]
    assert ws.closed == (1000, "")
