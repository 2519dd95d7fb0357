"""The demo: a small chat whose page shows what a drop, a resume and a takeover look like.

Nothing else in the package imports it but ``cli.py``. ``app.py`` is the WSGI application, ``chat.py`` the
people who talk, ``timeline.py`` what the page draws, ``bursts.py`` the messages that it sends on request.
"""

from __future__ import annotations

from .app import DemoApp, create_app

__all__ = ["DemoApp", "create_app"]
