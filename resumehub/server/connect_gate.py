"""Counts the dials of each client's address, where ``connect_rate`` says so. It decides nothing.

One for each hub and process, whether the hub runs there or not: the process that answers a dial counts it.
Called on request threads. Read next: ``core/connect_rate.py``, ``wsgi/checks.py``.
"""

from __future__ import annotations

from ..clock import Clock
from ..core.connect_rate import ConnectTable, subscriber_of
from ..limits import ConnectRate
from ..runtime.base import Lock


class ConnectGate:
    """``limit``: None: every dial may come in. Threads: any. Blocks: never for long."""

    def __init__(self, limit: ConnectRate | None, clock: Clock, lock: Lock) -> None:
        self._table = ConnectTable(limit) if limit is not None else None
        self._clock = clock
        self._lock = lock

    def admit(self, address: str, comes_back: bool) -> float:
        """Count a dial from ``address``; return in how many seconds it may come in, 0.0 if now."""
        subscriber = subscriber_of(address) if self._table is not None else None
        if self._table is None or subscriber is None:
            return 0.0
        with self._lock:
            return self._table.admit(subscriber, comes_back, self._clock.monotonic())

    def give_back(self, address: str, comes_back: bool) -> None:
        """A dial that was admitted has found its session."""
        subscriber = subscriber_of(address) if self._table is not None else None
        if self._table is not None and subscriber is not None:
            with self._lock:
                self._table.give_back(subscriber, comes_back)
