"""Requests are counted once each, in both directions, with what became of them (E3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from resumehub import Connection, Counters, Message, RequestError, SendBufferFull
from resumehub.errors import ConnectionClosed, RequestFailed, RequestInDoubt, RequestTimeout
from tests.cluster.calling import pair
from tests.contract.test_e_asking import answer, asked
from tests.support import Call, Stage

__all__ = ["pair"]


def counted(counters: Counters, name: str) -> dict[str, int]:
    """The outcomes that have happened."""
    sums: dict[str, int] = counters.snapshot()[name]  # type: ignore[literal-required]
    return {outcome: number for outcome, number in sums.items() if number}


def ask(ws: Any, event: str, number: int) -> dict[str, Any]:
    """Ask the hub; return the answer."""
    ws.send(json.dumps({"event": event, "id": str(number)}))
    heard: dict[str, Any] = json.loads(ws.receive())
    return heard


def test_requests_of_a_client(stage: Any) -> None:
    """Answered, refused, failed, too many, and lost with the session; each is taken once."""
    counters, later = Counters(), []
    s = stage(metrics=counters, max_requests=1)

    @s.hub.on_message
    def hear(connection: Connection, message: Message) -> Any:
        match message.event:
            case "refuse":
                raise RequestError("no", "not today")
            case "unfit":
                return object()
            case "later":
                message.defer()
                later.append(message)
                return None
        return 1

    ws = s.open()
    assert ask(ws, "now", 1)["payload"] == 1
    assert ask(ws, "refuse", 2)["error"]["code"] == "no"
    assert ask(ws, "unfit", 3)["error"]["code"] == "internal_error"
    ws.send('{"event": "later", "id": "4"}')
    assert ask(ws, "now", 5)["error"]["code"] == "too_many_requests"
    later[0].reply(2)
    assert json.loads(ws.receive())["payload"] == 2
    ws.send('{"event": "later", "id": "6"}')
    s.recorder.wait_for("message", count=5)
    s.drop(ws)
    s.clock.advance(s.hub.runner.config.resume_window + 1)
    s.recorder.wait_for("disconnect")
    with pytest.raises(ConnectionClosed):
        later[1].reply(3)

    assert counters.snapshot()["client_requests_taken"] == 6
    assert counted(counters, "client_requests_settled") == {
        "answered": 2,
        "refused": 1,
        "failed": 1,
        "turned_away": 1,
        "lost": 1,
    }


def test_a_deferred_request_that_the_hub_refuses_at_a_close_has_failed(stage: Any) -> None:
    counters = Counters()
    s = stage(metrics=counters)
    s.hub.on_message(lambda connection, message: message.defer())
    ws = s.open()
    ws.send('{"event": "later", "id": "1"}')
    s.recorder.wait_for("message")
    s.hub.get("u1").close()
    assert json.loads(ws.receive())["error"]["code"] == "internal_error"
    assert counted(counters, "client_requests_settled") == {"failed": 1}


def asks(s: Stage, outcome: type[Exception] | None, settle: Any, connection: Any) -> None:
    """A thread asks, ``settle`` does what ends it, and the thread gets ``outcome``."""
    call = Call(lambda: connection.request("ask", timeout=5.0))
    settle()
    if outcome is None:
        assert call.result() == "yes"
    else:
        with pytest.raises(outcome):
            call.result()


def test_requests_to_a_client(stage: Any) -> None:
    """Answered, refused, too late, in doubt, and what could not be sent."""
    counters = Counters()
    s = stage(metrics=counters)
    ws = s.open()
    s.recorder.wait_for("connect")
    connection = s.hub.get("u1")
    asks(s, None, lambda: answer(ws, asked(ws), payload="yes"), connection)
    asks(s, RequestFailed, lambda: answer(ws, asked(ws), error={"code": "no"}), connection)
    asks(s, RequestTimeout, lambda: (asked(ws), s.clock.advance(6.0)), connection)
    assert counters.snapshot()["requests_asked"] == 3
    with pytest.raises(TypeError):
        connection.request("ask", object())
    asks(s, RequestInDoubt, lambda: (asked(ws), s.hub.kick("u1")), connection)

    assert counters.snapshot()["requests_asked"] == 5
    assert counted(counters, "requests_settled") == {
        "answered": 1,
        "refused": 1,
        "timeout": 1,
        "lost": 1,
        "unsent": 1,
    }


def test_a_full_buffer_is_no_request_that_was_sent(stage: Any) -> None:
    counters = Counters()
    s = stage(metrics=counters, send_buffer=1)
    s.drop(s.open())
    s.hub.send("u1", Message("n", 1))
    with pytest.raises(SendBufferFull):
        s.hub.get("u1").request("ask")
    assert counted(counters, "requests_settled") == {"unsent": 1}


def test_a_worker_counts_what_its_threads_ask_and_the_hub_does_not(pair: Any) -> None:
    """So that each is counted once, in the process of the thread that asks."""
    hub_counts, worker_counts = Counters(), Counters()
    p = pair(metrics=hub_counts)
    p.worker.hub.runner.metrics = worker_counts
    ws = p.stage.open()
    p.stage.recorder.wait_for("connect")
    remote = p.hub.get("u1")
    asks(p.stage, None, lambda: answer(ws, asked(ws), payload="yes"), remote)
    p.stage.hub.kick("u1")
    with pytest.raises(ConnectionClosed):
        remote.request("ask")

    assert worker_counts.snapshot()["requests_asked"] == 2
    assert counted(worker_counts, "requests_settled") == {"answered": 1, "lost": 1}
    assert hub_counts.snapshot()["requests_asked"] == 0
