"""The two kinds of callback: for a message, and for everything else; and what happens when one raises.

The thread that runs the session's ``serial_queue.py`` runs them. A handler's exception is logged here and
reported to the hub thread, which decides (contract B4: 1011). One of a drop, a disconnect or a membership is
only logged, and later handlers still run: what they are told of has happened, and some of them clean up. Read
next: ``inbound_fence.py``, ``router.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..codec import Codec, Undecodable, decode_message
from ..core.commands import HandlerFailed
from ..errors import HandlerError, ResumeHubError
from ..message import Message
from ..runtime.foreign_code import Log, passes
from .connection import Connection
from .services import Services
from .session import Session

log = Log("resumehub")

#: The hooks whose exceptions are only logged.
_ONLY_LOGGED = ("on_transport_drop", "on_disconnect", "on_join", "on_leave")
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
    """

    _services: Services
    session: Session
    _generation: int
    data: str | bytes
    size: int | None
    _message: Message | Undecodable | None = None
    hook: str = "on_message"

    def run(self) -> None:
        session, services = self.session, self._services
        observers = services.observers
        # Counted when its handler starts, not when it returns: otherwise a message whose handler always
        # raises would come back after every resume.
        # The reader has decoded it already in a v1 session, whose client is told if that was impossible.
        rejected = self._message.told if isinstance(self._message, Undecodable) else None
        if not session.inbound_fence.start(self._generation, rejected):
            return
        if observers.trace is not None:
            observers.note(
                "app", self.hook, connection_id=session.connection_id, epoch=session.epoch, size=self.size
            )
        if observers.watched:
            observers.count("message_received", session.room_id, self.size)
        if session.delayed_ack is not None:
            services.control_messages.handled(session, self.size or 0)
        message = self._message
        if message is None:
            message = read_message(services.codec, self.data)
        if isinstance(message, Undecodable):
            observers.skipped(session, message)
            return
        assert session.connection is not None, "no message starts after on_disconnect"
        _call(services, session, self._generation, self.hook, (session.connection, message))

    def is_stale(self) -> bool:
        """Whether it can never start, because its transport is no longer the session's."""
        return not self.session.inbound_fence.is_open(self._generation)


def read_message(codec: Codec, data: str | bytes, *, allow_reserved: bool = False) -> Message | Undecodable:
    """The message in ``data``, or the reason why it can't be decoded."""
    try:
        return decode_message(codec, data, allow_reserved=allow_reserved)
    except Undecodable as error:
        return error


def _call(
    services: Services, session: Session, generation: int, hook: str, arguments: tuple[Any, ...]
) -> None:
    for handler in services.handlers[hook]:
        try:
            handler(*arguments)
        # SystemExit too: a handler must not be able to end a thread of the hub.
        except BaseException as cause:
            if passes(cause):
                raise
            log.error("a handler of %s raised for %r", hook, session.connection_id, exc_info=cause)
            if hook in _ONLY_LOGGED:
                continue
            error = HandlerError(hook)
            error.__cause__ = cause
            # Fenced here, before the hub thread gets to it: the next message may be about to start.
            if hook == "on_connect":
                # An access check that failed also holds for a transport that has resumed meanwhile.
                session.inbound_fence.shut()
                session.entry_refused = True
            else:
                session.inbound_fence.fence(generation)
            services.commands.put(HandlerFailed(session.epoch, generation, hook, error))
            return
