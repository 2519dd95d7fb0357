"""The sign of life of a hub: of its member's thread and of the hub thread, and only while it is held."""

from __future__ import annotations

from typing import Any

from resumehub.cluster.heartbeat import Heartbeat
from resumehub.core.commands import Tick
from resumehub.runtime.command_loop import Reply
from resumehub.runtime.system import SystemRuntime


class Stub:
    """A lock, a runner and its loop: what is put is handled when the test says so."""

    def __init__(self) -> None:
        self.loop: Any = self
        self.held = True
        self.signs = 0
        self.asked: list[Reply] = []

    def holds(self, byte: int) -> bool:
        return self.held

    def sign_of_life(self) -> None:
        self.signs += 1

    def put(self, command: object, reply: Reply) -> bool:
        assert isinstance(command, Tick)
        self.asked.append(reply)
        return True


def heart_of(stub: Any) -> Heartbeat:
    return Heartbeat(stub, stub, SystemRuntime())


def test_each_beat_is_a_sign_while_the_hub_thread_runs() -> None:
    stub = Stub()
    heart = heart_of(stub)
    for beats in (1, 2, 3):
        heart.beat()
        assert stub.signs == beats
        stub.asked[-1].done.set()


def test_a_hub_thread_that_does_not_run_is_silence() -> None:
    """The member's thread goes on, and asks it once."""
    stub = Stub()
    heart = heart_of(stub)
    for _ in range(3):
        heart.beat()
    assert (stub.signs, len(stub.asked)) == (1, 1)
    stub.asked[0].done.set()
    heart.beat()
    assert (stub.signs, len(stub.asked)) == (2, 2)


def test_without_the_hub_nothing_is_said() -> None:
    """Nor is what an earlier one has not handled held against the next one."""
    stub = Stub()
    heart = heart_of(stub)
    heart.beat()
    stub.held = False
    heart.beat()
    assert stub.signs == 1
    stub.held = True
    heart.beat()
    assert stub.signs == 2


def test_a_hub_that_has_not_started_or_has_ended_is_alive_with_its_member() -> None:
    stub = Stub()
    stub.loop = None
    heart = heart_of(stub)
    heart.beat()
    heart.beat()
    assert stub.signs == 2
