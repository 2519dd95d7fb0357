"""Whether a figure grows: flat, leaking and noisy series, and what the report makes of them."""

from __future__ import annotations

import random

import pytest

from tools.soaking.endure_report import FIGURES, growth
from tools.soaking.endure_run import Pause
from tools.soaking.sampling import Sample
from tools.soaking.slopes import behind_warm_up, per_minute, says_something

MINUTES = [30.0 * number for number in range(40)]
RSS, THREADS, DESCRIPTORS = (
    next(figure for figure in FIGURES if figure.name == name) for name in ("RSS", "threads", "descriptors")
)


def pauses(rss: list[float], threads: list[int] | None = None, descriptors: int = 20) -> list[Pause]:
    """One pause every half minute."""
    made = []
    for at, size, number in zip(MINUTES, rss, threads or [30] * len(rss), strict=False):
        sample = Sample(at, int(size), int(size), int(size), number, descriptors)
        made.append(Pause(sample, 1000, 1000, 1000, {}, sample))
    return made


def test_a_flat_series_has_no_slope() -> None:
    """Also with noise as large as a page or two."""
    noise = random.Random(1)
    assert per_minute([(at, 50_000.0) for at in MINUTES]) == 0.0
    assert abs(per_minute([(at, 50_000 + noise.uniform(-200, 200)) for at in MINUTES])) < 10


def test_a_leak_shows_through_noise() -> None:
    """A kilobyte for each of three hundred sessions a minute."""
    noise = random.Random(1)
    leaking = [(at, 50_000 + 300 * at / 60 + noise.uniform(-200, 200)) for at in MINUTES]
    assert per_minute(leaking) == pytest.approx(300, rel=0.1)


def test_a_step_is_no_slope() -> None:
    """The allocator takes another arena once: that is no leak, and one wild value is none either."""
    stepped = [(at, 50_000.0 if at < 800 else 54_000.0) for at in MINUTES]
    assert per_minute(stepped) < 100
    wild = [(at, 50_000.0 + 90_000 * (number == 20)) for number, at in enumerate(MINUTES)]
    assert per_minute(wild) == 0.0


def test_the_warm_up_does_not_count() -> None:
    """What fills once, fills in the first third."""
    filling = [(at, min(at, 300.0)) for at in MINUTES]
    assert per_minute(behind_warm_up(filling)) == 0.0
    assert behind_warm_up([]) == []
    assert behind_warm_up(filling)[0][0] == 390.0  # a third of 1170 seconds


def test_a_short_series_says_nothing() -> None:
    """Few points, or little time between them."""
    assert says_something([(at, 1.0) for at in MINUTES])
    assert not says_something([(at, 1.0) for at in MINUTES[:4]])
    assert not says_something([(at / 100, 1.0) for at in MINUTES])


def test_the_report_sees_a_leak_of_memory() -> None:
    """And keeps silent where there is none, or where a run was too short."""
    leaking = [50_000 + 400 * at / 60 for at in MINUTES]
    assert growth(RSS, pauses(leaking)) == "RSS grows by 400 KiB in a minute; allowed are 300"
    assert growth(RSS, pauses([50_000.0] * 40)) == ""
    assert growth(RSS, pauses(leaking[:4])) == ""


def test_threads_and_descriptors_must_be_the_same_in_each_pause() -> None:
    """One more in a single pause is one too many."""
    flat = [50_000.0] * 10
    assert growth(THREADS, pauses(flat)) == ""
    assert growth(THREADS, pauses(flat, [30] * 9 + [31])).startswith("threads: from 30 to 31 in pauses")
    leaked = [*pauses(flat), *pauses(flat, descriptors=21)]
    assert growth(DESCRIPTORS, leaked).startswith("descriptors: from 20 to 21 in pauses")
