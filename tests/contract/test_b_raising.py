"""What a handler that raises ends, and what it does not (B4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resumehub import Connection, HandlerError, Message, ResumeHubError
from resumehub.testing import UpgradeRefused, WebSocketClient, client_frame
from tests.contract.peers import Gate, Ledger, busy_hub, handled_all, heard_all, waiting_for_hub
from tests.support import Call, Stage, read, text


class Boom(Exception):
    """The application's own."""


RAISED = [
    pytest.param(Boom, id="an exception"),
    pytest.param(SystemExit, id="SystemExit"),
    pytest.param(KeyboardInterrupt, id="KeyboardInterrupt"),
    pytest.param(GeneratorExit, id="GeneratorExit"),
]


def once(error: type[BaseException]) -> Callable[..., None]:
    """A handler that raises the first time it is called, and never again."""
    todo = [error]

    def handler(*arguments: object) -> None:
        if todo:
            raise todo.pop()("secret detail")

    return handler


def goes_on(s: Stage, ws: WebSocketClient) -> None:
    """The session lives, and is heard and spoken to."""
    ws.send(text("still", "here"))
    s.hub.send("u1", Message("yes"))
    assert read(ws) == ("yes", None)
    handled_all(s, ws)
    assert s.recorder.events[-1] == ("message", "u1", Message("still", "here"))


@pytest.mark.contract("B4", "B6")
@pytest.mark.parametrize("error", RAISED)
def test_on_message_raises_the_transport_ends_and_the_session_can_be_resumed(stage, error) -> None:
    """A bug in a handler costs a client its socket, not its session."""
    s = stage()
    s.hub.on_message(once(error))
    ws = s.open()

    ws.send(text("hello"))

    assert ws.receive_close() == (1011, "handler error")
    reason = s.recorder.wait_for("drop")
    assert isinstance(reason, HandlerError)
    assert isinstance(reason, ResumeHubError)
    assert reason.event == "on_message"
    assert isinstance(reason.__cause__, error)
    assert s.hub.get("u1").suspended
    goes_on(s, s.resume(ws))
    assert s.recorder.hooks() == ["connect", "message", "drop", "restore", "message"]


@pytest.mark.contract("B4", "B6")
@pytest.mark.parametrize("error", RAISED)
def test_on_transport_restore_raises_the_new_transport_ends(stage, error) -> None:
    """The same for a restore: the client may try once more."""
    s = stage()
    s.hub.on_transport_restore(once(error))
    ws = s.open()
    s.drop(ws)

    again = s.resume(ws)

    assert again.receive_close() == (1011, "handler error")
    reason = s.recorder.wait_for("drop", count=2)
    assert isinstance(reason, HandlerError)
    assert reason.event == "on_transport_restore"
    assert isinstance(reason.__cause__, error)
    goes_on(s, s.resume(again))
    assert s.recorder.hooks() == ["connect", "drop", "restore", "drop", "restore", "message"]


@pytest.mark.contract("B4", "B6")
@pytest.mark.parametrize("error", RAISED)
def test_on_connect_raises_the_session_ends(stage, error) -> None:
    """An access check that failed must not be resumable."""
    s = stage()
    s.hub.on_connect(once(error))

    ws = s.open()

    assert ws.receive_close() == (1011, "handler error")
    reason = s.recorder.wait_for("disconnect")
    assert isinstance(reason, HandlerError)
    assert reason.event == "on_connect"
    assert isinstance(reason.__cause__, error)
    assert s.hub.get("u1") is None
    with pytest.raises(UpgradeRefused) as refused:
        s.resume(ws)
    assert refused.value.status == 410
    assert s.recorder.hooks() == ["connect", "disconnect"]


@pytest.mark.contract("B4")
@pytest.mark.parametrize("error", RAISED)
def test_on_transport_drop_raises_and_is_only_logged(stage, caplog, error) -> None:
    """The session waits for its client all the same."""
    s = stage()
    s.hub.on_transport_drop(once(error))
    ws = s.open()
    s.drop(ws)

    goes_on(s, s.resume(ws))

    assert "a handler of on_transport_drop raised for 'u1'" in caplog.text
    assert s.recorder.hooks() == ["connect", "drop", "restore", "message"]


@pytest.mark.contract("B4", "C9")
@pytest.mark.parametrize("error", RAISED)
def test_on_disconnect_raises_and_is_only_logged(stage, caplog, error) -> None:
    """The session is over, and the next one under its id begins as usual."""
    s = stage()
    s.hub.on_disconnect(once(error))
    s.open()
    connection = s.hub.get("u1")
    s.hub.kick("u1")

    assert connection.wait_closed(20)

    goes_on(s, s.open())
    assert "a handler of on_disconnect raised for 'u1'" in caplog.text
    assert s.recorder.hooks() == ["connect", "disconnect", "connect", "message"]


