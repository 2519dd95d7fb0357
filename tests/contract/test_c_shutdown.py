"""The end of a hub: it waits for no callback, and leaves nothing behind (C8)."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from resumehub import CloseReport, HubClosed, Message
from resumehub.testing import TransportClosed, UpgradeRefused, connect
from tests.contract.peers import heard_all, reach, running, until
from tests.support import PATIENCE, Call, Stage, read, text

HOOKS = ("on_connect", "on_message", "on_transport_drop", "on_transport_restore", "on_disconnect")


def hub_threads(s: Stage) -> list[str]:
    """The names of this hub's threads that are alive."""
    prefix = f"resumehub-{id(s.hub.runner):x}-"
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(prefix)]


@pytest.mark.contract("C8")
def test_a_hub_that_was_closed_leaves_no_thread_and_no_socket(stage) -> None:
    """With sessions of every kind: idle, talking, suspended, expired, kicked."""
    s = stage(ping_interval=None)
    clients = [s.open(f"u{number}") for number in range(6)]
    clients[1].send(text("hello"))
    s.drop(clients[2], "u2")
    s.drop(clients[3], "u3")
    s.clock.advance(30)
    s.hub.kick("u4")
    s.hub.send("u5", Message("hello"))

    with running(*[lambda ws=ws: ws.receive_close() for ws in clients if ws.sock.fileno() >= 0]):
        report = s.hub.close(PATIENCE)

    assert report == CloseReport(complete=True, stuck=[])
    assert hub_threads(s) == []
    assert s.recorder.hooks().count("disconnect") == 6
    for number in (0, 1, 5):
        assert clients[number].closed == (1001, "server shutting down")
        assert clients[number].wait_for_eof()
    # The descriptors are looked at when the test is over: see conftest.no_leaks.


@pytest.mark.contract("C8")
def test_a_hub_that_was_never_used_closes_at_once(stage) -> None:
    """It has no threads to end."""
    s = stage()
    assert hub_threads(s) == []

    assert s.hub.close().complete

    assert s.hub.close().complete


@pytest.mark.contract("C8")
def test_closing_twice_is_no_error(stage) -> None:
    """The second time there is nothing left to do."""
    s = stage()
    s.open().sock.close()

    assert s.hub.close(PATIENCE).complete
    assert s.hub.close(PATIENCE).complete
    assert s.recorder.hooks().count("disconnect") == 1


@pytest.mark.contract("C8")
def test_two_threads_that_close_both_see_the_end(stage) -> None:
    """Neither returns before everything is over."""
    s = stage()
    for number in range(5):
        s.open(f"u{number}").sock.close()
    reports: list[Any] = []

    def close() -> None:
        reports.append((s.hub.close(PATIENCE).complete, hub_threads(s)))

    with running(*[close] * 4):
        pass

    assert reports == [(True, [])] * 4
    assert s.recorder.hooks().count("disconnect") == 5


@pytest.mark.contract("C8")
@pytest.mark.parametrize("hook", HOOKS)
def test_a_callback_may_close_the_hub(stage, hook) -> None:
    """It cannot wait for itself, so it gets an incomplete report at once; the close goes on without it."""
    s = stage()
    reports: list[CloseReport] = []
    once = threading.Lock()

    def close(*arguments: object) -> None:
        if once.acquire(blocking=False):
            reports.append(s.hub.close(PATIENCE))

    getattr(s.hub, hook)(close)
    reach(s, hook)
    until(lambda: reports)
    for ws in s.clients:
        ws.sock.close()

    assert s.hub.close(PATIENCE).complete
    [report] = reports
    assert not report.complete
    [(name, stack)] = report.stuck
    assert name.startswith("resumehub-")
    assert "in close\n" in stack
    assert hub_threads(s) == []


