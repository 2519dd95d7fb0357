"""The JavaScript client, served by the application, and ``resumehub_js()`` for its templates.

It has two URLs. The plain one stays the same, so a browser asks each time whether it has changed. The other
has a hash of the content in its name, so it may be kept for ever; that is what ``resumehub_js()`` gives. It
knows no socket. Called on request threads. Read next: ``extension.py``.
"""

from __future__ import annotations

import hashlib
from functools import cache, partial
from importlib.resources import files
from typing import Any

from flask import Blueprint, Flask, Response, request, url_for
from werkzeug.datastructures import Headers

_FOR_EVER = "public, max-age=31536000, immutable"


@cache
def _client() -> tuple[bytes, str]:
    """The module, and the first part of its hash."""
    code = files("resumehub").joinpath("static", "resumehub.js").read_bytes()
    return code, hashlib.sha256(code).hexdigest()[:16]


def serve_client(app: Flask, url: str | None) -> None:
    """Add the routes at ``url``, unless it is None, and the function for templates."""

    def resumehub_js() -> str:
        """The URL of the client, for ``import {connect} from "{{ resumehub_js() }}"``."""
        if url is None:
            raise RuntimeError("RESUMEHUB_JS_URL is None, so this application does not serve the client")
        return url_for("resumehub.client", digest=_client()[1])

    app.jinja_env.globals["resumehub_js"] = resumehub_js
    if url is None:
        return
    blueprint = Blueprint("resumehub", __name__)
    stem = url.removesuffix(".js")
    blueprint.add_url_rule(url, "client", _answer, methods=["GET"])
    blueprint.add_url_rule(f"{stem}.<digest>.js", "client", _answer, methods=["GET"])
    app.register_blueprint(blueprint)


def _answer(digest: str | None = None) -> Response:
    code, current = _client()
    response = Response(code, mimetype="text/javascript")
    # A page of the release before may ask for another digest: it gets today's, which is not kept under
    # that name.
    response.headers["Cache-Control"] = _FOR_EVER if digest == current else "no-cache"
    response.set_etag(current)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.make_conditional(request)
    # An attribute, not a method of a subclass: Flask may change the class of what a view returns.
    response.get_wsgi_headers = partial(_without_cookies, response)  # type: ignore[method-assign]
    return response


def _without_cookies(response: Response, environ: Any) -> Headers:
    """Its headers, without the cookie of a session that a before_request has touched.

    A shared cache would give it to other users.
    """
    response.vary.discard("Cookie")
    headers = type(response).get_wsgi_headers(response, environ)
    headers.remove("Set-Cookie")
    return headers
