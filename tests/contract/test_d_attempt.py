"""D1, D3: of two dials of one plain client the later one has the session, whichever arrives last."""

from __future__ import annotations

import pytest

from tests.contract.peers import Ledger
from tests.contract.test_c_buffers import sized
from tests.contract.test_d_received import MakeStage, payloads, with_messages
from tests.contract.test_d_resume_requests import STATES
from tests.support import PATIENCE


@pytest.mark.contract("D1", "D3")
@STATES
@pytest.mark.parametrize("late", ["1", "3"], ids=["an earlier one", "the same again"])
def test_a_dial_that_was_overtaken_leaves_the_session_to_the_later_one(
    stage: MakeStage, state: str, late: str
) -> None:
    """It was on its way when its client dialled again; what it says of messages is old, too."""
    ledger = Ledger()
    s = stage(metrics=ledger)
    s.drop(with_messages(s, 1, 2, 3, query="&attempt=2"))
    newer = s.open(query="&resume=true&received=1&attempt=3")
    s.recorder.wait_for("restore")
    if state == "suspended":
        s.drop(newer, count=2)
    hooks = s.recorder.hooks()

    ws = s.open(query=f"&resume=true&received=3&attempt={late}")

    assert ws.receive_close(PATIENCE) == (4101, "superseded")
    assert s.recorder.hooks() == hooks
    assert ledger.of("transport_superseded") == []
    if state == "suspended":
        newer = s.open(query="&resume=true&received=1&attempt=4")
    s.say("u1", 4)
    assert payloads(newer, 3) == [2, 3, 4]


@pytest.mark.contract("D1")
def test_dials_whose_number_rises_are_let_in(stage: MakeStage) -> None:
    """By any step; and a dial without a number is neither late nor does it reset the count."""
    s = stage()
    ws = s.open(query="&attempt=0")
    for count, attempt in enumerate(("1", "7", "", "8"), start=1):
        s.drop(ws, count=count)
        ws = s.open(query="&resume=true&received=0" + (f"&attempt={attempt}" if attempt else ""))
        s.recorder.wait_for("restore", count=count)
    late = s.open(query="&resume=true&received=0&attempt=8")

    assert late.receive_close(PATIENCE) == (4101, "superseded")
    s.say("u1", 1)
    assert payloads(ws, 1) == [1]


@pytest.mark.contract("D1")
def test_a_dial_without_intent_does_not_lower_the_number(stage: MakeStage) -> None:
    """It gets its suspended session; one of the dials before it is still late."""
    s = stage()
    s.drop(s.open(query="&attempt=5"))
    s.open(query="&attempt=2")

    late = s.open(query="&resume=true&attempt=4")

    assert late.receive_close(PATIENCE) == (4101, "superseded")


@pytest.mark.contract("D1")
def test_a_dial_that_was_refused_leaves_the_history_free_to_yield(stage: MakeStage) -> None:
    """What the hub kept for it while it decided is history again."""
    s = stage(send_buffer=4)
    ws = with_messages(s, 1, 2, 3, 4, query="&attempt=5")
    late = s.open(query="&resume=true&received=0&attempt=5")
    assert late.receive_close(PATIENCE) == (4101, "superseded")
    s.clock.advance(0)  # the hub is done with it, too

    s.say("u1", 5, 6, 7)

    assert payloads(ws, 7) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.contract("D1", "A.410-gap")
def test_a_late_dial_that_finds_a_gap_ends_nothing(stage: MakeStage) -> None:
    """The later dial may know more."""
    s = stage(send_buffer_bytes=1000)
    ws = with_messages(s, 1, query="&attempt=5")
    s.drop(ws)
    s.hub.broadcast("lobby", sized(2, 1001))

    late = s.open(query="&resume=true&received=0&attempt=4")

    assert late.receive_close(PATIENCE) == (4101, "superseded")
    assert s.hub.get("u1").suspended
