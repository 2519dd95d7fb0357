"""The application of the cluster tests in Flask: views that upgrade, and views that broadcast.

Same paths, same hub, same journal: ``numbered_app.py``.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from werkzeug.wrappers import Response

from tests.cluster.numbered_app import hub, view, who_dials

flask_app = Flask(__name__)


@flask_app.get("/ws", websocket=True)
@flask_app.get("/ws")
def ws() -> Response:
    room, name, data = who_dials(request)
    return hub.upgrade(request, room, name, data=data)


@flask_app.get("/", defaults={"path": ""})
@flask_app.get("/<path:path>")
def page(path: str) -> tuple[dict[str, Any], int]:
    status, said = view(f"/{path}", request.args)
    return said, status
