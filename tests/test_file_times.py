"""The table of slow files names files that are there, and is drawn and sorted as it says."""

from __future__ import annotations

from pathlib import Path

from tests import file_times

ROOT = Path(__file__).parents[1]


def test_every_slow_file_is_there() -> None:
    """A file that was renamed would run last again, and make the run longer without a word."""
    assert [path for path in file_times.SECONDS if not (ROOT / path).is_file()] == []


def test_the_slowest_file_is_first_and_the_others_keep_their_order() -> None:
    slowest, second = list(file_times.SECONDS)[:2]
    paths = ["tests/b.py", second, "tests/a.py", slowest]

    assert sorted(paths, key=file_times.rank) == [slowest, second, "tests/b.py", "tests/a.py"]


def test_the_table_has_the_files_that_take_long() -> None:
    assert file_times.table({"fast.py": 0.1, "slow.py": 3.0, "slower.py": 12.4}) == (
        '    "slower.py": 12,\n    "slow.py": 3,'
    )
