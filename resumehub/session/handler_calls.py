"""The two kinds of callback: a message, and everything else. What an exception of theirs means.

Run by whichever thread runs the session's strand (``serial_queue.py``). A handler that raises is
logged here and reported to the hub, which decides (contract: 1011); one of drop or disconnect
only is logged, and the handlers after it still run, since they clean up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..codec import Codec, Undecodable, decode_message
from ..core.commands import Command, HandlerFailed
from ..errors import HandlerError, ResumeHubError
from ..message import Message
from ..trace import Trace
from .connection import Connection

log = logging.getLogger("resumehub")

Handlers = Mapping[str, Sequence[Callable[..., Any]]]

#: The hooks whose exceptions are logged and nothing else.
_ONLY_LOGGED = ("on_transport_drop", "on_disconnect")


class CallbackHost(Protocol):
    """The hub's engine, as a callback sees it."""

    codec: Codec
    handlers: Handlers
    trace: Trace | None
    #: Whether a collector or a trace wants to know of everything.
    watched: bool

    def put(self, command: Command, /) -> bool: ...
    def note(self, lane: str, what: str, **fields: Any) -> None: ...
    def count(self, method: str, *arguments: Any) -> None: ...
    def skip(self, connection: Connection, why: Undecodable) -> None: ...
    def handled(self, connection: Connection, size: int) -> None: ...
    def session_over(self, connection: Connection) -> None: ...


class HookCall:
    """on_connect, on_transport_drop, on_transport_restore or on_disconnect of one session."""

    __slots__ = ("_connection", "_error", "_generation", "_host", "hook", "size")

    def __init__(
        self,
        host: CallbackHost,
        connection: Connection,
        hook: str,
        generation: int,
        error: ResumeHubError | None,
    ) -> None:
        self._host = host
        self._connection = connection
        self._generation = generation
        self._error = error
        self.hook = hook
        self.size: int | None = None

    def run(self) -> None:
        if self.hook in _ONLY_LOGGED:
            arguments: tuple[Any, ...] = (self._connection, self._error)
        else:
            arguments = (self._connection,)
        self._host.note("app", self.hook, connection_id=self._connection.id, epoch=self._connection._epoch)
        _call(self._host, self._connection, self._generation, self.hook, arguments)
        if self.hook == "on_disconnect":
            self._host.session_over(self._connection)

    def is_stale(self) -> bool:
        return False


class MessageCall:
    """One message that was read, for on_message: decoded if the reader had to look into it."""

    __slots__ = ("_connection", "_data", "_generation", "_host", "hook", "size")

    def __init__(
        self,
        host: CallbackHost,
        connection: Connection,
        generation: int,
        data: str | bytes | Message | Undecodable,
        size: int,
    ) -> None:
        self._host = host
        self._connection = connection
        self._generation = generation
        self._data = data
        self.hook = "on_message"
        self.size: int | None = size

    def run(self) -> None:
        connection, host = self._connection, self._host
        # Counted as it starts, and not as it ends: a message whose handler always raises would
        # otherwise come back after every resume.
        if not connection._inbound_fence.start(self._generation):
            return
        if host.trace is not None:
            host.note("app", self.hook, connection_id=connection.id, epoch=connection._epoch, size=self.size)
        if host.watched:
            host.count("message_received", connection.room_id, self.size)
        if connection._delayed_ack is not None:
            host.handled(connection, self.size or 0)
        message = self._data
        if isinstance(message, (str, bytes)):
            message = read_message(host.codec, message)
        if isinstance(message, Undecodable):
            host.skip(connection, message)
            return
        _call(host, connection, self._generation, self.hook, (connection, message))

    def is_stale(self) -> bool:
        """Whether it can never start any more: its transport is no longer the session's."""
        return not self._connection._inbound_fence.is_open(self._generation)


def read_message(codec: Codec, data: str | bytes, *, allow_reserved: bool = False) -> Message | Undecodable:
    """The message, or why it is none."""
    try:
        return decode_message(codec, data, allow_reserved=allow_reserved)
    except Undecodable as error:
        return error


def _call(
    host: CallbackHost, connection: Connection, generation: int, hook: str, arguments: tuple[Any, ...]
) -> None:
    for handler in host.handlers[hook]:
        try:
            handler(*arguments)
        # SystemExit too: a handler must not be able to end a thread of the hub.
        except BaseException as cause:
            log.error("a handler of %s raised for %r", hook, connection.id, exc_info=cause)
            if hook in _ONLY_LOGGED:
                continue
            error = HandlerError(hook)
            error.__cause__ = cause
            # Here and not only in the hub: the next message may be about to start.
            if hook == "on_connect":
                # An access check that failed counts for a transport that has resumed meanwhile, too.
                connection._inbound_fence.shut()
            else:
                connection._inbound_fence.fence(generation)
            host.put(HandlerFailed(connection._epoch, generation, hook, error))
            return