@pytest.mark.contract("B4")
def test_a_session_that_cannot_be_resumed_ends_when_its_handler_raises(stage) -> None:
    """With resume_window=0 there is nothing to suspend."""
    s = stage(resume_window=0)
    s.hub.on_message(once(Boom))
    ws = s.open()

    ws.send(text("hello"))

    assert ws.receive_close() == (1011, "handler error")
    assert isinstance(s.recorder.wait_for("disconnect"), HandlerError)
    assert s.recorder.hooks() == ["connect", "message", "disconnect"]


@pytest.mark.contract("B4")
def test_the_handlers_behind_one_that_raised_run_only_where_they_clean_up(stage) -> None:
    """A message that was half handled goes no further; a clean-up goes on."""
    s = stage()
    ran: list[str] = []
    for hook in ("on_message", "on_transport_drop", "on_disconnect"):
        getattr(s.hub, hook)(once(Boom))
        getattr(s.hub, hook)(lambda *arguments, hook=hook: ran.append(hook))
    ws = s.open()
    connection = s.hub.get("u1")
    ws.send(text("hello"))
    s.recorder.wait_for("drop")
    s.hub.kick("u1")

    assert connection.wait_closed(20)

    assert ran == ["on_transport_drop", "on_disconnect"]


@pytest.mark.contract("B4")
def test_a_handler_that_raises_late_does_not_hurt_the_transport_that_came_meanwhile(stage, gate) -> None:
    """The error belongs to the transport whose message it was."""
    s = stage()

    @s.hub.on_message
    def slow(connection: Connection, message: Message) -> None:
        if message.event == "slow":
            gate.hold()
            raise Boom

    ws = s.open()
    ws.send(text("slow"))
    gate.wait_reached()
    again = s.resume(ws)

    gate.open()

    s.recorder.wait_for("restore")
    goes_on(s, again)
    assert again.closed is None
    assert s.recorder.hooks() == ["connect", "message", "drop", "restore", "message"]


@pytest.mark.contract("B4")
def test_an_access_check_that_fails_late_lets_no_message_through(stage, gate) -> None:
    """Nor one of a transport that has resumed while the check was running."""
    s = stage(metrics=Ledger())

    @s.hub.on_connect
    def check(connection: Connection) -> None:
        if connection.id == "u1":
            gate.hold()
            raise Boom

    ws = s.open()
    gate.wait_reached()
    connection = s.hub.get("u1")
    again = s.resume(ws)
    again.send(text("let me in"))
    heard_all(again)

    with busy_hub(s):  # it hears of the failure only when all the rest has happened
        gate.open()
        s.recorder.wait_for("restore", "u1")
        heard_all(again)

    assert connection.wait_closed(20)
    assert again.receive_close() == (1011, "handler error")
    assert isinstance(s.recorder.wait_for("disconnect", "u1"), HandlerError)
    assert "message" not in s.recorder.hooks("u1")


@pytest.mark.contract("B4")
def test_an_access_check_that_fails_is_not_passed_by_a_resume_that_is_on_its_way(stage, gate) -> None:
    """It was registered before the check had failed; the hub hears of it first, and then of the failure."""
    ledger = Ledger()
    s = stage(metrics=ledger)

    @s.hub.on_connect
    def check(connection: Connection) -> None:
        if connection.id == "u1":
            gate.hold()
            raise Boom

    s.open()
    gate.wait_reached()
    s.open("second", room="elsewhere")
    ledger.held["second"] = between = Gate()
    message = client_frame("text", text("let me in").encode())

    with busy_hub(s):
        resume = Call(lambda: s.open(query="&resume=true", early=message))
        waiting_for_hub(s, "Register")
        kick = Call(lambda: s.hub.kick("second"))
        waiting_for_hub(s, "Kick")
        gate.open()
        waiting_for_hub(s, "HandlerFailed")
    again = resume.result()
    s.recorder.wait_for("restore", "u1")
    heard_all(again)
    between.open()

    kick.result()
    assert again.receive_close() == (1011, "handler error")
    assert isinstance(s.recorder.wait_for("disconnect", "u1"), HandlerError)
    assert "message" not in s.recorder.hooks("u1")


@pytest.mark.contract("B4")
def test_an_access_check_that_fails_while_the_session_is_suspended_ends_it(stage, gate) -> None:
    """Whoever comes back finds nothing to resume."""
    s = stage()

    @s.hub.on_connect
    def check(connection: Connection) -> None:
        gate.hold()
        raise Boom

    ws = s.open()
    gate.wait_reached()
    connection = s.hub.get("u1")
    assert s.hub.cut("u1")
    s.clock.advance(0)
    assert connection.suspended

    gate.open()

    assert connection.wait_closed(20)
    assert isinstance(s.recorder.wait_for("disconnect"), HandlerError)
    with pytest.raises(UpgradeRefused):
        s.resume(ws)


@pytest.mark.contract("B4")
def test_what_a_handler_raised_is_logged_and_kept_from_the_client(stage, caplog) -> None:
    """The log has the traceback; the close frame says nothing about it."""
    s = stage()
    s.hub.on_message(once(Boom))
    ws = s.open()

    ws.send(text("hello"))

    assert ws.receive_close() == (1011, "handler error")
    [record] = [record for record in caplog.records if "on_message raised" in record.getMessage()]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], Boom)
