"""Whatever the application's code raises, and wherever, costs one message or session; nobody else notices.

Extensions written in Rust raise an exception that is no ``Exception``. Each test has one *door* through which
the hub calls such code, has it raise there, says what it may cost, and then finds the hub serving others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.exceptions import HTTPException

from resumehub import HandlerError, Hub, JSONCodec, Message
from resumehub.router import Router
from resumehub.testing import TransportClosed, UpgradeRefused
from tests.contract.panics import RAISED, Panic, Trap, metrics_that_raise, serves
from tests.contract.peers import heard_all, until
from tests.contract.v1_client import Speaker, again, dial, offer
from tests.support import PATIENCE, from_query, read, text


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
