"""Handlers with an application context of their own.

The hub runs handlers on its threads, when the request of the upgrade is over. So ``current_app``, ``g`` and
what extensions keep for an application need a context; and ``request`` and ``session`` are not there. It
knows no hub. Any thread. Read next: ``app_hub.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, has_request_context

from ...handlers import name_of

_NO_REQUEST = (
    "{handler} needs request or session, and a handler has neither: it runs on a thread of the hub, when the "
    "request of the upgrade is over. Read them in the view, and give the handler what it needs: return "
    "Admission(room, user=…, data=…), and look at connection.user and connection.data"
)


def in_context(app: Flask, handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler that runs ``handler`` in an application context; it returns and raises the same.

    ``teardown_appcontext`` runs when the handler has returned. What a handler raises for want of a request is
    a RuntimeError that says what to do.
    """

    def run(*arguments: Any) -> Any:
        try:
            with app.app_context():
                return handler(*arguments)
        except RuntimeError as error:
            # Flask has no type of its own for this.
            if "request context" in str(error) and not has_request_context():
                raise RuntimeError(_NO_REQUEST.format(handler=name_of(handler))) from error
            raise

    # The hub names a handler in errors and in the log.
    run.__name__ = getattr(handler, "__name__", type(handler).__name__)
    run.__qualname__ = name_of(handler)
    run.__module__ = getattr(handler, "__module__", __name__)
    return run
