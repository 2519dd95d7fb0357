"""Whether a figure grows: the slope of a series, and whether it says anything. Pure.

The slope is Theil's and Sen's: the median of the slopes of all pairs. A single step or a few wild values move
it little, a leak moves all pairs. Called by ``endure_report.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median

Series = Sequence[tuple[float, float]]
"""Pairs of seconds and a figure."""

FEWEST = 6
"""Fewer points than these say nothing of a slope."""

SHORTEST = 120.0
"""Seconds: over less than this, what a process takes once looks as if it went on."""


def per_minute(series: Series) -> float:
    """How much the figure grows in a minute; 0 for fewer than two points in time."""
    slopes = [
        (later - sooner) / (end - begin)
        for (begin, sooner), (end, later) in combinations(series, 2)
        if end > begin
    ]
    return 60.0 * median(slopes) if slopes else 0.0


def says_something(series: Series) -> bool:
    """Whether there are enough points, over enough time."""
    return len(series) >= FEWEST and series[-1][0] - series[0][0] >= SHORTEST


def behind_warm_up(series: Series) -> Series:
    """The series without what is in its first third of time."""
    if not series:
        return series
    begin, end = series[0][0], series[-1][0]
    return [point for point in series if point[0] >= begin + (end - begin) / 3]
