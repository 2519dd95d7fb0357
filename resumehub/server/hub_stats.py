"""What a hub holds, counted for ``hub.stats()``: one snapshot, on whatever thread asks.

It reads what the hub's threads write, and asks none of them. The counts are taken one after the other, so
what changes meanwhile may be in one of them and not in the next. Blocks: for one session's lock at a time,
under which nobody waits. Read next: ``../stats.py``, ``registry.py``, ``../outgoing/ledger.py``.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from ..stats import Stats
from .hub_loop import HubLoop
from .refusal_reports import RefusalReports


def stats_of(loop: HubLoop | None, refusals: RefusalReports) -> Stats:
    """See the module. ``loop``: None before the first use, where only refusals can have happened."""
    refused = refusals.counts()
    if loop is None:
        return Stats(refused=refused)
    ledger, held, held_bytes = loop.ledger_totals.sum()
    waiting = [session.serial_queue.parked() for session in list(loop.registry.sessions.values())]
    counts: dict[str, Any] = loop.registry.counts() | asdict(ledger)
    return replace(
        Stats(refused=refused, lag=loop.lag(), draining=loop.registry.drain.value),
        **counts,
        undecodable=loop.observers.undecodable,
        held=held,
        held_bytes=held_bytes,
        parked=sum(messages for messages, _ in waiting),
        parked_bytes=sum(size for _, size in waiting),
        threads=len(loop.thread_group.alive()),
    )
