"""``Hub(buffer_budget=…)``: a bound for what all sessions hold together, and who gives way at it."""

from __future__ import annotations

import json
import logging

import pytest

from resumehub import Counters, Hub, Message
from tests.contract.peers import rock, until
from tests.support import Stage

KIB = 1024


def big(hub: Hub, connection_id: str, kib: int, event: str = "n") -> None:
    hub.send(connection_id, Message(event, "x" * (kib * KIB)))


def look(s: Stage) -> None:
    """Let the hub look at its buffers, and handle what comes of it."""
    s.clock.advance(1.0)


def suspended(s: Stage, connection_id: str, kib: int) -> None:
    ws = s.open(connection_id)
    s.drop(ws, connection_id)
    big(s.hub, connection_id, kib)


@pytest.mark.contract("C12")
def test_the_longest_suspended_session_ends_early(stage, caplog) -> None:
    """Its window is over sooner, which metrics, the ledger, its handlers and the log say."""
    caplog.set_level(logging.WARNING, "resumehub")
    s = stage(buffer_budget=100 * KIB, metrics=Counters(), ping_interval=None)
    for number in range(4):
        suspended(s, f"u{number}", 30)
        s.clock.advance(0.01)

    look(s)

    s.recorder.wait_for("disconnect", "u0")
    assert [s.hub.get(f"u{number}") is not None for number in range(4)] == [False, True, True, True]
    assert s.metrics.snapshot()["connections_closed"]["grace_expired"] == 1
    assert s.hub.stats().expired == 1
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("the buffers of all sessions hold 1229")
    look(s)
    assert s.hub.stats().sessions == 3


@pytest.mark.contract("C12")
def test_a_slow_client_loses_its_oldest_messages_and_a_quick_one_none(stage) -> None:
    s = stage(buffer_budget=1000 * KIB, send_buffer_bytes=4 << 20, metrics=Counters(), ping_interval=None)
    slow, quick = s.open("slow"), s.open("quick")
    slow.stop_reading()
    rock(s, "slow")
    for number in range(20):
        s.say("slow", f"{number} " + "x" * (50 * KIB))
        s.say("quick", number)

    s.clock.advance(1.5)

    dropped = s.metrics.snapshot()["messages_dropped"]["overflow"]
    assert 5 <= dropped <= 15
    assert s.hub.stats().held_bytes <= 1000 * KIB
    assert [json.loads(quick.receive())["payload"] for _ in range(20)] == list(range(20))
    slow.go_on_reading()
    assert json.loads(slow.receive())["event"] == "rock"
    heard = [json.loads(slow.receive())["payload"].split()[0] for _ in range(20 - dropped)]
    assert heard == [str(number) for number in range(dropped, 20)]


@pytest.mark.contract("C12")
def test_history_goes_before_anything_that_waits(stage) -> None:
    s = stage(buffer_budget=100 * KIB, metrics=Counters(), ping_interval=None)
    ws = s.open()
    for _ in range(5):
        big(s.hub, "u1", 30)
        ws.receive()
    until(lambda: s.hub.stats().held == 5)

    look(s)

    assert s.hub.stats().held == 3
    assert s.metrics.snapshot()["messages_dropped"]["overflow"] == 0
    assert s.hub.stats().written == 2


@pytest.mark.contract("C12")
def test_a_resume_into_what_is_gone_is_a_gap(stage) -> None:
    """The client is told; nothing is left out in silence."""
    s = stage(buffer_budget=100 * KIB, ping_interval=None)
    ws = s.open(query="&received=0")
    for _ in range(5):
        big(s.hub, "u1", 30)
        ws.receive()
    until(lambda: s.hub.stats().held == 5)
    look(s)
    s.drop(ws)
    with pytest.raises(Exception, match="410"):
        s.resume(ws, received="0")


@pytest.mark.contract("C12", "D2")
def test_a_v1_client_is_told_what_it_misses(stage) -> None:
    s = stage(buffer_budget=1000 * KIB, send_buffer_bytes=4 << 20, metrics=Counters(), ping_interval=None)
    ws = s.open(subprotocols=["resumehub.v1"])
    ws.stop_reading()
    rock(s)
    for number in range(20):
        s.say("u1", f"{number} " + "x" * (50 * KIB))

    s.clock.advance(1.5)

    dropped = s.metrics.snapshot()["messages_dropped"]["overflow"]
    assert dropped
    ws.go_on_reading()
    told = []
    while not told or not str(told[-1].get("payload")).startswith("19 "):
        told.append(json.loads(ws.receive()))
    missed = [message["payload"] for message in told if message["event"] == "$missed"]
    assert missed == [{"from": 2, "to": 1 + dropped}]


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_wrong_budget_is_refused_when_the_hub_is_built(value: object, error: type) -> None:
    with pytest.raises(error, match=r"^buffer_budget is .*: it must be a whole number of bytes, at least 1"):
        Hub(buffer_budget=value)
