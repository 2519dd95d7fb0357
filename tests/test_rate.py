"""``Hub(rate=…)``: a client that sends too much waits, and loses nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from resumehub import Counters, Hub, RateLimit
from resumehub.testing import TransportClosed, WebSocketClient
from resumehub.testing.wire import client_frame
from tests.contract.peers import heard_all, until
from tests.support import Stage, text

TWO_A_SECOND = RateLimit(messages_per_second=2, burst=2)


@pytest.fixture(params=["one for all", "one each"])
def readers(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Whether a few threads read for all connections, or each has a reader of its own."""
    from resumehub.runtime.system import SystemRuntime

    return {"_runtime": SystemRuntime(share=request.param == "one for all")}


def numbers(s: Stage) -> list[int]:
    return [detail.payload for hook, _, detail in s.recorder.events if hook == "message"]


def flood(s: Stage, ws: WebSocketClient, count: int = 20) -> None:
    """Send numbered messages, all at once, and wait until the hub reads no more of them."""
    for number in range(count):
        ws.send(text("n", number))
    until(lambda: is_paused(s))


def is_paused(s: Stage) -> bool:
    [io] = s.hub.runner.loop.transports
    return io._read_on is not None and s.hub.runner.loop.machine.deadlines.next_at() is not None


def wait_for_turns(s: Stage, count: int) -> None:
    """After a ``flood``: let the client have so many turns, of one message in half a second each."""
    for number in range(count):
        s.clock.advance(0.5 if number else 0.6)
        s.recorder.wait_for("message", count=6 + number)
        until(lambda: is_paused(s))


def test_it_is_handled_at_its_rate(stage, readers) -> None:
    """At once what the burst allows, then as many a second as the rate says, in order."""
    s = stage(rate=TWO_A_SECOND, ping_interval=None, **readers)
    flood(s, s.open())
    assert numbers(s) == list(range(5))

    wait_for_turns(s, 6)
    assert numbers(s) == list(range(11))


def test_a_client_within_its_rate_never_waits(stage, readers) -> None:
    s = stage(rate=TWO_A_SECOND, metrics=Counters(), ping_interval=None, **readers)
    ws = s.open()
    for number in range(40):
        ws.send(text("n", number))
        s.recorder.wait_for("message", count=number + 1)
        s.clock.advance(0.5)
    assert s.metrics.snapshot()["readings_paused"] == 0


def test_without_a_limit_nothing_is_counted(stage) -> None:
    s = stage(rate=None)
    ws = s.open()
    for number in range(200):
        ws.send(text("n", number))
    s.recorder.wait_for("message", count=200)


def send_for_ever(ws: WebSocketClient, frame: bytes) -> None:
    for _ in range(10_000):
        ws.sock.sendall(frame)


def test_what_the_hub_does_not_read_stays_with_the_client(stage) -> None:
    """TCP presses back: at some point the client cannot send any more, and the hub holds little."""
    s = stage(rate=RateLimit(messages_per_second=2, burst=2), ping_interval=None)
    ws = s.open(buffer=8192)
    ws.sock.setblocking(False)
    frame = client_frame("text", b'{"payload":1,"pad":"' + b"x" * 1000 + b'"}')
    with pytest.raises(BlockingIOError):
        send_for_ever(ws, frame)
    [io] = s.hub.runner.loop.transports
    held = len(io.backlog) + len(io.transport._leftover) // len(frame)
    assert held < 100


@pytest.mark.parametrize("kind", ["ping", "pong"])
def test_control_frames_are_pressed_too(stage, readers, kind: str) -> None:
    """A client that sends Pings alone makes work as well."""
    s = stage(rate=TWO_A_SECOND, ping_interval=None, **readers)
    ws = s.open()
    ws.sock.sendall(client_frame(kind, b"") * 250)
    until(lambda: is_paused(s))
    s.clock.advance(10)
    heard_all(ws)


