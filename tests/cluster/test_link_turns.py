"""Who reads a link where threads wait for answers: every answer comes, in whatever order the threads run.

The pure part is played step by step. With real sockets the other end is the test: it sends an answer when
the test says so, so that nothing depends on time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from resumehub.cluster.calls.call_bodies import Done
from resumehub.cluster.calls.call_messages import Answer
from resumehub.cluster.greetings import Refused
from resumehub.cluster.link import Link
from resumehub.cluster.link_thread import LinkLoop, start
from resumehub.cluster.link_turns import Turns, Waiter
from resumehub.runtime.system import SystemRuntime
from tests.cluster.links import Received, linked_pair
from tests.support import PATIENCE, Call


class Script:
    """A link that is read by the script: each ``read_some`` runs the next step and gives what it gives."""

    def __init__(self) -> None:
        self.rings = 0
        self.nudge = SystemRuntime().bell()
        self.steps: list[Callable[[], bool]] = []
        self.turns = Turns(SystemRuntime(), self._ring)
        self.turns.attach(self, self.nudge)

    def _ring(self) -> None:
        self.rings += 1

    def read_some(self, seconds: float) -> bool:
        return self.steps.pop(0)()

    def waiter(self) -> Waiter:
        return Waiter(self.turns)


@pytest.fixture
def script() -> Iterator[Script]:
    made = Script()
    yield made
    made.turns.detach()


def told(*waiters: Waiter) -> Callable[[], bool]:
    """A step: these answers are read."""

    def step() -> bool:
        for waiter in waiters:
            waiter.tell()
        return True

    return step


def test_who_waits_reads_where_the_thread_has_stepped_aside(script: Script) -> None:
    script.turns.step_aside()
    waiter = script.waiter()
    script.steps = [lambda: True, told(waiter)]

    assert waiter.wait(PATIENCE)
    assert script.turns.aside
    assert script.rings == 0


def test_the_thread_does_not_step_aside_while_somebody_sleeps(script: Script) -> None:
    sleeping = script.waiter()
    call = Call(lambda: sleeping.wait(PATIENCE))
    while sleeping.gate is None:
        pass
    script.turns.step_aside()
    assert not script.turns.aside

    sleeping.tell()
    assert call.result() is True
    script.turns.step_aside()
    assert script.turns.aside


def test_who_has_its_answer_wakes_the_thread_for_those_who_sleep(script: Script) -> None:
    """Else nobody would read their answers."""
    script.turns.step_aside()
    reads, sleeps = script.waiter(), script.waiter()
    calls: list[Call] = []

    def another_one_waits() -> bool:
        calls.append(Call(lambda: sleeps.wait(PATIENCE)))
        while sleeps.gate is None:
            pass
        return True

    script.steps = [another_one_waits, told(reads)]
    assert reads.wait(PATIENCE)
    assert not script.turns.aside
    assert script.rings == 1

    sleeps.tell()
    assert calls[0].result() is True
    assert script.rings == 1


def test_an_answer_that_is_there_already_is_read_without_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is where the hub's process has run on the same processor while the question was sent."""
    received, runtime = Received(), SystemRuntime()
    ours, theirs = linked_pair(runtime)
    loop = LinkLoop(ours, {Answer: received.handle}, received.end, quick={Answer}, runtime=runtime)
    waits: list[float] = []
    monkeypatch.setattr(loop, "_wait_for_input", lambda nudge, seconds: bool(waits.append(seconds)))

    theirs.send(Answer(1, Done()))
    assert loop.read_some(PATIENCE)
    assert (received.next(), waits) == (Answer(1, Done()), [])
    assert loop.read_some(PATIENCE)
    assert waits == [PATIENCE]

    theirs.finish("the test is over")
    ours.finish("the test is over")
    ours.turns.detach()


def test_an_answer_that_came_before_is_not_waited_for(script: Script) -> None:
    waiter = script.waiter()
    waiter.tell()
    waiter.tell()
    assert waiter.wait(0.0)


@pytest.mark.parametrize("aside", [True, False])
def test_the_time_of_a_wait_ends(script: Script, aside: bool) -> None:
    """And the thread reads again: what comes late still comes."""
    if aside:
        script.turns.step_aside()
    waiter = script.waiter()
    assert not waiter.wait(0.0)
    assert not script.turns.aside
    script.turns.step_aside()
    assert script.turns.aside, "nobody sleeps"
    waiter.tell()
    assert waiter.wait(0.0)


def test_what_is_no_answer_is_left_to_the_thread(script: Script) -> None:
    script.turns.step_aside()
    waiter = script.waiter()
    script.steps = [lambda: False]
    call = Call(lambda: waiter.wait(PATIENCE))
    while waiter.gate is None:
        pass
    assert (script.turns.aside, script.rings) == (False, 1)
    waiter.tell()
    assert call.result() is True


def test_an_answer_that_comes_another_way_ends_the_wait(script: Script) -> None:
    """From another link, for example: the thread that reads is nudged."""
    script.turns.step_aside()
    waiter = script.waiter()
    script.steps = [told(waiter)]
    assert waiter.wait(PATIENCE)
    assert script.nudge.is_rung()
    script.turns.silence()

    handled = script.waiter()

    def handles() -> bool:
        script.turns.begin_handling()
        handled.tell()
        script.turns.end_handling()
        return True

    script.steps = [handles]
    assert handled.wait(PATIENCE)
    assert not script.nudge.is_rung(), "the thread that handles it need not be told"


