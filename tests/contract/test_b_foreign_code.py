"""Whatever the application's code raises, and wherever, costs one message or session; nobody else notices.

Extensions written in Rust raise an exception that is no ``Exception``. Each test has one *door* through which
the hub calls such code, has it raise there, says what it may cost, and then finds the hub serving others.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.exceptions import HTTPException

from resumehub import HandlerError, Hub, JSONCodec, Message
from resumehub.metrics_methods import Metrics, MoreMetrics
from resumehub.router import Router
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import FakeClock, TransportClosed, UpgradeRefused
from resumehub.trace import Trace
from tests.contract.peers import Ledger, heard_all, until
from tests.contract.v1_client import Speaker, again, dial, offer
from tests.support import PATIENCE, Stage, from_query, read, text


class Panic(BaseException):
    """As pyo3's PanicException: no ``Exception``."""


RAISED = [
    pytest.param(Panic, id="a panic"),
    pytest.param(SystemExit, id="SystemExit"),
    pytest.param(KeyboardInterrupt, id="KeyboardInterrupt"),
    pytest.param(ValueError, id="an exception"),
]


@pytest.fixture(params=[True, False], ids=["readers that share threads", "readers of their own"])
def runtime(request) -> SystemRuntime:
    return SystemRuntime(reuse=True, share=request.param)


class Trap:
    """Raises when it is sprung, until it has been released."""

    def __init__(self, error: type[BaseException]) -> None:
        self._error = error
        self.set = False
        self.times = 0

    def spring(self) -> None:
        if self.set:
            self.times += 1
            raise self._error("secret detail")


def serves(s: Stage, newcomer: str = "next") -> None:
    """A new client is let in, heard and answered, and is reached by a broadcast."""
    assert s.hub.ready()
    ws = s.open(newcomer)
    s.recorder.wait_for("connect", newcomer)
    before = len([event for event in s.recorder.events if event[:2] == ("message", newcomer)])
    ws.send(text("n", "are you there?"))
    assert s.recorder.wait_for("message", newcomer, before + 1) == Message("n", "are you there?")
    s.hub.broadcast("lobby", Message("n", "for all"))
    assert read(ws) == ("n", "for all")
    ws.close()


class TrappedCodec(JSONCodec):
    """Panics over one event, in either direction."""

    __slots__ = ("over", "trap")

    def __init__(self, trap: Trap, over: str = "bad") -> None:
        super().__init__()
        self.trap = trap
        self.over = over

    def encode(self, message: Message) -> str:
        if message.event == self.over:
            self.trap.spring()
        return super().encode(message)

    def decode(self, data: str | bytes) -> Message:
        message = super().decode(data)
        if message.event == self.over:
            self.trap.spring()
        return message


# -- the codec --------------------------------------------------------------------------


@pytest.mark.contract("C11")
@pytest.mark.parametrize("error", RAISED)
@pytest.mark.parametrize("v1", [False, True], ids=["plain", "v1"])
def test_a_message_over_which_decode_panics_is_skipped(stage, runtime, error, v1, caplog) -> None:
    """The connection goes on, and the log has the name of the exception and no more of it."""
    trap = Trap(error)
    s = stage(_runtime=runtime, codec=TrappedCodec(trap))
    trap.set = True
    ws = s.open(subprotocols=offer()) if v1 else s.open()
    if v1:
        Speaker(s, ws)
    ws.send(text("bad"))
    ws.send(text("n", "good"))
    assert s.recorder.wait_for("message", "u1") == Message("n", "good")
    assert s.hub.stats().undecodable == 1
    assert error.__name__ in caplog.text
    assert "secret detail" not in caplog.text
    serves(s)


@pytest.mark.parametrize("error", [Panic, ValueError])
def test_what_encode_raises_is_the_caller_s(stage, runtime, error) -> None:
    """Neither ``send`` nor ``broadcast`` leaves a lock or half a message behind."""
    trap = Trap(error)
    s = stage(_runtime=runtime, codec=TrappedCodec(trap))
    trap.set = True
    ws = s.open()
    s.recorder.wait_for("connect")
    with pytest.raises(error):
        s.hub.send("u1", Message("bad"))
    with pytest.raises(error):
        s.hub.broadcast("lobby", Message("bad"))
    s.say("u1", "good")
    assert read(ws) == ("n", "good")
    serves(s)


