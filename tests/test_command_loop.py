"""The loop of the hub and of the client, with a machine of three words.

The toy's commands are strings: "note …" does nothing, "wait 5" sets a deadline 5 s ahead, "fail" raises,
"stop" finishes the machine, "tick" is the tick. Most tests put all commands first and then let the loop run
in the test's own thread, until "stop".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resumehub.runtime.base import Event, Lock, Mailbox
from resumehub.runtime.command_loop import CommandLoop, Reply
from resumehub.runtime.foreign_code import Log
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import FakeClock
from tests.support import PATIENCE, Call


class Toy:
    """A machine, the owner of a loop, and a record: ``done`` has each command and the time it was given."""

    def __init__(self, runtime: SystemRuntime | None = None, loop: type[CommandLoop] = CommandLoop) -> None:
        self.clock = FakeClock()
        self.runtime = runtime or SystemRuntime()
        self.done: list[tuple[str, float]] = []
        self.refused: list[str] = []
        self.finished = False
        self.deadlines: list[float] = []
        self.loop: CommandLoop[str] = loop(
            "the toy",
            self,
            self.runtime,
            self.clock,
            tick="tick",
            perform=self.perform,
            refuse=self.refuse,
            log=Log("resumehub"),
        )

    def next_deadline(self) -> float | None:
        return min(self.deadlines, default=None)

    def perform(self, command: str, at: float, reply: Reply | None) -> None:
        self.deadlines = [deadline for deadline in self.deadlines if deadline > at]
        self.done.append((command, at))
        word, _, rest = command.partition(" ")
        if word == "wait":
            self.deadlines.append(at + float(rest))
        elif word == "fail":
            raise RuntimeError(rest)
        self.finished = self.finished or word == "stop"

    def refuse(self, command: str, reply: Reply | None) -> None:
        self.refused.append(command)
        if command.startswith("fail"):
            raise RuntimeError(command)
        if reply is not None and command.startswith("note"):
            reply.error = LookupError(command)

    def reply(self) -> Reply:
        return Reply(self.runtime.event())


@pytest.fixture
def toy() -> Toy:
    return Toy()


# -- lag ---------------------------------------------------------------------------------------


def test_the_lag_is_how_long_the_oldest_command_waits_that_is_not_handled(toy: Toy) -> None:
    """It grows while the loop hangs in a command, and is 0 when there is nothing to do."""
    seen: list[float] = []

    def perform(command: str, at: float, reply: Reply | None) -> None:
        seen.append(toy.loop.lag())
        toy.clock.advance(2)
        seen.append(toy.loop.lag())
        toy.finished = command == "stop"

    toy.loop._perform = perform
    assert toy.loop.lag() == 0.0
    toy.loop.put("note a")
    toy.clock.advance(1)
    toy.loop.put("stop")
    toy.loop.run()
    assert seen == [1.0, 3.0, 2.0, 4.0]
    assert toy.loop.lag() == 0.0, "it has finished, and nothing waits"


def test_each_wait_in_the_queue_is_told_before_the_command_is_performed(toy: Toy) -> None:
    waits: list[tuple[float, int]] = []
    toy.loop._waited = lambda seconds: waits.append((seconds, len(toy.done)))
    toy.loop.put("note a")
    toy.clock.advance(3)
    toy.loop.put("stop")
    toy.clock.advance(1)
    toy.loop.run()
    assert waits == [(4.0, 0), (1.0, 1)]


def test_the_lag_of_a_loop_that_is_held_is_that_of_what_was_put_aside(toy: Toy) -> None:
    """A hub that moves has a lag, since nothing is decided meanwhile."""
    thread = Call(toy.loop.run)
    assert toy.loop.hold()
    toy.loop.put("note a")
    toy.loop.settle()
    toy.clock.advance(5)
    assert toy.loop.lag() == 5.0
    toy.loop.let_go()
    toy.loop.settle()
    assert toy.loop.lag() == 0.0
    toy.loop.put("stop")
    thread.result()


# -- time --------------------------------------------------------------------------------------


def test_a_command_happens_at_the_time_at_which_it_was_put(toy: Toy) -> None:
    """However late the loop's thread gets to it."""
    toy.loop.put("note a")
    toy.clock.advance(3)
    toy.loop.put("note b")
    toy.loop.put("stop")
    toy.clock.advance(3)
    toy.loop.run()
    assert toy.done == [("note a", 0), ("note b", 3), ("stop", 3)]


def test_deadlines_fire_before_the_command_behind_them_each_at_its_own_time(toy: Toy) -> None:
    toy.loop.put("wait 2")
    toy.loop.put("wait 1")
    toy.clock.advance(5)
    toy.loop.put("stop")
    toy.loop.run()
    assert toy.done == [("wait 2", 0), ("wait 1", 0), ("tick", 1), ("tick", 2), ("stop", 5)]


@pytest.mark.parametrize("ahead", [0, 3])
def test_a_deadline_of_no_length_fires_at_once_on_a_clock_that_stands_still(toy: Toy, ahead: int) -> None:
    """No test moves the clock, so the loop must not wait for it; and the answer says what is next."""
    reply = toy.reply()
    toy.loop.put("wait 9")
    toy.clock.advance(ahead)
    toy.loop.put("wait 0", reply)
    running = Call(toy.loop.run)
    assert reply.done.wait(PATIENCE)
    assert toy.done == [("wait 9", 0), ("wait 0", ahead), ("tick", ahead)]
    assert reply.next_deadline == 9
    toy.loop.put("stop")
    running.result()


