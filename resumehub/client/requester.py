"""Sends requests, and has their callers wait for the answers (contract E3).

The answer is given over by the thread that reads it (``transport.py``), past all messages that wait in the
inbox: so a callback may wait for one. The timeout is a deadline of the client's machine, and so follows the
client's clock. What becomes of a request is decided by ``asked_requests.py``; how it is encoded and queued,
by the functions that this is given. Any thread; ``Asking.wait`` alone blocks. Made by ``client_loop.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..errors import ConnectionClosed, RequestFailed, ResumeHubError, SendBufferFull
from ..message import Message
from ..runtime.base import Event, Runtime
from .asked_requests import AskedRequest, AskedRequests

#: Puts the message of a request into the outbox. Raises: as ``Client.send``.
Post = Callable[[Message, AskedRequest], None]

#: Called with the request's id and its timeout in seconds; with None when it needs no timeout any more.
Timer = Callable[[str, float | None], None]


@dataclass(frozen=True, slots=True)
class Asking:
    """A request that has been sent. ``wait``, then take the ``payload``."""

    request: AskedRequest
    answered: Event

    def wait(self) -> None:
        """Blocks: until it is known what becomes of the request. As a step (``steps.py``): see there."""
        self.answered.wait()

    def payload(self) -> Any:
        """That of the answer. Raises: see ``Client.request``."""
        outcome = self.request.outcome
        if isinstance(outcome, ResumeHubError):
            raise outcome
        assert outcome is not None, "the event is set behind the outcome"
        return outcome.payload


class ClientRequester:
    """The requests of one client. ``name``: how errors call the client's session."""

    def __init__(
        self, runtime: Runtime, table: AskedRequests, post: Post, timer: Timer, name: Callable[[], str]
    ) -> None:
        self._runtime = runtime
        self._lock = runtime.lock("the client's requests")
        self._table = table
        self._post = post
        self._timer = timer
        self._name = name
        self._ended = False

    @contextmanager
    def asking(self, event: str, payload: Any, timeout: float | None) -> Iterator[Asking]:
        """Send a request; at the end of the ``with`` it is given up, if it is open still.

        Raises: ConnectionClosed, SendBufferFull, TypeError, ValueError: see ``Client.request``. Never blocks.
        """
        request, answered = self._add(event, timeout)
        try:
            if timeout is not None:
                self._timer(request.id, timeout)
            self._post(Message(event, payload, id=request.id), request)
            yield Asking(request, answered)
        finally:
            # If it is open still, the caller was interrupted, or nothing was sent.
            with self._lock:
                self._table.forget(request)
            if timeout is not None:
                self._timer(request.id, None)

    def _add(self, event: str, timeout: float | None) -> tuple[AskedRequest, Event]:
        answered = self._runtime.event("an answer")
        with self._lock:
            if self._ended:
                raise ConnectionClosed(self._name(), "the client is closed; nothing can be sent")
            request = self._table.add(event, timeout, answered.set)
            waiting = len(self._table)
        if request is None:
            raise SendBufferFull(
                self._name(),
                waiting,
                0,
                f"{waiting} requests of {self._name()!r} wait for their answers, and max_requests is "
                f"{self._table.limit}; ask later, or raise max_requests",
            )
        return request, answered

    @property
    def ignored(self) -> int:
        """How many answers came that nothing waited for."""
        return self._table.ignored

    def answer(self, message: Message) -> None:
        """What a message says that has ``re``. Never blocks."""
        with self._lock:
            self._table.answer(message)

    def time_out(self, request_id: str) -> None:
        """The request's time is over."""
        with self._lock:
            self._table.time_out(request_id)

    def reject(self, request: AskedRequest, error: ResumeHubError) -> None:
        """The server did not take the request itself, and so did not handle it."""
        failed = RequestFailed("rejected", "the server did not take the request; see __cause__")
        failed.__cause__ = error
        with self._lock:
            self._table.settle(request.id, failed)

    def session_over(self, connection_id: str, *, ended: bool) -> None:
        """The session is over, and with ``ended`` the client, behind the sender's last write."""
        with self._lock:
            self._ended = self._ended or ended
            self._table.session_over(connection_id, unwritten_too=ended)
