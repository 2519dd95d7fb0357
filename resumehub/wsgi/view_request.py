"""The request that a view has given, as a werkzeug ``Request``. Read next: ``checks.py``, which asks."""

from __future__ import annotations

from typing import Any

from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Request


def no_request(given: object) -> str:
    """What the error says, where a view has given something else."""
    # Not its repr, which has the address, and with it perhaps a ticket.
    kind = type(given)
    return (
        "hub.upgrade needs a werkzeug or Flask request, or a WSGI environ, not a "
        f"{kind.__module__}.{kind.__qualname__}. A view of another framework (Django, Pyramid, …) cannot "
        "return its answer. Mount the hub beside the application instead, with Hub(connect): "
        'DispatcherMiddleware(application, {"/ws": hub.wsgi_app}), from werkzeug.middleware.dispatcher.'
    )


def request_of(environ: dict[str, Any]) -> Request:
    """The Request that the view's framework has made of this environ, if werkzeug's: its query is parsed."""
    made = environ.get("werkzeug.request")
    if (
        isinstance(made, Request)
        and made.environ is environ
        # The environ may have changed since; and the application's class may parse queries differently.
        and made.query_string == environ.get("QUERY_STRING", "").encode("latin-1")
        and isinstance(made.args, MultiDict)
    ):
        return made
    return Request(environ)
