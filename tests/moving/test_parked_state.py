"""A session that is written down while it is connected is the one that would have lost its connection.

Each life is lived twice: once the session is taken out of its hub with its connection and then parked, once
its connection is lost first. But for why it was lost, the two states are the same.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from resumehub.message import Opcode
from resumehub.outgoing.outbox import Outbox
from resumehub.outgoing.outbox_state import FrameState
from resumehub.server.moving import export_session
from resumehub.session.parked_state import adopted, parked, why_not_parked
from resumehub.session.session_state import SessionState, check, decode, encode
from resumehub.testing import Lab
from tests.moving.test_moving import Step, play, text
from tests.moving.world import ID, Life

LIVES: dict[str, list[Step]] = {
    "silence": [],
    "messages both ways": [("say", text("a")), ("send", "1"), ("say", text("echo", 1)), ("send", "2")],
    "broadcasts into a full window": [*(("broadcast", str(n)) for n in range(9))],
    "half a message": [("say", text("a")[:5])],
    "rooms": [("join", "news"), ("broadcast", "x"), ("say", text("b"))],
    "a second connection": [("send", "1"), ("drop", None), ("send", "2"), ("resume", None), ("send", "3")],
}


def state_of(steps: list[Step], *, lost: bool, **how: Any) -> SessionState:
    """The session after its steps; ``lost``: behind the end of its connection."""
    with Lab(stop_at_locks=False) as lab:
        life = Life(lab, send_buffer=4, **how)
        for step in steps:
            life.send(step[1], broadcast=True) if step[0] == "broadcast" else play(life, step)
        if lost:
            life.drop()
        loop = life.hub.runner.loop
        assert loop is not None
        left = export_session(loop, lab.runtime, ID)
        if left.transport is not None:
            left.transport.release()
        state = left.state if lost else parked(left.state, lab.runtime.lock())
        state = dataclasses.replace(state, outbox=Outbox.at_rest(lab.runtime.lock(), state.outbox))
        life.end()
        return state


@pytest.mark.contract("F2")
@pytest.mark.parametrize("v1", [True, False], ids=["v1", "plain"])
@pytest.mark.parametrize("window", [None, 200], ids=["a quick peer", "a peer that stops reading"])
@pytest.mark.parametrize("name", LIVES)
def test_it_is_as_if_the_connection_had_been_lost(name: str, v1: bool, window: int | None) -> None:
    """What waits, what was handled and who it is: nothing of that depends on how the connection ended."""
    kept, lost = (state_of(LIVES[name], lost=one, v1=v1, window=window) for one in (False, True))
    check(kept)
    assert decode(encode(kept)) == kept
    drop = kept.hooks[-1]
    assert (drop.hook, drop.generation) == ("on_transport_drop", kept.decisions.generation)
    assert drop.error is not None
    assert (drop.error.code, drop.error.reason) == (1012, "service restart")
    assert kept.decisions.last_error == drop.error
    same = {"last_error": None, "credentials": None}
    assert dataclasses.replace(kept.decisions, **same) == dataclasses.replace(lost.decisions, **same)
    if v1 or kept.outbox == lost.outbox:
        assert kept.outbox == lost.outbox
    else:  # the frame that had begun is finished on the wire, and not sent again
        assert kept.outbox.unsent == lost.outbox.unsent[1:]
        assert kept.outbox.sent == (*lost.outbox.sent, lost.outbox.unsent[0])
    assert (kept.handled, kept.fenced, kept.rejected) == (lost.handled, lost.fenced, lost.rejected)
    assert (kept.requests, kept.data, kept.limits) == (lost.requests, lost.data, lost.limits)


def test_a_frame_that_has_begun_is_a_plain_client_s_already() -> None:
    """Given a peer that stopped in the middle of a frame, then that frame is behind the cursor."""
    steps: list[Step] = [("send", "x" * 400), ("send", "y")]
    state = state_of(steps, lost=False, v1=False, window=200)
    [begun] = state.outbox.sent
    [waits] = state.outbox.unsent
    assert isinstance(begun, FrameState)
    assert isinstance(waits, FrameState)
    assert begun.make().opcode is Opcode.TEXT
    assert b"xxx" in begun.payload
    assert b'"y"' in waits.payload


def test_a_window_begins_again_or_is_over() -> None:
    """Whatever was left of it: all of it from now on, or nothing."""
    state = state_of([("drop", None), ("wait", 12.0)], lost=False, v1=True, window=None)
    assert why_not_parked(state) is None
    [left] = adopted(state).decisions.time_left
    assert left.left == 30.0
    [over] = adopted(state, ends=True).decisions.time_left
    assert over.left == 0.0
