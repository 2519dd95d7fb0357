"""Checks a handler when it is registered: a function that could never run is refused before the first client.

The hub calls a handler on a thread and does not look at what it returns. An async function or a generator
would so do nothing, in silence; one with the wrong number of arguments would fail with each message. It knows
functions, and not what they are for. Any thread; never blocks. Read next: ``hub.py``, ``router.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial


def check_handler(
    function: object, where: str, *arguments: str, advice: str = "", awaited: bool = False
) -> None:
    """Make sure that ``function`` can be called with ``arguments`` and does its work in that call.

    ``where``: what it is given to, for the error, as ``"hub.on_connect"``; ``advice``: what else the error
    says. ``awaited``: the caller awaits what the function returns, so it may be async. A builtin without a
    signature passes: an error shows with the first call.

    Raises: TypeError, which names the function and says what is right.
    """
    wanted = f"{where} takes a function of ({', '.join(arguments)})"
    check_runs(function, wanted, advice, awaited=awaited)
    assert callable(function), "check_runs has looked"
    try:
        # What is really called: a decorator with functools.wraps may give the function more arguments.
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise TypeError(
            f"{wanted}; {name_of(function)}{signature} can't be called so: {error}{advice}"
        ) from None


def check_runs(function: object, wanted: str, advice: str = "", *, awaited: bool = False) -> None:
    """The same for a function whose arguments are not known here; ``wanted``: how the error begins.

    Raises: TypeError.
    """
    if not callable(function):
        raise TypeError(f"{wanted}, not {type(function).__name__}{advice}")
    if any(
        _runs_nothing(called) and not (awaited and inspect.iscoroutinefunction(called))
        for called in _called(function)
    ):
        raise TypeError(
            f"{wanted}; {name_of(function)} is async or a generator, and calling it would run nothing of it: "
            f"use a plain def{advice}"
        )


def name_of(function: object) -> str:
    """How an error calls the function."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__qualname__", None) or repr(function)


def handlers_in(handler: object, event: str) -> Sequence[object]:
    """The functions to which a ``Router`` gives the event; none for any other handler."""
    handlers: Callable[[str], Sequence[object]] | None = getattr(handler, "handlers_of", None)
    return handlers(event) if handlers is not None else ()


def names_of(handler: object, event: str) -> str:
    """How the log calls what has handled an event: the handler, or those behind a ``Router``."""
    while isinstance(handler, partial):
        handler = handler.func
    return ", ".join(map(name_of, handlers_in(handler, event) or [handler]))


def _called(function: object) -> Iterator[object]:
    """The function and those that a call of it runs: of a partial, and of an object that can be called."""
    while isinstance(function, partial):
        function = function.func
    yield function
    yield inspect.getattr_static(function, "__call__", None)


def _runs_nothing(function: object) -> bool:
    return (
        inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or inspect.isgeneratorfunction(function)
    )
