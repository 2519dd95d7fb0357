"""The demo: a small chat whose page shows what a drop, a resume and a takeover look like.

In the package only ``cli.py`` imports it. ``app.py`` is the WSGI application, ``chat.py`` the rooms and their
messages, ``timeline.py`` the events that the page draws, ``bursts.py`` the messages that are sent on request.
"""

from __future__ import annotations

from .app import DemoApp, create_app

__all__ = ["DemoApp", "create_app"]
