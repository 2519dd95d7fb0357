"""The inspector as views of the application, so that its login decides who sees it.

Off unless ``inspector=`` says who may. The function runs in the request context: ``current_user``,
``session`` and ``abort`` work in it. Called on request threads. Read next: ``../../inspector/inspector.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, Flask, request
from werkzeug.wrappers import Response

from ...hub import Hub
from ...inspector import Inspector

NAME: Final = "resumehub_inspector"
"""Of the blueprint."""


def serve_inspector(app: Flask, hub: Hub, authorize: Callable[..., Any] | None, url: str) -> None:
    """Add the routes at ``url``, if there is somebody who may look."""
    if authorize is None:
        return
    inspector = Inspector(hub, authorize=authorize, secret=app.secret_key or b"")

    def view(path: str = "") -> Response:
        return inspector.answer(request, request.path.removeprefix(url), request.script_root + url)

    blueprint = Blueprint(NAME, __name__)
    for rule in (url, f"{url}/", f"{url}/<path:path>"):
        blueprint.add_url_rule(
            rule, "view", view, methods=["GET", "POST"], strict_slashes=True, provide_automatic_options=False
        )
    app.register_blueprint(blueprint)