@pytest.mark.parametrize("error", RAISED)
@pytest.mark.parametrize("event", ["$hello", "$replayed", "$ack"])
def test_a_control_message_over_which_encode_panics_costs_the_transport(stage, runtime, error, event) -> None:
    """Its client would wait for that message; it comes back and gets it. ``$hello`` is the hub thread's."""
    trap = Trap(error)
    s = stage(_runtime=runtime, codec=TrappedCodec(trap, event), send_buffer=2)
    client = dial(s)
    trap.set = True
    if event == "$ack":
        client.say(1)  # half of the window is one message: it is acknowledged at once
        assert client.ws.receive_close(PATIENCE) == (1006, "")
        s.recorder.wait_for("drop")
    else:
        client.drop()
        with contextlib.suppress(TransportClosed):  # it may end before the 101 is out
            assert again(s, token=client.token, received=0).receive_close(PATIENCE) == (1006, "")
        s.recorder.wait_for("drop", count=2)
    assert trap.times
    trap.set = False
    assert client.resume().hello["received"] == (event == "$ack")
    serves(s)


@pytest.mark.parametrize("error", RAISED)
def test_a_gap_over_which_encode_panics_costs_the_transport(stage, runtime, error) -> None:
    """``$missed`` is encoded by whichever thread writes."""
    trap = Trap(error)
    s = stage(_runtime=runtime, codec=TrappedCodec(trap, "$missed"), send_buffer=2)
    client = dial(s)
    client.drop()
    for number in range(5):
        s.hub.broadcast("lobby", Message("n", number))
    trap.set = True
    with contextlib.suppress(TransportClosed):  # it may end before the 101 is out
        again(s, token=client.token, received=0)
    s.recorder.wait_for("drop", count=2)
    assert trap.times
    trap.set = False
    client.resume()
    serves(s)


# -- what observes ----------------------------------------------------------------------


METHODS = [name for name in vars(Metrics) if not name.startswith("_")]
MORE_METHODS = [name for name in vars(MoreMetrics) if not name.startswith("_")]


def metrics_that_raise(method: str, trap: Trap) -> Ledger:
    ledger = Ledger()
    setattr(ledger, method, lambda *arguments: trap.spring())
    return ledger


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


# -- handlers ---------------------------------------------------------------------------


@pytest.mark.contract("B4")
@pytest.mark.parametrize("error", RAISED)
@pytest.mark.parametrize(
    "hook", ["on_connect", "on_message", "on_transport_drop", "on_transport_restore", "on_disconnect"]
)
def test_a_hook_that_panics_costs_its_session_at_most(stage, runtime, error, hook, caplog) -> None:
    trap = Trap(error)
    trap.set = True
    s = stage(_runtime=runtime)
    getattr(s.hub, hook)(lambda connection, *more: trap.spring() if connection.id == "u1" else None)
    ws = s.open()
    s.recorder.wait_for("connect")
    if hook != "on_connect":
        ws.send(text("n", 1))
        s.recorder.wait_for("message")
        ws.drop()
        s.recorder.wait_for("drop")
        s.resume(ws)
        s.recorder.wait_for("restore")
        s.hub.kick("u1")
    s.recorder.wait_for("disconnect", "u1")
    until(lambda: trap.times)
    until(lambda: f"a handler of {hook} raised for 'u1'" in caplog.text)
    serves(s)


def routed(trap: Trap) -> Callable[..., None]:
    router = Router()
    router.on("n")(lambda connection, message: trap.spring())
    return router


def inside_middleware(trap: Trap) -> Callable[..., None]:
    router = Router()
    router.use(lambda connection, message, go_on: trap.spring())
    return router


def with_an_exclude(trap: Trap) -> Callable[..., None]:
    def excluded():
        yield "nobody"
        trap.spring()

    return lambda connection, message: HUBS[0].broadcast("lobby", message, exclude=excluded())


def with_a_payload(trap: Trap) -> Callable[..., None]:
    class Payload(dict):
        def items(self):
            trap.spring()
            return super().items()

    return lambda connection, message: connection.send(Message("n", Payload(a=1)))


HUBS: list[Hub] = []


