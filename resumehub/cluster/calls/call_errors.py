"""An exception of the hub's process as a value, and as the same exception in the process that called.

Each class of ``errors.py`` that a call may raise stands in ``_MADE_OF`` with what it is made of. The texts of
TypeError, ValueError and RuntimeError go along as they are. Whatever else a call raises is a fault: it is
logged where it happened, with its traceback, and the caller gets a RuntimeError that says so. No exception is
ever made of a class that is not in the table. Any thread. Read next: ``call_bodies.py``.
"""

from __future__ import annotations

from typing import Any, Final

from ... import errors
from ...runtime.foreign_code import Log
from .call_bodies import Raised

log = Log(__name__)

_MADE_OF: Final[dict[str, tuple[str, ...]]] = {
    "ConnectionNotFound": ("connection_id",),
    "ConnectionClosed": ("connection_id",),
    "HubClosed": ("connection_id",),
    "RequestInDoubt": ("connection_id", "event"),
    "SendBufferFull": ("connection_id", "frames", "used_bytes"),
    "RequestFailed": ("code", "message"),
    "RequestTimeout": ("event", "timeout"),
}
"""Class → the attributes that its constructor takes, in order."""

_WITH_TEXT: Final[dict[str, type[Exception]]] = {
    "TypeError": TypeError,
    "ValueError": ValueError,
    "RuntimeError": RuntimeError,
}


def raised(error: BaseException) -> Raised:
    """The value of what a call has raised."""
    name = type(error).__name__
    attributes = _MADE_OF.get(name)
    if attributes is not None and isinstance(error, errors.ResumeHubError):
        values = [getattr(error, attribute) for attribute in attributes]
        return Raised(name, [*values, _own_text(error, values)])
    if type(error) in _WITH_TEXT.values():
        return Raised(name, [str(error)])
    log.error("a call from another process failed", exc_info=error)
    return Raised("RuntimeError", [f"the hub's process raised {name}; its log has the traceback"])


def error_of(value: Raised) -> Exception:
    """The exception again. Raises: ValueError for a value that no process of this release sends."""
    kind, values = value.kind, value.values
    if isinstance(values, list) and values:
        if kind in _WITH_TEXT and all(isinstance(one, str) for one in values):
            return _WITH_TEXT[kind](values[0])
        attributes = _MADE_OF.get(kind, ())
        if attributes and len(values) == len(attributes) + 1:
            return _made(getattr(errors, kind), values[:-1], values[-1])
    raise ValueError(f"no call raises {str(kind)[:40]!r} in this release")


def _own_text(error: Exception, values: list[Any]) -> str:
    """The text, where it is not the one that the class gives; else empty."""
    text = str(error)
    return text if text != str(_made(type(error), values, "")) else ""


def _made(kind: type[Exception], values: list[Any], text: str) -> Exception:
    error = kind(*values)
    if text:
        error.args = (text,)
    return error
