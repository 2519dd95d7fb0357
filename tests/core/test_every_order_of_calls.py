"""A call is executed at most once, in every order of calls, answers, ends of links, moves and kills.

A process and a hub keep their books (``core/cluster/calls.py``). Between them are two queues, those of a
link, which may end after any message, and lose what is in them. Every order of what can happen is played.
After each step: nothing was executed twice, no thread was told something else than what happened, and
whoever has no answer while both ends are alive gets one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product

import pytest

from resumehub.core.cluster.calls import (
    MOST_OPEN,
    CallArrival,
    CallsBroken,
    ExecutedCalls,
    Fate,
    OpenCalls,
)

Note = Callable[[int], None]


@dataclass
class CallOfAThread:
    """A thread's call. ``outcome``: what its thread was told, None before that."""

    name: str
    outcome: str | None = None


@dataclass
class World:
    """One process, one hub, and the link between them."""

    executed_calls: type[ExecutedCalls[str]] = ExecutedCalls
    open_calls: type[OpenCalls[CallOfAThread]] = OpenCalls
    to_hub: list[tuple[str, tuple[object, ...]]] = field(default_factory=list)
    to_process: list[tuple[int, str]] = field(default_factory=list)
    #: What the hubs have done, by hub life.
    done: list[tuple[str, str]] = field(default_factory=list)
    calls: list[CallOfAThread] = field(default_factory=list)
    life: int = 1
    linked: bool = False

    def __post_init__(self) -> None:
        self.book = self.executed_calls()
        self.open = self.open_calls()

    # -- what can happen --------------------------------------------------------------------

    def call(self) -> None:
        """A thread calls; without a link it would wait for one."""
        if not self.linked:
            self.link()
        call = CallOfAThread(f"call {len(self.calls) + 1}")
        self.calls.append(call)
        number, taken = self.open.begin(call)
        self.to_hub.append(("call", (number, taken, call.name)))

    def link(self) -> None:
        """The process reaches the hub."""
        if self.linked:
            return
        self.linked = True
        fate, found = self.open.reached(f"life {self.life}")
        if fate is Fate.IN_DOUBT:
            for _, call in found:
                call.outcome = "in doubt"
        else:
            self.to_hub.append(("goes on", tuple(number for number, _ in found)))
            for number, call in found:
                self.to_hub.append(("call", (number, (), call.name)))

    def hub_reads(self) -> None:
        """The hub takes one message of the link, does what it says, and answers."""
        if not self.to_hub:
            return
        kind, content = self.to_hub.pop(0)
        if kind == "goes on":
            self.book.goes_on(content)  # type: ignore[arg-type]
            return
        number, taken, name = content
        assert isinstance(number, int)
        assert isinstance(name, str)
        assert isinstance(taken, tuple)
        match self.book.arrives(number, taken):
            case CallArrival.EXECUTE:
                self.done.append((f"life {self.life}", name))
                self.book.answered(number, f"did {name}")
                self.to_process.append((number, f"did {name}"))
            case CallArrival.ANSWER_AGAIN:
                self.to_process.append((number, self.book.answer_to(number)))
            case refused:
                raise AssertionError(f"{name}: {refused.value}")

    def process_reads(self) -> None:
        """The process takes one answer of the link."""
        if self.to_process:
            number, answer = self.to_process.pop(0)
            call = self.open.answered(number)
            if call is not None:
                call.outcome = answer

    def cut(self) -> None:
        """The link ends, and what is in it is lost."""
        self.linked = False
        self.to_hub.clear()
        self.to_process.clear()

    def move(self) -> None:
        """The hub moves to another process: the link ends, the book goes along."""
        self.cut()
        self.book = self.executed_calls(self.book.last, self.book.kept(), self.book.waiting())

    def kill(self) -> None:
        """The hub is killed; another one begins."""
        self.cut()
        self.life += 1
        self.book = self.executed_calls()

    def give_up(self) -> None:
        """The thread of the oldest open call waits no longer."""
        for number, call in sorted(self.open._open.items()):
            if self.open.give_up(number):
                call.outcome = "gave up"
                return

    # -- what must hold ---------------------------------------------------------------------

    def check(self) -> None:
        names = [name for _, name in self.done]
        assert len(names) == len(set(names)), f"executed twice: {names}"
        assert names == sorted(names), f"in another order: {names}"
        for call in self.calls:
            if call.outcome == f"did {call.name}":
                assert call.name in names, f"{call.name} was never executed"
            else:
                assert call.outcome in (None, "in doubt", "gave up"), call
        if not self.open:
            return
        assert all(call.outcome is None for call in self.open._open.values())

    def finish(self) -> None:
        """Both ends live on: who waits gets its answer, and nothing is left in the hub's book."""
        self.link()
        while self.to_hub or self.to_process:
            self.hub_reads()
            self.process_reads()
            self.check()
        assert all(call.outcome is not None for call in self.calls), "a thread waits for ever"
        self.call()
        while self.to_hub or self.to_process:
            self.hub_reads()
            self.process_reads()
        assert self.calls[-1].outcome == f"did {self.calls[-1].name}"
        assert len(self.book.kept()) == 1, "the answers are confirmed by the next call"


WORDS = ("call", "hub_reads", "process_reads", "cut", "move", "kill", "link", "give_up")


def play(order: tuple[str, ...], world: World) -> World:
    for word in order:
        getattr(world, word)()
        world.check()
    world.finish()
    return world


def orders(length: int, *, words: tuple[str, ...] = WORDS) -> Iterator[tuple[str, ...]]:
    """Those that begin with a call: before it there is nothing to lose."""
    return (("call", *rest) for rest in product(words, repeat=length))


