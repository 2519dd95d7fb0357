"""A few threads read for all connections: who leads, who waits, and what a slow callback costs the others.

On free threads. Real time decides nothing here: the deputy's look and what counts as slow are set so that
just what is told happens. All orders of these threads: ``tests/races/test_the_lead.py``.
"""

from __future__ import annotations

import logging
import os
import threading

import pytest

from resumehub import Hub
from resumehub.clock import Effort
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import FakeClock, UpgradeRefused, connect
from tests.contract.peers import Gate, until
from tests.contract.raw_client import masked
from tests.support import PATIENCE, Call, Stage, from_query, read, text

NEVER = 10_000.0


class Shared(SystemRuntime):
    """Threads read for many; there are ``most`` of them to be had."""

    def __init__(self, most: int = 1_000, *, eager: bool = False) -> None:
        super().__init__(share=True)
        self.eager = eager
        self.most = most
        self.leader_followers = 0

    def spawn(self, name, run, *, daemon=True):
        if "-reader-" in name:
            if self.leader_followers >= self.most:
                raise RuntimeError("can't start new thread")
            self.leader_followers += 1
        return super().spawn(name, run, daemon=daemon)


@pytest.fixture(autouse=True)
def nothing_is_slow(monkeypatch):
    monkeypatch.setattr("resumehub.incoming.leader_followers.SLOW", NEVER)


@pytest.fixture
def no_deputy(monkeypatch):
    monkeypatch.setattr("resumehub.incoming.leader_followers.LOOK", NEVER)
    monkeypatch.setattr("resumehub.server.watcher.INTERVAL", NEVER)


@pytest.mark.usefixtures("no_deputy")
def test_one_thread_reads_for_everybody_while_callbacks_are_quick(stage):
    """A message costs no thread switch, and a connection no thread."""
    runtime = Shared()
    one = stage(_runtime=runtime)
    seen = []

    @one.hub.on_message
    def answer(connection, message) -> None:
        seen.append(threading.get_ident())
        connection.send(message)

    clients = [one.open(f"u{number}") for number in range(20)]
    for ws in [*clients, *clients]:
        ws.send(text("n", 1))
        assert read(ws) == ("n", 1)
    assert len(set(seen)) == 1
    assert runtime.leader_followers == 2, "the leader and its deputy"


def test_a_stuck_callback_holds_up_nobody_else(stage):
    """The deputy has seen the leader in the same callback twice, and leads."""
    one, gate = stage(_runtime=Shared()), Gate()

    @one.hub.on_message
    def hear(connection, message) -> None:
        if connection.id == "u1":
            gate.hold()
        connection.send(message)

    stuck, other = one.open("u1"), one.open("u2")
    stuck.send(text("n", 1))
    gate.wait_reached()
    for number in range(3):
        other.send(text("n", number))
        assert read(other) == ("n", number)
    gate.open()
    assert read(stuck) == ("n", 1)


@pytest.mark.usefixtures("no_deputy")
def test_a_client_that_sends_much_at_once_lets_the_others_go_first(stage):
    """After one turn of its messages, another client that has input by then is served."""
    one = stage(_runtime=Shared())
    seen = []

    @one.hub.on_message
    def hear(connection, message) -> None:
        seen.append(connection.id)
        if len(seen) == 1:
            quiet.send(text("n", "quiet"))
        if message.payload in (0, 199, "quiet"):
            connection.send(message)

    loud, quiet = one.open("loud"), one.open("quiet")
    loud.send_raw(b"".join(masked(text("n", number)) for number in range(200)))
    assert read(loud) == ("n", 0)
    assert read(quiet) == ("n", "quiet")
    assert read(loud) == ("n", 199)
    assert seen.index("quiet") <= 32 < len(seen)


