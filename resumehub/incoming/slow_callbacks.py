"""Which callbacks are slow: those that wait, and not those that compute.

There is one interpreter. While a callback computes, all others would wait for it anyway; while it waits, they
need not. Pure, for ``leader_followers.py``, which measures and steps aside. Any thread.
"""

from __future__ import annotations

from ..clock import Effort

SLOW = 0.001
"""Seconds that a callback waits from which on it is a slow one."""

SHORT_WAIT = 0.00025
"""Seconds that one wait of a slow callback takes, at least, on average."""

AS_LONG_AGAIN = 2
"""For so many times as long as a callback has waited, the leader steps aside before others."""

AT_LONGEST = 1.0
"""Seconds that it does so for one slow callback."""

SUSPICIOUS = 1_000
"""After a callback that took long, for so many callbacks it is measured how much of the time they compute."""


def time_waited(seconds: float, before: Effort, after: Effort) -> float | None:
    """For how long a callback of so many seconds has waited, if that makes it a slow one."""
    waited = seconds - (after.computed - before.computed)
    # Where it made way for another process, nobody knows; many short waits are for the interpreter's lock,
    # for which others would wait as well.
    unknown = after.made_way != before.made_way or waited <= SHORT_WAIT * (after.waits - before.waits)
    return None if unknown or waited <= SLOW else waited


def time_aside(waited: float) -> float:
    """For how long the leader steps aside behind a callback that has waited for ``waited`` seconds."""
    return min(AS_LONG_AGAIN * waited, AT_LONGEST)
