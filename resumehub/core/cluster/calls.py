"""A call is executed at most once, however often it is sent: both ends' books of numbers and answers.

A process numbers its calls. The hub keeps, of each process, the last number that it has executed and the
answers of which it does not know that they arrived (``ExecutedCalls``). The process keeps the calls that have
no answer yet (``OpenCalls``). When the link between them ends, the process sends these again, with their
numbers, over its next one. That is right only for the same hub: a hub that moves takes its books along, and
its hub life stays the same. Of another hub life a call that was sent is *in doubt*, and is not sent again.

Neither of the two knows links, messages or threads. Their users hold a lock. Pure. Read next:
``../../cluster/calls/call_messages.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

MOST_OPEN: Final = 256
"""Calls of one process that are under way, or whose answers it has not confirmed; those that wait for a
client or for a callback are not among them."""

MOST_WAITING: Final = 4096
"""Calls of one process that wait for a client or for a callback."""

AnswerT = TypeVar("AnswerT")
CallT = TypeVar("CallT")


class CallsBroken(Exception):
    """What a process sends can't be: it counts wrong, or has more calls open than it may."""


class CallArrival(Enum):
    """What the hub does with a call that comes in."""

    EXECUTE = "it is new"
    ANSWER_AGAIN = "it was executed; its answer may have been lost"
    WAIT = "it is being executed; its answer will come"
    #: Only of a process that asks for what it has confirmed, or has given up.
    REFUSE = "it was executed, and its answer was forgotten"


@dataclass(frozen=True, slots=True)
class KeptAnswer(Generic[AnswerT]):
    """An answer of which the hub does not know that it arrived. ``waits``: its call waited for a client."""

    number: int
    waits: bool
    answer: AnswerT


class _Book(Generic[AnswerT]):
    """Calls of one kind: which are being executed, and the answers that are kept."""

    def __init__(self, most: int) -> None:
        self.under_way: set[int] = set()
        self.answers: dict[int, AnswerT] = {}
        self._most = most

    def open(self, number: int) -> None:
        if len(self.under_way) + len(self.answers) >= self._most:
            raise CallsBroken(f"more than {self._most} calls are open")
        self.under_way.add(number)

    def keep_only(self, wanted: set[int]) -> None:
        self.under_way &= wanted
        self.answers = {number: answer for number, answer in self.answers.items() if number in wanted}


