"""A WebSocket route's view: what it returns becomes an upgrade, and what it refuses is the answer.

The view runs in the request context, when the checks that come before ``connect`` in
docs/reference/contract.md have passed: the method, the handshake, the origin. Knows Flask's way with
exceptions and responses, and no route. Called on WSGI request threads. Read next: ``../../wsgi/checks.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from ...admission import Admission
from ...errors import ConnectRejected
from ...handlers import name_of
from ...hub import Hub
from ...reasons import RefusalReason
from ...wsgi.checks import shaped, upgrade_as
from ...wsgi.refusals import Refusal, close_of

_ALSO = "a room_id, "


def answer_upgrade(app: Flask, hub: Hub, view: Callable[..., Any], arguments: dict[str, Any]) -> Response:
    """The response to the present request: the view says which client it is.

    Raises: what the view raises, but for what refuses: an HTTPException is answered as the application's
    error handlers have it, ConnectRejected and PermissionError with 401. TypeError, when it returns anything
    else than a room, (room, id), (room, id, data), an Admission or a Response.
    """
    return upgrade_as(hub.lookup(), request, lambda: _ask(app, view, arguments))


def _ask(app: Flask, view: Callable[..., Any], arguments: dict[str, Any]) -> Admission:
    where = f"the WebSocket view {name_of(view)}"
    try:
        returned = view(**arguments)
    except HTTPException as error:
        _refuse(app.make_response(app.handle_user_exception(error)))
    except (ConnectRejected, PermissionError) as error:
        raise Refusal(401, RefusalReason.APPLICATION, "Not allowed.") from error
    if isinstance(returned, Response):
        if returned.status_code == 101:
            raise TypeError(f"{where} must return the room, not hub.upgrade(…): the route upgrades by itself")
        _refuse(returned)
    if isinstance(returned, str):
        returned = Admission(returned)
    try:
        return shaped(returned, where, _ALSO)
    except TypeError as error:
        if str(error).startswith(where):
            raise
        raise TypeError(
            f"{where} returned what is no room and id: {error}. To refuse, return a Response, or call "
            "abort(403)"
        ) from error


def _refuse(response: Response) -> NoReturn:
    raise Refusal(
        response.status_code, RefusalReason.APPLICATION, "", close=close_of(response), response=response
    )
