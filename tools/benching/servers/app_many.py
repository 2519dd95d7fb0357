"""The same application with heartbeats, a grace window that ends soon, and a page that says what is left.

``MANY_PING_INTERVAL`` and ``MANY_WINDOW`` are seconds. Started by ``many.py``.
"""

from __future__ import annotations

import os
import threading

from resumehub import Hub

from .app_resumehub import serving

_PING_INTERVAL = float(os.environ["MANY_PING_INTERVAL"])

hub = Hub(
    ping_interval=_PING_INTERVAL,
    write_timeout=_PING_INTERVAL / 2,
    resume_window=float(os.environ["MANY_WINDOW"]),
    max_sessions=30_000,
)
app = serving(hub)


@app.get("/left")
def left() -> dict[str, int]:
    """Of the threads the hub's, without those for callbacks: like gunicorn's they are made once, and kept."""
    names = [thread.name for thread in threading.enumerate()]
    return {
        "sessions": hub.stats().sessions,
        "threads": sum(name.startswith("resumehub") and "-callbacks-" not in name for name in names),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }
