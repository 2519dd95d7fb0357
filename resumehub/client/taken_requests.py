"""The server's requests that the application has and has not answered yet (contract E3): a pure table.

Each is answered at most once, and in the session in which it was asked. It is open from when the application
gets it, not from when it comes: what still waits in the inbox at a drop comes again. It does not know codecs,
threads and sockets: call every method with the responder's lock held. Read next: ``responder.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class AnswerState(Enum):
    """Where the answer is; the last two are final."""

    OPEN = "open"
    DEFERRED = "deferred"
    ANSWERED = "answered"
    TOO_LATE = "the session is over"


class Taken(Enum):
    """What becomes of a request that the application is about to get."""

    GIVE = "it gets it"
    SKIP = "one with this id is open: no asker could tell their answers apart"
    REFUSE = "too many are open"


@dataclass(slots=True, eq=False)
class TakenRequest:
    """One request of the server's."""

    id: str
    event: str
    #: In which of the client's sessions it was asked: 0, 1, …
    session: int
    state: AnswerState = AnswerState.OPEN

    @property
    def unanswered(self) -> bool:
        """Whether an answer is still wanted."""
        return self.state in (AnswerState.OPEN, AnswerState.DEFERRED)


class TakenRequests:
    """Those of one client that are unanswered, ``limit`` at most."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        #: The present session. Any thread may read it.
        self.session = 0
        self._open: dict[str, TakenRequest] = {}

    def take(self, request: TakenRequest) -> Taken:
        """The application is about to get this request."""
        if request.session != self.session:
            request.state = AnswerState.TOO_LATE
            return Taken.GIVE
        if request.id in self._open:
            return Taken.SKIP
        if len(self._open) >= self.limit:
            return Taken.REFUSE
        self._open[request.id] = request
        return Taken.GIVE

    def defer(self, request: TakenRequest) -> None:
        """The answer comes later. It must be unanswered."""
        assert request.unanswered, "the caller has looked"
        request.state = AnswerState.DEFERRED

    def deferred(self) -> list[TakenRequest]:
        """Those that the application has promised to answer, the oldest first."""
        return [request for request in self._open.values() if request.state is AnswerState.DEFERRED]

    def answered(self, request: TakenRequest) -> None:
        """Its answer has been accepted for sending. It must be unanswered."""
        assert request.unanswered, "the caller has looked"
        request.state = AnswerState.ANSWERED
        del self._open[request.id]

    def session_over(self) -> None:
        """The session in which they were asked is over: no answer reaches the asker."""
        for request in self._open.values():
            request.state = AnswerState.TOO_LATE
        self._open.clear()
        self.session += 1
