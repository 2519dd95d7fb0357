"""D3: ``attempt=K``: of two dials the later one has the session, whichever arrives first."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.contract.peers import Ledger
from tests.contract.v1_client import Speaker, again, closing, dial, late, offer, refused


@pytest.mark.contract("D3")
@pytest.mark.parametrize("order", list(permutations((2, 3, 4))), ids=str)
def test_the_highest_attempt_has_the_session_in_the_end(stage, order) -> None:
    """Whoever is not above the highest so far is closed 4101; nobody's messages are lost by it."""
    s = stage()
    peer = dial(s, query="&attempt=1")
    s.say("u1", "a")
    peer.drop()
    highest, living = 1, None
    for attempt in order:
        ws = again(s, token=peer.token, received=0, query=f"&attempt={attempt}")
        if attempt < highest:
            assert ws.receive_close() == (4101, "superseded")
            continue
        if living is not None:
            assert closing(living) == (4101, "superseded")
        highest, living = attempt, Speaker(s, ws)

    assert living.take(1) == ["a"]
    assert not s.hub.get("u1").suspended
    living.ack_for_sure()
    assert s.hub.stats().acknowledged == 1


@pytest.mark.contract("D3", "A5")
def test_a_dial_that_is_overtaken_on_its_way_is_superseded(stage) -> None:
    """It passed the check; when it arrives a later one has come: the later one keeps the session."""
    s = stage()
    peer = dial(s, query="&attempt=1")
    peer.drop()
    newer: list[Speaker] = []

    older = late(
        s,
        "id=u1&resume=true&received=0&attempt=2",
        lambda: newer.append(Speaker(s, again(s, token=peer.token, received=0, query="&attempt=3"))),
        offer(peer.token),
    )

    assert older.receive_close() == (4101, "superseded")
    s.say("u1", "here")
    assert newer[0].read()[0] == "$replayed"
    assert newer[0].take(1) == ["here"]


@pytest.mark.contract("D3")
@pytest.mark.parametrize("state", ["connected", "suspended"])
@pytest.mark.parametrize("attempt", [0, 4, 5])
def test_a_late_dial_changes_nothing(stage, state, attempt) -> None:
    """No callback, no new token, no acknowledgement, no second more for the session."""
    metrics = Ledger()
    s = stage(metrics=metrics, resume_window=30)
    peer = dial(s, query="&attempt=5")
    s.say("u1", "a")
    if state == "suspended":
        peer.drop()
        s.clock.advance(20)
    before = s.recorder.hooks()

    ws = again(s, token=peer.token, received=1, query=f"&attempt={attempt}")

    assert ws.receive_close() == (4101, "superseded")
    assert s.recorder.hooks() == before
    assert (s.hub.stats().acknowledged, s.hub.stats().held) == (0, 1)
    assert metrics.of("resume_attempt") == []
    assert metrics.of("transport_superseded") == []
    if state == "connected":
        assert peer.take(1) == ["a"]
        assert peer.nothing_came()
    else:
        s.clock.advance(10)
        assert s.hub.get("u1") is None


@pytest.mark.contract("D3")
def test_a_dial_without_a_number_is_always_the_latest(stage) -> None:
    """It is optional; and the highest number stays the highest."""
    s = stage()
    peer = dial(s, query="&attempt=5")
    back = Speaker(s, again(s, token=peer.token, received=0))
    assert closing(peer)[0] == 4101
    assert again(s, token=back.token, received=0, query="&attempt=5").receive_close()[0] == 4101
    assert back.nothing_came() or back.read()[0] == "$replayed"


@pytest.mark.contract("D3", "A.403-token")
def test_who_has_no_token_cannot_use_up_the_numbers(stage) -> None:
    s = stage()
    peer = dial(s, query="&attempt=1")
    assert refused(lambda: again(s, token="wrong", received=0, query="&attempt=999")) == 403
    assert Speaker(s, again(s, token=peer.token, received=0, query="&attempt=2")).hello["resumed"]


@pytest.mark.contract("D3")
def test_the_next_session_of_an_id_counts_its_own_dials(stage) -> None:
    s = stage()
    dial(s, query="&attempt=9")
    s.hub.kick("u1")
    peer = dial(s, query="&attempt=1")
    assert Speaker(s, again(s, token=peer.token, received=0, query="&attempt=2")).hello["resumed"]


@pytest.mark.contract("D3", "A.400-received")
@pytest.mark.parametrize("attempt", ["x", "-1", "1.0", "", "1e3", "9" * 19])
def test_an_attempt_that_is_no_number_is_refused(stage, attempt) -> None:
    s = stage()
    peer = dial(s)
    assert refused(lambda: again(s, token=peer.token, received=0, query=f"&attempt={attempt}")) == 400
    assert peer.nothing_came()


@pytest.mark.contract("D3")
@pytest.mark.parametrize("state", ["connected", "suspended"])
def test_a_first_dial_that_arrives_behind_the_second_does_not_throw_it_out(stage, state) -> None:
    """The client gave its first dial up before it had an answer; the nonce says whose dial it was."""
    s = stage()
    second = dial(s, query="&instance=mine&attempt=2")
    s.say("u1", "here")
    if state == "suspended":
        second.drop()

    first = s.open(subprotocols=offer(), query="&instance=mine&attempt=1")

    assert first.receive_close() == (4101, "superseded")
    third = Speaker(s, again(s, token=second.token, received=0, query="&instance=mine&attempt=3"))
    assert third.take(1) == ["here"]


@pytest.mark.contract("D3")
def test_a_stranger_with_a_low_number_is_no_earlier_dial(stage) -> None:
    """Without the nonce it is somebody else, and on_duplicate decides as ever."""
    s = stage()
    session = dial(s, query="&instance=mine&attempt=2")
    dial(s, query="&instance=yours&attempt=1")
    assert closing(session) == (1000, "duplicate connection id")
