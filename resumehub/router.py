"""One handler per kind of message, instead of one ``if`` per kind in ``on_message``.

    router = Router()

    @router.on("chat.message")
    def chat(connection, message): ...

    hub.on_message(router)

A router knows events and callables. It does not know the hub, sessions and connections: it passes the
connection on. The hub calls it like any other ``on_message`` handler, on a reader or callbacks thread,
for several connections at once. Read next: ``hub.py`` for what the hub does when a handler raises
(contract B4).

Which handlers run:

* all whose pattern matches ``message.event``, **the most specific pattern first**: the exact
  name, then prefixes from the longest to the shortest; within a pattern in order of registration;
* the fallback, if none matches. Without a fallback such a message is ignored: if the router raised,
  any client could end its transport with a typing error. A request without a handler is refused with
  ``unknown_event``;
* around all of these, the middleware, for every message, matched or not.

A pattern is an event's exact name, or a prefix followed by ``*``: ``chat.*`` matches
``chat.message`` and ``chat.room.joined`` but not ``chat``; ``*`` alone matches everything (and
leaves nothing for the fallback). ``""`` is the event of a message without one.

What a handler returns is the answer to a request (contract E3): of several, the first that is not None. A
middleware may return another one in its place; one that returns nothing leaves it as it is. What is returned
for a message that is no request means nothing.

After a handler that raises, no other one runs; the hub handles the exception (contract B4, E3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from .errors import RequestError
from .handlers import check_handler, name_of
from .message import RESERVED_PREFIX, Message, is_reserved
from .payloads import ValidatedHandler, check_of
from .reasons import RequestRefusal
from .runtime.system import make_lock

Handler = Callable[[Any, Message], object]
"""``handler(connection, message)``; what it returns is the answer, if the message is a request."""

Middleware = Callable[[Any, Message, Handler], object]
"""``middleware(connection, message, next)``; call ``next(connection, message)`` to go on."""

_H = TypeVar("_H", bound=Handler)
_M = TypeVar("_M", bound=Middleware)

_WILDCARD: Final = "*"

#: No payload is declared: ``None`` declares one that is null.
NOT_DECLARED: Final[Any] = type("NotDeclared", (), {"__repr__": lambda self: "…"})()


class Router:
    """An ``on_message`` handler that calls the handlers registered for each message's event.

    Next: register everything before the first client comes. A later registration is safe, and holds for
    the messages after it.

    Threads: any, for calls and registration alike. Blocks: no longer than the handlers do.
    No handler runs under a lock.
    """

    __slots__ = ("_lock", "_routes")

    def __init__(self) -> None:
        # Everything that a call needs is in one value, which is replaced and never changed. So a call
        # reads the attribute once and needs no lock. The lock is for two registrations at once.
        self._lock = make_lock()
        self._routes = _Routes()

    def __call__(self, connection: Any, message: Message, /) -> object:
        """Run the middleware and the handlers for ``message``; for ``hub.on_message(router)``.

        Returns: the answer, for a request: what the first handler returned that did not return None.
        Raises: what a handler or middleware raises; RequestError with the code ``unknown_event`` for a
        request that no pattern matches, without a fallback. Threads: any, several at once.
        """
        return self._routes.entry(connection, message)

    def on(self, pattern: str, payload: Any = NOT_DECLARED) -> Callable[[_H], _H]:
        """Register the decorated function for events that match ``pattern``.

        The decorator returns the function unchanged, so it can be repeated for several patterns.
        The top of this module describes patterns and the order of several handlers.

        ``payload``: what the payload must be; the handler then gets a message with the checked value. A
        dataclass, a TypedDict, a model of pydantic or msgspec, a type of JSON's values (``list[str]``), or a
        function of (payload) that raises ValueError or RequestError. Where the payload is something else,
        RequestError is raised with the code ``invalid_payload``, and the handler is not called. None: the
        payload must be None.

        Raises: TypeError for a pattern that is no ``str``, a handler that can't be called with
        (connection, message), or a ``payload`` that can't check one; ValueError for a reserved pattern
        (``$…``), a ``*`` that is not at the end, or a function that this pattern already has.
        Threads: any. Blocks: never.
        """
        if not isinstance(pattern, str):
            raise TypeError(
                f'router.on takes an event, not {type(pattern).__name__}: write @router.on("chat.message")'
            )
        if is_reserved(pattern):
            raise ValueError(
                f"router.on({pattern!r}): events that begin with {RESERVED_PREFIX!r} are reserved for "
                "resumehub and never reach a handler"
            )
        if _WILDCARD in pattern[:-1]:
            raise ValueError(
                f"router.on({pattern!r}): '*' may only stand at the end, as in 'chat.*'; for anything "
                "else use middleware"
            )

        where = f"router.on({pattern!r})"
        check = None if payload is NOT_DECLARED else check_of(payload, where)

        def register(handler: _H) -> _H:
            check_handler(handler, where, "connection", "message")
            called = handler if check is None else ValidatedHandler(handler, check)
            with self._lock:
                self._routes = self._routes.with_handler(pattern, called)
            return handler

        return register

    def handlers_of(self, event: str) -> tuple[Handler, ...]:
        """The handlers that run for a message with this event, in their order; empty if none does.

        Raises: nothing. Threads: any. Blocks: never.
        """
        return self._routes.handlers_of(event)

    def fallback(self, handler: _H) -> _H:
        """Register the decorated function for messages that no pattern matches.

        Write ``@router.fallback`` without parentheses; it returns the function unchanged.

        Raises: TypeError for a handler that can't be called with (connection, message);
        ValueError for a second fallback.
        Threads: any. Blocks: never.
        """
        check_handler(handler, "router.fallback", "connection", "message")
        with self._lock:
            if self._routes.fallback is not None:
                raise ValueError(
                    f"router.fallback: {name_of(self._routes.fallback)} is the fallback already, and there "
                    "is only one; call the other from it"
                )
            self._routes = replace(self._routes, fallback=handler)
        return handler

    def use(self, middleware: _M) -> _M:
        """Put ``middleware`` around everything that this router does; the first added is outermost.

        It is called as ``middleware(connection, message, next)`` for every message, and calls
        ``next(connection, message)`` to go on. It may pass another message, which is then routed by
        *its* event. Without that call no handler gets the message. Also usable as a decorator.

        Raises: TypeError for middleware that can't be called with (connection, message, next);
        ValueError for middleware that is in use already.
        Threads: any. Blocks: never.
        """
        check_handler(middleware, "router.use", "connection", "message", "next")
        with self._lock:
            if middleware in self._routes.middleware:
                raise ValueError(f"router.use: {name_of(middleware)} is in use already")
            self._routes = replace(self._routes, middleware=(*self._routes.middleware, middleware))
        return middleware


@dataclass(frozen=True)
class _Routes:
    """Everything that is registered: immutable, replaced as a whole."""

    exact: dict[str, tuple[Handler, ...]] = field(default_factory=dict)
    # Prefix → handlers, the longest prefix first.
    prefixes: dict[str, tuple[Handler, ...]] = field(default_factory=dict)
    fallback: Handler | None = None
    middleware: tuple[Middleware, ...] = ()
    # The middleware and then ``dispatch``, as one function, built per registration and not per message.
    entry: Handler = field(init=False)

    def __post_init__(self) -> None:
        entry: Handler = self.dispatch
        for middleware in reversed(self.middleware):
            entry = _around(middleware, entry)
        object.__setattr__(self, "entry", entry)

    def with_handler(self, pattern: str, handler: Handler) -> _Routes:
        wildcard = pattern.endswith(_WILDCARD)
        table = self.prefixes if wildcard else self.exact
        key = pattern[:-1] if wildcard else pattern
        handlers = table.get(key, ())
        if handler in handlers:
            raise ValueError(f"router.on({pattern!r}): {name_of(handler)} is registered for it already")
        extended = {**table, key: (*handlers, handler)}
        if wildcard:
            longest_first = dict(sorted(extended.items(), key=lambda item: -len(item[0])))
            return replace(self, prefixes=longest_first)
        return replace(self, exact=extended)

    def handlers_of(self, event: str) -> tuple[Handler, ...]:
        handlers = self.exact.get(event, ())
        for prefix, more in self.prefixes.items():
            if event.startswith(prefix):
                handlers += more
        if not handlers and self.fallback is not None:
            handlers = (self.fallback,)
        return handlers

    def dispatch(self, connection: Any, message: Message, /) -> object:
        handlers = self.handlers_of(message.event)
        if not handlers and message.id is not None:
            raise RequestError(RequestRefusal.UNKNOWN_EVENT.value)
        answer = None
        for handler in handlers:
            returned = handler(connection, message)
            if answer is None:
                answer = returned
        return answer


def _around(middleware: Middleware, inner: Handler) -> Handler:
    def step(connection: Any, message: Message, /) -> object:
        if message.id is None:
            return middleware(connection, message, inner)
        answers: list[object] = []

        def go_on(connection: Any, message: Message, /) -> object:
            answer = inner(connection, message)
            answers.append(answer)
            return answer

        returned = middleware(connection, message, go_on)
        # One that only looks at what passes, as most do, need not return what ``next`` has returned.
        return returned if returned is not None or not answers else answers[0]

    return step
