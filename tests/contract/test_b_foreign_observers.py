"""A collector, a trace, a handler of logging or a clock that raises costs a line in the log, no more.

As in ``test_b_foreign_code.py``: the hub calls such code, has it raise there, and is then found serving.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest

from resumehub import Message
from resumehub.metrics_methods import Metrics, MoreMetrics
from resumehub.spans import SessionSpan, SpanStart
from resumehub.testing import FakeClock, UpgradeRefused
from resumehub.trace import Trace
from tests.contract.panics import Panic, Trap, metrics_that_raise, serves
from tests.contract.peers import until
from tests.support import Stage, read, text

METHODS = [name for name in vars(Metrics) if not name.startswith("_")]
MORE_METHODS = [name for name in vars(MoreMetrics) if not name.startswith("_")]
SPAN_METHODS = [name for name in vars(SessionSpan) if not name.startswith("_") and name != "moved_out"]


def live_and_die(s: Stage) -> None:
    """A session's life, with everything in it that a collector or a trace is told of."""
    ws = s.open()
    s.recorder.wait_for("connect")
    with pytest.raises(UpgradeRefused):
        s.open("nobody", query="&resume=true")
    ws.send(text("n", 1))
    s.recorder.wait_for("message", "u1")
    s.hub.broadcast("lobby", Message("n", 2))
    assert read(ws) == ("n", 2)
    again = s.resume(ws)  # a takeover
    s.recorder.wait_for("restore")
    again.ping(b"read?")  # before its reader has come back, no deadline of a Pong runs
    assert again.wait_for_pong()
    again.freeze()
    s.clock.advance(35)  # its heartbeat fails
    s.recorder.wait_for("drop", count=2)
    for number in range(5):  # more than its buffer holds
        s.hub.broadcast("lobby", Message("n", number))
    s.clock.advance(35)
    s.recorder.wait_for("disconnect", "u1")


@pytest.mark.parametrize("method", METHODS)
def test_a_collector_that_panics_is_logged_and_ignored(stage, runtime, method, caplog) -> None:
    """In each of its methods, on each of the threads that call it: the hub thread's, too."""
    trap = Trap(Panic)
    trap.set = True
    s = stage(_runtime=runtime, metrics=metrics_that_raise(method, trap), send_buffer=2)
    live_and_die(s)
    assert trap.times
    assert f"the metrics collector raised in {method}; ignored" in caplog.text
    serves(s)


@pytest.mark.parametrize("method", MORE_METHODS)
def test_so_are_those_of_requests_and_of_a_cluster(stage, runtime, method, caplog) -> None:
    """All of them are called through the same door."""
    trap = Trap(Panic)
    trap.set = True
    s = stage(_runtime=runtime, metrics=metrics_that_raise(method, trap))
    s.hub.runner.count(method)
    assert trap.times
    assert f"the metrics collector raised in {method}; ignored" in caplog.text
    serves(s)


class TrappedTrace(Trace):
    """Panics with every record of its lane."""

    def __init__(self, trap: Trap, lane: str) -> None:
        super().__init__()
        self._trap = trap
        self._trapped = lane

    def note(self, at: float, lane: str, what: str, /, **fields: Any) -> None:
        if lane == self._trapped:
            self._trap.spring()


@pytest.mark.parametrize("lane", ["reader", "hub", "writer", "app"])
def test_a_trace_that_panics_is_logged_and_ignored(stage, runtime, lane, caplog) -> None:
    trap = Trap(Panic)
    trap.set = True
    s = stage(_runtime=runtime, trace=TrappedTrace(trap, lane), send_buffer=2)
    live_and_die(s)
    assert trap.times
    assert "the trace raised in note" in caplog.text
    serves(s)


class TrappedSpan:
    """A session's span that panics in one of its methods, or does nothing."""

    def __init__(self, trap: Trap, method: str) -> None:
        self._trap = trap
        self._method = method

    def begin(self, start: SpanStart) -> TrappedSpan:
        self.spring_in("begin")
        return self

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.spring_in(name)

    def spring_in(self, name: str) -> None:
        if name == self._method:
            self._trap.spring()