@pytest.mark.usefixtures("no_deputy")
def test_once_callbacks_are_slow_the_next_are_not_waited_for(stage):
    """Three handlers that wait for each other all come to their end: each has a thread."""
    one = stage(_runtime=Shared(eager=True))
    meeting = threading.Barrier(3)

    @one.hub.on_message
    def hear(connection, message) -> None:
        if message.payload == "meet":
            meeting.wait(PATIENCE)
        connection.send(message)

    clients = [one.open(f"u{number}") for number in range(3)]
    for ws in clients:
        ws.send(text("n", "meet"))
    for ws in clients:
        assert read(ws) == ("n", "meet")


@pytest.mark.usefixtures("no_deputy")
def test_for_twice_as_long_as_a_callback_waits_nobody_is_waited_for(stage, monkeypatch):
    """Then it is as before. What computes is no slow callback, nor what another process kept from it."""
    one = stage(_runtime=Shared())
    clock, efforts = [100.0], [0.0, 0, 0]
    monkeypatch.setattr("resumehub.incoming.leader_followers.now", lambda: clock[0])
    monkeypatch.setattr("resumehub.incoming.leader_followers.effort", lambda: Effort(*efforts))
    monkeypatch.setattr("resumehub.incoming.leader_followers.SLOW", 0.001)

    @one.hub.on_message
    def hear(connection, message) -> None:
        took, *more = message.payload
        clock[0] += took
        efforts[:] = map(sum, zip(efforts, more, strict=True))
        connection.send(message)

    ws = one.open()
    readers = one.hub.runner.loop.leader_followers

    def eager_after(took: float, computed: float = 0.0, waits: int = 1, made_way: int = 0) -> float:
        ws.send(text("n", [took, computed, waits, made_way]))
        assert read(ws) == ("n", [took, computed, waits, made_way])
        ws.ping(b"?")
        assert ws.wait_for_pong(len(ws.pongs) + 1, timeout=PATIENCE)
        return max(0.0, readers._eager_until - clock[0])

    assert eager_after(0.0005) == 0
    assert eager_after(0.004) == 0, "it may have computed; from now on that is measured"
    assert eager_after(0.004, computed=0.004) == 0, "it has: no other thread could have gone on"
    assert eager_after(0.004, computed=0.001, made_way=1) == 0, "another process had the processor"
    assert eager_after(0.004, computed=0.001, waits=100) == 0, "it waited for the interpreter"
    assert eager_after(0.004, computed=0.001) == pytest.approx(0.006)
    assert eager_after(0.0005) == pytest.approx(0.0055)
    assert eager_after(0.0055) == pytest.approx(0.011)
    assert eager_after(1_000.0) == pytest.approx(1.0)


@pytest.mark.parametrize("eager", [False, True], ids=["for a deputy", "to step in"])
def test_without_another_thread_callbacks_run_one_after_the_other(stage, caplog, eager):
    """Slow, and right; the log says so once for each newcomer, and not for each message."""
    one, gate, others = stage(_runtime=Shared(most=1, eager=eager)), Gate(), []

    @one.hub.on_message
    def hear(connection, message) -> None:
        if message.payload == "stuck":
            gate.hold()
        others.append(connection.id)
        connection.send(message)

    with caplog.at_level(logging.CRITICAL, "resumehub"):
        clients = [one.open(f"u{number}") for number in range(3)]
        one.recorder.wait_for("connect", count=3)
        clients[0].send(text("n", "stuck"))
        gate.wait_reached()
        for ws in clients[1:]:
            ws.send(text("n", 1))
        gate.open()
        for ws in clients:
            assert read(ws)[0] == "n"
    assert others[0] == "u0", "no thread was there to handle the others' before"


def test_a_hub_does_not_begin_without_a_thread_that_reads(stage):
    """The first client is told 503, and the next one finds a hub."""
    runtime = Shared(most=0)
    one = stage(_runtime=runtime)
    with pytest.raises(UpgradeRefused, match="503"):
        one.open()
    runtime.most = 2
    ws = one.open()
    one.say("u1", "welcome")
    assert read(ws) == ("n", "welcome")