def test_a_thread_that_is_interrupted_leaves_the_turn(script: Script) -> None:
    def interrupt() -> bool:
        raise KeyboardInterrupt

    script.turns.step_aside()
    script.steps = [interrupt]
    with pytest.raises(KeyboardInterrupt):
        script.waiter().wait(PATIENCE)
    assert (script.turns.aside, script.rings) == (False, 1)


def test_the_thread_reads_again_when_nobody_has_called(script: Script) -> None:
    script.turns.step_aside()
    waiter = script.waiter()
    script.steps = [told(waiter)]
    waiter.wait(PATIENCE)
    script.turns.look()
    assert script.turns.aside, "somebody has called since"
    script.turns.look()
    assert not script.turns.aside


def test_the_thread_does_not_read_beside_one_that_waits(script: Script) -> None:
    script.turns.step_aside()
    waiter = script.waiter()

    def look_twice() -> bool:
        script.turns.look()
        script.turns.look()
        assert script.turns.aside
        waiter.tell()
        return True

    script.steps = [look_twice]
    assert waiter.wait(PATIENCE)


# -- with sockets ---------------------------------------------------------------------------


class Asker:
    """A worker's end that asks; the hub's end is played by the test, without a thread."""

    def __init__(self) -> None:
        self.runtime = SystemRuntime()
        self.here, self.hub = linked_pair(self.runtime)
        self.waiters: dict[int, Waiter] = {}
        self.others = Received()
        self.thread = start(
            self.here,
            {Answer: self._answered, Refused: self.others.handle},
            self.others.end,
            self.runtime,
            quick={Answer},
        )

    def _answered(self, link: Link, answer: Answer, descriptors: tuple[int, ...]) -> None:
        self.waiters.pop(answer.number).tell()

    def asks(self, number: int) -> Waiter:
        waiter = self.waiters[number] = self.here.waiter()
        return waiter

    def answer(self, number: int) -> None:
        self.hub.send(Answer(number, Done()))

    def wait_until_aside(self) -> None:
        """By an answer that the link's thread handles."""
        while not self.here.turns.aside:
            waiter = self.asks(0)
            self.answer(0)
            assert waiter.wait(PATIENCE)


@pytest.fixture
def asker() -> Iterator[Asker]:
    made = Asker()
    yield made
    made.here.close()
    made.hub.finish("the test is over")
    assert made.thread.join(PATIENCE)


def test_one_call_after_another(asker: Asker) -> None:
    for number in range(1, 200):
        waiter = asker.asks(number)
        asker.answer(number)
        assert waiter.wait(PATIENCE)


def test_calls_of_many_threads(asker: Asker) -> None:
    """The hub answers them in the wrong order, which costs nobody anything."""
    calls = []
    for number in range(1, 9):
        waiter = asker.asks(number)
        calls.append(Call(partial(waiter.wait, PATIENCE)))
    for number in range(8, 0, -1):
        asker.answer(number)
    assert [call.result() for call in calls] == [True] * 8


def test_many_threads_that_call_all_the_time(asker: Asker) -> None:
    """A thread answers whatever is asked; each wait ends, whoever reads."""
    questions = Received()

    def answers() -> None:
        while (message := questions.next()) is not None:
            asker.answer(int(message.reason))

    hub = Call(answers)

    def calls(first: int) -> bool:
        for number in range(first, first + 300):
            waiter = asker.asks(number)
            questions.handle(asker.here, Refused("ask", f"{number}"), ())
            if not waiter.wait(PATIENCE):
                return False
        return True

    callers = [Call(partial(calls, first)) for first in (1000, 2000, 3000)]
    assert [call.result() for call in callers] == [True] * 3
    questions.end(asker.here)
    hub.result()


def test_what_comes_uncalled_for_is_handled_by_the_links_thread(asker: Asker) -> None:
    """Before an answer and behind one, in their order, whoever has read them."""
    asker.wait_until_aside()
    waiter = asker.asks(1)
    asker.hub.send(Refused("first", ""))
    asker.answer(1)
    asker.hub.send(Refused("second", ""))

    assert waiter.wait(PATIENCE)
    assert [asker.others.next() for _ in range(2)] == [Refused("first", ""), Refused("second", "")]


def test_a_link_that_ends_while_a_thread_waits_is_ended_once(asker: Asker) -> None:
    asker.wait_until_aside()
    waiter = asker.asks(1)
    call = Call(lambda: waiter.wait(PATIENCE))
    asker.hub.close()

    assert asker.others.next() is None
    assert asker.here.ended
    waiter.tell()
    assert call.result() is True


def test_a_bell_that_is_closed_is_not_rung(asker: Asker) -> None:
    """Its number may be another file's by then. A thread may still wait when the link has ended."""
    asker.wait_until_aside()
    asker.hub.close()
    assert asker.others.next() is None
    assert asker.thread.join(PATIENCE)
    reading, writing = os.pipe2(os.O_NONBLOCK)  # with the numbers of what is closed

    asker.here.turns.step_aside()
    waiter = asker.asks(1)
    assert not waiter.wait(0.0)
    waiter.tell()
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
    os.close(reading)
    os.close(writing)
