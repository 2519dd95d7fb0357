"""The two kinds of callback: for a message, and for everything else; and what happens when one raises.

The thread that runs the session's ``serial_queue.py`` runs them. A handler's exception is logged here and
reported to the hub thread, which decides (contract B4: 1011). One of a drop, a disconnect or a membership is
only logged, and later handlers still run: what they are told of has happened, and some of them clean up. So
it is with a session's arrival and its leaving for another process. What the handlers of a request return or
raise is its answer (contract E3). Read next: ``answering.py``, ``inbound_fence.py``, ``router.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ..codec import Codec, Undecodable, decode_message
from ..core.commands import HandlerFailed, TransportAborted
from ..core.open_requests import Entry
from ..errors import HandlerError, RequestError, ResumeHubError, SendBufferFull
from ..handlers import handlers_in, names_of
from ..message import Message
from ..reasons import RequestRefusal
from ..runtime.foreign_code import Log, passes
from .answering import ReceivedRequest
from .asking import take_answer
from .connection import Connection
from .services import Services
from .session import Session

log = Log(__name__)

_RAISED = "a handler of %s raised for %r"

#: The hooks whose exceptions are only logged.
_ONLY_LOGGED = ("on_transport_drop", "on_disconnect", "on_join", "on_leave", "on_adopt", "on_release")
#: Those that get the error, and those that get a room and a reason.
_WITH_ERROR = ("on_transport_drop", "on_disconnect")
_OF_MEMBERSHIP = ("on_join", "on_leave")


@dataclass(slots=True, eq=False, repr=False)
class HookCall:
    """Any callback of one session but on_message. ``room_id``, ``reason``: of an on_join or on_leave."""

    _services: Services
    session: Session
    hook: str
    generation: int
    error: ResumeHubError | None
    room_id: str = ""
    reason: str = ""
    size: int | None = None
    _connection: Connection = field(init=False)

    def __post_init__(self) -> None:
        assert self.session.connection is not None, "its on_disconnect comes last"
        self._connection = self.session.connection

    def run(self) -> None:
        session, connection = self.session, self._connection
        arguments: tuple[Any, ...] = (connection,)
        if self.hook in _WITH_ERROR:
            arguments = (connection, self.error)
        elif self.hook in _OF_MEMBERSHIP:
            if session.entry_refused:
                return
            arguments = (connection, self.room_id, self.reason)
        self._services.observers.note(
            "app", self.hook, connection_id=session.connection_id, epoch=session.epoch
        )
        try:
            _call(self._services, session, self.generation, self.hook, arguments)
        finally:
            if self.hook == "on_disconnect":
                session.connection = None
                session.ended.set()

    def is_stale(self) -> bool:
        return False


@dataclass(slots=True, eq=False, repr=False)
class MessageCall:
    """One message that was read, for on_message.

    ``data``: as it came. ``_message``: the same, decoded, if the reader has decoded it already.
    ``_is_taken``: it is an answer, and the thread that waited for it has it. ``is_started``: it counts as
    handled.
    """

    _services: Services
    session: Session
    generation: int
    data: str | bytes
    size: int | None
    _message: Message | Undecodable | None = None
    _is_taken: bool = False
    is_started: bool = False
    hook: str = "on_message"

    def run(self) -> None:
        session, services = self.session, self._services
        observers = services.observers
        message, request, entry = self._message, None, Entry.OPENED
        if message is None:
            message = read_message(services.codec, self.data)
        if isinstance(message, Message) and message.id is not None:
            request = ReceivedRequest(services, session, message.id, message.event)
            entry = request.admission()
            if entry is Entry.NO_ROOM:
                self._give_up()
                return
            if entry is Entry.OPEN_ALREADY:
                message = Undecodable("a request with the id of another one that is not answered yet")
        # Counted when its handler starts, not when it returns: otherwise a message whose handler always
        # raises would come back after every resume. The client of a v1 session is told of one that is
        # undecodable.
        told = session.delayed_ack is not None and isinstance(message, Undecodable)
        if not session.inbound_fence.start(self, _why(message) if told else None):
            return
        if observers.trace is not None:
            observers.note(
                "app", self.hook, connection_id=session.connection_id, epoch=session.epoch, size=self.size
            )
        if observers.watched:
            observers.count("message_received", session.room_id, self.size)
        if session.delayed_ack is not None:
            services.control_messages.handled(session, self.size or 0)
        if isinstance(message, Undecodable):
            observers.skipped(session, message)
        elif message.re is not None:
            if not (self._is_taken or take_answer(services, session, message)):
                observers.note("app", "IgnoredAnswer", connection_id=session.connection_id)
        elif entry is Entry.TOO_MANY:
            assert request is not None, "only a request is one too many"
            request.turn_away()
        else:
            if request is not None:
                request.open()
                message = replace(message, answering=request)
            began = observers.callback_began(session, self.hook)
            try:
                _handle(services, session, self.generation, message, request)
            finally:
                observers.callback_ended(session, self.hook, began)

    def _give_up(self) -> None:
        """The client asks and does not read: drop its transport. The request is not handled."""
        session = self.session
        log.warning(
            "%r reads none of the answers that wait for it; its transport is dropped",
            session.connection_id,
            connection_id=session.connection_id,
        )
        session.inbound_fence.fence(self.generation)
        session.failed = self.hook, self.generation  # if the session is about to move, it is told there
        writer = session.writer
        if writer is not None:
            self._services.commands.put(TransportAborted(writer.number))

    def is_stale(self) -> bool:
        """Whether it can never start, because its transport is no longer the session's."""
        return not self.session.inbound_fence.is_open(self.generation)


