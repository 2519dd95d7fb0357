"""The tables behind a client's requests: nothing runs but what the test calls (contract E3)."""

from __future__ import annotations

from resumehub import Message
from resumehub.client import commands as c
from resumehub.client import effects as e
from resumehub.client.asked_requests import AskedRequests
from resumehub.client.request_deadlines import RequestDeadlines
from resumehub.client.taken_requests import AnswerState, Taken, TakenRequest, TakenRequests
from resumehub.errors import RequestFailed, RequestInDoubt, RequestTimeout
from tests.client.client_machine_driver import Bench, hello


def timed_out(effects: list[e.Effect]) -> list[str]:
    return [effect.request_id for effect in effects if isinstance(effect, e.TimeOutRequest)]


def test_each_request_has_its_own_deadline_whatever_becomes_of_the_transport() -> None:
    """Two are due while the client dials again; the one that was answered never is."""
    bench = Bench(chance=1.0)
    bench.do(c.Opened(1, hello()))
    bench.do(c.Requested("late", 3.0), c.Requested("early", 1.0), c.Requested("answered", 2.0))
    bench.do(c.Requested("answered", None), c.Lost(1, 1006))
    assert timed_out(bench.wait(0.9)) == []
    assert timed_out(bench.wait(0.1)) == ["early"]
    assert timed_out(bench.wait(1.9)) == []
    assert timed_out(bench.wait(0.1)) == ["late"]
    assert timed_out(bench.wait(100.0)) == []


def test_the_end_leaves_no_deadline() -> None:
    """``End`` tells all of them."""
    bench = Bench()
    bench.do(c.Opened(1, hello()), c.Requested("a", 1.0), c.Lost(1, 4100, by_peer=True))
    assert bench.machine.next_deadline() is None
    assert timed_out(bench.do(c.Requested("b", 1.0))) == []


def test_deadlines_that_are_not_needed_take_no_room_for_long() -> None:
    """A client asks all day, and each request has half a minute."""
    deadlines = RequestDeadlines()
    deadlines.set("stays", 1e9, 0.0)
    for number in range(1000):
        deadlines.set(f"{number}", 30.0, number / 100)
        deadlines.set(f"{number}", None, number / 100)
    assert len(deadlines._heap) < 12
    assert deadlines.earliest() == 1e9


def test_the_first_thing_that_becomes_of_a_request_counts() -> None:
    """The others find nothing: it is settled once, and wakes its caller once."""
    woken: list[str] = []
    table = AskedRequests("x", 10)
    answer_first = table.add("a", 1.0, lambda: woken.append("a"))
    timeout_first = table.add("b", 1.0, lambda: woken.append("b"))
    assert answer_first is not None
    assert timeout_first is not None
    answer = Message(payload=1, re=answer_first.id)
    table.answer(answer)
    table.time_out(answer_first.id)
    table.answer(Message(payload=2, re=answer_first.id))
    table.time_out(timeout_first.id)
    table.answer(Message(re=timeout_first.id, error={"code": "no"}))
    table.session_over("ada", unwritten_too=True)
    assert answer_first.outcome is answer
    assert isinstance(timeout_first.outcome, RequestTimeout)
    assert woken == ["a", "b"]
    assert table.ignored == 2
    assert len(table) == 0


def test_no_id_is_used_twice() -> None:
    """Also behind an answer, and in another client."""
    ids = set()
    for prefix in ("x", "y"):
        table = AskedRequests(prefix, 1)
        for _ in range(100):
            request = table.add("a", None, lambda: None)
            assert request is not None
            assert table.add("a", None, lambda: None) is None
            ids.add(request.id)
            table.answer(Message(re=request.id, error={"code": "no"}))
            assert isinstance(request.outcome, RequestFailed)
    assert len(ids) == 200


def test_the_end_of_one_plain_session_leaves_what_was_not_written_for_the_next() -> None:
    table = AskedRequests("x", 10)
    written, waiting = (table.add(event, None, lambda: None) for event in ("a", "b"))
    assert written is not None
    assert waiting is not None
    written.written = True
    table.session_over("", unwritten_too=False)
    assert isinstance(written.outcome, RequestInDoubt)
    assert waiting.outcome is None


def test_a_request_is_answered_in_its_own_session_only() -> None:
    """One that had come before the end of a session is too late in the next one."""
    table = TakenRequests(10)
    open_one = TakenRequest("1", "n", table.session)
    waits = TakenRequest("2", "n", table.session)
    assert table.take(open_one) is Taken.GIVE
    table.session_over()
    assert table.take(waits) is Taken.GIVE
    assert open_one.state is waits.state is AnswerState.TOO_LATE
    again = TakenRequest("1", "n", table.session)
    assert table.take(again) is Taken.GIVE
    assert again.state is AnswerState.OPEN