@pytest.mark.contract("B4")
@pytest.mark.parametrize("make", [routed, inside_middleware, with_an_exclude, with_a_payload])
def test_code_that_a_handler_calls_panics(stage, runtime, make) -> None:
    """It is the handler that raises then: 1011, and the session can be resumed."""
    trap = Trap(Panic)
    s = stage(_runtime=runtime)
    HUBS[:] = [s.hub]
    panics = make(trap)
    s.hub.on_message(lambda connection, message: connection.id == "u1" and panics(connection, message))
    ws = s.open()
    trap.set = True
    ws.send(text("n", 1))
    assert ws.receive_close() == (1011, "handler error")
    drop = s.recorder.wait_for("drop")
    assert isinstance(drop, HandlerError)
    assert isinstance(drop.__cause__, Panic)
    trap.set = False
    s.resume(ws)
    s.recorder.wait_for("restore")
    serves(s)


def test_an_excluded_id_whose_comparison_panics_is_compared_as_what_it_says(stage, runtime) -> None:
    """The room's lock is held meanwhile, so no code of the application may run."""

    class Id(str):
        def __eq__(self, other: object) -> bool:
            raise Panic

        __hash__ = str.__hash__

    s = stage(_runtime=runtime)
    out, inside = s.open("out"), s.open("in")
    s.recorder.wait_for("connect", count=2)
    s.hub.broadcast("lobby", Message("n", 1), exclude=[Id("out")])
    assert read(inside) == ("n", 1)
    heard_all(out)
    assert not out.has_message()
    serves(s)


# -- the request ------------------------------------------------------------------------


@pytest.mark.contract("A.500")
@pytest.mark.parametrize("at", ["connect", "the copy of its data"])
def test_a_connect_that_panics_is_500(runtime, stage, at, caplog) -> None:
    """gunicorn's sync worker, for one, would end with it."""
    trap = Trap(Panic)

    class Data:
        def __copy__(self) -> Data:
            trap.spring()
            return self

    def connect_function(request: Any) -> tuple[Any, ...]:
        if at == "connect":
            trap.spring()
        return (*from_query(request), Data())

    s = stage(connect_function, _runtime=runtime)
    trap.set = True
    with pytest.raises(UpgradeRefused) as refused:
        s.open()
    assert refused.value.status == 500
    assert "connect failed" in caplog.text
    trap.set = False
    serves(s)


@pytest.mark.contract("A.500")
def test_an_http_exception_whose_response_panics_is_500(runtime, stage) -> None:
    class Broken(HTTPException):
        def get_response(self, *arguments: Any) -> Any:
            raise Panic

    def connect_function(request: Any) -> tuple[Any, ...]:
        if request.args["id"] == "u1":
            raise Broken
        return from_query(request)

    s = stage(connect_function, _runtime=runtime)
    with pytest.raises(UpgradeRefused) as refused:
        s.open()
    assert refused.value.status == 500
    serves(s)


def test_ids_with_methods_that_panic_are_taken_for_what_they_say(stage, runtime) -> None:
    """The hub thread hashes and compares them."""

    class Id(str):
        def __eq__(self, other: object) -> bool:
            raise Panic

        def __hash__(self) -> int:
            raise Panic

    def connect_function(request: Any) -> tuple[Any, ...]:
        return Id(request.args["room"]), Id(request.args["id"])

    s = stage(connect_function, _runtime=runtime)
    s.open()
    assert s.recorder.wait_for("connect", "u1") is None
    assert type(s.hub.get("u1").id) is type(s.hub.get("u1").room_id) is str
    serves(s)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_on_the_main_thread_ctrl_c_and_an_exit_are_the_process_s(stage, error) -> None:
    """A single-threaded server calls ``connect`` there, an application ``broadcast``: none is swallowed."""
    trap = Trap(error)

    def connect_function(request: Any) -> tuple[Any, ...]:
        trap.spring()
        return from_query(request)

    s = stage(connect_function, metrics=metrics_that_raise("message_broadcast", trap))
    ws = s.open()
    s.recorder.wait_for("connect")
    trap.set = True
    with pytest.raises(error):
        s.open("u2")
    with pytest.raises(error):
        s.hub.broadcast("lobby", Message("n", 1))
    trap.set = False
    assert read(ws) == ("n", 1)
    serves(s)
