"""A request to the client: a thread of the application asks, and waits for the answer (contract E3).

The calling thread waits and no other one (for an asker in another process, no thread of this one waits): the
hub thread wakes it when its time is over or the session ends, a reader when the answer comes. An answer is
taken as soon as it is read, also while a handler of the session runs, which may be the one that asks. Who
tells the asker is decided by the table (``core/open_requests.py``), under the lock of the session's outbox;
the time is the hub's (``core/machine.py``). Any thread but the hub thread. Read next: ``answering.py`` (the
other direction), ``incoming/reader.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ..codec import encode_frame
from ..core.commands import RequestMade, RequestOver
from ..errors import RequestFailed, RequestInDoubt, RequestTimeout, SendBufferFull
from ..message import Frame, Message
from ..option_checks import MAX_DURATION
from .services import Services
from .session import Session


class WaitingRequest:
    """A request that waits for its answer. The thread that takes it out of the table fills it in, once.

    ``told``: called when it is settled, by that thread, without a lock.
    """

    __slots__ = (
        *("_told", "answer", "error", "frame", "generation", "given_up"),
        *("id", "is_late", "is_sent", "session"),
    )

    def __init__(self, session: Session, request_id: str, frame: Frame, told: Callable[[], None]) -> None:
        self.session = session
        self.id = request_id
        self.frame = frame
        self.generation = session.generation
        self.answer: Message | None = None
        self.is_sent = self.is_late = False
        #: Why there can be no answer; None: it is in doubt.
        self.error: Exception | None = None
        #: Called when nobody waits any more, if the session is in another process by then.
        self.given_up: Callable[[], None] | None = None
        self._told = told

    def answered(self, message: Message) -> None:
        """The answer is here."""
        self.answer = message
        self._told()

    def ended(self, error: Exception | None) -> None:
        """The session has ended. ``error``: what the asker gets; None: it is in doubt."""
        self.error = error
        self._told()

    def give_up(self) -> None:
        """The hub thread: the time is over."""
        session = self.session
        with session.outbox.lock:
            # The thread may not have sent it yet: then it finds that it is late.
            self.is_late = session.own_requests.settle(self.id) is self or not self.is_sent
        if self.is_late:
            self._told()


class Askers:
    """The threads of one hub that wait for a client, by a number that only this process knows. Any thread."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, WaitingRequest] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(
        self, services: Services, session: Session, event: str, payload: Any, timeout: float | None
    ) -> Any:
        """See ``Connection.request``. Blocks: until the request is settled."""
        check_request_timeout(timeout)
        with session.outbox.lock:
            request_id = session.own_requests.new_id()
        frame = encode_frame(services.codec, Message(event, payload, id=request_id), correlated=True)
        session.check_size(frame.size)
        done = services.new_event("an answer to a request")
        asked = WaitingRequest(session, request_id, frame, done.set)
        number = self._begin(services, asked, timeout)
        try:
            if _send(services, session, asked):
                services.observers.note("app", "Asked", connection_id=session.connection_id)
                done.wait()
        finally:
            self._end(services, number, timeout)
        return _result(asked, event, timeout).payload

    def ask_for(
        self,
        services: Services,
        session: Session,
        request_id: str,
        event: str,
        frame: Frame,
        timeout: float | None,
        told: Callable[[Callable[[], Message]], None],
    ) -> None:
        """Ask for somebody in another process, who has encoded the request and made its id.

        ``told``: called once it is settled, on the thread that settles it, with a function that returns the
        answer or raises as ``Connection.request`` does. Raises: the same, where nothing was sent; ``told``
        may be called all the same. Blocks: never.
        """
        session.check_size(frame.size)

        def over() -> None:
            self._end(services, number, timeout)
            told(lambda: _result(asked, event, timeout))

        asked = WaitingRequest(session, request_id, frame, over)
        number = self._begin(services, asked, timeout)
        try:
            _send(services, session, asked)
        except BaseException:
            self._end(services, number, timeout)
            raise

    def give_up(self, number: int) -> None:
        """The hub thread: the time of a request is over."""
        asked = self._waiting.get(number)
        if asked is not None:
            asked.give_up()

    def _begin(self, services: Services, asked: WaitingRequest, timeout: float | None) -> int:
        number = next(self._numbers)
        self._waiting[number] = asked
        asked.session.serial_queue.is_asked(1)
        if timeout is not None:
            # Before a byte of it is sent: whoever sees the request knows that its time runs.
            services.commands.put(RequestMade(number, timeout))
        return number

    def _end(self, services: Services, number: int, timeout: float | None) -> None:
        asked = self._waiting.pop(number, None)
        if asked is None:
            return
        with asked.session.outbox.lock:
            was_open = asked.session.own_requests.settle(asked.id) is asked
        asked.session.serial_queue.is_asked(-1)
        if (was_open or asked.is_late) and asked.given_up is not None:
            asked.given_up()
        if timeout is not None and not asked.is_late:
            services.commands.put(RequestOver(number))


def take_answer(services: Services, session: Session, message: Message) -> bool:
    """Give an answer to the thread that waits for it; False if none does. Any thread; never blocks."""
    assert message.re is not None, "it is an answer"
    with session.outbox.lock:
        asked = session.own_requests.settle(message.re)
    if asked is None:
        return False
    services.observers.note("app", "AnswerCame", connection_id=session.connection_id)
    asked.answered(message)
    return True


def give_up(session: Session, request_id: str) -> None:
    """Nobody waits for this answer any more: a late one is ignored. Any thread; never blocks."""
    with session.outbox.lock:
        asked = session.own_requests.settle(request_id)
    if asked is not None:
        asked.ended(None)


def _send(services: Services, session: Session, asked: WaitingRequest) -> bool:
    """Send the request; False if its time is over already."""
    own, outbox = session.own_requests, session.outbox

    def accept() -> bool:
        if asked.is_late or len(own) >= services.max_requests or not outbox.put_kept(asked.frame):
            return False
        own.open(asked.id, asked)
        asked.is_sent = True
        return True

    if not session.put_kept(asked.frame, accept):
        if asked.is_late:
            return False
        raise SendBufferFull(session.connection_id, outbox.used_frames, outbox.used_bytes)
    writer = session.writer
    if writer is not None:
        # The thread that reads may be this one, or be in another handler of the session.
        services.commands.read_beside(writer.number)
    return True


def _result(asked: WaitingRequest, event: str, timeout: float | None) -> Message:
    answer = asked.answer
    if asked.is_late:
        assert timeout is not None, "without one no time is ever over"
        raise RequestTimeout(event, timeout)
    if answer is None:
        raise asked.error or RequestInDoubt(asked.session.connection_id, event)
    if answer.error is not None:
        raise RequestFailed(answer.error["code"], answer.error.get("message", ""))
    return answer


def check_request_timeout(timeout: float | None) -> None:
    """Make sure that it is a time. Raises: TypeError; ValueError."""
    allowed = "timeout must be a number of seconds, more than 0, or None for no limit"
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"{allowed}, not {type(timeout).__name__}")
    if not 0 < timeout <= MAX_DURATION:
        raise ValueError(f"{allowed}, not {timeout!r}")