def test_every_order(note_orders: Note) -> None:
    """A call, and five things that follow, however often each: 8⁵ orders."""
    count = 0
    for order in orders(5):
        play(order, World())
        count += 1
    assert count == len(WORDS) ** 5
    note_orders(count)


def test_every_long_order_of_two_calls_and_what_loses_answers(note_orders: Note) -> None:
    """Eight things that follow two calls."""
    count = 0
    for order in orders(8, words=("hub_reads", "process_reads", "move")):
        play(("call", *order), World())
        count += 1
    note_orders(count)


def test_a_call_that_was_sent_to_a_killed_hub_is_in_doubt() -> None:
    world = play(("call", "hub_reads", "kill", "link"), World())
    assert world.calls[0].outcome == "in doubt"
    assert [name for _, name in world.done] == ["call 1", "call 2"], "it is not repeated"


def test_a_call_under_way_at_a_move_is_answered_by_the_next_process() -> None:
    """Whether it was executed before the move, or behind it."""
    for order in (("call", "move"), ("call", "hub_reads", "move"), ("call", "hub_reads", "cut", "move")):
        world = play(order, World())
        assert world.calls[0].outcome == "did call 1"


# -- the same orders catch books that are not kept well -----------------------------------


class ForgetsItsAnswers(ExecutedCalls[str]):
    """A hub that moves without its answers executes what it is asked again."""

    def __init__(self, last: int = 0, answers: object = (), waiting: object = ()) -> None:
        super().__init__()


class KeepsNoNumber(ExecutedCalls[str]):
    """Executes whatever comes."""

    def arrives(self, number: int, taken: object = (), **kind: bool) -> CallArrival:
        self._quick.under_way.add(number)
        return CallArrival.EXECUTE


class RepeatsToEverybody(OpenCalls[CallOfAThread]):
    """Sends open calls to whichever hub comes next."""

    def reached(self, hub_life: str) -> tuple[Fate, list[tuple[int, CallOfAThread]]]:
        self.hub_life = hub_life
        return super().reached(hub_life)


class ConfirmsBeforeItHasThem(OpenCalls[CallOfAThread]):
    """Counts an answer as taken when the call is sent."""

    def begin(self, call: CallOfAThread) -> tuple[int, tuple[int, ...]]:
        number, _ = super().begin(call)
        return number, tuple(self._open)[:-1]


@pytest.mark.parametrize(
    ("naive", "complaint"),
    [
        ({"executed_calls": ForgetsItsAnswers}, "executed twice"),
        ({"executed_calls": KeepsNoNumber}, "executed twice"),
        ({"open_calls": RepeatsToEverybody}, "executed twice"),
        ({"open_calls": ConfirmsBeforeItHasThem}, "its answer was forgotten"),
    ],
    ids=["a move without answers", "no numbers", "repeated to another hub", "confirmed too early"],
)
def test_a_book_without_its_rule_is_caught(naive: dict[str, type], complaint: str) -> None:
    complaints = set()
    for order in orders(5):
        try:
            play(order, World(**naive))  # type: ignore[arg-type]
        except AssertionError as error:
            complaints.add(str(error))
    assert any(complaint in one for one in complaints), complaints


# -- bounds and kinds ---------------------------------------------------------------------


def test_a_look_is_executed_as_often_as_it_comes() -> None:
    """It changes nothing, and its answer may be large: it is not kept."""
    book: ExecutedCalls[str] = ExecutedCalls()
    for _ in range(2):
        assert book.arrives(1, only_looks=True) is CallArrival.EXECUTE
        book.answered(1, "a list", only_looks=True)
    assert book.kept() == []


def test_a_process_has_so_many_calls_open_and_no_more() -> None:
    """Whoever keeps within the bound is never refused; answers of which nothing is known count."""
    book: ExecutedCalls[str] = ExecutedCalls()
    for number in range(1, MOST_OPEN + 1):
        assert book.arrives(number) is CallArrival.EXECUTE
        book.answered(number, "done")
    assert book.arrives(1) is CallArrival.ANSWER_AGAIN
    with pytest.raises(CallsBroken, match="more than 256 calls are open"):
        book.arrives(MOST_OPEN + 1)
    assert book.arrives(MOST_OPEN + 1, taken=[7]) is CallArrival.EXECUTE


def test_calls_that_wait_for_a_client_do_not_use_up_the_bound() -> None:
    book: ExecutedCalls[str] = ExecutedCalls()
    for number in range(1, 2 * MOST_OPEN):
        assert book.arrives(number, waits=True) is CallArrival.EXECUTE
    for number in range(1, 2 * MOST_OPEN):
        book.answered(number, "the client said")
    assert book.arrives(2 * MOST_OPEN) is CallArrival.EXECUTE


def test_a_call_that_was_given_up_is_not_kept_when_it_ends() -> None:
    """Its thread has gone, and said so with a later call."""
    book: ExecutedCalls[str] = ExecutedCalls()
    assert book.arrives(1, waits=True) is CallArrival.EXECUTE
    assert book.arrives(2, taken=[1]) is CallArrival.EXECUTE
    book.answered(1, "too late")
    assert book.kept() == []


def test_a_waiting_call_is_waited_for_again_in_the_next_process() -> None:
    """The client has the request once; the process repeats its call, and waits for the one answer."""
    book: ExecutedCalls[str] = ExecutedCalls()
    assert book.arrives(1, waits=True) is CallArrival.EXECUTE
    moved = ExecutedCalls(book.last, book.kept(), book.waiting())
    assert moved.arrives(1, waits=True) is CallArrival.WAIT
    moved.answered(1, "the client said")
    assert moved.arrives(1, waits=True) is CallArrival.ANSWER_AGAIN
    assert moved.answer_to(1) == "the client said"
