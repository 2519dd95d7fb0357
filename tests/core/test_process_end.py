"""When a hub closes because its process ends: what is done, in which order, and at which time."""

from __future__ import annotations

import itertools

import pytest

from resumehub.core.process_end import HOLD, EndStep, ProcessEnd, ServerState

REFUSE, CLOSE, ABORT, REPORT = EndStep

RUNS = ServerState()
TOLD = ServerState(told_to_stop=True, kill_after=30.0)
TOLD_AND_IDLE = ServerState(told_to_stop=True, under_way=False, kill_after=30.0)
RETURNED = ServerState(returned=True)
TOLD_AND_RETURNED = ServerState(returned=True, told_to_stop=True, kill_after=30.0)


def test_nothing_ends_while_the_server_runs() -> None:
    end = ProcessEnd(10.0)
    assert [end.look(at, RUNS) for at in (0.0, 1e6)] == [[], []]
    assert not end.has_begun
    assert end.next_at() is None


def test_sessions_wait_for_requests_under_way_for_a_third_of_the_time() -> None:
    """Meanwhile nobody new comes in; requests may still send."""
    end = ProcessEnd(10.0)
    assert end.look(100.0, TOLD) == [REFUSE]
    assert end.has_begun
    assert end.next_at() == 110.0
    assert end.look(109.9, TOLD) == []
    assert end.look(110.0, TOLD) == [CLOSE]


@pytest.mark.parametrize("then", [TOLD_AND_IDLE, TOLD_AND_RETURNED], ids=["idle", "returned"])
def test_sessions_end_as_soon_as_no_request_is_under_way(then: ServerState) -> None:
    end = ProcessEnd(10.0)
    assert end.look(0.0, TOLD) == [REFUSE]
    assert end.look(1.0, then) == [CLOSE]
    assert end.look(2.0, then) == []


def test_a_main_thread_that_has_returned_ends_all_at_once() -> None:
    """No kill is known of: the end has the hub's own patience."""
    end = ProcessEnd(10.0)
    assert end.look(0.0, RETURNED) == [REFUSE, CLOSE]
    assert end.look(8.9, RETURNED) == []
    assert end.look(9.0, RETURNED) == [ABORT]
    assert end.look(10.0, RETURNED) == [REPORT]
    assert end.next_at() is None
    assert end.look(99.0, RETURNED) == []


def test_what_is_stuck_is_reported_before_the_kill() -> None:
    end = ProcessEnd(10.0)
    assert end.look(0.0, TOLD_AND_IDLE) == [REFUSE, CLOSE]
    assert end.look(27.0, TOLD_AND_IDLE) == [ABORT]
    assert end.look(28.0, TOLD_AND_IDLE) == [REPORT]


def test_no_session_waits_longer_than_hold_however_patient_the_server_is() -> None:
    end = ProcessEnd(10.0)
    end.look(0.0, ServerState(told_to_stop=True, kill_after=3600.0))
    assert end.next_at() == HOLD


@pytest.mark.parametrize("kill_after", [0.0, 0.5, 1.0, 3.0, 30.0, 600.0])
def test_whenever_it_looks_each_step_comes_once_in_order_and_before_the_kill(kill_after: float) -> None:
    """All ways in which a server may go on, looked at every quarter of a second."""
    ticks = [tick / 4 for tick in range(int(kill_after * 4) + 2)]
    for returns, idles in itertools.product((0, len(ticks) // 3, len(ticks) // 2, len(ticks)), repeat=2):
        end, done = ProcessEnd(10.0), []
        for number, tick in enumerate(ticks):
            state = ServerState(number >= returns, True, number < idles, kill_after)
            done += [(step, tick) for step in end.look(tick, state)]
        assert [step for step, _ in done] == [REFUSE, CLOSE, ABORT, REPORT]
        at = dict(done)
        assert at[REPORT] <= max(kill_after, 0.25) + 0.25
        if kill_after >= 1.0:
            assert at[REPORT] < kill_after
            assert at[CLOSE] <= kill_after / 3 + 0.25