def test_a_thread_that_is_not_needed_any_more_ends(stage, monkeypatch):
    """After a rush there are the leader and its deputy again."""
    monkeypatch.setattr("resumehub.incoming.leader_followers.LINGER", 0.0)
    runtime = Shared(eager=True)
    one = stage(_runtime=runtime)
    stuck = Gate()
    one.hub.on_message(stuck.hold)
    clients = [one.open(f"u{number}") for number in range(10)]
    for ws in clients:
        ws.send(text("n", 1))
    for _ in clients:
        stuck.wait_reached()
    assert len(reader_threads(one)) >= 10
    stuck.open()
    until(lambda: len(reader_threads(one)) == 2)


def reader_threads(one: Stage) -> list[str]:
    """The names of the hub's threads that read."""
    return [
        name for thread in one.hub.runner.loop.thread_group.alive() if "-reader-" in (name := thread.name)
    ]


def test_a_hub_that_is_closed_leaves_no_thread_and_no_descriptor(stage):
    """Whether its readers lead, watch or wait."""
    before = open_numbers()
    one = stage(_runtime=Shared())
    clients = [one.open(f"u{number}") for number in range(5)]
    one.recorder.wait_for("connect", count=len(clients))
    for ws in clients:
        ws.drop()
    report = one.hub.close(PATIENCE)
    assert report.complete, report.stuck
    assert reader_threads(one) == []
    assert open_numbers() == before


def test_a_drop_that_nobody_listens_to_wakes_no_thread():
    """Without handlers of it there is nothing to call: no thread of the pool is started, or woken."""
    runtime = Shared()
    roles = []
    spawn = runtime.spawn
    runtime.spawn = lambda name, run, **how: roles.append(name.split("-")[-2]) or spawn(name, run, **how)
    with Hub(from_query, clock=FakeClock(), _runtime=runtime) as hub:
        hub.on_message(lambda connection, message: connection.send(message))
        ws = connect(hub, "/?room=lobby&id=u1")
        for number in range(3):
            ws.drop()
            until(lambda: hub.get("u1").suspended)
            ws = ws.resume()
            ws.send(text("n", number))
            assert read(ws) == ("n", number)
        assert "callbacks" not in roles
        ws.close()
        until(lambda: hub.get("u1") is None)


def test_a_forked_child_lets_go_of_all_and_the_parent_goes_on(stage):
    """It closes its copies of the sockets, of the poller and its bell; no connection ends for that."""
    before = open_numbers()
    one = stage(_runtime=Shared())
    one.hub.on_message(lambda connection, message: connection.send(message))
    ws = one.open()
    ws.send(text("n", 1))
    assert read(ws) == ("n", 1)
    numbers = open_numbers() - before - {ws.sock.fileno()}
    assert len(numbers) == 3, "the poller, its bell and the socket"
    child = os.fork()
    if child == 0:
        os._exit(sum(is_open(number) for number in numbers))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "so many are open still"
    assert all(map(is_open, numbers))
    ws.send(text("n", 2))
    assert read(ws) == ("n", 2)


def open_numbers() -> set[int]:
    """The descriptors that are open now."""
    return {number for name in os.listdir("/proc/self/fd") if is_open(number := int(name))}


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_a_poller_that_is_closed_closes_nothing_again():
    """A hub that was closed is told of a fork, too; its numbers belong to other files by then."""
    before = open_numbers()
    poller = SystemRuntime(share=True).poller()
    numbers = open_numbers() - before
    poller.close()
    for number in numbers:
        os.dup2(2, number)
    try:
        poller.close()
        assert numbers
        assert all(map(is_open, numbers))
    finally:
        for number in numbers:
            os.close(number)


def test_a_look_leaves_the_bell_to_the_thread_that_waits():
    """One that looks late must not take it (tests/races/test_the_lead.py)."""
    poller = SystemRuntime(share=True).poller()
    try:
        poller.wake()
        assert poller.look() == []
        assert Call(poller.wait).result() == []
    finally:
        poller.retire()
        poller.close()
