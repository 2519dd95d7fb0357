"""The demo: a small chat whose page shows what a drop, a resume and a takeover look like.

It uses a hub as any application does; only ``cli.py`` imports it. Threads: those of the server and of the
hub, and one of its own for each burst and for a shared timeline. Begin with ``app.py``, the WSGI application;
then ``chat.py`` (the rooms and their messages), ``timeline.py`` (what the page draws), ``bursts.py``
(messages on request), ``hosts.py`` (the names under which it can be asked for), ``workers.py`` (several
processes).
"""

from __future__ import annotations

from .app import DemoApp, create_app

__all__ = ["DemoApp", "create_app"]
