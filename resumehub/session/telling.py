"""Calls an observer that is not ours: what it raises, whatever it raises, is logged and ignored.

Any thread, without a lock. Read next: ``observers.py``, ``recorder.py``.
"""

from __future__ import annotations

from typing import Any

from ..runtime.foreign_code import Log, passes
from ..spans import SessionSpan

log = Log(__name__)

SPAN_RAISED = "the span of a session raised in %s; ignored"


def tell(span: SessionSpan, method: str, *arguments: Any) -> None:
    """Call a method of a session's span."""
    try:
        getattr(span, method)(*arguments)
    except BaseException as error:
        ignore(SPAN_RAISED, method, error)


def ignore(text: str, method: str, error: BaseException) -> None:
    """Log what an observer has raised in ``method``. Raises: what is not to be caught."""
    if passes(error):
        raise error
    log.error(text, method, exc_info=error)