def test_a_clock_moves_the_loop_from_deadline_to_deadline(toy: Toy) -> None:
    toy.clock.follow(toy.loop)
    running = Call(toy.loop.run)
    toy.loop.put("wait 2")
    toy.loop.put("wait 7")
    toy.clock.advance(10)
    fired = [at for command, at in toy.done if command == "tick" and at not in (0, 10)]
    assert fired == [2, 2, 7, 7]  # the deadline, and the tick by which the clock asks
    toy.clock.unfollow(toy.loop)
    toy.loop.put("stop")
    running.result()


class Interrupted:
    """A mailbox whose first wait ends without a command, just as ``meanwhile`` puts one."""

    def __init__(self, mailbox: Mailbox, meanwhile: Callable[[], object]) -> None:
        self.put = mailbox.put
        self._mailbox = mailbox
        self._meanwhile: Callable[[], object] | None = meanwhile

    def get(self, timeout: float | None = None) -> Any:
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
            return None
        return self._mailbox.get(timeout)


class InterruptedRuntime(SystemRuntime):
    meanwhile: Callable[[], object]

    def mailbox(self) -> Mailbox:
        return Interrupted(super().mailbox(), lambda: self.meanwhile())


class LooksAtTheClock(CommandLoop[str]):
    """Lets a deadline fire when its own wait is over, whatever has been put before it."""

    def put(self, command: str, reply: Reply | None = None) -> bool:
        if command == "tick" and reply is None:
            self._pass_time(self._clock.monotonic())
            return True
        return super().put(command, reply)


@pytest.mark.parametrize(("loop", "first"), [(LooksAtTheClock, "tick"), (CommandLoop, "note in time")])
def test_a_command_that_was_put_before_a_deadline_comes_before_it(
    loop: type[CommandLoop], first: str
) -> None:
    """Even if the wait for the deadline was over when the command was put."""
    runtime = InterruptedRuntime()
    toy = Toy(runtime, loop)
    toy.deadlines = [1.0]

    def meanwhile() -> None:
        toy.loop.put("note in time")
        toy.clock.advance(1)
        toy.loop.put("stop")

    runtime.meanwhile = meanwhile
    toy.loop.run()
    assert toy.done[0][0] == first


# -- callers who wait ----------------------------------------------------------------------------


def test_a_caller_who_asks_waits_until_the_command_has_been_performed(toy: Toy) -> None:
    running = Call(toy.loop.run)
    assert toy.loop.ask("wait 5").next_deadline == 5
    assert toy.done == [("wait 5", 0)]
    assert toy.loop.settle() == 5
    assert toy.loop.ask("stop").error is None
    running.result()


def test_a_bug_is_logged_and_given_to_the_caller_and_the_loop_goes_on(toy: Toy, caplog) -> None:
    running = Call(toy.loop.run)
    with pytest.raises(RuntimeError, match="somewhere"):
        toy.loop.ask("fail somewhere")
    toy.loop.put("fail unseen")
    assert toy.loop.ask("note that it lives").error is None
    toy.loop.put("stop")
    running.result()
    told = "the toy could not handle str; please report this"
    assert [record.message for record in caplog.records] == [told, told]
    assert "fail unseen" not in caplog.records[1].message
    assert caplog.records[1].exc_info is not None


# -- the end -------------------------------------------------------------------------------------


def test_behind_the_end_nothing_is_put_and_no_caller_waits(toy: Toy) -> None:
    toy.loop.put("stop")
    assert not toy.loop.left
    toy.loop.run()
    assert toy.loop.left
    assert toy.loop.put("note late") is False
    assert toy.loop.ask("note late").next_deadline is None
    assert toy.loop.settle() is None
    assert (toy.done, toy.refused) == ([("stop", 0)], [])


def test_what_is_left_in_the_queue_is_refused_in_order_and_every_caller_is_answered(toy: Toy, caplog) -> None:
    """A bug in refusing one command does not keep the callers of the others waiting."""
    replies = [toy.reply() for _ in range(3)]
    toy.loop.put("stop")
    toy.loop.put("note a", replies[0])
    toy.loop.put("fail b", replies[1])
    toy.loop.put("wait 1")
    toy.loop.put("wait 2", replies[2])
    toy.loop.run()
    assert toy.done == [("stop", 0)]
    assert toy.refused == ["note a", "fail b", "wait 1", "wait 2"]
    assert [reply.done.is_set() for reply in replies] == [True, True, True]
    assert [type(reply.error) for reply in replies] == [LookupError, RuntimeError, type(None)]
    assert "please report this" in caplog.text


# -- fork ----------------------------------------------------------------------------------------


def test_in_a_forked_child_nothing_is_put_whoever_held_the_lock(toy: Toy) -> None:
    """A thread of the parent that was putting does not exist in the child, and never releases it."""
    toy.loop._gate.acquire()
    toy.loop.after_fork_in_child()
    assert Call(lambda: toy.loop.put("note to the parent")).result() is False
    assert toy.loop.left


# -- names ---------------------------------------------------------------------------------------


class NamingRuntime(SystemRuntime):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def lock(self, what: str = "a lock") -> Lock:
        self.names.append(what)
        return super().lock(what)

    def event(self, what: str = "an event") -> Event:
        self.names.append(what)
        return super().event(what)


def test_the_lock_and_the_answers_have_the_name_of_the_loop() -> None:
    """The lab's reports name the lock at which a thread stops, and the answer for which it waits."""
    runtime = NamingRuntime()
    toy = Toy(runtime)
    toy.loop.put("stop")
    toy.loop.run()
    toy.loop.ask("note late")
    assert runtime.names == ["the toy's mailbox", "the toy's answer"]