@pytest.mark.parametrize("method", ["begin", *SPAN_METHODS])
def test_a_span_that_panics_is_logged_and_ignored(stage, runtime, method, caplog) -> None:
    trap = Trap(Panic)
    trap.set = True
    s = stage(_runtime=runtime, spans=TrappedSpan(trap, method), send_buffer=2)
    s.hub.on_message(lambda connection, message: 1 / (message.payload != "fail"))
    live_and_die(s)
    ws = s.open("u2")
    ws.send(text("n", "fail"))
    s.recorder.wait_for("drop", "u2")
    assert trap.times
    assert f"the span of a session raised in {method}; ignored" in caplog.text
    serves(s)


def test_a_span_whose_beginning_of_a_callback_panics_is_not_told_of_its_end(stage) -> None:
    """It has nothing to undo."""
    trap = Trap(Panic)
    trap.set = True
    told = []

    class Span(TrappedSpan):
        def callback_ended(self, hook: str, began: Any) -> None:
            told.append(hook)

    s = stage(spans=Span(trap, "callback_began"))
    s.open()
    s.recorder.wait_for("connect")
    trap.set = False
    s.hub.kick("u1")
    s.recorder.wait_for("disconnect")
    until(lambda: told == ["on_disconnect"])


@pytest.mark.parametrize("at", ["filter", "handler"])
@pytest.mark.parametrize("error", [Panic, RecursionError])
def test_a_log_handler_that_raises_costs_its_line(stage, runtime, at, error, capsys) -> None:
    """Python's own handlers let a RecursionError and a panic through, and a filter lets all through."""
    trap = Trap(error)
    s = stage(_runtime=runtime, metrics=metrics_that_raise("message_received", trap))

    class Trapped(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            trap.spring()

        def filter(self, record: logging.LogRecord) -> bool:
            if isinstance(record, logging.LogRecord) and at == "filter":
                trap.spring()
            return True

    handler = Trapped()
    logger = logging.getLogger("resumehub")
    logger.addFilter(handler) if at == "filter" else logger.addHandler(handler)
    trap.set = True
    try:
        s.hub.on_connect(lambda connection: connection.no_such_attribute)
        assert s.open().receive_close() == (1011, "handler error")
        s.recorder.wait_for("disconnect", "u1")
    finally:
        trap.set = False
        logger.removeFilter(handler)
        logger.removeHandler(handler)
        s.hub.runner.handlers["on_connect"] = s.hub.runner.handlers["on_connect"][:1]
    assert trap.times
    assert "the line was: a handler of %s raised for %r" in capsys.readouterr().err
    serves(s)


@pytest.mark.parametrize("method", ["monotonic", "real_wait"])
def test_while_a_clock_panics_the_time_stands_still(stage, runtime, method, caplog) -> None:
    """Its failures are one line in the log; when it works again, deadlines are kept as before."""
    trap = Trap(Panic)

    class TrappedClock(FakeClock):
        def monotonic(self) -> float:
            if method == "monotonic":
                trap.spring()
            return super().monotonic()

        def real_wait(self, deadline: float | None) -> float | None:
            if method == "real_wait":
                trap.spring()
            return super().real_wait(deadline)

    s = stage(_runtime=runtime, clock=TrappedClock())
    ws = s.open()
    s.recorder.wait_for("connect")
    trap.set = True
    ws.send(text("n", 1))
    s.recorder.wait_for("message", "u1")
    ws.drop()
    s.recorder.wait_for("drop", "u1")
    until(lambda: f"the clock raised in {method}" in caplog.text)
    trap.set = False
    assert caplog.text.count(f"the clock raised in {method}") == 1
    s.clock.advance(31)
    s.recorder.wait_for("disconnect", "u1")
    serves(s)
