"""Which callbacks are slow: those that wait, and not those that compute.

There is one interpreter. While a callback computes, all other threads must wait for it anyway; while it
waits, they need not. Pure; any thread. Called by ``leader_followers.py``, which measures and steps aside.
"""

from __future__ import annotations

from ..clock import Effort

LOOK = 0.005
"""Seconds between two looks of the deputy."""

PATIENCE = 2
"""For so many looks a leader may compute in one callback: a new leader would have to wait for it anyway."""

SLOW = 0.001
"""A callback that waits for more seconds than this is slow."""

SHORT_WAIT = 0.00025
"""One wait of a slow callback takes more seconds than this, on average."""

AS_LONG_AGAIN = 2
"""For so many times as long as a callback has waited, the leader steps aside before others."""

AT_LONGEST = 1.0
"""Seconds for which it steps aside at most, for one slow callback."""

SUSPICIOUS = 1_000
"""After a callback that took long, so many callbacks are measured: how much of their time they compute."""


def time_waited(seconds: float, before: Effort, after: Effort) -> float | None:
    """How many of a callback's ``seconds`` it has waited, if that makes it slow; else None."""
    waited = seconds - (after.computed - before.computed)
    # If another process took the processor, its waits can't be told apart. Many short waits are for the
    # interpreter's lock, for which other threads would wait as well.
    unknown = after.made_way != before.made_way or waited <= SHORT_WAIT * (after.waits - before.waits)
    return None if unknown or waited <= SLOW else waited


def time_aside(waited: float) -> float:
    """For how many seconds the leader steps aside after a callback that has waited for ``waited`` seconds."""
    return min(AS_LONG_AGAIN * waited, AT_LONGEST)
