"""max_sessions: who makes room for whom, and who is refused. Suspended sessions lock nobody out."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from resumehub.errors import TransportLost
from resumehub.testing import connect
from tests.contract.peers import Ledger
from tests.contract.v1_client import dial, refused
from tests.support import PATIENCE, Stage


def gone(s: Stage, *ids: str) -> None:
    """These clients come and lose their connections, one after the other."""
    for name in ids:
        ws = s.open(name)
        s.recorder.wait_for("connect", name)
        s.drop(ws, name)


@pytest.mark.contract("A.503-max")
@pytest.mark.parametrize("resumes", [True, False], ids=["resumehub.v1", "plain"])
def test_a_client_that_comes_and_goes_locks_nobody_out(stage: Callable[..., Stage], resumes: bool) -> None:
    """Connections that are reset at once leave suspended sessions, and these never fill a hub."""
    s = stage(max_sessions=5)
    friend = s.open("friend")
    for number in range(20):
        if resumes:  # ids that the hub makes: nobody could resume a plain session of such an id
            attacker = dial(s, "")
            attacker.drop(attacker.hello["connection_id"])
        else:
            gone(s, f"attacker {number}")
    assert s.hub.stats().sessions == 5

    s.open("newcomer")

    assert not s.hub.get("newcomer").suspended
    assert not friend.closed
    assert s.hub.stats().sessions == 5


@pytest.mark.contract("A.503-max", "B6", "D6")
def test_the_session_that_makes_room_has_expired(stage: Callable[..., Stage]) -> None:
    """For its handlers, its frames, the metrics and its client it is as if its window had run out."""
    metrics = Ledger()
    s = stage(max_sessions=2, metrics=metrics)
    gone(s, "first", "second")
    s.say("first", "a", "b")
    first = s.hub.get("first")
    errors: list[object] = []
    s.hub.on_disconnect(lambda connection, error: errors.append(error))

    s.open("newcomer")

    assert first.wait_closed(PATIENCE)
    assert [type(error) for error in errors] == [TransportLost]
    assert [message.payload for message in first.undelivered] == ["a", "b"]
    assert s.hub.stats().expired == 2
    assert [call[3] for call in metrics.of("connection_closed")] == ["grace_expired"]
    assert metrics.of("message_dropped") == [("lobby", "first", "expired")] * 2
    assert refused(lambda: s.open("first", query="&resume=true")) == 410
    assert s.hub.get("second").suspended


@pytest.mark.contract("A.503-max")
def test_clients_that_are_here_make_room_for_nobody(stage: Callable[..., Stage]) -> None:
    s = stage(max_sessions=2)
    s.open("u1")
    s.open("u2")
    assert refused(lambda: s.open("u3")) == 503


@pytest.mark.contract("A.503-max")
def test_a_hub_that_is_to_refuse_keeps_its_suspended_sessions(stage: Callable[..., Stage]) -> None:
    """Where a session that may come back is worth more than a client that could be sent elsewhere."""
    s = stage(max_sessions=2, on_full="refuse")
    gone(s, "u1", "u2")
    assert refused(lambda: s.open("u3")) == 503
    s.open("u1", query="&resume=true")
    s.open("u2")
    assert s.hub.stats().sessions == 2


@pytest.mark.contract("A.503-max", "A.register-resume")
def test_a_resume_needs_no_place(stage: Callable[..., Stage]) -> None:
    """Nobody has to go for a client that comes back, and there is no line in the log about it."""
    s = stage(max_sessions=2)
    gone(s, "u1", "u2")
    s.open("u2", query="&resume=true")
    s.open("u1")
    assert s.recorder.hooks("u1") == ["connect", "drop", "restore"]
    assert s.hub.stats().sessions == 2


@pytest.mark.contract("A5", "A.503-max")
@pytest.mark.parametrize("back", [True, False], ids=["is back", "is not back"])
def test_the_hub_decides_who_makes_room_when_the_socket_arrives(
    stage: Callable[..., Stage], back: bool
) -> None:
    """The check saw a suspended session. When its client is back by then, the newcomer hears 4503."""
    s = stage(max_sessions=1)
    gone(s, "u1")

    def view(environ, start_response):
        response = s.hub.upgrade(environ, "lobby", "u2")
        if back:
            s.open("u1", query="&resume=true")
        return response(environ, start_response)

    ws = connect(view, "/")
    s.clients.append(ws)

    if back:
        assert ws.receive_close(PATIENCE)[0] == 4503
        s.recorder.wait_for("restore", "u1")
        assert s.recorder.hooks("u1") == ["connect", "drop", "restore"]
    else:
        s.recorder.wait_for("disconnect", "u1")
        assert s.hub.get("u2") is not None


@pytest.mark.contract("A.503-max")
def test_the_operator_is_told_once_a_minute(
    stage: Callable[..., Stage], caplog: pytest.LogCaptureFixture
) -> None:
    """What happens, how often, and what to do about it; ids and rooms are no one's business."""
    s = stage(max_sessions=2, resume_window=300.0, ping_interval=None)
    gone(s, "u1", "u2", "u3", "u4", "u5")
    s.clock.advance(60)
    gone(s, "u6")
    lines = [record.getMessage() for record in caplog.records if "the hub is full" in record.getMessage()]
    assert [re.search(r"(\d+) since the last", line)[1] for line in lines] == ["1", "3"]
    assert all("max_sessions=2" in line and 'on_full="refuse"' in line for line in lines)
    assert {record.levelname for record in caplog.records if "full" in record.getMessage()} == {"WARNING"}
