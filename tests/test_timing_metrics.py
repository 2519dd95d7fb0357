"""How long things take, as a collector is told: lag, resumes, suspensions, handlers, stalls."""

from __future__ import annotations

from typing import Any

from resumehub import Counters, SystemClock
from tests.contract.peers import Ledger, until
from tests.support import PATIENCE, Stage, text


def test_a_suspension_is_told_when_it_ends_either_way(stage: Any) -> None:
    """In seconds of the hub's clock; a takeover has none."""
    metrics = Ledger()
    s: Stage = stage(metrics=metrics, resume_window=30, ping_interval=None)
    back, gone = s.open("back"), s.open("gone")
    s.drop(back, "back")
    s.clock.advance(4)
    again = s.resume(back)
    s.recorder.wait_for("restore", "back")
    s.resume(again)
    s.recorder.wait_for("restore", "back", 2)
    s.drop(gone, "gone")
    s.clock.advance(30)
    s.recorder.wait_for("disconnect", "gone")

    assert metrics.of("suspension_ended") == [
        ("lobby", "back", 4.0, True),
        ("lobby", "back", 0.0, True),
        ("lobby", "gone", 30.0, False),
    ]
    assert metrics.of("resume_served") == [("lobby", "back", 0.0)] * 2
    assert not s.hub.runner.loop.effect_runner._suspended_at


def test_handlers_are_timed_by_hook_also_when_they_raise(stage: Any) -> None:
    """What has no handler is not told, nor is a message that no handler gets."""
    metrics = Ledger()
    s: Stage = stage(metrics=metrics, ping_interval=None)

    @s.hub.on_message
    def slow(connection: Any, message: Any) -> None:
        s.clock.advance(2)
        if message.payload == "fail":
            raise RuntimeError("on purpose")

    ws = s.open()
    s.recorder.wait_for("connect")
    ws.send(text("n", 1))
    metrics.wait_for("callback_ended", 2)
    ws.send(text("n", "fail"))
    metrics.wait_for("callback_ended", 4)
    told = [(hook, duration) for _, _, hook, duration in metrics.of("callback_ended")]
    assert told == [("on_connect", 0.0), ("on_message", 2.0), ("on_message", 2.0), ("on_transport_drop", 0.0)]


def test_each_command_is_told_with_its_wait(stage: Any) -> None:
    metrics = Ledger()
    s: Stage = stage(metrics=metrics, ping_interval=None)
    s.open()
    s.recorder.wait_for("connect")
    s.hub.kick("u1")
    assert len(metrics.of("command_waited")) >= 2
    assert set(metrics.of("command_waited")) == {(0.0,)}, "the fake clock stands still"


def test_a_client_that_reads_again_ends_a_stall(stage: Any) -> None:
    """Its socket was full. On a real clock, since the time passes at the other end."""
    metrics = Ledger()
    s: Stage = stage(clock=SystemClock(), metrics=metrics, ping_interval=None, send_buffer_bytes=1 << 22)
    ws = s.open()
    s.recorder.wait_for("connect")
    ws.freeze()
    s.say("u1", "x" * 600_000)
    until(lambda: s.hub.runner.loop.registry.sessions["u1"].writer.progress.blocked)
    ws.thaw()
    ws.receive(PATIENCE)
    metrics.wait_for("write_stall_ended")
    assert all(told[:2] == ("lobby", "u1") and told[2] > 0 for told in metrics.of("write_stall_ended"))


def test_the_sums_add_up(stage: Any) -> None:
    counters = Counters()
    s: Stage = stage(metrics=counters, ping_interval=None)
    ws = s.open()
    s.recorder.wait_for("connect")
    s.drop(ws)
    s.clock.advance(3)
    s.resume(ws)
    s.recorder.wait_for("restore")
    until(lambda: counters.snapshot()["callbacks"] == 3)
    sums = counters.snapshot()
    assert (sums["suspensions"], sums["suspended_seconds"], sums["resumes_succeeded"]) == (1, 3.0, 1)
    assert sums["commands"] > 2
    assert (sums["command_wait_seconds"], sums["resume_delay_seconds"], sums["write_stalls"]) == (0.0, 0.0, 0)
