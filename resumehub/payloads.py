"""Makes a check of what an application declares a payload to be: ``router.on("say", Say)``.

``check_of`` takes a type or a function and gives a function: payload in, checked value out, or
``InvalidPayload``. It knows pydantic's models and adapters and msgspec's structs by what they look like, and
imports neither: who declares one has imported it. Types of Python's own are left to ``payload_types.py``, and
anything else that can be called is called. It does not know events, sessions and requests. What an
``InvalidPayload`` says is short, whatever a client has sent. Called by ``router.py``: ``check_of`` at
registration, a check on the thread of the handler, several at once; neither blocks.
Read next: ``payload_types.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import update_wrapper
from typing import Any, Final

from .errors import RequestError
from .handlers import check_handler
from .message import Message
from .payload_types import Check, Mismatch, NotChecked, check_type
from .reasons import RequestRefusal
from .runtime.foreign_code import Log, passes

log = Log(__name__)

_LONGEST_TEXT: Final = 300


class InvalidPayload(RequestError):
    """A payload is not what the event takes. The text names the field and what is right."""

    def __init__(self, text: str) -> None:
        super().__init__(RequestRefusal.INVALID_PAYLOAD.value, _cut(text, _LONGEST_TEXT))


class ValidatedHandler:
    """A handler that gets its message with the checked payload. It equals the handler inside."""

    __qualname__: str

    def __init__(self, handler: Callable[[Any, Message], object], check: Check) -> None:
        self.handler = handler
        self._check = check
        update_wrapper(self, handler, updated=())

    def __call__(self, connection: Any, message: Message, /) -> object:
        """Raises: RequestError (``InvalidPayload`` is one), and then the handler is not called."""
        return self.handler(connection, replace(message, payload=self._check(message.payload)))

    def __eq__(self, other: object) -> bool:
        return bool(self.handler == (other.handler if isinstance(other, ValidatedHandler) else other))

    def __hash__(self) -> int:
        return hash(self.handler)


def check_of(declared: Any, where: str) -> Check:
    """A function that checks payloads and gives the value for the handler, or raises RequestError.

    ``where``: what the declaration is given to, for errors: ``"router.on('say')"``.
    Raises: TypeError when it is nothing that can check a payload.
    """
    try:
        return _check_of(declared, where)
    except NotChecked as problem:
        raise TypeError(f"{where}: {problem}") from None


def _check_of(declared: Any, where: str) -> Check:
    check = _of_a_library(declared)
    if check is not None:
        return _guarded(check, where, _text_of_a_library)
    check = check_type(declared, _nested)
    if check is not None:
        return _told(check)
    if not callable(declared):
        raise NotChecked(
            f"a payload is declared by a dataclass, a TypedDict, a model of pydantic or msgspec, a type such "
            f"as list[str], or a function of (payload), not by {type(declared).__name__}"
        )
    check_handler(declared, f"{where}: the check", "payload")
    return _guarded(declared, where, _text_of_a_function)


def _told(check: Check) -> Check:
    def checked(payload: Any) -> Any:
        try:
            return check(payload)
        except Mismatch as mismatch:
            problem = str(mismatch)
        except RecursionError:
            problem = "the payload is nested too deeply"
        raise InvalidPayload(problem)

    return checked


def _guarded(check: Check, where: str, text_of: Callable[[Exception], str | None]) -> Check:
    """What ``check`` raises is the refusal. ``text_of``: what the client is told; None: it may be a bug."""
    logged: list[str] = []

    def checked(payload: Any) -> Any:
        try:
            return check(payload)
        except RequestError:
            raise
        except Exception as error:
            if passes(error):
                raise
            text = text_of(error)
            if text is None and not logged:
                # Its text may quote the payload, or more than a client may know.
                logged.append(type(error).__name__)
                log.warning(
                    "%s: the check raised %s, and the payload counts as invalid; raise ValueError or "
                    "RequestError to tell the client why (logged once)",
                    where,
                    type(error).__name__,
                )
        raise InvalidPayload(text or "the payload is not what this event takes")

    return checked


# -- libraries ------------------------------------------------------------------------------


def _of_a_library(declared: Any) -> Check | None:
    """The check of a model of pydantic or a struct of msgspec; None for everything else."""
    if isinstance(declared, type):
        if hasattr(declared, "model_validate"):
            return declared.model_validate  # type: ignore[no-any-return]
        if "__pydantic_validator__" in vars(declared):  # a dataclass of pydantic's
            return vars(declared)["__pydantic_validator__"].validate_python  # type: ignore[no-any-return]
        if hasattr(declared, "__struct_fields__") and "msgspec" in sys.modules:
            convert = sys.modules["msgspec"].convert
            return lambda payload: convert(payload, declared)
    elif hasattr(declared, "validate_python"):  # a TypeAdapter
        return declared.validate_python  # type: ignore[no-any-return]
    return None


def _nested(declared: Any) -> Check | None:
    """The same for a field of a dataclass: what the library says is about that field."""
    check = _of_a_library(declared)
    if check is None:
        return None

    def nested(value: Any) -> Any:
        try:
            return check(value)
        except ValueError as error:
            problem = _text_of_a_library(error)
        raise Mismatch(problem)

    return nested


def _text_of_a_library(error: Exception) -> str:
    """pydantic's errors are lists; without the input, which its text would quote. msgspec's text has none."""
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return str(error)
    first, *others = errors()
    where = ".".join(_cut(str(step), 40) for step in first["loc"])
    more = f" (and {len(others)} more)" if others else ""
    return (f"{where}: " if where else "") + _cut(str(first["msg"]), 160) + more


def _text_of_a_function(error: Exception) -> str | None:
    return str(error) if isinstance(error, ValueError) else None


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
