"""Flask applications with the extension, as the tests of ``resumehub.contrib.flask`` need them."""

from __future__ import annotations

from typing import Any

from flask import Flask

from resumehub.contrib.flask import AppHub, ResumeHub


def make_app(sockets: ResumeHub | None = None, name: str = "shop", **config: Any) -> Flask:
    """An application with a secret key and this configuration; initialised, if ``sockets`` is given."""
    app = Flask(name)
    app.config.update(SECRET_KEY="a secret of the tests", TESTING=True, **config)
    if sockets is not None:
        sockets.init_app(app)
    return app


def live(app: Flask) -> AppHub:
    """What the extension has for the application: use it in ``with``, which closes the hub."""
    found: AppHub = app.extensions["resumehub"]
    return found


def lobby(**options: Any) -> ResumeHub:
    """An extension with one route, whose view lets everybody into the room of the URL."""
    sockets = ResumeHub(**options)

    @sockets.route("/ws/<room>")
    def join(room: str) -> str:
        return room

    return sockets
