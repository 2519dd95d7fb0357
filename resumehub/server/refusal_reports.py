"""Counts refused upgrades, and warns the operator of those that only the operator can end.

One for each hub, whether it runs or not: a hub that has taken no client yet refuses, too. Request threads and
the hub thread report. A flood of clients that are refused must not become a flood of log lines, so each
warning comes at most once a minute of the hub's clock, and says how many it stands for. Read next:
``wsgi/refusals.py``, ``metrics.py``.
"""

from __future__ import annotations

from ..clock import Clock
from ..metrics import Metrics
from ..reasons import RefusalReason
from ..runtime.base import Lock
from ..runtime.foreign_code import Log
from ..session.observers import call_collector
from ..session.recorder import Recorder
from .throttle import Throttle

log = Log(__name__)

_ADVICE = {
    RefusalReason.MAX_SESSIONS.value: (
        "there are as many sessions as max_sessions allows. Raise Hub(max_sessions=…), and with it ulimit -n"
    ),
    RefusalReason.RATE.value: (
        "clients of one address connect more often than connect_rate allows. If that address is your "
        "proxy's, wrap the application in werkzeug's ProxyFix; if an office is behind it, raise connect_rate"
    ),
    RefusalReason.NO_SOCKET.value: "this server does not hand out the client's socket",
    RefusalReason.NO_THREADS.value: (
        "no thread can be started. Raise the limit of threads: ulimit -u, TasksMax= of systemd, --pids-limit"
    ),
    RefusalReason.NO_DESCRIPTORS.value: (
        "no descriptor is left. Raise ulimit -n, or lower Hub(max_sessions=…)"
    ),
    RefusalReason.HUB_DEAD.value: (
        "a thread that serves all connections has died; the log says why. Restart this process, and have "
        "a health check that asks hub.ready()"
    ),
    RefusalReason.HUB_SILENT.value: (
        "the process that holds the hub does not answer. It is stopped, or busy without a pause: "
        "python -m resumehub cluster FOLDER names it"
    ),
}
"""Reasons that an operator must act on, and what to do."""


class RefusalReports:
    """One hub's. Threads: any. Blocks: never for longer than a look into a dict."""

    def __init__(self, metrics: Metrics, clock: Clock, lock: Lock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._lock = lock
        # Of each warning, by its reason and its detail.
        self._throttles: dict[tuple[str, str], Throttle] = {}
        self._counts: dict[str, int] = {}
        #: Keeps the last ones, if sessions are recorded.
        self.recorder: Recorder | None = None

    def counts(self) -> dict[str, int]:
        """How many were refused, by reason: those that happened. Any thread."""
        with self._lock:
            return dict(self._counts)

    def report(self, status: int, reason: str, detail: str = "") -> None:
        """Count a refusal and, if the operator must act, warn. ``detail``: what the log says beside that."""
        call_collector(self._metrics, "upgrade_refused", (status, reason))
        if self.recorder is not None:
            self.recorder.refused(status, reason)
        with self._lock:
            self._counts[reason] = self._counts.get(reason, 0) + 1
        if reason not in _ADVICE:
            return
        now = self._clock.monotonic()
        with self._lock:
            more = self._throttles.setdefault((reason, detail), Throttle()).let_through(now)
        if more is not None:
            said = f"{_ADVICE[reason]}{': ' if detail else ''}{detail}"
            log.warning(
                "a client was refused (%d %s): %s.%s",
                status,
                reason,
                said.rstrip("."),
                _and(more),
                status=status,
                reason=reason,
            )


def _and(more: int) -> str:
    return f" (And {more} more since the last such line.)" if more else ""