class ExecutedCalls(Generic[AnswerT]):
    """The hub's book of one process. ``last``: the number executed last; 0: none.

    ``waiting``: the calls that wait for a client, of a hub that has moved here.
    """

    def __init__(
        self,
        last: int = 0,
        answers: Iterable[KeptAnswer[AnswerT]] = (),
        waiting: Iterable[int] = (),
    ) -> None:
        self.last = last
        self._quick: _Book[AnswerT] = _Book(MOST_OPEN)
        self._slow: _Book[AnswerT] = _Book(MOST_WAITING)
        self._slow.under_way.update(waiting)
        for kept in answers:
            (self._slow if kept.waits else self._quick).answers[kept.number] = kept.answer

    def arrives(
        self, number: int, taken: Iterable[int] = (), *, only_looks: bool = False, waits: bool = False
    ) -> CallArrival:
        """What to do with a call. Next, for EXECUTE: do it, and ``answered``.

        ``taken``: the answers to these have arrived. ``only_looks``: it changes nothing, so it is executed as
        often as it comes. ``waits``: its answer may take as long as a client does. Raises: CallsBroken.
        """
        self.forget(taken)
        book = self._slow if waits else self._quick
        if number > self.last:  # then it is in no book
            book.open(number)
            self.last = number
            return CallArrival.EXECUTE
        if number in book.answers:
            return CallArrival.ANSWER_AGAIN
        if number in book.under_way:
            return CallArrival.WAIT
        if not only_looks:
            return CallArrival.REFUSE
        book.open(number)
        return CallArrival.EXECUTE

    def answered(self, number: int, answer: AnswerT, *, only_looks: bool = False) -> None:
        """A call was executed. Its answer is kept until the process has it; that of a look is not."""
        for book in (self._quick, self._slow):
            if number in book.under_way:
                book.under_way.discard(number)
                if not only_looks:
                    book.answers[number] = answer

    def answer_to(self, number: int) -> AnswerT:
        """The answer that is kept; for ANSWER_AGAIN."""
        answers = self._quick.answers if number in self._quick.answers else self._slow.answers
        return answers[number]

    def forget(self, taken: Iterable[int]) -> None:
        """The answers to these have arrived, or nobody waits for them any more."""
        for number in taken:
            if self._quick.answers.pop(number, None) is not None:
                continue
            for book in (self._quick, self._slow):
                book.answers.pop(number, None)
                # Nobody wants the answer of a call that still runs: ``answered`` does not find it.
                book.under_way.discard(number)

    def goes_on(self, waiting: Iterable[int]) -> None:
        """The process has a new link, and waits for these; what was confirmed on the old one may be lost."""
        wanted = set(waiting)
        self._quick.keep_only(wanted)
        self._slow.keep_only(wanted)

    def kept(self) -> list[KeptAnswer[AnswerT]]:
        """The answers that are kept, for the hub's next process."""
        found = [KeptAnswer(number, False, answer) for number, answer in self._quick.answers.items()]
        found += [KeptAnswer(number, True, answer) for number, answer in self._slow.answers.items()]
        return sorted(found, key=lambda one: one.number)

    def waiting(self) -> list[int]:
        """The numbers of calls that wait for a client, for the hub's next process."""
        return sorted(self._slow.under_way)

    @property
    def is_busy(self) -> bool:
        """Whether a call is being executed that waits for nobody."""
        return bool(self._quick.under_way)


class Fate(Enum):
    """What becomes of an open call when its process has reached a hub again."""

    REPEAT = "the hub has its number, or has not"
    IN_DOUBT = "it was sent to another hub, which may have executed it"


class OpenCalls(Generic[CallT]):
    """A process's book of its own calls: which have no answer, and which answers have come."""

    def __init__(self) -> None:
        self._next = 1
        self._open: dict[int, CallT] = {}
        self._taken: list[int] = []
        #: Of the hub to which the open calls were sent.
        self.hub_life = ""

    def __len__(self) -> int:
        return len(self._open)

    def all(self) -> list[CallT]:
        """The calls that have no answer."""
        return list(self._open.values())

    def begin(self, call: CallT) -> tuple[int, tuple[int, ...]]:
        """A new call: its number, and the answers that it confirms. Next: send it, in the order of numbers.

        ``hub_life`` is that of the hub to which it is sent.
        """
        number = self._next
        self._next += 1
        self._open[number] = call
        taken, self._taken = tuple(self._taken), []
        return number, taken

    def not_sent(self, number: int, taken: Iterable[int]) -> None:
        """The call could not be sent: it never was. What it would have confirmed, the next one confirms."""
        self._open.pop(number, None)
        self._taken = [*taken, *self._taken]

    def answered(self, number: int) -> CallT | None:
        """The answer has come; the call that it is for. None for one that nobody waits for."""
        call = self._open.pop(number, None)
        if call is not None:
            self._taken.append(number)
        return call

    def give_up(self, number: int) -> bool:
        """Nobody waits for the answer any more; False if it has come."""
        return self.answered(number) is not None

    def reached(self, hub_life: str) -> tuple[Fate, list[tuple[int, CallT]]]:
        """A hub is reached again: what becomes of the open calls, in the order of their numbers.

        Next, for REPEAT: tell the hub which numbers go on, and send these again, before any new one.
        For IN_DOUBT they are open no more.
        """
        self._taken = []
        found = sorted(self._open.items(), key=lambda one: one[0])
        if hub_life == self.hub_life:
            return Fate.REPEAT, found
        self._open.clear()
        self.hub_life = hub_life
        return Fate.IN_DOUBT, found