@pytest.mark.contract("C8")
@pytest.mark.parametrize("hook", ["on_message", "on_disconnect"])
def test_a_callback_that_is_stuck_is_named_in_the_report_and_nothing_else_is(stage, gate, hook) -> None:
    """Its thread and its stack, down to the line that does not return; all else has ended in time."""
    s = stage()
    getattr(s.hub, hook)(lambda connection, *detail: gate.hold() if connection.id == "u1" else None)
    other = s.open("u2")
    reach(s, hook)
    gate.wait_reached()
    for ws in (*s.clients[1:], other):
        ws.sock.close()

    report = s.hub.close(timeout=4)

    assert not report.complete
    [(name, stack)] = report.stuck
    assert name in hub_threads(s)
    assert "in hold\n" in stack
    assert hub_threads(s) == [name]
    assert s.recorder.hooks("u2")[-1] == "disconnect"
    gate.open()
    assert s.hub.close(PATIENCE).complete
    assert s.recorder.hooks("u1").count("disconnect") == 1


@pytest.mark.contract("C8")
def test_clients_that_connect_while_the_hub_closes_are_all_told(stage) -> None:
    """503, or 1001, or the end of the connection: nobody hangs, and nothing is left of anybody."""
    s = stage(max_sessions=1000)
    s.open("first").sock.close()
    outcomes: list[Any] = []
    start = threading.Barrier(52)

    def come(number: int) -> None:
        start.wait(PATIENCE)
        try:
            with connect(s.hub, f"/?id=c{number}", timeout=PATIENCE) as ws:
                outcomes.append(ws.receive_close(PATIENCE))
        except UpgradeRefused as refused:
            outcomes.append(refused.status)
        except TransportClosed as closed:
            outcomes.append(closed.code)

    with running(*[lambda number=number: come(number) for number in range(50)]):
        reports: list[CloseReport] = []
        with running(lambda: (start.wait(PATIENCE), reports.append(s.hub.close(PATIENCE)))):
            start.wait(PATIENCE)

    assert reports == [CloseReport(complete=True, stuck=[])]
    assert len(outcomes) == 50
    assert set(outcomes) <= {503, 1006, (1001, "server shutting down"), (1006, "")}
    assert hub_threads(s) == []
    hooks = s.recorder.hooks()
    assert hooks.count("connect") == hooks.count("disconnect")


@pytest.mark.contract("C8")
def test_a_client_that_is_handed_over_after_the_end_is_hung_up_on(stage) -> None:
    """Allowed in, then the hub closed, then its socket came: the socket is closed like any other."""
    s = stage()
    s.open("first").sock.close()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        response = s.hub.upgrade(environ, "lobby", "late")
        assert response.status_code == 101
        assert s.hub.close(PATIENCE).complete
        return response(environ, start_response)

    with pytest.raises(TransportClosed) as closed:
        connect(app, "/")

    assert closed.value.code == 1006
    assert s.recorder.hooks("late") == []
    assert hub_threads(s) == []


@pytest.mark.contract("C8")
def test_a_client_that_is_handed_over_while_the_hub_closes_reads_why(stage, gate) -> None:
    """Sessions are still saying good-bye, so there is somebody to write the close frame."""
    s = stage()
    s.hub.on_disconnect(gate.hold)
    first = s.open("first")

    closing: list[Call] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        response = s.hub.upgrade(environ, "lobby", "late")
        closing.append(Call(lambda: s.hub.close(PATIENCE)))
        gate.wait_reached()
        return response(environ, start_response)

    with connect(app, "/") as late:
        assert late.receive_close() == (1001, "server shutting down")
    assert first.receive_close() == (1001, "server shutting down")
    gate.open()
    assert closing[0].result().complete
    assert s.recorder.hooks("late") == []


@pytest.mark.contract("C8")
def test_leaving_the_with_block_closes_the_hub(stage) -> None:
    """Which is all that a script needs."""
    s = stage()

    with s.hub as hub:
        s.open().sock.close()
        assert hub is s.hub

    assert hub_threads(s) == []
    with pytest.raises(HubClosed):
        hub.broadcast("lobby", Message("n"))


@pytest.mark.contract("C8")
@pytest.mark.parametrize("timeout", [-1, float("nan"), "5", None, True], ids=repr)
def test_a_timeout_that_makes_no_sense_is_refused_and_closes_nothing(stage, timeout) -> None:
    """A slip in a shutdown hook must not leave the hub half closed."""
    s = stage()
    ws = s.open()

    with pytest.raises((ValueError, TypeError), match="timeout"):
        s.hub.close(timeout)

    s.hub.send("u1", Message("still open"))
    assert read(ws) == ("still open", None)
    heard_all(ws)
