"""A request of the client: how it gets its answer, once, from whatever thread has it (contract E3).

``ReceivedRequest`` is what a message's ``reply``, ``refuse`` and ``defer`` go to, and what the thread that
runs the handlers settles when they have returned or raised. Of two threads the table decides
(``core/open_requests.py``), under the lock of the session's outbox and in one step with the queueing, so that
an answer is never lost between the two. Nothing here waits for the peer: an answer of the hub may go beyond
the outbox's bound. The codec runs without a lock. Read next: ``handler_calls.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..codec import encode_frame
from ..core.open_requests import ClientRequest, Entry
from ..errors import ConnectionClosed, HubUnavailable, RequestError, SendBufferFull
from ..message import Frame, Message
from ..reasons import RequestOutcome, RequestRefusal
from ..runtime.foreign_code import Log, passes
from .elsewhere import Elsewhere, wherever
from .request_frames import encode_refusal
from .services import Services
from .session import Session

log = Log(__name__)


class ReceivedRequest:
    """One request of a session's client. ``reply``, ``refuse``, ``defer``: any thread; see ``Message``."""

    __slots__ = ("_request", "_services", "_session")

    def __init__(self, services: Services, session: Session, request_id: str, event: str) -> None:
        self._services = services
        self._session = session
        self._request = ClientRequest(request_id, event)

    # -- for the application ----------------------------------------------------------------

    def reply(self, payload: Any, /) -> None:
        """See ``Message.reply``."""
        self._put(self._answer(payload), RequestOutcome.ANSWERED, beyond=0)

    def refuse(self, code: str, text: str, /) -> None:
        """See ``Message.refuse``."""
        self._put(self._refusal(RequestError(code, text)), RequestOutcome.REFUSED, beyond=0)

    def defer(self) -> None:
        """See ``Message.defer``."""
        with self._session.outbox.lock:
            if not self._session.client_requests.is_open(self._request):
                raise self._answered_already()
            self._request.deferred = True

    # -- for the thread that runs the handlers ----------------------------------------------

    def admission(self) -> Entry:
        """Whether the request may be opened. Only this thread opens requests of the session, so it holds."""
        session, limit = self._session, self._services.max_requests
        with session.outbox.lock:
            # Each open request has its answer's place in the outbox: no thread waits for one.
            room = session.outbox.max_frames + limit - session.outbox.used_frames
            return session.client_requests.admits(self._request.id, limit, room)

    def open(self) -> None:
        """Its handlers run next. Then, always: ``settle``, ``refuse_with`` or ``fail``."""
        self._count_taken()
        with self._session.outbox.lock:
            self._session.client_requests.open(self._request)

    def is_unsettled(self) -> bool:
        """Whether it waits for the value of its handlers: neither answered nor deferred."""
        with self._session.outbox.lock:
            return self._session.client_requests.is_open(self._request) and not self._request.deferred

    def settle(self, value: Any, handler: Callable[[], str]) -> SendBufferFull | None:
        """Answer with what a handler returned, unless the request is answered or deferred.

        ``handler``: gives its name, for the log. Returns: None; or why that did not fit, and the asker was
        told ``internal_error`` in its place.
        """
        if not self.is_unsettled():
            return None
        try:
            frame = self._answer(value)
        except BaseException as error:
            if passes(error):
                raise
            log.error(
                "what %s returned for a request of %r can't be sent: return what the codec can encode",
                handler(),
                self._session.connection_id,
                exc_info=error,
                connection_id=self._session.connection_id,
            )
            self.fail()
            return None
        return self._put_or_fail(frame, RequestOutcome.ANSWERED)

    def refuse_with(self, error: RequestError) -> SendBufferFull | None:
        """A handler has raised ``error``: that is the refusal, unless it was answered. Returns: as above."""
        try:
            frame = self._refusal(error)
        except BaseException as unfit:
            if passes(unfit):
                raise
            log.error(
                "the refusal of a request of %r can't be sent",
                self._session.connection_id,
                exc_info=unfit,
                connection_id=self._session.connection_id,
            )
            self.fail()
            return None
        return self._put_or_fail(frame, RequestOutcome.REFUSED)

    def fail(self, refusal: RequestRefusal = RequestRefusal.INTERNAL_ERROR) -> None:
        """Tell the asker no more than a code of resumehub's own, unless it has its answer."""
        frame = self._short(refusal)
        if frame is not None:
            try:
                self._put(frame, RequestOutcome.FAILED, beyond=self._services.max_requests, any_size=True)
            except (ConnectionClosed, RuntimeError):
                pass  # the session has ended, or another thread was faster
            except HubUnavailable as error:
                self._lost(error)

    def turn_away(self) -> None:
        """It was not admitted, since as many as may be are open."""
        self._count_taken()
        self._count_settled(RequestOutcome.TURNED_AWAY)
        refusal = RequestRefusal.TOO_MANY_REQUESTS
        frame = self._short(refusal)
        if frame is None:
            return
        outbox = self._session.outbox
        try:
            wherever(
                lambda: self._session.put_kept(
                    frame, lambda: outbox.put_kept(frame, self._services.max_requests, any_size=True)
                ),
                lambda elsewhere: False,  # it was not admitted, so the next hub does not know of it
            )
        except ConnectionClosed:
            pass

    # -- steps of the above -----------------------------------------------------------------

    def _count_taken(self) -> None:
        session = self._session
        self._services.observers.count("client_request_taken", session.room_id, session.connection_id)

    def _put_or_fail(self, frame: Frame, outcome: RequestOutcome) -> SendBufferFull | None:
        try:
            self._put(frame, outcome, beyond=self._services.max_requests)
        except SendBufferFull as full:
            self.fail()
            return full
        except (ConnectionClosed, RuntimeError):
            pass  # the session has ended, or another thread was faster
        except HubUnavailable as error:
            self._lost(error)
        return None

    def _lost(self, error: HubUnavailable) -> None:
        # The session has left while the handler ran, and this process can reach it no more.
        log.error(
            "the answer to a request of %r is lost: %s",
            self._session.connection_id,
            error,
            connection_id=self._session.connection_id,
        )

    def _put(self, frame: Frame, outcome: RequestOutcome, *, beyond: int, any_size: bool = False) -> None:
        session, request = self._session, self._request
        outbox = session.outbox

        def accept() -> bool:
            return _settle(session, request, frame, beyond, any_size)

        def there(elsewhere: Elsewhere) -> bool:
            return elsewhere.answer(session.connection_id, session.life, request.id, frame, beyond, any_size)

        if not wherever(lambda: session.put_kept(frame, accept), there):
            raise SendBufferFull(session.connection_id, outbox.used_frames, outbox.used_bytes)
        self._services.observers.note("app", "Answered", connection_id=session.connection_id)
        # Here, wherever the session is by now, and without the lock under which it was settled.
        self._count_settled(outcome)

    def _count_settled(self, outcome: RequestOutcome) -> None:
        session = self._session
        count = self._services.observers.count
        count("client_request_settled", session.room_id, session.connection_id, outcome.value)

    def _answer(self, payload: Any) -> Frame:
        return self._fitting(Message(self._request.event, payload, re=self._request.id))

    def _refusal(self, error: RequestError) -> Frame:
        told = {"code": error.code, "message": error.message}
        return self._fitting(Message(self._request.event, re=self._request.id, error=told))

    def _fitting(self, message: Message) -> Frame:
        frame = encode_frame(self._services.codec, message, correlated=True)
        self._session.check_size(frame.size)
        return frame

    def _short(self, refusal: RequestRefusal) -> Frame | None:
        session = self._session
        return encode_refusal(self._services.codec, self._request.id, refusal, session.connection_id)

    def _answered_already(self) -> RuntimeError:
        return _answered_already(self._session)


def put_answer(session: Session, request_id: str, frame: Frame, beyond: int, any_size: bool) -> bool:
    """Answer a request of the client that came with its session from another process, for a handler there.

    False if the answer finds no room. Raises: RuntimeError if it is answered already; ConnectionClosed.
    Threads: any. Blocks: never.
    """

    def accept() -> bool:
        request = session.client_requests.find(request_id)
        if request is None:
            raise _answered_already(session)
        return _settle(session, request, frame, beyond, any_size)

    return session.put_kept(frame, accept)


def _settle(session: Session, request: ClientRequest, frame: Frame, beyond: int, any_size: bool) -> bool:
    """The outbox's lock is held."""
    if not session.client_requests.is_open(request):
        raise _answered_already(session)
    fits = session.outbox.put_kept(frame, beyond, any_size=any_size)
    if fits:
        session.client_requests.settle(request)
    return fits


def _answered_already(session: Session) -> RuntimeError:
    return RuntimeError(
        f"this request of {session.connection_id!r} is answered already: a request has one answer"
    )
