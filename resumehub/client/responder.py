"""Answers the server's requests with what the application returns, replies or refuses (contract E3).

It stands between the inbox and the application: a message with an ``id`` gets what ``Message.reply``,
``refuse`` and ``defer`` need. It decides what the asker is told when the application says nothing, raises, or
returns what can't be encoded. Which requests are open is in ``taken_requests.py``. It does not know how a
message is queued. Threads: any; no application's code runs under its lock, and nothing blocks.
Made by ``client_loop.py``. Read next: ``callbacks.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, assert_never

from ..errors import ConnectionClosed, RequestError, SendBufferFull
from ..handlers import names_of
from ..message import Frame, Message
from ..reasons import RequestRefusal
from ..runtime.base import Runtime
from ..runtime.foreign_code import Log, passes
from .stats import ClientCounters
from .steps import Steps
from .taken_requests import AnswerState, Taken, TakenRequest, TakenRequests

log = Log(__name__)

_INTERNAL: Final = (RequestRefusal.INTERNAL_ERROR.value, "")

#: Encodes an answer. Raises: TypeError, ValueError, whatever the codec raises.
Encode = Callable[[Message], Frame]

#: Queues an encoded answer. Raises: ConnectionClosed, SendBufferFull. Called with the responder's lock held.
Post = Callable[[Frame, Message], None]


class ClientResponder:
    """The open requests of the server's, and their answers."""

    def __init__(
        self, runtime: Runtime, table: TakenRequests, counters: ClientCounters, encode: Encode, post: Post
    ) -> None:
        self._lock = runtime.lock("the server's requests")
        self._table = table
        self._counters = counters
        self._encode = encode
        self._post = post
        self._logged: set[str] = set()
        # The request that receive() has given last.
        self._received: TakenRequest | None = None

    # -- a callback -----------------------------------------------------------------------------

    def serve(self, on_message: Callable[[Message], Any]) -> Callable[[Message], Steps[None]]:
        """``on_message`` as a step, with what it returns or raises made the answer of a request.

        Raises: what ``on_message`` raises, but for RequestError, which the asker is told.
        """

        def call(message: Message) -> Steps[None]:
            given, request = self._open(message)
            if given is not None:
                yield from self._call(on_message, given, request)

        return call

    def _call(
        self, on_message: Callable[[Message], Any], message: Message, request: TakenRequest | None
    ) -> Steps[None]:
        try:
            returned = yield partial(on_message, message)
        except RequestError as refusal:
            if request is None:
                self._log_once(
                    "a callback of the client raised RequestError over a message that is no request"
                )
            else:
                self._finish(request, error=(refusal.code, refusal.message))
        except BaseException as error:
            if passes(error):
                raise
            if request is not None:
                self._finish(request, error=_INTERNAL)
            raise
        else:
            if request is not None and request.state is AnswerState.OPEN:
                self._finish(request, returned, by=on_message)

    # -- receive --------------------------------------------------------------------------------

    def received(self, message: Message) -> Message | None:
        """What ``receive`` gives for ``message``; None: it is for nobody, take the next one."""
        given, self._received = self._open(message)
        return given

    def settle_received(self) -> None:
        """The message that ``receive`` gave last counts as handled: one without an answer is refused."""
        request, self._received = self._received, None
        if request is not None and request.state is AnswerState.OPEN:
            self._log_once(
                "a request of the server's was taken by receive and not answered, so it is refused; call "
                "message.reply, message.refuse or message.defer before you take the next one"
            )
            self._finish(request, error=_INTERNAL)

    # -- both -----------------------------------------------------------------------------------

    def leave(self) -> None:
        """The application closes the client: what it still owes an answer is refused."""
        self.settle_received()
        with self._lock:
            deferred = self._table.deferred()
        for request in deferred:
            self._finish(request, error=_INTERNAL)

    def session_over(self) -> None:
        """The requests that are open will have no answer, and an attempt raises ConnectionClosed."""
        with self._lock:
            self._table.session_over()

    def arrived(self, message: Message) -> Message:
        """``message``, which has an id, as it goes into the inbox. The transport's thread."""
        assert message.id is not None, "the caller has looked"
        request = TakenRequest(message.id, message.event, self._table.session)
        return replace(message, answering=_Answering(self, request))

    def say(self, request: TakenRequest, payload: Any, error: tuple[str, str] | None, method: str) -> None:
        """Answer ``request`` now. Raises: see ``Message.reply``."""
        with self._lock:
            _check(request, method)
        answer = _answer_to(request, payload, error)
        frame = self._encode(answer)
        with self._lock:
            _check(request, method)
            self._post(frame, answer)
            self._table.answered(request)

    def defer(self, request: TakenRequest) -> None:
        """See ``Message.defer``."""
        with self._lock:
            _check(request, "defer")
            self._table.defer(request)

    def _open(self, message: Message) -> tuple[Message | None, TakenRequest | None]:
        """What the application gets, and the request if it is one that can be answered."""
        if not isinstance(message.answering, _Answering):
            return message, None
        request = message.answering.request
        with self._lock:
            taken = self._table.take(request)
        match taken:
            case Taken.GIVE:
                return message, request
            case Taken.SKIP:
                self._counters.undecodable += 1
                self._log_once(
                    "a request with the id of an unanswered one came from the server; it is skipped"
                )
            case Taken.REFUSE:
                refusal = (RequestRefusal.TOO_MANY_REQUESTS.value, f"{self._table.limit} are open")
                self._send(_answer_to(request, None, refusal))
            case _:
                assert_never(taken)
        return None, None

    def _finish(
        self,
        request: TakenRequest,
        payload: Any = None,
        error: tuple[str, str] | None = None,
        by: object = None,
    ) -> None:
        """Answer for the application, if there is no answer yet. Raises: nothing."""
        if not self._send(_answer_to(request, payload, error), request, by) and error is None:
            self._send(_answer_to(request, None, _INTERNAL), request)

    def _send(self, answer: Message, request: TakenRequest | None = None, by: object = None) -> bool:
        """Queue an answer, unless ``request`` has one; False if it can't be encoded."""
        what = "what a callback answers" if by is None else f"what {names_of(by, answer.event)} answers"
        try:
            frame = self._encode(answer)
        except BaseException as error:
            if passes(error):
                raise
            self._counters.callback_errors += 1
            log.error("%s to a request can't be encoded", what, exc_info=error)
            return False
        try:
            with self._lock:
                if request is None or request.unanswered:
                    self._post(frame, answer)
                    if request is not None:
                        self._table.answered(request)
        except ConnectionClosed:
            pass  # the asker is told so
        except SendBufferFull as full:
            log.error("%s to a request is lost: too many answers wait to be sent", what, exc_info=full)
        return True

    def _log_once(self, text: str) -> None:
        if text not in self._logged:
            self._logged.add(text)
            log.warning("%s (logged once)", text)


class _Answering:
    """What ``Message.reply``, ``refuse`` and ``defer`` call."""

    def __init__(self, responder: ClientResponder, request: TakenRequest) -> None:
        self._responder = responder
        self.request = request

    def reply(self, payload: Any, /) -> None:
        self._responder.say(self.request, payload, None, "reply")

    def refuse(self, code: str, text: str, /) -> None:
        refusal = RequestError(code, text)  # checks both
        self._responder.say(self.request, None, (refusal.code, refusal.message), "refuse")

    def defer(self) -> None:
        self._responder.defer(self.request)


def _check(request: TakenRequest, method: str) -> None:
    """Raises: RuntimeError, ConnectionClosed when ``request`` can't be answered."""
    if request.state is AnswerState.ANSWERED:
        raise RuntimeError(
            f"message.{method}: the request {request.event[:40]!r} is answered already; each is answered "
            "once, by reply, by refuse or by what the handler returns"
        )
    if request.state is AnswerState.TOO_LATE:
        raise ConnectionClosed(
            "", f"the session of the request {request.event[:40]!r} is over; no answer reaches it"
        )


def _answer_to(request: TakenRequest, payload: Any, error: tuple[str, str] | None) -> Message:
    if error is None:
        return Message(request.event, payload, re=request.id)
    return Message(request.event, None, re=request.id, error={"code": error[0], "message": error[1]})
