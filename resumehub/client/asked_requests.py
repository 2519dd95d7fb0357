"""The requests that a client has sent and that have no answer yet (contract E3): a pure table.

It gives each its id, and decides what becomes of it, once: an answer, a refusal, a timeout, or the end of the
session. What comes later finds nothing here. It does not know sockets, threads and time: call every method
with the requester's lock held. Read next: ``requester.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import ConnectionClosed, RequestFailed, RequestInDoubt, RequestTimeout, ResumeHubError
from ..message import Message


@dataclass(slots=True, eq=False)
class AskedRequest:
    """One request. ``wake`` is called, once, when ``outcome`` is set: the answer, or what the asker gets."""

    id: str
    event: str
    timeout: float | None
    wake: Callable[[], None]
    #: Set by the sender, when the kernel has taken the whole request: a server may have handled it.
    written: bool = False
    outcome: Message | ResumeHubError | None = None

    def error_at_the_end(self, connection_id: str) -> ConnectionClosed:
        """What the asker gets when the session is over."""
        if self.written:
            return RequestInDoubt(connection_id, self.event)
        return ConnectionClosed(
            connection_id, f"the session ended before the request {self.event!r} was sent; it was not handled"
        )


class AskedRequests:
    """All of one client. ``prefix``: what its ids begin with, so that no other client has the same ones."""

    def __init__(self, prefix: str, limit: int) -> None:
        self.limit = limit
        self._prefix = prefix
        self._last = 0
        self._open: dict[str, AskedRequest] = {}
        #: How many answers came that nothing waited for: late ones, second ones, those of a replay.
        self.ignored = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, event: str, timeout: float | None, wake: Callable[[], None]) -> AskedRequest | None:
        """Open one more, with an id that no other one ever has; None: they are too many."""
        if len(self._open) >= self.limit:
            return None
        self._last += 1
        request = AskedRequest(f"{self._prefix}-{self._last}", event, timeout, wake)
        self._open[request.id] = request
        return request

    def answer(self, message: Message) -> None:
        """An answer or a refusal came: it goes to the request that it names, if that is still open."""
        outcome: Message | ResumeHubError = message
        if message.error is not None:
            outcome = RequestFailed(message.error["code"], message.error.get("message", ""))
        if message.re is None or not self.settle(message.re, outcome):
            self.ignored += 1

    def time_out(self, request_id: str) -> None:
        """The request's time is over, if it is open still."""
        request = self._open.get(request_id)
        if request is not None and request.timeout is not None:
            self.settle(request_id, RequestTimeout(request.event, request.timeout))

    def forget(self, request: AskedRequest) -> None:
        """Nothing waits for it any more."""
        self._open.pop(request.id, None)

    def settle(self, request_id: str, outcome: Message | ResumeHubError) -> bool:
        """This is what becomes of the request; False if that is known already."""
        request = self._open.pop(request_id, None)
        if request is None:
            return False
        request.outcome = outcome
        request.wake()
        return True

    def session_over(self, connection_id: str, *, unwritten_too: bool) -> None:
        """No answer comes any more to those that were written; ``unwritten_too``: and none will be sent."""
        for request in list(self._open.values()):
            if request.written or unwritten_too:
                self.settle(request.id, request.error_at_the_end(connection_id))