def test_so_are_fragments(stage, readers) -> None:
    """Or a message of ten thousand empty ones would count as one."""
    s = stage(rate=TWO_A_SECOND, ping_interval=None, **readers)
    ws = s.open()
    ws.sock.sendall(client_frame("text", b"", fin=False) + client_frame("continuation", b"", fin=False) * 250)
    until(lambda: is_paused(s))
    s.clock.advance(10)
    ws.sock.sendall(client_frame("continuation", b'{"payload":7}'))
    s.recorder.wait_for("message")
    assert numbers(s) == [7]


def test_a_kick_reaches_a_client_that_waits(stage, readers) -> None:
    """And its close frame is read, which is behind what it has sent too much."""
    s = stage(rate=TWO_A_SECOND, ping_interval=None, **readers)
    ws = s.open()
    flood(s, ws)
    s.hub.kick("u1")
    with pytest.raises(TransportClosed):
        ws.receive()
    assert ws.closed == (1000, "kicked")
    until(lambda: not len(s.hub.runner.loop.transports))
    assert numbers(s) == list(range(5))


def test_a_resume_brings_no_new_burst(stage, readers) -> None:
    """Else a client would only have to drop its connection to go on."""
    s = stage(rate=TWO_A_SECOND, ping_interval=None, **readers)
    ws = s.open()
    flood(s, ws)
    again = s.resume(ws)
    again.send(text("n", 100))
    again.send(text("n", 101))
    until(lambda: s.recorder.hooks().count("message") == 6)
    heard = numbers(s)
    assert heard == [0, 1, 2, 3, 4, 100]
    s.clock.advance(1.1)
    s.recorder.wait_for("message", count=7)


def test_a_heartbeat_does_not_judge_a_client_that_is_not_read(stage) -> None:
    """Its Pong is behind what it has sent too much."""
    s = stage(rate=RateLimit(messages_per_second=0.01, burst=1), write_timeout=10, ping_interval=20)
    ws = s.open()
    ws.send(text("n", 0))
    until(lambda: is_paused(s))
    s.clock.advance(60)
    assert not s.hub.get("u1").suspended
    s.clock.advance(39.5)
    heard_all(ws)


def test_the_operator_is_told(stage, caplog) -> None:
    """Once a minute, and by a metric."""
    caplog.set_level(logging.WARNING, "resumehub")
    s = stage(rate=TWO_A_SECOND, metrics=Counters(), ping_interval=None)
    flood(s, s.open())
    wait_for_turns(s, 3)
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("the client of 'u1' sends more than Hub(rate=…) allows")
    snapshot = s.metrics.snapshot()
    assert snapshot["readings_paused"] == 4
    assert snapshot["reading_paused_seconds"] == pytest.approx(0.6 + 3 * 0.5)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (
            (0,),
            ValueError,
            "rate.messages_per_second is 0: it must be a number of messages per second",
        ),
        ((True,), TypeError, "rate.messages_per_second is True, a bool: it must be a number of messages"),
        ((1, -2), ValueError, "rate.bytes_per_second is -2: it must be a number of bytes per second"),
        ((1, float("nan")), ValueError, "rate.bytes_per_second is nan"),
        ((1, 1, 0), ValueError, "rate.burst is 0: it must be a number of seconds, more than 0"),
        ((1, 1, "2"), TypeError, "rate.burst is '2', a str: it must be a number of seconds"),
        ((None, None), ValueError, "it must be a RateLimit that limits something, or None for no limit"),
    ],
)
def test_a_wrong_limit_is_refused_when_it_is_made(arguments: tuple, error: type, says: str) -> None:
    with pytest.raises(error) as caught:
        RateLimit(*arguments)
    assert says in str(caught.value)


@pytest.mark.parametrize("value", [100, "100", (1, 2, 3), False])
def test_the_option_is_a_rate_limit_or_none(value: object) -> None:
    with pytest.raises(TypeError, match=r"^rate is .*: it must be a RateLimit such as"):
        Hub(rate=value)
