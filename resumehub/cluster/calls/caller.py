"""What the hub keeps of one process that calls it: its book, its link, its requests to clients.

It goes along when the hub moves. Each has a lock of its own, under which nothing waits. Any thread. Read
next: ``call_server.py``, ``../../core/cluster/calls.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...clock import now
from ...core.cluster.calls import ExecutedCalls, KeptAnswer
from ...errors import LinkBroken
from ...runtime.base import Lock
from ..member_parts import AnyLink
from .call_bodies import Result
from .call_errors import raised
from .call_messages import Answer, Call


@dataclass(frozen=True, slots=True)
class KeptResult:
    """An answer that is kept, as it goes along in a move."""

    number: int
    waits: bool
    result: Result


@dataclass(frozen=True, slots=True)
class WaitingRequestState:
    """A call that waits for a client. ``asker``: the process that has asked it, and gets the answer."""

    number: int
    asker: str


@dataclass(frozen=True, slots=True)
class CallerState:
    """The book of one process, as it goes along in a move. ``waiting``: calls that wait for a client."""

    process: str
    last: int
    kept: tuple[KeptResult, ...]
    waiting: tuple[WaitingRequestState, ...]


@dataclass(frozen=True, slots=True)
class CallersState:
    """All books of a hub."""

    callers: tuple[CallerState, ...]


@dataclass(frozen=True, slots=True)
class RequestUnderWay:
    """A call of ``process`` that waits for a client. ``life`` and what follows: "" if they are not known.

    ``asker``: the process in which it was executed, which gets the answer.
    """

    process: str
    number: int
    asker: str
    life: str = ""
    connection_id: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class RequestsUnderWay:
    """All requests under way, as they go along in a move beside the books. Release 0.2.0 has no such part."""

    requests: tuple[RequestUnderWay, ...]


class Caller:
    """A process that calls. ``pid``: 0 if it is not known; ``gone_at``: when its last link ended."""

    def __init__(self, process: str, lock: Lock, book: ExecutedCalls[Result]) -> None:
        self.process = process
        self.pid = 0
        self.lock = lock
        self.book = book
        self.link: AnyLink | None = None
        self.gone_at: float | None = now()
        #: Requests to clients, by number.
        self.requests: dict[int, RequestUnderWay] = {}
        #: Calls that came while the door was shut, with their links; and whether a thread executes them.
        self.held: deque[tuple[Call, Any]] = deque()
        self.drains = False

    def is_there(self, link: AnyLink, pid: int = 0) -> None:
        """The process has this link now. ``pid``: 0 for what was known before."""
        with self.lock:
            self.link, self.pid, self.gone_at = link, pid or self.pid, None

    def is_gone(self, link: AnyLink) -> None:
        """This link has ended."""
        with self.lock:
            if self.link is link:
                self.link, self.gone_at = None, now()

    def has_been_gone_for(self, seconds: float) -> bool:
        """Whether it has had no link for so long."""
        gone_at = self.gone_at
        return gone_at is not None and gone_at < now() - seconds

    def goes_on(self, waiting: Iterable[int]) -> None:
        """The process waits for these calls, and for no others."""
        with self.lock:
            self.book.goes_on(waiting)

    def unwanted(self) -> list[RequestUnderWay]:
        """The requests for which nobody waits any more. Next: drop them; they are not returned again."""
        if not self.requests:
            return []
        with self.lock:
            numbers = self.requests.keys() - self.book.waiting()
            return [self.requests.pop(number) for number in numbers]

    def exported(self) -> CallerState:
        """As it goes along in a move."""
        with self.lock:
            kept = tuple(KeptResult(one.number, one.waits, one.answer) for one in self.book.kept())
            waiting = tuple(
                WaitingRequestState(number, self.requests[number].asker)
                for number in self.book.waiting()
                if number in self.requests
            )
            return CallerState(self.process, self.book.last, kept, waiting)

    @classmethod
    def adopted(cls, state: CallerState, lock: Lock) -> Caller:
        """Go on with the book of a hub that has moved here. Next: ``learn``, if more is known."""
        kept = [KeptAnswer(each.number, each.waits, each.result) for each in state.kept]
        requests = {
            one.number: RequestUnderWay(state.process, one.number, one.asker) for one in state.waiting
        }
        caller = cls(state.process, lock, ExecutedCalls(state.last, kept, requests))
        caller.requests = requests
        return caller

    def learn(self, request: RequestUnderWay) -> None:
        """More of a request that is under way."""
        with self.lock:
            if request.number in self.requests:
                self.requests[request.number] = request

    def answer(self, number: int, result: Result, *, only_looks: bool = False) -> None:
        """Keep the answer, and send it over the process's present link. Any thread; never blocks."""
        with self.lock:
            self.book.answered(number, result, only_looks=only_looks)
            if self.requests:
                self.requests.pop(number, None)
            link = self.link
        if link is not None:
            try:
                link.send(Answer(number, result))
            except LinkBroken:
                pass  # it is sent again over the next one
            except ValueError as error:
                self._say_that_it_cannot(link, number, error)

    def _say_that_it_cannot(self, link: AnyLink, number: int, error: ValueError) -> None:
        """The answer is too large for a link, or can't be encoded: the asker is told so."""
        result = raised(ValueError(f"the answer can't be sent: {error}"))
        with self.lock:
            self.book.forget([number])
        try:
            link.send(Answer(number, result))
        except LinkBroken:
            pass  # the call is refused when it comes again
