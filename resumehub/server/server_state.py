"""What a hub can see of the server in whose process it runs: whether it ends, and how much time is left.

Any server is seen to end by its main thread, which leaves the program. gunicorn says so earlier: its worker
waits for the requests under way, and is killed ``graceful_timeout`` seconds after it was told to stop, if
they take longer. The environ does not hold the worker, but its signal handlers are methods of it. It clears
its attribute ``alive`` when it is told to stop: by a signal, by its own limit of requests or by the reloader.

It changes nothing: no handler of a signal, no hook. Called by ``watcher.py``, on its thread. Read next:
``core/process_end.py``.
"""

from __future__ import annotations

import os
import signal
from typing import Any, Final

from ..core.process_end import ServerState
from ..runtime.base import Runtime

# Any of them leads to the worker, so that an application may have a handler of its own for some.
_HANDLED_BY_WORKERS: Final = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGQUIT", "SIGINT", "SIGABRT", "SIGUSR1", "SIGWINCH")
)

DEFAULT_GRACEFUL_TIMEOUT: Final = 30.0
"""gunicorn's own default, for a worker that does not say."""


def look_at_server(runtime: Runtime, borrowed: int) -> ServerState:
    """What is seen now. ``borrowed``: how many of its request threads the hub uses (TLS). Never blocks."""
    returned = runtime.main_thread_returned()
    worker = find_worker()
    if worker is None:
        return ServerState(returned)
    alone = getattr(worker, "ppid", None) not in (None, os.getppid())  # its master is gone
    return ServerState(
        returned,
        told_to_stop=getattr(worker, "alive", True) is False or alone,
        under_way=_has_requests(worker, borrowed),
        kill_after=_graceful_timeout(worker),
    )


def find_worker() -> Any:
    """gunicorn's worker object in this process; None where there is none."""
    for number in _HANDLED_BY_WORKERS:
        worker = getattr(signal.getsignal(number), "__self__", None)
        # By the name of a base class: the worker's own class may be the application's.
        if any(base.__module__.startswith("gunicorn.workers.") for base in type(worker).__mro__):
            return worker
    return None


def _has_requests(worker: Any, borrowed: int) -> bool:
    if not borrowed:
        return True  # if there are none, the main thread is about to return
    # A gthread worker waits for the request threads that read for us (TLS), and would wait for ever.
    connections = getattr(worker, "nr_conns", borrowed)
    return bool(connections > borrowed)


def _graceful_timeout(worker: Any) -> float:
    seconds = getattr(getattr(worker, "cfg", None), "graceful_timeout", DEFAULT_GRACEFUL_TIMEOUT)
    return float(seconds) if isinstance(seconds, int | float) else DEFAULT_GRACEFUL_TIMEOUT
