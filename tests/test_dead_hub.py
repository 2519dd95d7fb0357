"""The hub thread has died: nobody waits for it, all are told, and the process can be taken out of service."""

from __future__ import annotations

import logging
from functools import partial

import pytest

from resumehub import HubClosed, Message
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import Lab, UpgradeRefused, explore
from resumehub.testing.strategies import Deepening, Random
from tests.contract.peers import Gate, until
from tests.support import PATIENCE, Call, read, text


class Panic(BaseException):
    """A bug of ours, or of an extension."""


def die(hub) -> None:
    """Have the hub thread die at its next step."""

    def panic() -> None:
        raise Panic("secret detail")

    loop = hub.runner.loop
    loop.machine.next_deadline = panic
    loop._commands.put(loop._commands._tick)


@pytest.fixture(params=[True, False], ids=["readers that share threads", "readers of their own"])
def runtime(request) -> SystemRuntime:
    return SystemRuntime(reuse=True, share=request.param)


@pytest.mark.contract("A.503", "C8", "C9")
def test_sessions_end_and_upgrades_are_refused(stage, runtime, caplog):
    """A client sees 1006 and dials again; its session ends as when the hub is closed. Nothing hangs."""
    one = stage(_runtime=runtime)
    assert one.hub.ready(), "an upgrade would start it"
    ws, away = one.open("here"), one.open("away")
    one.recorder.wait_for("connect", count=2)
    connection = one.hub.get("here")
    gone = one.drop(away, "away")
    one.say("away", "kept for it")

    die(one.hub)

    assert ws.receive_close(PATIENCE) == (1006, "")
    for name in ("here", "away"):
        assert isinstance(one.recorder.wait_for("disconnect", name), HubClosed)
    assert connection.wait_closed(PATIENCE)
    assert connection.closed
    assert gone.undelivered == [Message("n", "kept for it")]
    assert not one.hub.ready()
    with pytest.raises(UpgradeRefused) as refused:
        one.open("new")
    assert refused.value.status == 503
    assert refused.value.header("Retry-After")
    for call in (
        lambda: one.hub.send("here", Message("n")),
        lambda: one.hub.broadcast("lobby", Message("n")),
        lambda: one.hub.kick("here"),
        lambda: connection.send(Message("n")),
    ):
        with pytest.raises(HubClosed):
            call()
    connection.close()
    [died] = [record for record in caplog.records if record.exc_info and record.levelno == logging.CRITICAL]
    assert died.getMessage() == "the thread of the hub has died; please report this"
    assert died.exc_info[0] is Panic
    stats = one.hub.stats()
    assert (stats.sessions, stats.held) == (0, 0)


@pytest.mark.contract("C8")
def test_a_caller_that_waits_for_a_dead_hub_thread_is_answered(stage, runtime):
    one = stage(_runtime=runtime)
    one.open("u1")
    one.recorder.wait_for("connect")
    loop = one.hub.runner.loop
    gate = Gate()
    next_deadline = loop.machine.next_deadline

    def held() -> float | None:
        gate.hold()
        loop.machine.next_deadline = next_deadline
        raise Panic

    loop.machine.next_deadline = held
    loop._commands.put(loop._commands._tick)
    gate.wait_reached()
    kick = Call(partial(one.hub.kick, "u1"))
    until(lambda: loop._commands._mailbox._queue.qsize() >= 1)
    gate.open()
    with pytest.raises(Exception, match="u1"):
        kick.result()
    one.recorder.wait_for("disconnect")


@pytest.mark.contract("B4")
@pytest.mark.parametrize("error", [Panic, SystemExit, KeyError])
def test_a_command_over_which_the_hub_thread_panics_costs_that_command(stage, runtime, error, caplog):
    """A bug of ours; the caller that waits gets an Exception, which ends no process."""
    one = stage(_runtime=runtime)
    ws = one.open("u1")
    one.recorder.wait_for("connect")
    effect_runner = one.hub.runner.loop.effect_runner
    execute = effect_runner.execute

    def panic(effect):
        effect_runner.execute = execute
        raise error("secret detail")

    effect_runner.execute = panic
    with pytest.raises(KeyError if error is KeyError else RuntimeError):
        one.hub.kick("u1")
    assert "could not handle Kick; please report this" in caplog.text
    assert one.hub.ready()
    two = one.open("u2")
    two.send(text("n", 1))
    assert one.recorder.wait_for("message", "u2") == Message("n", 1)
    one.say("u2", "hi")
    assert read(two) == ("n", "hi")
    ws.drop()
    one.hub.close(0.5)  # the machine has ended u1, and its effects are lost: only AbortAll ends the transport


def a_hub_dies(lab: Lab, *, slow: bool) -> None:
    """While a client sends, its peer perhaps does not read, and a second one dials."""
    lab.captured_log.expects_bugs = lab.captured_log.quiet = True
    hub = lab.open(ping_interval=None)
    ended = []
    hub.on_message(lambda connection, message: lab.pause("think"))
    hub.on_disconnect(lambda connection, error: ended.append((connection.id, type(error))))
    alice = lab.dial("/?id=alice")
    lab.run_until_idle()
    if slow:
        alice.stop_reading()
        for _ in range(200):
            hub.send("alice", Message("n", "x" * 5_000))
        lab.run_until_idle()

    @lab.actor
    def client() -> None:
        alice.send(text("n", 1))
        alice.send(text("n", 2))

    @lab.actor
    def bug() -> None:
        die(hub)

    @lab.at_end
    def nothing_is_left() -> None:
        assert ended == [("alice", HubClosed)]
        assert not hub.ready()
        assert not list(hub.runner.loop.transports)
        assert hub.stats().held == 0


@pytest.mark.parametrize("share", [True, False], ids=["readers that share threads", "readers of their own"])
@pytest.mark.parametrize("slow", [False, True], ids=["a client that reads", "one that does not"])
@pytest.mark.parametrize("strategy", [Deepening(1), Random(1, 30)], ids=lambda one: type(one).__name__)
def test_nothing_is_left_of_a_dead_hub_in_any_order(strategy, share, slow):
    """No thread, no socket, no callback twice: the lab checks it."""
    explore(partial(a_hub_dies, slow=slow), strategy, share=share, stop_at_locks=True, max_schedules=20)
