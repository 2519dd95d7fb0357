"""``Health``: what ``hub.health()`` gives, and what follows from it for the two questions of an orchestrator.

*Is it alive?* If not, the process is killed and started again, with all its sessions. So only what a restart
mends counts: a thread of the hub that has died, or has hung for long. *Is it ready?* If not, it gets no new
clients for the moment; whoever is connected stays. So everything counts that makes an upgrade fail here and
not elsewhere: also a drain, a stop, a hub thread that is late, a hub in another process that is away. A full
hub is ready, since its own clients come back to it.

Values; any thread. Read next: ``wsgi/probes.py``, ``hub_life_cycle.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MAX_LAG: Final = 5.0
"""Seconds that the hub's oldest command may wait in a hub that is ready."""

STUCK_AFTER: Final = 60.0
"""Seconds after which a hub thread hangs, and not only lags."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``detail``: for people; it names no session."""

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Health:
    """A hub in one process at one moment.

    ``threads``: whether the threads that all connections need are there. ``lag``: see ``Stats.lag``; 0 where
    the hub is in another process. ``closed``: whether it is closed, or closes. ``stopping``: whether this
    process is told to leave its cluster. ``draining``: see ``Stats.draining``. ``cluster``: whether the hub
    can be reached, or is on its way; None without a cluster.
    """

    threads: bool = True
    lag: float = 0.0
    closed: bool = False
    stopping: bool = False
    draining: str = ""
    cluster: Check | None = field(default=None)

    def alive(self, stuck_after: float = STUCK_AFTER) -> dict[str, Check]:
        """What a restart would mend: ``threads`` and ``hub``."""
        detail = f"its oldest command has waited for {self.lag:.3f} s, and {stuck_after:g} s are a hang"
        return {"threads": self._threads(), "hub": Check(self.lag <= stuck_after, detail)}

    def ready(self, max_lag: float = MAX_LAG) -> dict[str, Check]:
        """What new clients need: ``threads``, ``lag``, ``open``, ``draining`` and, with one, ``cluster``."""
        detail = f"the hub's oldest command has waited for {self.lag:.3f} s, and {max_lag:g} s are too long"
        checks = {
            "threads": self._threads(),
            "lag": Check(self.lag <= max_lag, detail),
            "open": Check(not self.closed, "the hub is closed, or closes" if self.closed else "it is open"),
            "draining": Check(not (self.stopping or self.draining), self._draining()),
        }
        return checks if self.cluster is None else checks | {"cluster": self.cluster}

    def _threads(self) -> Check:
        if self.threads:
            return Check(True, "all that connections need are there")
        return Check(False, "a thread that all connections need has died: the log has a CRITICAL line")

    def _draining(self) -> str:
        if self.stopping:
            return "this process is told to stop"
        return f"the hub is drained ({self.draining} are refused)" if self.draining else "it takes newcomers"
