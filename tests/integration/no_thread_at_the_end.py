"""``flask_app.py`` in a Python that starts no thread once the main thread has returned.

Python 3.12.0 to 3.12.2 are so. A server that is started with this module is, whatever version runs it.
"""

from __future__ import annotations

import threading

from resumehub.runtime.system import SPARES_WHERE_NONE_START, SystemRuntime
from tests.integration.flask_app import app

__all__ = ["app"]

_start, _runtime = threading.Thread.start, SystemRuntime()


def _start_unless_at_the_end(thread: threading.Thread) -> None:
    if _runtime.main_thread_returned():
        raise RuntimeError("can't create new thread at interpreter shutdown")
    _start(thread)


SystemRuntime.spare_threads = SPARES_WHERE_NONE_START
threading.Thread.start = _start_unless_at_the_end  # type: ignore[method-assign]