def read_message(codec: Codec, data: str | bytes, *, allow_reserved: bool = False) -> Message | Undecodable:
    """The message in ``data``, or the reason why it can't be decoded."""
    try:
        return decode_message(codec, data, allow_reserved=allow_reserved)
    except Undecodable as error:
        return error


def _why(message: Message | Undecodable) -> str | None:
    return message.told if isinstance(message, Undecodable) else None


def _handle(
    services: Services, session: Session, generation: int, message: Message, request: ReceivedRequest | None
) -> None:
    """Run the handlers of on_message; what the first of them returns that is not None is the answer."""
    assert session.connection is not None, "no message starts after on_disconnect"
    answer: object = None
    by: object = None
    unknown, known = None, False
    for handler in services.handlers["on_message"]:
        try:
            returned = handler(session.connection, message)
        # SystemExit too: a handler must not be able to end a thread of the hub.
        except BaseException as cause:
            if passes(cause):
                raise
            if not isinstance(cause, RequestError):
                _failed(services, session, generation, "on_message", cause, request)
                return
            if request is None:
                services.observers.refused_no_request(session)
                return
            if cause.code != RequestRefusal.UNKNOWN_EVENT.value:
                _end(services, session, generation, request, request.refuse_with(cause))
                return
            unknown = cause  # to this handler: another one may know the event
            continue
        if request is not None:
            known = known or bool(handlers_in(handler, message.event))
            if answer is None and returned is not None:
                answer, by = returned, handler
    if request is None:
        return
    if not services.handlers["on_message"]:
        unknown = RequestError(RequestRefusal.UNKNOWN_EVENT.value)
    if unknown is not None and answer is None and not known:
        full = request.refuse_with(unknown) if request.is_unsettled() else None
    else:
        full = request.settle(answer, lambda: names_of(by, message.event))
    _end(services, session, generation, request, full)


def _end(
    services: Services,
    session: Session,
    generation: int,
    request: ReceivedRequest,
    full: SendBufferFull | None,
) -> None:
    """A request was answered. If that did not fit (``full``), its handler counts as one that has raised."""
    if full is not None:
        _failed(services, session, generation, "on_message", full, request)


def _call(
    services: Services, session: Session, generation: int, hook: str, arguments: tuple[Any, ...]
) -> None:
    handlers, observers = services.handlers[hook], services.observers
    if not handlers:
        return
    began = observers.callback_began(session, hook)
    try:
        _call_each(handlers, services, session, generation, hook, arguments)
    finally:
        observers.callback_ended(session, hook, began)


def _call_each(
    handlers: Iterable[Callable[..., Any]],
    services: Services,
    session: Session,
    generation: int,
    hook: str,
    arguments: tuple[Any, ...],
) -> None:
    for handler in handlers:
        try:
            handler(*arguments)
        except BaseException as cause:
            if passes(cause):
                raise
            if hook in _ONLY_LOGGED:
                services.observers.tell_span(session, "callback_raised", hook, cause)
                log.error(
                    _RAISED,
                    hook,
                    session.connection_id,
                    exc_info=cause,
                    hook=hook,
                    connection_id=session.connection_id,
                )
                continue
            _failed(services, session, generation, hook, cause, None)
            return


def _failed(
    services: Services,
    session: Session,
    generation: int,
    hook: str,
    cause: BaseException,
    request: ReceivedRequest | None,
) -> None:
    """A handler has raised ``cause`` (contract B4)."""
    services.observers.tell_span(session, "callback_raised", hook, cause)
    log.error(
        _RAISED, hook, session.connection_id, exc_info=cause, hook=hook, connection_id=session.connection_id
    )
    error = HandlerError(hook)
    error.__cause__ = cause
    # Fenced here, before the hub thread gets to it: the next message may be about to start.
    if hook == "on_connect":
        # An access check that failed also holds for a transport that has resumed meanwhile.
        session.inbound_fence.shut()
        session.entry_refused = True
    else:
        session.inbound_fence.fence(generation)
    if request is not None:
        request.fail()  # before the close frame, which goes ahead of what waits
    session.failed = hook, generation
    services.commands.put(HandlerFailed(session.epoch, generation, hook, error))
