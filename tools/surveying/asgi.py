"""The same application behind a2wsgi, which makes an ASGI application of a WSGI one."""

from __future__ import annotations

from a2wsgi import WSGIMiddleware

from .app import app as wsgi_app

app = WSGIMiddleware(wsgi_app)
